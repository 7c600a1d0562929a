//! What the driver is to do, and whether it sleeps.

/// What the driver is to do about the connection as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::socket) enum Phase {
    /// Serve it.
    Running,
    /// End it now, and the handler with it.
    Aborted,
    /// It has ended.
    Ended,
    /// It has ended, and the handler is to end with it.
    Forsaken,
}

impl Phase {
    pub(in crate::socket) fn has_ended(self) -> bool {
        matches!(self, Phase::Ended | Phase::Forsaken)
    }
}

/// Whether the driver has to be woken.
///
/// ```text
///           nothing to do
///   Running ──────────────► Idle
///    │ ▲ ▲                    │
///    │ │ └── woken, or polled ┘
///    ▼ │ has looked again
///   Notified
/// ```
///
/// So it is woken exactly when it sleeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::socket) enum DriverTask {
    /// It is in a turn, or about to begin one.
    Running,
    /// Likewise, and it was to be woken: it looks again before it parks.
    Notified,
    /// It found nothing to do and waits for its waker.
    Idle,
}
