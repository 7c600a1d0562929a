//! One poll of the driver: what it has seen so far.

use std::task::Context;

use tokio::time::Instant;

use crate::socket::driver::Stage;
use crate::socket::driver::conn::{Demand, ReadEnd};
use crate::socket::driver::coop::MAX_POLL;
use crate::socket::driver::handler::end_receiving;
use crate::socket::shared::Shared;
use crate::socket::shared::exchange::Repoll;

/// What one poll of the driver has seen so far.
pub(in crate::socket) struct Turn {
    /// Whether the handler has something new to look at.
    pub(in crate::socket) own: Repoll,
    pub(in crate::socket) receiving: Receiving,
    /// Whether the timer knows this task.
    pub(in crate::socket) same_task: bool,
    /// Whether the IO had nothing to read, and will wake this task.
    pub(in crate::socket) would_block: bool,
    /// What is to be read, as far as it is known.
    pub(in crate::socket) demand: Option<Demand>,
    /// The clock, read at most once a poll.
    pub(in crate::socket) now: Option<Instant>,
}

/// What a turn found of the receiving half: if that has changed when the turn
/// ends, there is another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::socket) enum Receiving {
    /// What comes is read.
    Open,
    /// There is no room for it.
    Stalled,
    /// The end has begun: only the peer's close frame is of interest.
    Over,
}

impl From<Demand> for Receiving {
    fn from(demand: Demand) -> Self {
        match demand {
            Demand::Discard => Receiving::Over,
            demand if demand.has_room() => Receiving::Open,
            _ => Receiving::Stalled,
        }
    }
}

impl Default for Turn {
    fn default() -> Self {
        Turn {
            // Whatever woke this task may have been meant for the handler.
            own: Repoll::Yes,
            receiving: Receiving::Over,
            same_task: false,
            would_block: false,
            demand: None,
            now: None,
        }
    }
}

impl Turn {
    pub(in crate::socket) fn now(&mut self) -> Instant {
        *self.now.get_or_insert_with(Instant::now)
    }

    /// Whether it is the others' turn.
    pub(in crate::socket) fn is_long(&mut self) -> bool {
        self.now().elapsed() > MAX_POLL
    }

    pub(in crate::socket) fn wake_own(&mut self, own: Repoll) {
        self.own = self.own.or(own);
    }

    pub(in crate::socket) fn take_own(&mut self) -> bool {
        std::mem::replace(&mut self.own, Repoll::No) == Repoll::Yes
    }

    pub(in crate::socket) fn end_receiving(
        &mut self,
        shared: &Shared,
        stage: &mut Stage,
        end: ReadEnd,
        cx: &mut Context<'_>,
    ) {
        self.receiving = Receiving::Over;
        if end.is_final() {
            *stage = Stage::Ended;
        }
        self.wake_own(end_receiving(shared, end, cx));
    }
}
