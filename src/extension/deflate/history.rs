//! The earlier messages of one direction (RFC 7692, section 7.1.1).

use std::collections::VecDeque;

/// Whether a message may refer to earlier ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Context {
    TakenOver,
    None,
}

/// The last bytes of a connection's compressed messages before they were compressed, as
/// many as the window holds. The next message may refer to them.
///
/// This is all that a connection keeps for context takeover: a compressor or
/// decompressor of the thread is primed with it before each message. One of its own
/// would be fifty times as large. It would also be out of the CPU's cache by the next
/// message, unless the connection is [busy](super::busy).
pub(super) struct History {
    /// A ring: a small message touches little of a large window.
    bytes: VecDeque<u8>,
    window: usize,
}

impl History {
    pub(super) fn new(window_bits: u8) -> Self {
        History {
            bytes: VecDeque::new(),
            window: 1 << window_bits,
        }
    }

    /// Returns all of it, in two pieces.
    pub(super) fn pieces(&self) -> [&[u8]; 2] {
        let (first, second) = self.bytes.as_slices();
        [first, second]
    }

    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        self.bytes.capacity()
    }

    /// Moves the window on over a message.
    pub(super) fn add(&mut self, message: &[u8]) {
        let message = tail(message, self.window);
        let length = self.bytes.len();
        let leaves = (length + message.len()).saturating_sub(self.window);
        self.bytes.drain(..leaves);
        let length = length - leaves;
        if self.bytes.capacity() - length < message.len() {
            // Doubles, but never beyond the window.
            let more = message.len().max(length).min(self.window - length);
            self.bytes.reserve_exact(more);
        }
        self.bytes.extend(message);
    }
}

/// Returns the last `length` bytes.
pub(super) fn tail(bytes: &[u8], length: usize) -> &[u8] {
    &bytes[bytes.len().saturating_sub(length)..]
}
