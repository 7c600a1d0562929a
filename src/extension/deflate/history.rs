//! What one direction has carried (RFC 7692, section 7.1.1).

use std::collections::VecDeque;

/// Whether a message may refer to the ones before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Context {
    TakenOver,
    None,
}

/// The last bytes of a connection's compressed messages before they were
/// compressed, as many as the window holds. The next message may refer to them.
///
/// This is all that a connection keeps to take its context over: a compressor or
/// a decompressor of the thread is told about it before each message. One of its
/// own would have fifty times the size, and be out of the CPU's cache by the next
/// message, unless that comes [soon](super::busy).
pub(super) struct History {
    /// A ring: of a large window little is touched for a small message.
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

    /// All of it, in two pieces.
    pub(super) fn pieces(&self) -> [&[u8]; 2] {
        let (first, second) = self.bytes.as_slices();
        [first, second]
    }

    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        self.bytes.capacity()
    }

    /// The window moves on over a message.
    pub(super) fn add(&mut self, message: &[u8]) {
        let message = tail(message, self.window);
        let length = self.bytes.len();
        let leaves = (length + message.len()).saturating_sub(self.window);
        self.bytes.drain(..leaves);
        let length = length - leaves;
        if self.bytes.capacity() - length < message.len() {
            // By doubles, but never beyond the window.
            let more = message.len().max(length).min(self.window - length);
            self.bytes.reserve_exact(more);
        }
        self.bytes.extend(message);
    }
}

pub(super) fn tail(bytes: &[u8], length: usize) -> &[u8] {
    &bytes[bytes.len().saturating_sub(length)..]
}
