//! The payload of a text message.

use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;

use bytes::Bytes;

use super::payload::{MAX_SHOWN, Payload};

/// The payload of a text message: bytes that are known to be UTF-8.
///
/// It dereferences to `str` and compares with strings. Cloning is cheap: the
/// bytes are shared.
///
/// This crate contains no unsafe code, so each dereference checks the bytes
/// again, at some 20 to 100 GB/s (with the default feature `simdutf8`). That does not
/// matter for one use. In a loop over a long text, dereference once, before the loop.
/// [`len`](Text::len), [`is_empty`](Text::is_empty), [`as_bytes`](Text::as_bytes),
/// [`into_bytes`](Text::into_bytes) and comparisons do not check.
///
/// ```
/// use hyper_ws::message::Text;
///
/// let text = Text::try_from(vec![0xc3, 0xa9])?;
/// assert_eq!(text, "é");
/// assert_eq!(text.chars().count(), 1);
/// assert!(Text::try_from(vec![0xc3]).is_err());
/// # Ok::<(), std::str::Utf8Error>(())
/// ```
#[derive(Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Text(Payload);

impl Text {
    /// Makes a text of a static string. It is never copied, whatever its length.
    pub fn from_static(text: &'static str) -> Self {
        Text(Bytes::from_static(text.as_bytes()).into())
    }

    /// A text whose bytes the reader validated as they arrived.
    pub(crate) fn from_validated(payload: impl Into<Payload>) -> Self {
        let payload = payload.into();
        debug_assert!(std::str::from_utf8(payload.as_slice()).is_ok());
        Text(payload)
    }

    pub(super) fn payload(&self) -> &Payload {
        &self.0
    }

    /// Returns the text as a string slice, after checking the bytes again.
    pub fn as_str(&self) -> &str {
        #[cfg(feature = "simdutf8")]
        let text = simdutf8::basic::from_utf8(self.0.as_slice()).ok();
        #[cfg(not(feature = "simdutf8"))]
        let text = std::str::from_utf8(self.0.as_slice()).ok();
        text.expect("a text was validated before it was made")
    }

    /// Returns the bytes of the text.
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_slice()
    }

    /// Returns the bytes of the text. Up to 23 bytes are copied, a longer text is not.
    pub fn into_bytes(self) -> Bytes {
        self.0.into_bytes()
    }

    /// Returns the length in bytes.
    pub fn len(&self) -> usize {
        self.as_bytes().len()
    }

    /// Returns whether the text has no characters.
    pub fn is_empty(&self) -> bool {
        self.as_bytes().is_empty()
    }
}

impl Deref for Text {
    type Target = str;

    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl AsRef<str> for Text {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl AsRef<[u8]> for Text {
    fn as_ref(&self) -> &[u8] {
        self.as_bytes()
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Shows the first 64 bytes of a long text, and its length.
impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.as_str();
        if text.len() <= MAX_SHOWN {
            return fmt::Debug::fmt(text, f);
        }
        let end = (0..=MAX_SHOWN)
            .rev()
            .find(|&at| text.is_char_boundary(at))
            .unwrap_or(0);
        write!(f, "{:?}.. ({} bytes)", &text[..end], text.len())
    }
}

/// `text == string` and `string == text`, byte by byte.
macro_rules! compares_with {
    ($($string:ty),*) => {$(
        impl PartialEq<$string> for Text {
            fn eq(&self, other: &$string) -> bool {
                self.as_bytes() == other.as_bytes()
            }
        }

        impl PartialEq<Text> for $string {
            fn eq(&self, other: &Text) -> bool {
                self.as_bytes() == other.as_bytes()
            }
        }
    )*};
}

compares_with!(str, &str, String);

impl From<String> for Text {
    fn from(text: String) -> Self {
        Text(text.into_bytes().into())
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Text(Payload::copy_from_slice(text.as_bytes()))
    }
}

impl From<&String> for Text {
    fn from(text: &String) -> Self {
        Text::from(text.as_str())
    }
}

impl From<Cow<'_, str>> for Text {
    fn from(text: Cow<'_, str>) -> Self {
        match text {
            Cow::Borrowed(text) => text.into(),
            Cow::Owned(text) => text.into(),
        }
    }
}

/// Checks the bytes again, as a dereference does. The bytes are copied if they are
/// stored inline (up to 23) or shared.
impl From<Text> for String {
    fn from(text: Text) -> Self {
        String::from_utf8(text.into_bytes().into())
            .expect("a text was validated before it was made")
    }
}

impl From<Text> for Bytes {
    fn from(text: Text) -> Self {
        text.into_bytes()
    }
}

impl TryFrom<Bytes> for Text {
    type Error = std::str::Utf8Error;

    fn try_from(bytes: Bytes) -> Result<Self, Self::Error> {
        std::str::from_utf8(&bytes)?;
        Ok(Text(bytes.into()))
    }
}

impl TryFrom<Vec<u8>> for Text {
    type Error = std::str::Utf8Error;

    fn try_from(bytes: Vec<u8>) -> Result<Self, Self::Error> {
        Text::try_from(Bytes::from(bytes))
    }
}
