//! The driver's turns: how each begins, how the driver parks, and how it is woken.

use std::sync::Arc;
use std::task::{Context, Waker};

use super::desk::Desk;
use super::driver_task::{DriverTask, Repoll};
use super::{Demand, Inbox, Locked, Shared, Source, State};

/// The facts that the driver learns at the beginning of a turn.
pub(in crate::socket) struct TurnStart {
    /// Whether the turn is in the same task as the last.
    pub(in crate::socket) same_task: bool,
    /// The demand; `None` if the IO is to be dropped.
    pub(in crate::socket) demand: Option<Demand>,
}

/// The state of the driver when it has found nothing more to do.
pub(in crate::socket) struct BeforePark<'a> {
    /// The demand of the last read in this turn.
    pub(in crate::socket) demand: Demand,
    pub(in crate::socket) desk: &'a mut Desk,
    /// The bytes that are being written.
    pub(in crate::socket) in_flight: usize,
    /// Whether all that was taken has been handed to the transport.
    pub(in crate::socket) is_written: bool,
    /// Takes an empty inbox back.
    pub(in crate::socket) batch: &'a mut Option<Box<Inbox>>,
}

impl Shared {
    /// Begins a turn of the driver, and makes `desk` the connection's desk.
    #[inline(always)]
    pub(in crate::socket) fn begin_turn(
        &self,
        desk: Option<&mut Desk>,
        cx: &mut Context<'_>,
    ) -> TurnStart {
        let mut state = self.lock_quietly();
        if let Some(desk) = desk {
            desk.assign(self.id(), state.queue.role(), self.config.output_limit);
        }
        // What happened before is seen by the turn that begins.
        let _ = state.driver_task.run();
        let same_task = state
            .driver
            .as_ref()
            .is_some_and(|driver| driver.will_wake(cx.waker()));
        if !same_task {
            state.driver_moved_to(cx.waker());
        }
        TurnStart {
            same_task,
            demand: state.demand(&self.hints),
        }
    }

    /// Parks the driver, unless something happened since the turn began. Takes back what
    /// an idle connection does not need.
    pub(in crate::socket) fn park(&self, before: BeforePark<'_>, cx: &mut Context<'_>) -> Repoll {
        let BeforePark {
            demand,
            desk,
            in_flight,
            is_written,
            batch,
        } = before;
        let mut state = self.lock();
        self.uncork(&mut desk.cork, &mut state);
        self.settle_locked(desk, in_flight, &mut state);
        if is_written {
            state.queue.all_written();
        }
        if state.has_waiters() {
            let repoll = self.wake_satisfied(state, cx);
            if repoll == Repoll::Yes {
                return repoll;
            }
            state = self.lock();
        }
        // From here on the lock is held. A task that came before has not woken this one,
        // which was not parked, but has notified it; a task that comes later wakes it.
        let was_notified = state.driver_task.run();
        let has_changed = match demand {
            Demand::Discard => false,
            // The handler has begun the end: its deadline begins too.
            _ if !state.life.may_receive() => true,
            demand => !demand.has_capacity() && !state.capacity().is_empty(),
        };
        let can_write = is_written && !state.queue.is_empty();
        if was_notified || has_changed || can_write || state.life.is_aborting() {
            return Repoll::Yes;
        }
        state.queue.recycle();
        if !state.has_input()
            && let Some(inbox) = state.inbox.take()
            && let Some(inbox) = batch.replace(inbox)
        {
            inbox.recycle();
        }
        state.driver_task.park();
        match &state.driver {
            Some(driver) if driver.will_wake(cx.waker()) => {}
            _ => state.set_driver(cx.waker()),
        }
        Repoll::No
    }

    /// Parks the driver at the end of a usual turn, in which all was written; returns whether it
    /// did. It does not if something is queued, a task waits, or the end has begun.
    #[inline(always)]
    pub(in crate::socket) fn park_usual(&self, desk: &mut Desk) -> bool {
        // Nothing changes that can be seen without the lock.
        let mut state = self.lock_quietly();
        let has_nothing =
            self.hints.is_plain() && self.hints.has_nothing_to_receive() && !state.has_waiters();
        // As in `park`: from here on the lock is held.
        if !has_nothing || state.driver_task != DriverTask::Running {
            return false;
        }
        self.settle_locked(desk, 0, &mut state);
        state.queue.all_written();
        state.queue.recycle();
        if let Some(inbox) = state.inbox.take() {
            inbox.recycle();
        }
        state.driver_task.park();
        true
    }

    /// Has the lock know what a usual turn has received and sent without it, of which so many
    /// bytes are still being written. To be called before anything else is done with the desk.
    pub(in crate::socket) fn settle(&self, desk: &mut Desk, in_flight: usize) {
        self.settle_locked(desk, in_flight, &mut self.lock());
    }

    #[inline]
    fn settle_locked(&self, desk: &mut Desk, in_flight: usize, state: &mut State) {
        state.count_received(desk);
        if desk.cork.is_taken() {
            let (messages, bytes) = desk.cork.take_counts();
            state.sent.add(messages, bytes);
            // What other tasks have queued since is the next batch. A flush of it that has begun
            // waits for the number of this one, as the lock did not know of this one. So the
            // number is left to the later of the two.
            if state.queue.is_empty() {
                state.queue.batch_taken();
            }
        }
        self.hints.set_in_flight(in_flight);
    }

    /// Parks a driver that has only its handler left, unless the handler is to be dropped.
    pub(in crate::socket) fn park_handler(&self, cx: &mut Context<'_>) -> Repoll {
        let mut state = self.lock();
        if state.life.is_handler_unwanted() {
            return Repoll::Yes;
        }
        state.driver_task.park();
        state.set_driver(cx.waker());
        Repoll::No
    }

    /// Unlocks, and wakes the driver if it is parked.
    pub(super) fn wake(&self, mut state: Locked<'_>) {
        let waker = match state.driver_task.notify() {
            true => state.driver.clone(),
            false => None,
        };
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// The end has begun: unlocks, and wakes the driver, and the receiver and the waiters that
    /// have nothing more to wait for. The driver would do that, but it is not polled while its
    /// handler blocks the thread.
    #[cold]
    pub(super) fn wake_all(&self, mut state: Locked<'_>) {
        let driver = state.driver.as_ref();
        let is_elsewhere = |waker: &Waker| driver.is_none_or(|driver| !waker.will_wake(driver));
        let receives_elsewhere = state.receiver().is_some_and(is_elsewhere);
        let receiver = receives_elsewhere.then(|| state.take_receiver()).flatten();
        // Not the rooms: this thread may hold the lock of one. The driver calls them.
        let satisfied = self.take_satisfied(&mut state);
        self.wake(state);
        satisfied.into_iter().chain(receiver).for_each(Waker::wake);
    }

    /// Unlocks, and wakes the waiters that have got what they waited for; says whether the
    /// driver's own task is among them. To be called by the driver.
    #[inline]
    pub(super) fn wake_satisfied(&self, state: Locked<'_>, cx: &mut Context<'_>) -> Repoll {
        if state.has_waiters() {
            self.wake_satisfied_slow(state, cx)
        } else {
            Repoll::No
        }
    }

    #[inline(never)]
    fn wake_satisfied_slow(&self, mut state: Locked<'_>, cx: &mut Context<'_>) -> Repoll {
        let tasks = self.take_satisfied(&mut state);
        let mut source = self.take_source(&mut state);
        drop(state);
        let mut repoll = Repoll::No;
        for waker in tasks {
            repoll = repoll.or(Repoll::or_wake(Some(waker), cx));
        }
        // One after the other, as long as there is room: a source that fills the queue waits
        // behind the others for its next turn. Were all of them asked, the first would always
        // take all the room (test `rooms_that_share_a_socket_take_turns`).
        while let Some(next) = source {
            next.refill(self);
            source = self.take_source(&mut self.lock());
        }
        repoll
    }

    /// Takes out the tasks that have got what they waited for.
    fn take_satisfied(&self, state: &mut State) -> Vec<Waker> {
        // The list is out of the state while `has` looks at that.
        let mut rare = state.rare.take();
        let tasks = rare.as_mut().map(|rare| {
            let has = |wait_for| self.has(state, wait_for);
            rare.waiters.take_tasks_if(has)
        });
        state.rare = rare;
        tasks.unwrap_or_default()
    }

    /// Takes out the first room that has got what it waited for.
    fn take_source(&self, state: &mut State) -> Option<Arc<dyn Source>> {
        let mut rare = state.rare.take();
        let source = rare.as_mut().and_then(|rare| {
            let has = |wait_for| self.has(state, wait_for);
            rare.waiters.take_source_if(has)
        });
        state.rare = rare;
        source
    }
}
