//! Whether and how messages are compressed (RFC 7692).

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// How messages are compressed where the client offers `permessage-deflate`
/// (RFC 7692); turned on with [`Config::compression`](super::Config::compression).
///
/// ```
/// use hyper_ws::Config;
/// use hyper_ws::config::Compression;
///
/// let config = Config::new().compression(Compression::shared().threshold(1024));
/// ```
///
/// What is secret must not be compressed together with what an attacker may
/// choose: the length would tell (CRIME, BREACH; RFC 7692, section 8). Each
/// message can be excepted: `send_uncompressed`, `Prepared::uncompressed`.
#[derive(Clone, Debug)]
pub struct Compression {
    pub(crate) level: u8,
    pub(crate) window_bits: u8,
    pub(crate) memory_level: u8,
    pub(crate) threshold: usize,
    pub(crate) contexts: Option<Contexts>,
}

/// The contexts of all connections with one configuration, and its clones.
#[derive(Clone, Debug)]
pub(crate) struct Contexts {
    count: Arc<AtomicUsize>,
    limit: usize,
}

/// The right to one connection's contexts, for as long as it is held.
#[derive(Debug)]
pub(crate) struct Slot(Arc<AtomicUsize>);

impl Compression {
    /// Every message stands for itself (no context takeover in either
    /// direction). Compressors and decompressors belong to the thread, for the
    /// length of a message: an idle connection holds none, and a message to
    /// many sockets is compressed once.
    pub fn shared() -> Self {
        Compression {
            level: 6,
            window_bits: 12,
            memory_level: 8,
            threshold: 512,
            contexts: None,
        }
    }

    /// Every connection remembers its messages of before (context takeover), as
    /// far as the client agrees: smaller by a third, say, where messages resemble
    /// each other. What it remembers is as much as its windows hold, 4 KiB each
    /// way unless [`window_bits`](Self::window_bits) says otherwise; 32 KiB of what
    /// it receives from a client that does not offer to use less (Firefox). That
    /// grows with the messages that were compressed.
    /// Compressors belong to the thread here too: a thread keeps up to sixteen more
    /// for the connections that send most, of some 200 KB each; up to 64, of 330 KB,
    /// with level 1 or 2 and a window of 14 or 15 bits.
    ///
    /// At most [`limit`](Self::limit) connections have this; others get the
    /// [`shared`](Self::shared) mode.
    pub fn dedicated() -> Self {
        Compression {
            contexts: Some(Contexts {
                count: Arc::default(),
                limit: 4096,
            }),
            ..Compression::shared()
        }
    }

    /// How much time to spend, from 1 (fast) to 9 (small); 6 unless set.
    pub fn level(mut self, level: u8) -> Self {
        self.level = level.clamp(1, 9);
        self
    }

    /// How far back a message refers, as a power of two from 9 (512 bytes) to
    /// 15 (32 KiB); 12 unless set. A client may ask for less.
    pub fn window_bits(mut self, bits: u8) -> Self {
        self.window_bits = bits.clamp(9, 15);
        self
    }

    /// How much a compressor buffers, from 1 to 9; 8 unless set. Small values save
    /// some ten kilobytes for each thread, and cost time and size with long
    /// messages.
    pub fn memory_level(mut self, level: u8) -> Self {
        self.memory_level = level.clamp(1, 9);
        self
    }

    /// Messages of fewer bytes are sent as they are; 512 unless set.
    pub fn threshold(mut self, bytes: usize) -> Self {
        self.threshold = bytes;
        self
    }

    /// How many connections may have contexts of their own at once; 4,096
    /// unless set. All that share this value, or clones of it, count together.
    /// Without effect in the shared mode.
    pub fn limit(mut self, connections: usize) -> Self {
        if let Some(contexts) = &mut self.contexts {
            contexts.limit = connections;
        }
        self
    }
}

impl Contexts {
    /// Takes one of them, if one is left.
    pub(crate) fn take(&self) -> Option<Slot> {
        self.count
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |count| {
                (count < self.limit).then_some(count + 1)
            })
            .ok()
            .map(|_| Slot(self.count.clone()))
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_compressor_can_do_becomes_the_nearest_that_it_can() {
        let most = Compression::shared()
            .level(200)
            .window_bits(200)
            .memory_level(200);
        assert_eq!(
            (most.level, most.window_bits, most.memory_level),
            (9, 15, 9)
        );
        let least = Compression::shared()
            .level(0)
            .window_bits(0)
            .memory_level(0);
        assert_eq!(
            (least.level, least.window_bits, least.memory_level),
            (1, 9, 1)
        );
    }

    #[test]
    fn contexts_are_counted_over_all_clones_and_come_back() {
        let compression = Compression::dedicated().limit(2);
        let clone = compression.clone();
        let take = |it: &Compression| it.contexts.as_ref().unwrap().take();
        let first = take(&compression);
        let second = take(&clone);
        assert!(first.is_some() && second.is_some());
        assert!(take(&compression).is_none());
        drop(first);
        assert!(take(&clone).is_some());
        assert!(Compression::shared().limit(9).contexts.is_none());
    }
}
