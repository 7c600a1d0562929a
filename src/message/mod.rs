//! What a conversation consists of: messages, and how it is said goodbye.
//!
//! RFC 6455 knows two kinds of message, text and binary (section 5.6). Pings,
//! pongs and close frames are the library's business and never appear here.

mod binary;
pub(crate) mod payload;
#[cfg(test)]
mod tests;
mod text;

use std::fmt;

use bytes::Bytes;

pub use binary::Binary;
use payload::Payload;
pub use text::Text;

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
            Message::Text(text) => text.payload(),
            Message::Binary(binary) => binary.payload(),
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
