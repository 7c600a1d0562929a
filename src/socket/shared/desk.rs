//! The desk: where a driver and its handler meet while the handler is polled, without the lock.
//!
//! The driver does nothing else during that poll, and no other thread takes part in it. So for
//! that long what the two exchange stands where this thread finds it: in a thread-local place,
//! for whatever handle of the connection is used within the poll. What the handler sends is in
//! the [cork](super::cork); what it receives, in a usual turn, are the messages that have
//! [arrived](super::arrived).
//!
//! A desk names the connection that it belongs to, which lives as long as the desk stands
//! here: its driver is being polled. A poll of another connection's driver within the
//! poll puts its own desk in the place and then this one back; what is sent on the outer
//! connection meanwhile goes to the send queue. A panic of the handler is caught within
//! the driver's poll, which then takes the desk away as after any other poll.

use std::cell::RefCell;
use std::mem::{self, ManuallyDrop};
use std::task::{Context, Waker};

use super::arrived::Arrived;
use super::cork::Cork;
use crate::protocol::Role;

#[cfg(not(feature = "interleavings"))]
thread_local! {
    /// Empty between two polls, so there is nothing to drop with the thread; and a place without
    /// a destructor is found faster.
    static DESK: RefCell<ManuallyDrop<Option<Box<Desk>>>> =
        const { RefCell::new(ManuallyDrop::new(None)) };
}

#[cfg(feature = "interleavings")]
loom::thread_local! {
    static DESK: RefCell<ManuallyDrop<Option<Box<Desk>>>> = RefCell::new(ManuallyDrop::new(None));
}

pub(in crate::socket) struct Desk {
    owner: ConnectionId,
    /// The task in which the handler is polled.
    task: TaskId,
    pub(in crate::socket) cork: Cork,
    pub(in crate::socket) arrived: Arrived,
}

/// The address of a connection's shared state, which is its own while a handle lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ConnectionId(usize);

impl ConnectionId {
    #[inline]
    pub(super) fn of<T>(shared: &T) -> Self {
        ConnectionId(std::ptr::from_ref(shared) as usize)
    }
}

/// What a task's waker is known again by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct TaskId {
    data: usize,
    vtable: usize,
}

impl TaskId {
    #[inline]
    fn of(waker: &Waker) -> Self {
        TaskId {
            data: waker.data() as usize,
            vtable: std::ptr::from_ref(waker.vtable()) as usize,
        }
    }
}

impl Default for Desk {
    /// A desk of no connection.
    fn default() -> Self {
        Desk {
            owner: ConnectionId(0),
            task: TaskId::of(Waker::noop()),
            cork: Cork::default(),
            arrived: Arrived::default(),
        }
    }
}

impl Desk {
    /// Makes this the desk of `owner`.
    #[inline]
    pub(super) fn assign(&mut self, owner: ConnectionId, role: Role, limit: usize) {
        debug_assert!(self.cork.is_empty() || self.owner == owner);
        self.owner = owner;
        self.cork.assign(role, limit);
    }

    /// The handler is polled next, in this task, while so many bytes are being written.
    #[inline]
    pub(in crate::socket) fn prepare(&mut self, in_flight: usize, cx: &Context<'_>) {
        self.task = TaskId::of(cx.waker());
        self.cork.set_in_flight(in_flight);
    }

    /// Whether the handler is polled in this task.
    #[inline]
    pub(super) fn is_in_task(&self, cx: &Context<'_>) -> bool {
        self.task == TaskId::of(cx.waker())
    }
}

/// Puts a driver's desk into this thread's place for the poll of its handler, and what
/// was there before into `desk`; called again, it puts both back. While the thread is
/// ending there is no place, and all goes through the lock.
#[inline]
pub(in crate::socket) fn swap(desk: &mut Option<Box<Desk>>) {
    let _ = DESK.try_with(|place| mem::swap(&mut **place.borrow_mut(), desk));
}

/// Runs `run` on the desk in this thread's place, if that belongs to `owner`.
#[inline]
pub(super) fn with<R>(owner: ConnectionId, run: impl FnOnce(&mut Desk) -> R) -> Option<R> {
    let found = DESK.try_with(|place| match place.borrow_mut().as_deref_mut() {
        Some(desk) if desk.owner == owner => Some(run(desk)),
        _ => None,
    });
    found.ok().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: ConnectionId = ConnectionId(1);
    const OTHER: ConnectionId = ConnectionId(2);

    fn desk(owner: ConnectionId) -> Option<Box<Desk>> {
        let mut desk = Box::<Desk>::default();
        desk.assign(owner, Role::Server, 100);
        Some(desk)
    }

    #[test]
    fn only_the_owner_finds_the_desk_and_only_while_it_is_in_place() {
        let mut mine = desk(ONE);
        assert_eq!(with(ONE, |_| ()), None);
        swap(&mut mine);
        assert_eq!(with(ONE, |_| ()), Some(()));
        assert_eq!(with(OTHER, |_| ()), None);
        swap(&mut mine);
        assert_eq!(with(ONE, |_| ()), None);
        assert!(mine.is_some());
    }

    #[test]
    fn a_poll_within_the_poll_puts_the_outer_desk_back() {
        let (mut outer, mut inner) = (desk(ONE), desk(OTHER));
        swap(&mut outer);
        swap(&mut inner);
        assert_eq!(with(ONE, |_| ()), None);
        assert_eq!(with(OTHER, |_| ()), Some(()));
        swap(&mut inner);
        assert_eq!(with(ONE, |_| ()), Some(()));
        swap(&mut outer);
        assert!(outer.unwrap().owner == ONE && inner.unwrap().owner == OTHER);
    }
}
