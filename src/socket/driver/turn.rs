//! One poll of the driver.

use tokio::time::Instant;

use super::coop::MAX_POLL;
use crate::socket::shared::{Demand, Repoll};

/// The observations of one poll of the driver so far.
pub(super) struct Turn {
    /// Whether the handler has something new to look at.
    pub(super) repoll: Repoll,
    /// The demand when this poll last read, or would have read.
    pub(super) demand: Demand,
    /// The next demand, if it is known already.
    pub(super) next_demand: Option<Demand>,
    /// Whether the last poll was in this task, so that the timer has its waker.
    pub(super) same_task: bool,
    /// Whether the connection was idle when this poll began, so that it held no buffers.
    pub(super) was_idle: bool,
    /// Whether the IO had nothing to read, and will wake this task when it has.
    pub(super) would_block: bool,
    /// Whether the deadlines wait until the next turn has looked at the input.
    pub(super) looks_again: bool,
    /// Whether this poll has asked the IO for input.
    pub(super) has_read: bool,
    /// The clock, read at most once unless the timer fires.
    pub(super) now: Option<Instant>,
}

impl Default for Turn {
    fn default() -> Self {
        Turn {
            // The wake of this task may have been meant for the handler.
            repoll: Repoll::Yes,
            demand: Demand::Discard,
            next_demand: None,
            same_task: false,
            was_idle: false,
            would_block: false,
            looks_again: false,
            has_read: false,
            now: None,
        }
    }
}

impl Turn {
    #[inline]
    pub(super) fn now(&mut self) -> Instant {
        *self.now.get_or_insert_with(Instant::now)
    }

    /// Whether other tasks must get their turn.
    pub(super) fn is_long(&mut self) -> bool {
        // No order of steps depends on how long they take.
        cfg!(not(feature = "interleavings")) && self.now().elapsed() > MAX_POLL
    }

    #[inline]
    pub(super) fn repoll(&mut self, repoll: Repoll) {
        self.repoll = self.repoll.or(repoll);
    }

    /// Whether this is the first read of the poll; says so once.
    #[inline]
    pub(super) fn is_first_read(&mut self) -> bool {
        !std::mem::replace(&mut self.has_read, true)
    }

    #[inline]
    pub(super) fn take_repoll(&mut self) -> bool {
        std::mem::take(&mut self.repoll) == Repoll::Yes
    }
}
