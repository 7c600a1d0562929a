//! The bytes of a message: small ones where they are, others shared.

use std::cmp::Ordering;
use std::hash::{Hash, Hasher};

use bytes::Bytes;

/// How many bytes fit beside the length into the place of a [`Bytes`].
pub(crate) const INLINE: usize = 23;

/// A payload. Up to 23 bytes need no allocation; a chat's or a game's messages
/// are often no longer, and sixteen that arrive at once would overflow what an
/// allocator keeps at hand of one size.
#[derive(Clone)]
pub(crate) enum Payload {
    Inline { length: u8, bytes: [u8; INLINE] },
    Shared(Bytes),
}

impl Payload {
    pub(crate) fn copy_from_slice(bytes: &[u8]) -> Self {
        match bytes.len() {
            0..=INLINE => {
                let mut inline = [0; INLINE];
                inline[..bytes.len()].copy_from_slice(bytes);
                Payload::Inline {
                    length: bytes.len() as u8,
                    bytes: inline,
                }
            }
            _ => Payload::Shared(Bytes::copy_from_slice(bytes)),
        }
    }

    /// The first `length` of `words`, which has room for the longest payload and
    /// is made of whole words.
    #[inline]
    pub(crate) fn inline(words: &[u8; INLINE + 1], length: usize) -> Self {
        debug_assert!(length <= INLINE);
        let mut bytes = [0; INLINE];
        bytes.copy_from_slice(&words[..INLINE]);
        Payload::Inline {
            length: length as u8,
            bytes,
        }
    }

    #[inline]
    pub(crate) fn as_slice(&self) -> &[u8] {
        match self {
            // The length is at most that of the array.
            Payload::Inline { length, bytes } => &bytes[..usize::from(*length)],
            Payload::Shared(bytes) => bytes,
        }
    }

    pub(crate) fn into_bytes(self) -> Bytes {
        match self {
            Payload::Shared(bytes) => bytes,
            inline => Bytes::copy_from_slice(inline.as_slice()),
        }
    }
}

/// Payloads are what their bytes are, wherever these stand.
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
        Payload::Inline {
            length: 0,
            bytes: [0; INLINE],
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_is_as_large_as_bytes_are() {
        assert_eq!(size_of::<Payload>(), size_of::<Bytes>());
    }

    #[test]
    fn a_payload_of_any_length_is_what_was_put_in() {
        for length in 0..100 {
            let plain: Vec<u8> = (0..length).collect();
            let copied = Payload::copy_from_slice(&plain);
            let shared = Payload::from(plain.clone());
            assert!(copied == shared);
            if plain.len() <= INLINE {
                let mut words = [9; INLINE + 1];
                words[..plain.len()].copy_from_slice(&plain);
                assert!(copied == Payload::inline(&words, plain.len()));
            }
            for payload in [copied, shared] {
                assert_eq!(payload.as_slice(), plain);
                assert_eq!(payload.into_bytes(), plain);
            }
        }
    }
}
