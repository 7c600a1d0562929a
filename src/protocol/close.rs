//! The closing handshake (RFC 6455, section 7).

use crate::CloseCode;
use crate::close::CloseFrame;
use crate::error::Violation;

/// The progress of the closing handshake.
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
/// Only in `Open` may messages be queued (section 5.5.1: "The application MUST NOT
/// send any more data frames after sending a Close frame"). In `Failed` and `Done`
/// all bytes that arrive are discarded (section 7.1.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Closing {
    /// Both sides may send.
    Open,
    /// Our close frame is queued or sent, the peer's has not arrived.
    Sent,
    /// The peer broke the protocol; our close frame is queued or sent.
    Failed,
    /// Close frames have gone both ways, or the peer has gone.
    Done,
}

impl Closing {
    /// Returns whether messages and pings may still be queued.
    pub(crate) fn may_send(self) -> bool {
        self == Closing::Open
    }
}

/// Parses the payload of a close frame.
///
/// Section 5.5.1: "If there is a body, the first two bytes of the body MUST be a
/// 2-byte unsigned integer", "Following the 2-byte integer, the body MAY contain
/// UTF-8-encoded data".
pub(super) fn parse_close_frame(payload: &[u8]) -> Result<Option<CloseFrame>, Violation> {
    if payload.is_empty() {
        return Ok(None);
    }
    let (code, reason) = payload
        .split_first_chunk()
        .ok_or(Violation::InvalidCloseFrame)?;
    let code = CloseCode::new(u16::from_be_bytes(*code)).ok_or(Violation::InvalidCloseFrame)?;
    // Section 8.1 demands UTF-8 of the reason too.
    let reason = std::str::from_utf8(reason).map_err(|_| Violation::InvalidUtf8)?;
    Ok(Some(CloseFrame {
        code,
        reason: reason.into(),
    }))
}
