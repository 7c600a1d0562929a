//! Messages that have arrived and have not been received.

use std::collections::VecDeque;

use super::pool::{self, Pool};
use crate::Message;

/// The number of messages that are read before the handler asks for them.
pub(in crate::socket) const MESSAGES: u32 = 64;

/// The number of bytes that are read before the handler asks for them.
const BYTES: u32 = 64 * 1024;

/// How many messages, and how many bytes more, the driver reads behind a full inbox: see
/// [`Capacity::beyond`].
const MESSAGES_BEYOND: u32 = 1024 - MESSAGES;
const BYTES_BEYOND: u32 = 16 * 1024;

/// An empty inbox with room for more messages than this gives its memory back.
const KEPT: usize = 4 * MESSAGES as usize;

thread_local! {
    static INBOXES: Pool<Box<Inbox>, 16> = const { Pool::new() };
}

/// A bounded queue of messages. It travels as a box: from the driver, which fills it,
/// through the shared state to `recv`, which empties it, and back.
#[derive(Default)]
pub(in crate::socket) struct Inbox {
    messages: VecDeque<Message>,
    /// The bytes of all messages that were pushed since it was last empty.
    bytes: usize,
}

/// The number of messages and bytes that an inbox still takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::socket) struct Capacity {
    // 32 bits each, so that a `Demand` travels in two registers.
    pub(in crate::socket) messages: u32,
    pub(in crate::socket) bytes: u32,
}

impl Inbox {
    /// An empty inbox, from this thread's pool.
    pub(in crate::socket) fn pooled() -> Box<Self> {
        pool::take(&INBOXES).unwrap_or_default()
    }

    /// Gives an empty inbox back to this thread's pool.
    pub(in crate::socket) fn recycle(self: Box<Self>) {
        debug_assert!(self.is_empty());
        if self.messages.capacity() <= KEPT {
            pool::give(&INBOXES, self);
        }
    }

    /// Appends a message of that length.
    #[inline]
    pub(in crate::socket) fn push(&mut self, message: Message, length: usize) {
        if self.messages.is_empty() {
            self.bytes = 0;
        }
        self.bytes += length;
        self.messages.push_back(message);
    }

    #[inline]
    pub(in crate::socket) fn pop(&mut self) -> Option<Message> {
        self.messages.pop_front()
    }

    pub(in crate::socket) fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    pub(in crate::socket) fn len(&self) -> usize {
        self.messages.len()
    }

    /// The bytes of its messages, as long as none has been popped of those that are left.
    pub(in crate::socket) fn bytes(&self) -> usize {
        match self.is_empty() {
            true => 0,
            false => self.bytes,
        }
    }

    pub(super) fn clear(&mut self) {
        self.messages.clear();
        self.bytes = 0;
    }

    /// Takes over all messages of `other`, behind its own.
    pub(super) fn append(&mut self, other: &mut Inbox) {
        self.bytes += other.bytes;
        self.messages.append(&mut other.messages);
        other.bytes = 0;
    }

    /// Moves messages to the end of `other`, as many as that capacity takes.
    pub(in crate::socket) fn move_to(&mut self, other: &mut Inbox, mut capacity: Capacity) {
        while !capacity.is_empty()
            && let Some(message) = self.messages.pop_front()
        {
            let length = message.len();
            self.bytes -= length;
            capacity = capacity.less(1, length);
            other.push(message, length);
        }
    }

    /// Returns what it still takes, as long as no message is taken out.
    pub(super) fn capacity(&self) -> Capacity {
        Capacity::WHOLE.less(self.messages.len(), self.bytes)
    }
}

impl Capacity {
    /// The capacity of an empty inbox.
    pub(in crate::socket) const WHOLE: Self = Capacity {
        messages: MESSAGES,
        bytes: BYTES,
    };

    /// No limit.
    pub(in crate::socket) const ALL: Self = Capacity {
        messages: u32::MAX,
        bytes: u32::MAX,
    };

    /// What may be read behind an inbox that takes this much, which is nothing more: until
    /// there are 1,024 messages or 80 KiB in all. The bytes are what one read ahead had left
    /// unparsed anyway, so the peer meets backpressure where it did.
    pub(in crate::socket) fn beyond(self) -> Self {
        debug_assert!(self.is_empty());
        Capacity {
            messages: self.messages + MESSAGES_BEYOND,
            bytes: self.bytes + BYTES_BEYOND,
        }
    }

    /// Returns what is left after so many messages and bytes.
    #[inline]
    pub(in crate::socket) fn less(self, messages: usize, bytes: usize) -> Self {
        Capacity {
            messages: (self.messages as usize).saturating_sub(messages) as u32,
            bytes: (self.bytes as usize).saturating_sub(bytes) as u32,
        }
    }

    pub(in crate::socket) fn bytes(self) -> usize {
        self.bytes as usize
    }

    /// Whether nothing fits any more. Otherwise one message does, whatever its size.
    #[inline]
    pub(in crate::socket) fn is_empty(self) -> bool {
        self.messages == 0 || self.bytes == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn push(inbox: &mut Inbox, length: usize) {
        inbox.push(vec![0; length].into(), length);
    }

    #[test]
    fn an_inbox_is_full_by_messages_or_by_bytes() {
        let mut inbox = Inbox::default();
        assert_eq!(inbox.capacity(), Capacity::WHOLE);
        for _ in 0..MESSAGES {
            assert!(!inbox.capacity().is_empty());
            push(&mut inbox, 0);
        }
        assert!(inbox.capacity().is_empty());

        let mut inbox = Inbox::default();
        push(&mut inbox, BYTES as usize - 1);
        assert!(!inbox.capacity().is_empty());
        // One message fits as long as anything does, and may exceed the bytes.
        push(&mut inbox, BYTES as usize);
        assert!(inbox.capacity().is_empty());
    }

    #[test]
    fn an_emptied_inbox_counts_anew() {
        let mut inbox = Inbox::default();
        push(&mut inbox, BYTES as usize);
        assert!(inbox.pop().is_some());
        assert_eq!(inbox.bytes(), 0);
        push(&mut inbox, 1);
        assert_eq!(inbox.bytes(), 1);
        assert_eq!(inbox.capacity(), Capacity::WHOLE.less(1, 1));
    }

    #[test]
    fn a_cleared_inbox_is_empty() {
        let mut inbox = Inbox::default();
        push(&mut inbox, 1);
        push(&mut inbox, 2);
        inbox.clear();
        assert!(inbox.is_empty() && inbox.pop().is_none());
        push(&mut inbox, 3);
        assert_eq!(inbox.bytes(), 3);
    }

    #[test]
    fn an_appended_inbox_is_left_empty_and_counted() {
        let (mut inbox, mut other) = (Inbox::default(), Inbox::default());
        push(&mut inbox, 1);
        push(&mut other, 2);
        push(&mut other, 3);
        inbox.append(&mut other);
        assert_eq!((inbox.len(), inbox.bytes()), (3, 6));
        assert_eq!((other.len(), other.bytes()), (0, 0));
        let lengths: Vec<_> = std::iter::from_fn(|| inbox.pop())
            .map(|it| it.len())
            .collect();
        assert_eq!(lengths, [1, 2, 3]);
    }

    #[test]
    fn messages_move_in_order_as_many_as_there_is_capacity_for() {
        let (mut inbox, mut other) = (Inbox::default(), Inbox::default());
        for length in 1..=4 {
            push(&mut inbox, length);
        }
        inbox.move_to(&mut other, Capacity::WHOLE.less(MESSAGES as usize - 2, 0));
        assert_eq!((inbox.len(), inbox.bytes()), (2, 7));
        assert_eq!((other.len(), other.bytes()), (2, 3));
        // One message fits as long as anything does.
        inbox.move_to(&mut other, Capacity::WHOLE.less(0, BYTES as usize - 1));
        assert_eq!((inbox.bytes(), other.bytes()), (4, 6));
        inbox.move_to(&mut other, Capacity::WHOLE.less(0, BYTES as usize));
        assert_eq!(inbox.len(), 1);
        inbox.move_to(&mut other, Capacity::ALL);
        assert!(inbox.is_empty());
        assert_eq!(inbox.bytes(), 0);
        assert_eq!(other.len(), 4);
    }

    #[test]
    fn what_is_read_behind_a_full_inbox_is_bounded_in_all() {
        let full = Capacity::WHOLE.less(MESSAGES as usize, 100);
        assert_eq!(full.beyond().messages, 960);
        assert_eq!(full.beyond().bytes(), 80 * 1024 - 100);
        let full = Capacity::WHOLE.less(1, 1 << 20);
        assert_eq!(full.beyond().messages, 1023);
        assert_eq!(full.beyond().bytes(), 16 * 1024);
    }

    #[test]
    fn an_inbox_that_was_long_is_not_kept() {
        while pool::take(&INBOXES).is_some() {}
        Box::new(Inbox {
            messages: VecDeque::with_capacity(KEPT + 1),
            bytes: 0,
        })
        .recycle();
        assert!(pool::take(&INBOXES).is_none());
    }

    #[test]
    fn a_recycled_inbox_is_lent_again() {
        let inbox = Box::new(Inbox {
            messages: VecDeque::with_capacity(100),
            bytes: 0,
        });
        inbox.recycle();
        assert!(Inbox::pooled().messages.capacity() >= 100);
    }
}
