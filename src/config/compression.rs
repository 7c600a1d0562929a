//! Compression of messages (RFC 7692).

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::check;

/// The settings of compression, for clients that offer `permessage-deflate`
/// (RFC 7692); turned on with [`Config::compression`](super::Config::compression).
///
/// ```
/// use hyper_ws::Config;
/// use hyper_ws::config::Compression;
///
/// let config = Config::new().compression(Compression::shared().threshold(1024));
/// ```
///
/// Do not compress a secret together with data that an attacker can choose: the
/// compressed length reveals whether they match (CRIME, BREACH; RFC 7692,
/// section 8). Use `send_uncompressed` or `Prepared::uncompressed` for such
/// messages.
///
/// See also the guide to [compression](crate::guide::compression).
#[derive(Clone, Debug)]
pub struct Compression {
    pub(crate) level: u8,
    pub(crate) window_bits: u8,
    pub(crate) memory_level: u8,
    pub(crate) threshold: usize,
    pub(crate) contexts: Option<Contexts>,
}

/// Counts the connections that have contexts, over all clones of one configuration.
#[derive(Clone, Debug)]
pub(crate) struct Contexts {
    count: Arc<AtomicUsize>,
    limit: usize,
}

/// The right to one connection's contexts, for as long as it is held.
#[derive(Debug)]
pub(crate) struct Slot(Arc<AtomicUsize>);

impl Compression {
    /// Compresses each message by itself (no context takeover in either direction).
    ///
    /// Compressors and decompressors belong to the thread and are used for one
    /// message at a time: an idle connection holds none. A message to many sockets
    /// is compressed once.
    pub fn shared() -> Self {
        Compression {
            level: 6,
            window_bits: 12,
            memory_level: 8,
            threshold: 512,
            contexts: None,
        }
    }

    /// Compresses each message with the earlier ones of its connection as context
    /// (context takeover), as far as the client agrees.
    ///
    /// Where messages resemble each other, they become about a third smaller than in
    /// the [`shared`](Self::shared) mode. In return, each connection remembers what
    /// its windows hold: 4 KiB each way unless [`window_bits`](Self::window_bits)
    /// says otherwise, and 32 KiB of what it receives from a client that does not
    /// offer to use less (Firefox). That memory grows with the messages that were
    /// compressed.
    ///
    /// Compressors belong to the thread here too. In addition, a thread keeps up to 16
    /// compressors, of some 200 KB each, for the connections that send most. With level
    /// 1 or 2 and a window of 14 or 15 bits it keeps up to 64, of 330 KB each.
    ///
    /// At most [`limit`](Self::limit) connections have contexts; further ones get
    /// the shared mode.
    pub fn dedicated() -> Self {
        Compression {
            contexts: Some(Contexts {
                count: Arc::default(),
                limit: 4096,
            }),
            ..Compression::shared()
        }
    }

    /// Sets how much time to spend, from 1 (fast) to 9 (small); 6 unless set.
    ///
    /// # Panics
    ///
    /// If there is no such level. To turn compression off, leave out
    /// [`Config::compression`](super::Config::compression).
    #[track_caller]
    pub fn level(mut self, level: u8) -> Self {
        check::range("level", level, 1..=9);
        self.level = level;
        self
    }

    /// Sets how far back a message may refer, as a power of two from 9 (512 bytes)
    /// to 15 (32 KiB); 12 unless set. A client may ask for less.
    ///
    /// # Panics
    ///
    /// If it is another number. RFC 7692 has 8 (256 bytes) too, which zlib cannot do.
    #[track_caller]
    pub fn window_bits(mut self, bits: u8) -> Self {
        check::range("window_bits", bits, 9..=15);
        self.window_bits = bits;
        self
    }

    /// Sets how much memory a compressor uses for its state, from 1 to 9; 8 unless
    /// set. Small values save some ten kilobytes for each thread. They take more time, and make
    /// long messages larger.
    ///
    /// # Panics
    ///
    /// If it is another number.
    #[track_caller]
    pub fn memory_level(mut self, level: u8) -> Self {
        check::range("memory_level", level, 1..=9);
        self.memory_level = level;
        self
    }

    /// Sets how many bytes a message must have to be compressed; 512 unless set.
    pub fn threshold(mut self, bytes: usize) -> Self {
        self.threshold = bytes;
        self
    }

    /// Sets how many connections may have contexts at once; 4,096 unless set.
    ///
    /// All connections that use this value or a clone of it count together. In the shared mode it
    /// has no effect. With zero, no connection has contexts, as in the shared mode.
    pub fn limit(mut self, connections: usize) -> Self {
        if let Some(contexts) = &mut self.contexts {
            contexts.limit = connections;
        }
        self
    }
}

/// Getters: the value that was set, or the default.
impl Compression {
    /// Returns the level, from 1 (fast) to 9 (small).
    pub fn get_level(&self) -> u8 {
        self.level
    }

    /// Returns how far back a message may refer, as a power of two.
    pub fn get_window_bits(&self) -> u8 {
        self.window_bits
    }

    /// Returns how much memory a compressor uses, from 1 to 9.
    pub fn get_memory_level(&self) -> u8 {
        self.memory_level
    }

    /// Returns how many bytes a message must have to be compressed.
    pub fn get_threshold(&self) -> usize {
        self.threshold
    }

    /// Returns how many connections may have contexts at once, `None` in the shared
    /// mode.
    pub fn get_limit(&self) -> Option<usize> {
        self.contexts.as_ref().map(|contexts| contexts.limit)
    }
}

impl Contexts {
    /// Counts one connection more; `None` if the limit is reached.
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
