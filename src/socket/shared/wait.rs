//! Who waits, for what, and the waker that is kept of it.

use std::mem::discriminant;
use std::sync::Arc;
use std::task::{Poll, Wake, Waker};

use crate::socket::shared::{Shared, State};

/// Somebody who waits. Of a future that is dropped nothing stays ([`Waiter`]): its
/// waker would keep its task's memory until the end of the connection.
pub(in crate::socket) struct Waiting {
    place: usize,
    pub(in crate::socket) want: WaitFor,
    pub(in crate::socket) waker: Waker,
}

/// All who wait. Few connections ever have somebody, so it is one pointer.
#[derive(Default)]
pub(in crate::socket) struct Line(Option<Box<Members>>);

#[derive(Default)]
struct Members {
    waiting: Vec<Waiting>,
}

impl Line {
    pub(in crate::socket) fn is_empty(&self) -> bool {
        self.0.as_ref().is_none_or(|it| it.waiting.is_empty())
    }

    pub(in crate::socket) fn members(&mut self) -> &mut Vec<Waiting> {
        &mut self.0.get_or_insert_default().waiting
    }
}

/// The place of the `WebSocket` itself, which has one owner and so waits for one
/// thing of a kind at a time.
pub(in crate::socket) const SOCKET: usize = 0;

/// What a task waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::socket) enum WaitFor {
    /// Room for a message.
    Room,
    /// That no message is being sent in chunks, and room.
    OwnMessage,
    /// Room for a chunk of the message that is being sent.
    Chunk,
    /// That this batch has been written.
    Flush(u32),
    /// The end.
    End,
}

/// A future that waits. Its place among those who wait is known by its address,
/// which is its own until it is dropped, and is given back then.
pub(in crate::socket) struct Waiter<'a> {
    shared: &'a Shared,
    has_waited: bool,
}

impl<'a> Waiter<'a> {
    pub(in crate::socket) fn new(shared: &'a Shared) -> Self {
        Waiter {
            shared,
            has_waited: false,
        }
    }

    fn place(&self) -> usize {
        std::ptr::from_ref(self) as usize
    }

    /// Polls something that may wait in the place it is given.
    pub(in crate::socket) fn poll<R>(&mut self, poll: impl FnOnce(usize) -> Poll<R>) -> Poll<R> {
        let poll = poll(self.place());
        self.has_waited |= poll.is_pending();
        poll
    }
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        if self.has_waited {
            let left = self.shared.lock().leave(self.place());
            // Not under the lock: a waker may be the last handle of a task.
            drop(left);
        }
    }
}

impl Shared {
    pub(in crate::socket) fn wait(
        &self,
        state: &mut State,
        want: WaitFor,
        place: usize,
        waker: &Waker,
    ) {
        let waker = self.waker_of(state, waker);
        let waiting = state.waiting.members();
        let known = waiting.iter_mut().find(|it| {
            it.place == place && (place != SOCKET || discriminant(&it.want) == discriminant(&want))
        });
        match known {
            Some(known) => {
                known.want = want;
                known.waker = waker;
            }
            None => waiting.push(Waiting { place, want, waker }),
        }
    }

    /// Waits for a message.
    pub(in crate::socket) fn wait_to_receive(&self, state: &mut State, waker: &Waker) {
        match &state.receiver {
            Some(known) if known.will_wake(waker) && !self.needs_distinct(state, waker) => {}
            _ => state.receiver = Some(self.waker_of(state, waker)),
        }
    }

    /// The driver does not wake its own task, but polls the handler. Who waits in
    /// the same task and is not the handler (`tokio::join!` gives all its branches
    /// one waker) needs one that is not taken for the driver's.
    fn waker_of(&self, state: &State, waker: &Waker) -> Waker {
        match self.needs_distinct(state, waker) {
            true => Arc::new(DistinctWaker(waker.clone())).into(),
            false => waker.clone(),
        }
    }

    fn needs_distinct(&self, state: &State, waker: &Waker) -> bool {
        let driver = state.driver.as_ref();
        driver.is_none_or(|it| it.will_wake(waker)) && !self.is_in_handler()
    }
}

struct DistinctWaker(Waker);

impl Wake for DistinctWaker {
    fn wake(self: Arc<Self>) {
        self.0.wake_by_ref();
    }
}

impl State {
    /// The driver is in another task than before: who waits in that one already is
    /// not the handler, which it has not polled there.
    #[cold]
    pub(in crate::socket) fn move_driver(&mut self, waker: &Waker) {
        let waiting = self.waiting.0.iter_mut().flat_map(|it| &mut it.waiting);
        let waiting = waiting.map(|it| &mut it.waker);
        for it in waiting.chain(&mut self.receiver) {
            if it.will_wake(waker) {
                *it = Arc::new(DistinctWaker(waker.clone())).into();
            }
        }
    }

    /// Nobody waits there any more.
    fn leave(&mut self, place: usize) -> Option<Waiting> {
        let waiting = self.waiting.members();
        let at = waiting.iter().position(|it| it.place == place)?;
        // The others keep their order.
        Some(waiting.remove(at))
    }
}
