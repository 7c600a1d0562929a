//! The payload of a binary message.

use std::fmt;
use std::ops::Deref;

use bytes::Bytes;

use super::payload::{MAX_SHOWN, Payload};

/// The payload of a binary message. It dereferences to `[u8]`.
///
/// Cloning is cheap: the bytes are shared.
///
/// ```
/// use hyper_ws::message::Binary;
///
/// let binary = Binary::from(vec![1, 2, 3]);
/// assert_eq!(&binary[1..], [2, 3]);
/// ```
#[derive(Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Binary(Payload);

impl Binary {
    /// Makes a payload of static bytes. They are never copied, whatever their number.
    pub fn from_static(bytes: &'static [u8]) -> Self {
        Binary(Bytes::from_static(bytes).into())
    }

    /// Returns the bytes. A payload of up to 23 bytes is copied, a longer one is not.
    pub fn into_bytes(self) -> Bytes {
        self.0.into_bytes()
    }

    pub(super) fn payload(&self) -> &Payload {
        &self.0
    }
}

impl Deref for Binary {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.0.as_slice()
    }
}

impl AsRef<[u8]> for Binary {
    fn as_ref(&self) -> &[u8] {
        self.0.as_slice()
    }
}

/// Shows the first 64 bytes of a long payload, and its length.
impl fmt::Debug for Binary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.len() <= MAX_SHOWN {
            return write!(f, "b\"{}\"", self.escape_ascii());
        }
        write!(
            f,
            "b\"{}\".. ({} bytes)",
            self[..MAX_SHOWN].escape_ascii(),
            self.len()
        )
    }
}

impl From<Payload> for Binary {
    fn from(payload: Payload) -> Self {
        Binary(payload)
    }
}

impl From<Bytes> for Binary {
    fn from(bytes: Bytes) -> Self {
        Binary(bytes.into())
    }
}

impl From<Vec<u8>> for Binary {
    fn from(bytes: Vec<u8>) -> Self {
        Binary(bytes.into())
    }
}

impl From<&[u8]> for Binary {
    fn from(bytes: &[u8]) -> Self {
        Binary(Payload::copy_from_slice(bytes))
    }
}

/// For literals: `Binary::from(b"..")`.
impl<const N: usize> From<&[u8; N]> for Binary {
    fn from(bytes: &[u8; N]) -> Self {
        Binary::from(&bytes[..])
    }
}

impl From<Binary> for Bytes {
    fn from(binary: Binary) -> Self {
        binary.into_bytes()
    }
}

/// The bytes are copied if they are stored inline (up to 23) or shared.
impl From<Binary> for Vec<u8> {
    fn from(binary: Binary) -> Self {
        binary.into_bytes().into()
    }
}
