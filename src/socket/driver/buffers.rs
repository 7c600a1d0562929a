//! Buffers that a connection holds only while it works.
//!
//! Each thread keeps a few; a connection that has something to do takes one,
//! and gives it back before it waits. So an idle connection holds no buffer,
//! and a busy thread allocates none.

use std::cell::RefCell;

use crate::protocol::Outbox;
use crate::socket::driver::conn::ReadEnd;
use crate::socket::shared::cork::{self, Cork};
use crate::socket::shared::exchange::Control;
use crate::socket::shared::inbox::Inbox;

/// How much one read asks for when `recv` waits. 64 KiB would be a bad size: a
/// message of that payload would need a second read for its last few bytes.
pub(in crate::socket) const INPUT: usize = 128 * 1024;

/// Sets of buffers a thread keeps: it serves one connection at a time, and some
/// keep theirs for a while.
const SETS: usize = 4;

/// Queues and output buffers a thread keeps. A broadcast fills those of many
/// sockets before the first is written.
const QUEUES: usize = 16;

/// What grew beyond this is not kept.
const LARGEST: usize = 256 * 1024;

/// Everything that only a busy connection needs.
#[derive(Default)]
pub(in crate::socket) struct Buffers {
    /// Bytes that have been read, and which of them are not parsed yet.
    pub(in crate::socket) input: Box<[u8]>,
    pub(in crate::socket) start: usize,
    pub(in crate::socket) end: usize,
    /// Messages that have not been published.
    pub(in crate::socket) batch: Option<Box<Inbox>>,
    /// What is being written.
    pub(in crate::socket) writing: Box<Outbox>,
    /// For what the handler sends. It is elsewhere while the handler is polled.
    pub(in crate::socket) cork: Option<Box<Cork>>,
    /// Pings and pongs that are to be written.
    pub(in crate::socket) control: Control,
    /// What ended the receiving, until the handler has seen what came before it.
    pub(in crate::socket) ended: Option<ReadEnd>,
    /// Bytes were written since the last flush.
    pub(in crate::socket) unflushed: bool,
}

impl Buffers {
    /// Whether nothing is left in it that the connection needs.
    fn is_idle(&self) -> bool {
        self.start == self.end
            && self.is_written()
            && self.ended.is_none()
            && self.cork.as_ref().is_none_or(|it| it.is_empty())
            && self.control.is_empty()
            && self.batch.as_ref().is_none_or(|it| it.is_empty())
    }

    /// Whether all that was taken to be written has been.
    #[inline]
    pub(in crate::socket) fn is_written(&self) -> bool {
        self.writing.is_empty() && !self.unflushed
    }

    #[inline]
    pub(in crate::socket) fn cork(&mut self) -> &mut Cork {
        self.cork.get_or_insert_default()
    }

    /// Puts the desk where a handler finds it that is polled next. Afterwards
    /// [`cork::swap`] takes it back.
    #[inline]
    pub(in crate::socket) fn lend_cork(&mut self) {
        let in_flight = self.writing.len();
        self.cork().set_in_flight(in_flight);
        cork::swap(&mut self.cork);
    }

    /// Makes sure that there is a buffer to read into.
    #[inline]
    pub(in crate::socket) fn input(&mut self) -> &mut [u8] {
        if self.input.len() < INPUT {
            self.input = input();
        }
        &mut self.input
    }
}

#[expect(
    clippy::vec_box,
    reason = "between here and a connection only the pointer moves"
)]
struct Pool {
    sets: Vec<Box<Buffers>>,
    inputs: Vec<Box<[u8]>>,
    outboxes: Vec<Box<Outbox>>,
    inboxes: Vec<Box<Inbox>>,
}

thread_local! {
    static POOL: RefCell<Pool> =
        const { RefCell::new(Pool::new()) };
}

impl Pool {
    const fn new() -> Self {
        Pool {
            sets: Vec::new(),
            inputs: Vec::new(),
            outboxes: Vec::new(),
            inboxes: Vec::new(),
        }
    }
}

/// Runs `with` on this thread's pool; `None` while the thread is ending.
fn pool<R>(with: impl FnOnce(&mut Pool) -> R) -> Option<R> {
    POOL.try_with(|pool| with(&mut pool.borrow_mut())).ok()
}

/// What a connection needs to work.
pub(in crate::socket) fn take() -> Box<Buffers> {
    pool(|pool| pool.sets.pop()).flatten().unwrap_or_default()
}

/// Takes back what was buffers, as far as the connection can do without: `None` is all.
pub(in crate::socket) fn give(mut buffers: Box<Buffers>) -> Option<Box<Buffers>> {
    if buffers.is_idle() {
        if buffers.writing.capacity() > LARGEST {
            *buffers.writing = Outbox::default();
        }
        buffers.cork.take_if(|it| it.capacity() > LARGEST);
        pool(|pool| {
            if pool.sets.len() < SETS {
                pool.sets.push(buffers);
            }
        });
        return None;
    }
    // Who waits until it can write has enough of what was sent.
    if let Some(cork) = buffers.cork.take_if(|it| it.is_empty()) {
        give_outbox(cork.into_outbox());
    }
    // The input buffer is by far the largest part. What waits for room in it
    // is kept in a buffer of its own size.
    if buffers.input.len() == INPUT {
        let rest = buffers.input[buffers.start..buffers.end].into();
        give_input(std::mem::replace(&mut buffers.input, rest));
        (buffers.start, buffers.end) = (0, buffers.end - buffers.start);
    }
    Some(buffers)
}

/// A buffer to read into. It has been zeroed once, when it was made.
#[inline(never)]
fn input() -> Box<[u8]> {
    pool(|pool| pool.inputs.pop())
        .flatten()
        .unwrap_or_else(|| vec![0; INPUT].into())
}

fn give_input(input: Box<[u8]>) {
    pool(|pool| {
        if pool.inputs.len() < SETS {
            pool.inputs.push(input);
        }
    });
}

/// An empty outbox.
pub(in crate::socket) fn outbox() -> Box<Outbox> {
    pool(|pool| pool.outboxes.pop())
        .flatten()
        .unwrap_or_default()
}

pub(in crate::socket) fn give_outbox(outbox: Box<Outbox>) {
    debug_assert!(outbox.is_empty());
    if outbox.capacity() > LARGEST {
        return;
    }
    pool(|pool| {
        if pool.outboxes.len() < QUEUES {
            pool.outboxes.push(outbox);
        }
    });
}

/// An empty queue of messages.
pub(in crate::socket) fn inbox() -> Box<Inbox> {
    pool(|pool| pool.inboxes.pop())
        .flatten()
        .unwrap_or_default()
}

pub(in crate::socket) fn give_inbox(inbox: Box<Inbox>) {
    debug_assert!(inbox.is_empty());
    pool(|pool| {
        if pool.inboxes.len() < QUEUES {
            pool.inboxes.push(inbox);
        }
    });
}
