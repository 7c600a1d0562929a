//! Which messages of a full queue may be dropped for newer ones.

use crate::config::Overflow;

/// What a full queue does with a message in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Retention {
    /// Keeps it until it is written.
    Kept,
    /// Drops it for a newer message: it was itself sent by [`Overflow::DropOldest`]. A room that
    /// keeps its messages and a socket that does not share one queue
    /// (`hub/tests/lagging/dropping.rs`).
    Droppable,
}

impl Retention {
    /// Of messages that are sent by this policy.
    #[inline]
    pub(super) fn of(overflow: Overflow) -> Self {
        match overflow {
            Overflow::DropOldest => Retention::Droppable,
            Overflow::Wait | Overflow::DropNewest | Overflow::Close => Retention::Kept,
        }
    }
}
