//! Those that wait for something other than a message to receive: tasks, and rooms that have more
//! to send than the queue takes.

use std::mem::{discriminant, replace};
use std::task::Waker;

/// One list for all of them. `S` is a room that waits ([`Source`](super::Source)).
pub(super) struct Waiters<S>(Vec<Waiting<S>>);

impl<S> Default for Waiters<S> {
    fn default() -> Self {
        Waiters(Vec::new())
    }
}

struct Waiting<S> {
    id: WaiterId,
    wait_for: WaitFor,
    waiter: Waiter<S>,
}

/// How a waiter learns that it has what it waits for.
pub(super) enum Waiter<S> {
    /// A task, which is woken, by whichever thread.
    Task(Waker),
    /// A room, which the driver calls. No other thread does: it may hold the lock of a room.
    #[cfg_attr(not(feature = "hub"), expect(dead_code, reason = "for rooms"))]
    Source(S),
}

/// Names a waiting future, so that it replaces its own entry and takes it back when
/// it is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::socket) struct WaiterId(usize);

impl WaiterId {
    /// The `WebSocket` itself. It has one owner, so it waits for one thing of a kind
    /// at a time; as a `Sink` and a `Stream` for several kinds at once.
    pub(in crate::socket) const SOCKET: Self = WaiterId(0);

    /// The waiter at this address, which is its own until it is dropped.
    pub(super) fn of<T: ?Sized>(waiter: &T) -> Self {
        WaiterId(std::ptr::from_ref(waiter).addr())
    }
}

/// The condition that a task waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::socket) enum WaitFor {
    /// Room for a message in the send queue.
    Room,
    /// Room, and less than half of the next batch is taken: a room sends more to a member that
    /// lags. The other half is for what the handler sends, which could wait for ever behind a busy
    /// room. Bytes that are being written do not count for the half: a handler that always has
    /// more would fill it again whenever some were written, and the room would wait for ever.
    #[cfg(feature = "hub")]
    Half,
    /// Room, while no other message is being sent in chunks.
    OwnMessage,
    /// Room for a chunk of the message that is being sent.
    Chunk,
    /// The end of the message in chunks that follows this many others.
    Deferred(u16),
    /// The end of this batch's writing.
    Flush(u32),
    /// The end of the connection.
    Closed,
}

impl<S> Waiters<S> {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds a waiter, or replaces and returns what it was before. Drop that without the lock: it
    /// may be the last handle of a task.
    pub(super) fn add(
        &mut self,
        id: WaiterId,
        wait_for: WaitFor,
        waiter: Waiter<S>,
    ) -> Option<Waiter<S>> {
        let known = self.0.iter_mut().find(|waiting| {
            let is_same_kind = discriminant(&waiting.wait_for) == discriminant(&wait_for);
            waiting.id == id && (id != WaiterId::SOCKET || is_same_kind)
        });
        match known {
            Some(known) => {
                known.wait_for = wait_for;
                Some(replace(&mut known.waiter, waiter))
            }
            None => {
                self.0.push(Waiting {
                    id,
                    wait_for,
                    waiter,
                });
                None
            }
        }
    }

    /// Forgets a waiter, and returns it. Drop it without the lock, as what `add` returns.
    pub(super) fn remove(&mut self, id: WaiterId) -> Option<Waiter<S>> {
        let at = self.0.iter().position(|waiting| waiting.id == id)?;
        // The waiters behind it keep their order.
        Some(self.0.remove(at).waiter)
    }

    /// Takes out the tasks that have got what they waited for, in their order.
    pub(super) fn take_tasks_if(&mut self, mut has: impl FnMut(WaitFor) -> bool) -> Vec<Waker> {
        let is_task = |waiter: &Waiter<S>| matches!(waiter, Waiter::Task(_));
        let list = &mut self.0;
        list.extract_if(.., |waiting| {
            is_task(&waiting.waiter) && has(waiting.wait_for)
        })
        .filter_map(|waiting| match waiting.waiter {
            Waiter::Task(waker) => Some(waker),
            Waiter::Source(_) => None,
        })
        .collect()
    }

    /// Takes out the first source that has got what it waited for.
    pub(super) fn take_source_if(&mut self, mut has: impl FnMut(WaitFor) -> bool) -> Option<S> {
        let at = self.0.iter().position(|waiting| {
            matches!(waiting.waiter, Waiter::Source(_)) && has(waiting.wait_for)
        })?;
        match self.0.remove(at).waiter {
            Waiter::Source(source) => Some(source),
            Waiter::Task(_) => None,
        }
    }

    pub(super) fn wakers(&mut self) -> impl Iterator<Item = &mut Waker> {
        self.0
            .iter_mut()
            .filter_map(|waiting| match &mut waiting.waiter {
                Waiter::Task(waker) => Some(waker),
                Waiter::Source(_) => None,
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task() -> Waiter<()> {
        Waiter::Task(Waker::noop().clone())
    }

    fn waiters(entries: &[(usize, WaitFor)]) -> Waiters<()> {
        let mut waiters = Waiters::default();
        for &(id, wait_for) in entries {
            waiters.add(WaiterId(id), wait_for, task());
        }
        waiters
    }

    fn kinds(mut waiters: Waiters<()>) -> Vec<WaitFor> {
        let mut kinds = vec![];
        waiters.take_tasks_if(|wait_for| {
            kinds.push(wait_for);
            true
        });
        assert!(waiters.is_empty());
        kinds
    }

    #[test]
    fn a_future_waits_for_one_thing_at_a_time() {
        let waiters = waiters(&[(1, WaitFor::Room), (2, WaitFor::Room), (1, WaitFor::Closed)]);
        assert_eq!(kinds(waiters), [WaitFor::Closed, WaitFor::Room]);
    }

    #[test]
    fn the_socket_waits_for_one_thing_of_each_kind() {
        let waiters = waiters(&[
            (0, WaitFor::Room),
            (0, WaitFor::Flush(1)),
            (0, WaitFor::Flush(2)),
        ]);
        assert_eq!(kinds(waiters), [WaitFor::Room, WaitFor::Flush(2)]);
    }

    #[test]
    fn a_waiter_that_leaves_keeps_the_order_of_the_rest() {
        let mut waiters = waiters(&[
            (1, WaitFor::Flush(1)),
            (2, WaitFor::Flush(2)),
            (3, WaitFor::Flush(3)),
        ]);
        assert!(waiters.remove(WaiterId(1)).is_some());
        assert!(waiters.remove(WaiterId(1)).is_none());
        assert_eq!(kinds(waiters), [WaitFor::Flush(2), WaitFor::Flush(3)]);
    }

    #[test]
    fn only_satisfied_waiters_are_taken_out() {
        let mut waiters = waiters(&[
            (1, WaitFor::Flush(1)),
            (2, WaitFor::Room),
            (3, WaitFor::Flush(3)),
        ]);
        let taken = waiters.take_tasks_if(|wait_for| wait_for == WaitFor::Room);
        assert_eq!(taken.len(), 1);
        assert_eq!(waiters.wakers().count(), 2);
        assert_eq!(kinds(waiters), [WaitFor::Flush(1), WaitFor::Flush(3)]);
    }

    #[cfg(feature = "hub")]
    #[test]
    fn rooms_stay_when_the_tasks_are_taken_out() {
        let mut waiters = waiters(&[(1, WaitFor::Room), (2, WaitFor::Closed)]);
        waiters.add(WaiterId(3), WaitFor::Half, Waiter::Source(()));
        waiters.add(WaiterId(3), WaitFor::Half, Waiter::Source(()));
        assert_eq!(waiters.take_tasks_if(|_| true).len(), 2);
        assert_eq!(waiters.wakers().count(), 0);
        assert!(!waiters.is_empty());
        assert_eq!(waiters.take_source_if(|_| false), None);
        let is_room = |wait_for| wait_for == WaitFor::Half;
        assert_eq!(waiters.take_source_if(is_room), Some(()));
        assert!(waiters.is_empty());
    }

    #[test]
    fn an_empty_list_has_nothing_to_take() {
        let mut waiters = Waiters::<()>::default();
        assert!(waiters.is_empty());
        assert_eq!(waiters.wakers().count(), 0);
        assert!(waiters.take_tasks_if(|_| true).is_empty());
        assert!(waiters.remove(WaiterId::SOCKET).is_none());
    }
}
