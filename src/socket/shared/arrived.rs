//! Messages that have arrived and are not parsed: `recv` does that, one by one.

use crate::Message;
use crate::protocol::whole_message;

/// The frames of whole messages, as the driver has read them. Nothing else is among them, so
/// each is what `recv` returns next, or text that is not UTF-8, which is left to the driver.
#[derive(Default)]
pub(in crate::socket) struct Arrived {
    input: Box<[u8]>,
    start: usize,
    end: usize,
    /// What has been taken since the frames were laid out, and how much of that is counted.
    taken: Taken,
    counted: Taken,
}

/// A number of messages, and the bytes of their payloads.
#[derive(Clone, Copy, Default)]
pub(in crate::socket) struct Taken {
    pub(in crate::socket) messages: usize,
    pub(in crate::socket) bytes: usize,
}

impl Arrived {
    /// Lays out the frames in `input` from its beginning to `end`.
    #[inline]
    pub(in crate::socket) fn lay_out(&mut self, input: &mut Box<[u8]>, end: usize) {
        debug_assert!(self.is_empty() && self.is_counted());
        std::mem::swap(&mut self.input, input);
        (self.start, self.end) = (0, end);
        (self.taken, self.counted) = Default::default();
    }

    /// Takes the buffer back. Returns what was taken out of it, and where the rest begins.
    #[inline]
    pub(in crate::socket) fn take_back(&mut self, input: &mut Box<[u8]>) -> (Taken, usize) {
        std::mem::swap(&mut self.input, input);
        let start = self.start;
        (self.start, self.end) = (0, 0);
        (self.taken, start)
    }

    /// Whether no message is left.
    #[inline]
    fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// Takes the next message.
    #[inline(always)]
    pub(super) fn pop(&mut self) -> Option<Message> {
        if self.is_empty() {
            return None;
        }
        // The frames are whole, so this does not look beyond their end.
        let (message, length) = whole_message(&self.input[self.start..])?;
        self.start += length;
        self.taken.messages += 1;
        self.taken.bytes += message.len();
        Some(message)
    }

    /// Whether all that was taken is counted.
    #[inline]
    pub(in crate::socket) fn is_counted(&self) -> bool {
        self.taken.messages == self.counted.messages
    }

    /// Counts what was taken; returns what was not counted before.
    #[inline]
    pub(super) fn count(&mut self) -> (usize, usize) {
        let counted = std::mem::replace(&mut self.counted, self.taken);
        let Taken { messages, bytes } = self.taken;
        (messages - counted.messages, bytes - counted.bytes)
    }
}
