//! Buffers that a connection holds only while it works.
//!
//! Each thread keeps a few; a connection that has something to do takes one,
//! and gives it back before it waits. So an idle connection holds no buffer,
//! and a busy thread allocates none.

use std::cell::RefCell;
use std::collections::VecDeque;

use crate::Message;
use crate::protocol::Outbox;

/// How much one read asks for when `recv` waits. 64 KiB would be a bad size: a
/// message of that payload would need a second read for its last few bytes.
pub(super) const INPUT: usize = 128 * 1024;

/// Input buffers a thread keeps.
const INPUTS: usize = 4;

/// Queues and output buffers a thread keeps. A broadcast fills those of many
/// sockets before the first is written.
const QUEUES: usize = 16;

/// What grew beyond this is not kept.
const LARGEST: usize = 256 * 1024;

struct Pool {
    inputs: Vec<Box<[u8]>>,
    outboxes: Vec<Outbox>,
    inboxes: Vec<VecDeque<Message>>,
}

thread_local! {
    static POOL: RefCell<Pool> =
        const { RefCell::new(Pool { inputs: Vec::new(), outboxes: Vec::new(), inboxes: Vec::new() }) };
}

/// Runs `with` on this thread's pool; `None` while the thread is ending.
fn pool<R>(with: impl FnOnce(&mut Pool) -> R) -> Option<R> {
    POOL.try_with(|pool| with(&mut pool.borrow_mut())).ok()
}

/// A buffer to read into. It has been zeroed once, when it was made.
pub(super) fn input() -> Box<[u8]> {
    pool(|pool| pool.inputs.pop()).flatten().unwrap_or_else(|| vec![0; INPUT].into())
}

pub(super) fn give_input(input: Box<[u8]>) {
    pool(|pool| {
        if pool.inputs.len() < INPUTS {
            pool.inputs.push(input);
        }
    });
}

/// An empty outbox.
pub(super) fn outbox() -> Outbox {
    pool(|pool| pool.outboxes.pop()).flatten().unwrap_or_default()
}

pub(super) fn give_outbox(outbox: Outbox) {
    debug_assert!(outbox.is_empty());
    if outbox.capacity() == 0 || outbox.capacity() > LARGEST {
        return;
    }
    pool(|pool| {
        if pool.outboxes.len() < QUEUES {
            pool.outboxes.push(outbox);
        }
    });
}

/// An empty queue of messages.
pub(super) fn inbox() -> VecDeque<Message> {
    pool(|pool| pool.inboxes.pop()).flatten().unwrap_or_default()
}

pub(super) fn give_inbox(inbox: VecDeque<Message>) {
    debug_assert!(inbox.is_empty());
    if inbox.capacity() == 0 {
        return;
    }
    pool(|pool| {
        if pool.inboxes.len() < QUEUES {
            pool.inboxes.push(inbox);
        }
    });
}
