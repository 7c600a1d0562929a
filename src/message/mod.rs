//! What a conversation consists of: messages, and how it is said goodbye.
//!
//! RFC 6455 knows two kinds of message, text and binary (section 5.6). Pings,
//! pongs and close frames are the library's business and never appear here.

pub(crate) mod payload;

use std::fmt;
use std::ops::Deref;

use bytes::Bytes;

use payload::Payload;

/// A whole message, as it was sent or is to be sent.
///
/// Cloning is cheap: the payload is shared.
///
/// ```
/// use hyper_ws::Message;
///
/// let message = Message::from("hello");
/// match &message {
///     Message::Text(text) => assert_eq!(text, "hello"),
///     Message::Binary(bytes) => println!("{} bytes", bytes.len()),
/// }
/// assert_eq!(message.len(), 5);
/// ```
#[derive(Clone, PartialEq, Eq)]
// Exhaustive on purpose: RFC 6455, section 5.6, has these two and no third.
pub enum Message {
    /// A text message: valid UTF-8 (RFC 6455, section 5.6).
    Text(Text),
    /// A binary message: any bytes.
    Binary(Binary),
}

/// What a message's payload is (RFC 6455, section 5.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
// Exhaustive on purpose, as `Message` is.
pub enum Kind {
    /// UTF-8.
    Text,
    /// Any bytes.
    Binary,
}

impl Message {
    /// Whether it is text or binary.
    pub fn kind(&self) -> Kind {
        match self {
            Message::Text(_) => Kind::Text,
            Message::Binary(_) => Kind::Binary,
        }
    }

    /// The length of the payload in bytes.
    pub fn len(&self) -> usize {
        self.as_bytes().len()
    }

    /// Whether the payload is empty. An empty message is a message.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The payload as bytes, whichever kind the message is of.
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Message::Text(text) => text.as_bytes(),
            Message::Binary(binary) => binary,
        }
    }

    /// The payload as bytes, whichever kind the message is of.
    pub fn into_bytes(self) -> Bytes {
        match self {
            Message::Text(text) => text.into_bytes(),
            Message::Binary(binary) => binary.into_bytes(),
        }
    }

    pub(crate) fn payload(&self) -> &Payload {
        match self {
            Message::Text(text) => &text.0,
            Message::Binary(binary) => &binary.0,
        }
    }

    /// The payload as text, if this is a text message.
    ///
    /// Costs a pass over the text: see [`Text`].
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Message::Text(text) => Some(text),
            Message::Binary(_) => None,
        }
    }
}

/// Short messages are shown whole, long ones by their length.
impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Message::Text(text) => f.debug_tuple("Text").field(text).finish(),
            Message::Binary(binary) => f.debug_tuple("Binary").field(binary).finish(),
        }
    }
}

/// The payload of a text message: bytes that are known to be UTF-8.
///
/// It dereferences to `str`. This crate contains no unsafe code, so each
/// dereference checks the bytes again, at some 20 to 100 GB/s (with the
/// default feature `simdutf8`): nothing for one use, but keep the `&str` of a
/// long text instead of indexing the `Text` in a loop. [`len`](Text::len),
/// [`is_empty`](Text::is_empty), [`as_bytes`](Text::as_bytes) and
/// [`into_bytes`](Text::into_bytes) cost nothing.
///
/// ```
/// use hyper_ws::message::Text;
///
/// let text = Text::try_from(vec![0xc3, 0xa9])?;
/// assert_eq!(&*text, "é");
/// assert!(Text::try_from(vec![0xc3]).is_err());
/// # Ok::<(), std::str::Utf8Error>(())
/// ```
#[derive(Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Text(Payload);

impl Text {
    /// A text whose bytes the reader has validated as they arrived.
    pub(crate) fn from_validated(payload: impl Into<Payload>) -> Self {
        let payload = payload.into();
        debug_assert!(std::str::from_utf8(payload.as_slice()).is_ok());
        Text(payload)
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        #[cfg(feature = "simdutf8")]
        let text = simdutf8::basic::from_utf8(self.0.as_slice()).ok();
        #[cfg(not(feature = "simdutf8"))]
        let text = std::str::from_utf8(self.0.as_slice()).ok();
        text.expect("a text was validated before it was made")
    }

    /// The bytes of the text.
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_slice()
    }

    /// The bytes of the text, without copying (but for very short ones).
    pub fn into_bytes(self) -> Bytes {
        self.0.into_bytes()
    }

    /// The length in bytes.
    pub fn len(&self) -> usize {
        self.as_bytes().len()
    }

    /// Whether there is no text.
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

/// Long texts are cut.
impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.as_str();
        if text.len() <= SHOWN {
            return fmt::Debug::fmt(text, f);
        }
        let end = (0..=SHOWN)
            .rev()
            .find(|&at| text.is_char_boundary(at))
            .unwrap_or(0);
        write!(f, "{:?}.. ({} bytes)", &text[..end], text.len())
    }
}

impl PartialEq<str> for Text {
    fn eq(&self, other: &str) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl PartialEq<&str> for Text {
    fn eq(&self, other: &&str) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

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

impl From<Text> for Message {
    fn from(text: Text) -> Self {
        Message::Text(text)
    }
}

impl From<Binary> for Message {
    fn from(binary: Binary) -> Self {
        Message::Binary(binary)
    }
}

impl From<&str> for Message {
    fn from(text: &str) -> Self {
        Message::Text(text.into())
    }
}

impl From<String> for Message {
    fn from(text: String) -> Self {
        Message::Text(text.into())
    }
}

impl From<Bytes> for Message {
    fn from(bytes: Bytes) -> Self {
        Message::Binary(bytes.into())
    }
}

impl From<Vec<u8>> for Message {
    fn from(bytes: Vec<u8>) -> Self {
        Message::Binary(bytes.into())
    }
}

impl From<&[u8]> for Message {
    fn from(bytes: &[u8]) -> Self {
        Message::Binary(bytes.into())
    }
}

/// How many bytes of a payload `Debug` shows.
const SHOWN: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_accepts_only_utf8() {
        assert!(Text::try_from(vec![0xff]).is_err());
        assert_eq!(Text::try_from("é".as_bytes().to_vec()).unwrap(), "é");
    }

    #[test]
    fn debug_shows_long_payloads_by_their_length() {
        let text = format!("{:?}", Message::from("é".repeat(100)));
        assert!(text.contains("(200 bytes)"), "{text}");
        let binary = format!("{:?}", Message::from(vec![0; 100]));
        assert!(binary.contains("(100 bytes)"), "{binary}");
        assert_eq!(format!("{:?}", Message::from("a\"b")), r#"Text("a\"b")"#);
    }

    #[test]
    fn a_message_is_small_to_move() {
        assert!(size_of::<Message>() <= 40);
    }
}
