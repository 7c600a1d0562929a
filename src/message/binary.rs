//! The payload of a binary message.

use std::fmt;
use std::ops::Deref;

use bytes::Bytes;

use super::payload::{Payload, SHOWN};

/// The payload of a binary message. It dereferences to `[u8]`.
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
    /// The bytes, without copying (but for very few).
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

/// Long payloads are cut.
impl fmt::Debug for Binary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.len() <= SHOWN {
            return write!(f, "b\"{}\"", self.escape_ascii());
        }
        write!(
            f,
            "b\"{}\".. ({} bytes)",
            self[..SHOWN].escape_ascii(),
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
