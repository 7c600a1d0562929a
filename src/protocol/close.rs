//! The closing handshake (RFC 6455, section 7).

/// Where the closing handshake stands.
///
/// ```text
///           send close                receive close
///   Open ──────────────────► Sent ──────────────────────► Done
///    │                        │                            ▲
///    │  receive close         │ violation, end of input    │
///    ├────────────────────────┼────────────────────────────┤
///    │  (the reply is queued  ▼                            │
///    └──── violation ───► Failed      end of input ────────┘
///          in the same call)
/// ```
///
/// In `Sent` and `Done` nothing more is sent (section 5.5.1: "The application
/// MUST NOT send any more data frames after sending a Close frame"). In
/// `Failed` and `Done` nothing more is understood: bytes that still arrive are
/// discarded (section 7.1.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Closing {
    /// Both sides may send.
    Open,
    /// Our close frame is queued or sent, the peer's has not come.
    Sent,
    /// The peer broke the protocol; our close frame is queued or sent.
    Failed,
    /// Both close frames are through, or the peer has gone.
    Done,
}

impl Closing {
    /// Whether messages and pings may still be queued.
    pub(crate) fn may_send(self) -> bool {
        self == Closing::Open
    }
}
