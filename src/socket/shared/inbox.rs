//! Messages that have arrived and have not been received.

use std::collections::VecDeque;

use super::pool::{self, Pool};
use crate::Message;

/// The number of messages that are read before the handler asks for them.
const MESSAGES: u32 = 64;

/// The number of bytes that are read before the handler asks for them.
const BYTES: u32 = 64 * 1024;

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
    messages: u32,
    bytes: u32,
}

impl Inbox {
    /// An empty inbox, from this thread's pool.
    pub(in crate::socket) fn pooled() -> Box<Self> {
        pool::take(&INBOXES).unwrap_or_default()
    }

    /// Gives an empty inbox back to this thread's pool.
    pub(in crate::socket) fn recycle(self: Box<Self>) {
        debug_assert!(self.is_empty());
        pool::give(&INBOXES, self);
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

    pub(super) fn len(&self) -> usize {
        self.messages.len()
    }

    /// The bytes of its messages, as long as none has been taken out.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
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

    /// Returns what it still takes, as long as no message is taken out.
    pub(super) fn capacity(&self) -> Capacity {
        Capacity::WHOLE.less(self.messages.len(), self.bytes)
    }
}

impl Capacity {
    /// The capacity of an empty inbox.
    pub(super) const WHOLE: Self = Capacity {
        messages: MESSAGES,
        bytes: BYTES,
    };

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
        push(&mut inbox, 1);
        assert_eq!(inbox.bytes(), 1);
        assert_eq!(inbox.capacity(), Capacity::WHOLE.less(1, 1));
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
    fn a_recycled_inbox_is_lent_again() {
        let inbox = Box::new(Inbox {
            messages: VecDeque::with_capacity(100),
            bytes: 0,
        });
        inbox.recycle();
        assert!(Inbox::pooled().messages.capacity() >= 100);
    }
}
