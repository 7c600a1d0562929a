//! Waiting: which waker of a task is kept, and until when.

use std::sync::Arc;
use std::task::{Poll, Wake, Waker};

#[cfg(feature = "hub")]
use super::Source;
use super::desk;
use super::waiters::Waiter;
use super::{Locked, Shared, State, WaitFor, WaiterId};

/// The registration of a future that waits. Dropping it removes the waker, which would
/// keep the memory of its task until the end of the connection.
pub(in crate::socket) struct WaiterGuard<'a> {
    shared: &'a Shared,
    has_waited: bool,
}

impl<'a> WaiterGuard<'a> {
    pub(in crate::socket) fn new(shared: &'a Shared) -> Self {
        WaiterGuard {
            shared,
            has_waited: false,
        }
    }

    /// Calls `poll` with the id under which it may register a waiter.
    pub(in crate::socket) fn poll<R>(&mut self, poll: impl FnOnce(WaiterId) -> Poll<R>) -> Poll<R> {
        let polled = poll(WaiterId::of(self));
        self.has_waited |= polled.is_pending();
        polled
    }
}

impl Drop for WaiterGuard<'_> {
    fn drop(&mut self) {
        if self.has_waited {
            let waiter = {
                let mut state = self.shared.lock();
                let rare = state.rare.as_mut();
                rare.and_then(|rare| rare.waiters.remove(WaiterId::of(self)))
            };
            // Not under the lock: a waker may be the last handle of a task.
            drop(waiter);
        }
    }
}

impl Shared {
    /// Registers `waker`, to be woken when `wait_for` holds.
    pub(super) fn wait(
        &self,
        state: &mut Locked<'_>,
        wait_for: WaitFor,
        id: WaiterId,
        waker: &Waker,
    ) {
        let waker = self.distinguish(state, waker);
        let waiters = &mut state.rare.get_or_insert_default().waiters;
        if let Some(Waiter::Task(replaced)) = waiters.add(id, wait_for, Waiter::Task(waker)) {
            state.drop_unlocked(Some(replaced));
        }
    }

    /// Registers `waker`, to be woken when there is something to receive.
    pub(super) fn wait_to_receive(&self, state: &mut Locked<'_>, waker: &Waker) {
        match state.receiver() {
            Some(known) if known.will_wake(waker) && !self.needs_distinct(state, waker) => {}
            _ => {
                let waker = self.distinguish(state, waker);
                let receiver = &mut state.rare.get_or_insert_default().receiver;
                let replaced = receiver.replace(waker);
                state.drop_unlocked(replaced);
            }
        }
    }

    /// The driver polls the handler directly instead of waking its own task. Another
    /// future in that task (a sibling branch of `tokio::join!`, which shares the waker)
    /// would never be woken, so it is registered with a distinct waker.
    /// (`a_socket_moved_beside_its_driver_into_the_same_task_is_woken_too` shows it.)
    fn distinguish(&self, state: &State, waker: &Waker) -> Waker {
        if self.needs_distinct(state, waker) {
            Arc::new(DistinctWaker(waker.clone())).into()
        } else {
            waker.clone()
        }
    }

    fn needs_distinct(&self, state: &State, waker: &Waker) -> bool {
        let driver = state.driver.as_ref();
        driver.is_none_or(|driver| driver.will_wake(waker)) && !self.is_in_handler()
    }

    /// Whether this connection's handler is being polled on this thread.
    fn is_in_handler(&self) -> bool {
        desk::with(self.id(), |_| ()).is_some()
    }
}

impl Locked<'_> {
    /// Drops a waker that was registered, when the lock has been let go: it may be the last handle of
    /// a task, and that task may have a handle of this connection.
    fn drop_unlocked(&mut self, waker: Option<Waker>) {
        if waker.is_some() {
            debug_assert!(self.unneeded.is_none(), "would be dropped under the lock");
            self.unneeded = waker;
        }
    }

    /// Forgets the task that waits to receive.
    #[inline]
    pub(super) fn forget_receiver(&mut self) {
        let receiver = self.take_receiver();
        self.drop_unlocked(receiver);
    }

    /// Keeps the waker of the task that polls the driver.
    pub(super) fn set_driver(&mut self, waker: &Waker) {
        let replaced = self.driver.replace(waker.clone());
        self.drop_unlocked(replaced);
    }
}

impl State {
    /// Whether a task or a room waits for something other than a message to receive.
    #[inline]
    pub(super) fn has_waiters(&self) -> bool {
        let rare = self.rare.as_ref();
        rare.is_some_and(|rare| !rare.waiters.is_empty())
    }

    /// Has the driver call `source` when it has its [half](WaitFor::Half) of the send queue.
    #[cfg(feature = "hub")]
    pub(super) fn wait_for_half(&mut self, source: Arc<dyn Source>) {
        let id = WaiterId::of(&*source);
        let waiters = &mut self.rare.get_or_insert_default().waiters;
        // What it replaces is the same room.
        waiters.add(id, WaitFor::Half, Waiter::Source(source));
    }

    /// The driver has moved to another task. A waiter that is in that task already cannot
    /// be the handler, which the driver has not polled there.
    #[cold]
    pub(super) fn driver_moved_to(&mut self, waker: &Waker) {
        let Some(rare) = &mut self.rare else { return };
        for known in rare.waiters.wakers().chain(&mut rare.receiver) {
            if known.will_wake(waker) {
                // What it replaces is not the last handle of the task, which is being polled.
                *known = Arc::new(DistinctWaker(waker.clone())).into();
            }
        }
    }
}

/// Wakes the same task, but is not equal to its waker.
struct DistinctWaker(Waker);

impl Wake for DistinctWaker {
    fn wake(self: Arc<Self>) {
        self.0.wake_by_ref();
    }
}
