//! Messages that have arrived and not been received.

use std::collections::VecDeque;

use crate::Message;

/// How many messages are read before the handler asks for them.
const MESSAGES: usize = 64;

/// How many bytes are.
const BYTES: usize = 64 * 1024;

/// A bounded queue of messages. It travels as a box: from the driver, which
/// fills it, over the shared state to `recv`, which empties it, and back.
#[derive(Default)]
pub(in crate::socket) struct Inbox {
    messages: VecDeque<Message>,
    /// Of the messages that were pushed since it was empty.
    bytes: usize,
}

/// How many messages and bytes an inbox still takes.
#[derive(Clone, Copy)]
pub(in crate::socket) struct Room {
    messages: usize,
    bytes: usize,
}

impl Inbox {
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

    /// The bytes of its messages, if none has been taken out.
    pub(in crate::socket) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(in crate::socket) fn clear(&mut self) {
        self.messages.clear();
        self.bytes = 0;
    }

    pub(in crate::socket) fn append(&mut self, other: &mut Inbox) {
        self.bytes += other.bytes;
        self.messages.append(&mut other.messages);
        other.bytes = 0;
    }

    /// What it takes, if nothing is taken out of it.
    pub(in crate::socket) fn room(&self) -> Room {
        Room {
            messages: MESSAGES.saturating_sub(self.messages.len()),
            bytes: BYTES.saturating_sub(self.bytes),
        }
    }
}

impl Room {
    /// The room of an empty inbox.
    pub(in crate::socket) const WHOLE: Self = Room {
        messages: MESSAGES,
        bytes: BYTES,
    };

    /// What is left of it beside that.
    pub(in crate::socket) fn less(self, messages: usize, bytes: usize) -> Self {
        Room {
            messages: self.messages.saturating_sub(messages),
            bytes: self.bytes.saturating_sub(bytes),
        }
    }

    pub(in crate::socket) fn bytes(self) -> usize {
        self.bytes
    }

    /// One message fits whenever there is any room, whatever its size.
    pub(in crate::socket) fn is_empty(self) -> bool {
        self.messages == 0 || self.bytes == 0
    }
}
