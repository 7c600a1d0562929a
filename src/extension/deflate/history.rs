//! What one direction has carried (RFC 7692, section 7.1.1).

/// The last bytes of a connection's compressed messages before they were
/// compressed, as many as the window holds. The next message may refer to them.
///
/// This is all that a connection keeps to take its context over: a compressor or
/// a decompressor of the thread is told about it before each message. One of its
/// own would have fifty times the size, and be out of the CPU's cache by the next
/// message, unless that comes [soon](super::busy).
pub(super) struct History {
    /// Up to an eighth more than the window, so that not all of it is moved for
    /// each message.
    bytes: Vec<u8>,
    window: usize,
}

impl History {
    pub(super) fn new(window_bits: u8) -> Self {
        History {
            bytes: Vec::new(),
            window: 1 << window_bits,
        }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        tail(&self.bytes, self.window)
    }

    /// The window moves on over a message.
    pub(super) fn add(&mut self, message: &[u8]) {
        let message = tail(message, self.window);
        let most = self.window + self.window / 8;
        if self.bytes.len() + message.len() > most {
            let stays = self.bytes.len().min(self.window - message.len());
            self.bytes.drain(..self.bytes.len() - stays);
        }
        let length = self.bytes.len();
        if self.bytes.capacity() - length < message.len() {
            // By doubles, but never beyond that.
            let more = message.len().max(length).min(most - length);
            self.bytes.reserve_exact(more);
        }
        self.bytes.extend_from_slice(message);
    }

    /// What the window holds when there is already so much of the next message.
    pub(super) fn followed_by(&self, message: &[u8]) -> Vec<u8> {
        let message = tail(message, self.window);
        [tail(self.bytes(), self.window - message.len()), message].concat()
    }
}

pub(super) fn tail(bytes: &[u8], length: usize) -> &[u8] {
    &bytes[bytes.len().saturating_sub(length)..]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_bytes_stay_and_never_more_than_the_window() {
        let mut history = History::new(9);
        let mut all = vec![];
        for length in [0, 1, 100, 300, 200, 511, 512, 513, 5_000, 3, 0, 700] {
            let message: Vec<_> = (0..length).map(|at| (at + all.len()) as u8).collect();
            let before = history.followed_by(&message);
            history.add(&message);
            all.extend_from_slice(&message);
            assert_eq!(history.bytes(), tail(&all, 512), "{length}");
            assert_eq!(history.bytes(), before, "{length}");
            assert!(history.bytes.capacity() <= 512 + 64);
        }
    }
}
