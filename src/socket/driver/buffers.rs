//! The buffers of a connection, which it holds only while it works.
//!
//! A connection that has something to do takes a set of buffers from its thread, and gives
//! it back before it waits. So an idle connection holds no buffer, and a busy thread
//! allocates none.

use std::task::Context;

use crate::protocol::Outbox;
use crate::socket::shared::pool::{self, Pool};
use crate::socket::shared::{Control, Cork, Desk, Inbox, ReadEnd, Taken, desk, is_poolable};

/// The size of a read while `recv` waits, in bytes. 64 KiB would be a bad size: a
/// message of that payload would need a second read for its last few bytes.
pub(super) const INPUT: usize = 128 * 1024;

thread_local! {
    /// Four: a thread serves one connection at a time, and some keep their set for a while.
    static SETS: Pool<Box<Buffers>, 4> = const { Pool::new() };
    static INPUTS: Pool<Box<[u8]>, 4> = const { Pool::new() };
}

#[derive(Default)]
pub(super) struct Buffers {
    /// Bytes that have been read; those from `start` to `end` are not parsed yet.
    pub(super) input: Box<[u8]>,
    pub(super) start: usize,
    pub(super) end: usize,
    /// Messages that have not been published.
    pub(super) batch: Option<Box<Inbox>>,
    /// Messages that were read behind a full inbox; never an empty one.
    pub(super) backlog: Option<Box<Inbox>>,
    /// The batch that is being written.
    pub(super) writing: Box<Outbox>,
    /// The desk, with the cork on it. While the handler is polled, it stands in the thread's
    /// place.
    desk: Option<Box<Desk>>,
    /// Pings and pongs that are to be written.
    pub(super) control: Control,
    /// The end of receiving, held back until the handler has seen what came before it.
    pub(super) read_end: Option<ReadEnd>,
    /// Bytes were written since the last flush.
    pub(super) unflushed: bool,
}

impl Buffers {
    /// A set of buffers from this thread's pool.
    pub(super) fn pooled() -> Box<Self> {
        pool::take(&SETS).unwrap_or_default()
    }

    /// Gives back what the connection does not need while it waits; returns what it does.
    pub(super) fn recycle(mut self: Box<Self>) -> Option<Box<Self>> {
        debug_assert!(
            self.desk
                .as_ref()
                .is_none_or(|desk| desk.arrived.is_counted())
        );
        if self.is_idle() {
            self.give_back();
            return None;
        }
        // While blocked on writing, a connection does not need a second output buffer.
        if let Some(desk) = self.desk.take_if(|desk| desk.cork.is_empty()) {
            desk.cork.recycle();
        }
        // The input buffer is by far the largest. Bytes that wait for room in the inbox
        // move to a buffer of their own size.
        if self.input.len() == INPUT {
            let rest = self.unparsed().into();
            pool::give(&INPUTS, std::mem::replace(&mut self.input, rest));
            (self.start, self.end) = (0, self.end - self.start);
        }
        Some(self)
    }

    /// Gives all of it back to the thread: the connection needs nothing of it.
    #[inline]
    pub(super) fn give_back(mut self: Box<Self>) {
        debug_assert!(self.is_idle());
        if !is_poolable(self.writing.capacity()) {
            *self.writing = Outbox::default();
        }
        self.desk.take_if(|desk| !desk.cork.is_poolable());
        pool::give(&SETS, self);
    }

    /// Whether the connection needs nothing of it.
    fn is_idle(&self) -> bool {
        !self.has_unparsed()
            && self.is_written()
            && self.read_end.is_none()
            && self.backlog.is_none()
            && !self.has_new_output()
            && self.batch.as_ref().is_none_or(|batch| batch.is_empty())
    }

    /// Whether all that was taken to be written has been handed to the transport.
    #[inline]
    pub(super) fn is_written(&self) -> bool {
        self.writing.is_empty() && !self.unflushed
    }

    /// Whether the cork or control frames wait to be taken into the next batch.
    #[inline]
    pub(super) fn has_new_output(&self) -> bool {
        !self.control.is_empty() || !self.is_cork_empty()
    }

    #[inline]
    fn is_cork_empty(&self) -> bool {
        self.desk.as_ref().is_none_or(|desk| desk.cork.is_empty())
    }

    #[inline]
    pub(super) fn desk(&mut self) -> &mut Desk {
        self.desk.get_or_insert_default()
    }

    /// The cork, the batch that is to be written, and the control frames that go with it.
    #[inline]
    pub(super) fn output(&mut self) -> (&mut Cork, &mut Box<Outbox>, &mut Control) {
        let desk = self.desk.get_or_insert_default();
        (&mut desk.cork, &mut self.writing, &mut self.control)
    }

    /// The desk, and the batch that takes an empty inbox back.
    #[inline]
    pub(super) fn desk_and_batch(&mut self) -> (&mut Desk, &mut Option<Box<Inbox>>) {
        let desk = self.desk.get_or_insert_default();
        (desk, &mut self.batch)
    }

    /// Lays the frames that have been read on the desk.
    #[inline]
    pub(super) fn lay_out(&mut self) {
        let desk = self.desk.get_or_insert_default();
        desk.arrived.lay_out(&mut self.input, self.end);
    }

    /// Takes back what the handler has left of them. Returns what it has taken.
    #[inline]
    pub(super) fn take_back(&mut self) -> Taken {
        let desk = self.desk.get_or_insert_default();
        let (taken, start) = desk.arrived.take_back(&mut self.input);
        self.start = start;
        taken
    }

    /// Puts the desk where the handler that is polled next finds it.
    #[inline]
    pub(super) fn put_desk(&mut self, cx: &Context<'_>) {
        let in_flight = self.writing.len();
        self.desk().prepare(in_flight, cx);
        desk::swap(&mut self.desk);
    }

    /// Makes what is in the cork the batch that is written; returns whether there is something.
    #[inline]
    pub(super) fn take_cork(&mut self) -> bool {
        let is_corked = !self.is_cork_empty();
        if is_corked && let Some(desk) = &mut self.desk {
            desk.cork.take(&mut self.writing);
        }
        is_corked
    }

    /// Takes the desk back after the handler was polled.
    #[inline]
    pub(super) fn take_desk(&mut self) {
        desk::swap(&mut self.desk);
    }

    #[inline]
    pub(super) fn has_unparsed(&self) -> bool {
        self.start < self.end
    }

    pub(super) fn unparsed(&self) -> &[u8] {
        &self.input[self.start..self.end]
    }

    /// A buffer to read into. Its bytes were zeroed when it was made.
    #[inline]
    pub(super) fn input(&mut self) -> &mut [u8] {
        if self.input.len() < INPUT {
            self.input = pooled_input();
        }
        &mut self.input
    }
}

#[inline(never)]
fn pooled_input() -> Box<[u8]> {
    pool::take(&INPUTS).unwrap_or_else(|| vec![0; INPUT].into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_idle_set_goes_back_to_the_pool() {
        let mut buffers = Buffers::pooled();
        buffers.input();
        assert!(buffers.recycle().is_none());
        // The same set: it still has its input.
        assert_eq!(Buffers::pooled().input.len(), INPUT);
    }

    #[test]
    fn unparsed_bytes_are_kept_in_a_buffer_of_their_size() {
        let mut buffers = Buffers::pooled();
        buffers.input()[3..5].copy_from_slice(&[1, 2]);
        (buffers.start, buffers.end) = (3, 5);
        let buffers = buffers.recycle().expect("two bytes are not parsed");
        assert_eq!(buffers.unparsed(), [1, 2]);
        assert_eq!(buffers.input.len(), 2);
    }

    #[test]
    fn each_thing_that_is_pending_keeps_the_set() {
        let pending: [fn(&mut Buffers); 6] = [
            |buffers| buffers.unflushed = true,
            |buffers| buffers.read_end = Some(ReadEnd::Eof),
            |buffers| buffers.control.ping = Some([0; 8]),
            |buffers| buffers.control.pongs.push(Default::default()),
            |buffers| {
                let mut inbox = Inbox::pooled();
                inbox.push("x".into(), 1);
                buffers.batch = Some(inbox);
            },
            |buffers| buffers.backlog = Some(Inbox::pooled()),
        ];
        for pending in pending {
            let mut buffers = Box::<Buffers>::default();
            pending(&mut buffers);
            assert!(buffers.recycle().is_some());
        }
    }
}
