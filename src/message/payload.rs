//! The bytes of a message: few are stored inline, more are shared.

use std::cmp::Ordering;
use std::hash::{Hash, Hasher};

use bytes::Bytes;

/// How many bytes, and their length, fit into the size of a [`Bytes`].
pub(crate) const INLINE: usize = 23;

/// How many bytes of a payload `Debug` shows.
pub(super) const MAX_SHOWN: usize = 64;

/// A payload. Up to 23 bytes are stored without an allocation.
///
/// Messages of a chat or a game are often that short. Sixteen that arrive at once would
/// use up what an allocator keeps ready of one size.
#[derive(Clone)]
pub(crate) enum Payload {
    Inline(Inline),
    Shared(Bytes),
}

/// Bytes, and in the last one their number.
///
/// A message is moved several times on its way. Aligned and without fields, it is moved
/// in whole words. If it were written in pieces and read in words, the processor would
/// have to wait each time until the pieces have left its store buffer.
#[derive(Clone, Copy)]
#[repr(align(8))]
pub(crate) struct Inline([u8; INLINE + 1]);

impl Inline {
    const EMPTY: Self = Inline([0; INLINE + 1]);

    #[inline]
    fn new(words: &[u8; INLINE + 1], length: usize, key: u64) -> Self {
        debug_assert!(length <= INLINE);
        let mut inline = *words;
        let (words, _) = inline.as_chunks_mut::<8>();
        for word in &mut *words {
            *word = (u64::from_ne_bytes(*word) ^ key).to_ne_bytes();
        }
        if let [.., last] = words {
            let bytes = u64::from_le_bytes(*last) & (u64::MAX >> 8);
            *last = (bytes | (length as u64) << 56).to_le_bytes();
        }
        Inline(inline)
    }

    #[inline]
    fn as_slice(&self) -> &[u8] {
        let [bytes @ .., length] = &self.0;
        // `length` is never larger than `bytes`. The compiler does not know that, and
        // this comparison is cheaper than a path to a panic.
        bytes.get(..usize::from(*length)).unwrap_or(bytes)
    }
}

impl Payload {
    pub(crate) fn copy_from_slice(bytes: &[u8]) -> Self {
        match bytes.len() {
            length @ 0..=INLINE => {
                let mut words = [0; INLINE + 1];
                words[..length].copy_from_slice(bytes);
                Payload::inline(&words, length, 0)
            }
            _ => Payload::Shared(Bytes::copy_from_slice(bytes)),
        }
    }

    /// Stores the first `length` bytes of `words`, combined with `key` by exclusive or.
    /// The bytes beyond them are never looked at.
    #[inline]
    pub(crate) fn inline(words: &[u8; INLINE + 1], length: usize, key: u64) -> Self {
        Payload::Inline(Inline::new(words, length, key))
    }

    #[inline]
    pub(crate) fn as_slice(&self) -> &[u8] {
        match self {
            Payload::Inline(inline) => inline.as_slice(),
            Payload::Shared(bytes) => bytes,
        }
    }

    /// Returns the bytes of an inline payload, and how many of them belong to it.
    #[inline]
    pub(crate) fn as_inline(&self) -> Option<(&[u8; INLINE + 1], usize)> {
        match self {
            Payload::Inline(inline) => Some((&inline.0, inline.as_slice().len())),
            Payload::Shared(_) => None,
        }
    }

    pub(crate) fn into_bytes(self) -> Bytes {
        match self {
            Payload::Shared(bytes) => bytes,
            inline => Bytes::copy_from_slice(inline.as_slice()),
        }
    }
}

/// Compares the bytes, however they are stored.
impl PartialEq for Payload {
    fn eq(&self, other: &Self) -> bool {
        self.as_slice() == other.as_slice()
    }
}

impl Eq for Payload {}

impl PartialOrd for Payload {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Payload {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_slice().cmp(other.as_slice())
    }
}

impl Hash for Payload {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_slice().hash(state);
    }
}

impl Default for Payload {
    fn default() -> Self {
        Payload::Inline(Inline::EMPTY)
    }
}

impl From<Bytes> for Payload {
    fn from(bytes: Bytes) -> Self {
        Payload::Shared(bytes)
    }
}

impl From<Vec<u8>> for Payload {
    fn from(bytes: Vec<u8>) -> Self {
        Payload::Shared(bytes.into())
    }
}
