//! Messages: text or binary.
//!
//! RFC 6455 knows two kinds of message, text and binary (section 5.6). Pings,
//! pongs and close frames are handled by the library and never appear here.
//!
//! # JSON
//!
//! One line in each direction, with `serde_json`. Text messages, since pages send JSON as text:
//!
//! ```
//! # #[cfg(feature = "socket")]
//! # mod example {
//! use hyper_ws::WebSocket;
//! use hyper_ws::error::BoxError;
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Deserialize)]
//! struct Question {
//!     numbers: Vec<f64>,
//! }
//!
//! #[derive(Serialize)]
//! struct Answer {
//!     sum: f64,
//! }
//!
//! async fn sums(mut socket: WebSocket) -> Result<(), BoxError> {
//!     while let Some(message) = socket.recv().await? {
//!         let question: Question = serde_json::from_slice(message.as_bytes())?;
//!         let answer = Answer { sum: question.numbers.iter().sum() };
//!         socket.send(serde_json::to_string(&answer)?).await?;
//!     }
//!     Ok(())
//! }
//! # }
//! ```
//!
//! With `?`, a message that is not JSON ends the handler, and the connection is closed with 1011.
//! To tell the client that the mistake is on its side, write
//! `Err(error) => socket.close(CloseCode::INVALID_PAYLOAD, &error.to_string()).await`, or answer in
//! your own protocol.

mod binary;
pub(crate) mod payload;
#[cfg(test)]
mod tests;
mod text;

use std::borrow::Cow;
use std::fmt;

use bytes::Bytes;

pub use binary::Binary;
use payload::Payload;
pub use text::Text;

/// A whole message, as it was sent or is to be sent.
///
/// Cloning is cheap: the payload is shared. Pings, pongs and close frames are not messages. The
/// library answers them; `recv` returns `Ok(None)` at the end, and
/// [`close_cause`](crate::WebSocket::close_cause) says why.
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
///
/// # Memory with an owner
///
/// Payloads may be memory of your own, by `Bytes::from_owner`. The owner is dropped with the last clone
/// of the message, by whichever task has it, also while the library holds a lock of a connection or a
/// room. So its `drop` must not use a socket or a room, nor wait for a lock that is held elsewhere
/// while something is sent. To notify a task is fine.
#[derive(Clone, PartialEq, Eq)]
// Exhaustive on purpose: RFC 6455, section 5.6, has these two and no third.
pub enum Message {
    /// A text message: valid UTF-8 (RFC 6455, section 5.6).
    Text(Text),
    /// A binary message: any bytes.
    Binary(Binary),
}

/// The kind of a message: text or binary (RFC 6455, section 5.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
// Exhaustive on purpose, as `Message` is.
pub enum Kind {
    /// A text message: UTF-8.
    Text,
    /// A binary message: any bytes.
    Binary,
}

impl Message {
    /// Makes a text message.
    ///
    /// ```
    /// use hyper_ws::Message;
    ///
    /// assert_eq!(Message::text("hello"), Message::from("hello"));
    /// ```
    pub fn text(text: impl Into<Text>) -> Self {
        Message::Text(text.into())
    }

    /// Makes a binary message.
    ///
    /// ```
    /// use hyper_ws::Message;
    ///
    /// assert_eq!(Message::binary(b"\x01\x02"), Message::from(vec![1, 2]));
    /// ```
    pub fn binary(bytes: impl Into<Binary>) -> Self {
        Message::Binary(bytes.into())
    }

    /// Returns whether the message is text or binary.
    pub fn kind(&self) -> Kind {
        match self {
            Message::Text(_) => Kind::Text,
            Message::Binary(_) => Kind::Binary,
        }
    }

    /// Returns whether this is a text message.
    pub fn is_text(&self) -> bool {
        self.kind() == Kind::Text
    }

    /// Returns whether this is a binary message.
    pub fn is_binary(&self) -> bool {
        self.kind() == Kind::Binary
    }

    /// Returns the length of the payload in bytes.
    pub fn len(&self) -> usize {
        self.as_bytes().len()
    }

    /// Returns whether the payload is empty. An empty message is sent like any other.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the payload as bytes, for text and binary alike.
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Message::Text(text) => text.as_bytes(),
            Message::Binary(binary) => binary,
        }
    }

    /// Returns the payload as bytes, for text and binary alike. Up to 23 bytes are
    /// copied, a longer payload is not.
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

    /// Returns the payload of a text message; `None` for a binary one.
    ///
    /// This checks again that the bytes are UTF-8: see [`Text`].
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Message::Text(text) => Some(text),
            Message::Binary(_) => None,
        }
    }

    /// Returns the payload of a text message, without a copy; `None` for a binary
    /// one, which is dropped. To keep a binary message, match on it instead.
    ///
    /// ```
    /// use hyper_ws::Message;
    ///
    /// let text: Option<String> = Message::from("hello").into_text().map(String::from);
    /// assert_eq!(text.as_deref(), Some("hello"));
    /// assert_eq!(Message::binary(b"hello").into_text(), None);
    /// ```
    pub fn into_text(self) -> Option<Text> {
        match self {
            Message::Text(text) => Some(text),
            Message::Binary(_) => None,
        }
    }
}

/// Shows the first 64 bytes of a long message, and its length.
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

impl From<&String> for Message {
    fn from(text: &String) -> Self {
        Message::Text(text.into())
    }
}

impl From<Cow<'_, str>> for Message {
    fn from(text: Cow<'_, str>) -> Self {
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

/// For literals: `Message::from(b"..")`.
impl<const N: usize> From<&[u8; N]> for Message {
    fn from(bytes: &[u8; N]) -> Self {
        Message::Binary(bytes.into())
    }
}

/// The payload, of either kind.
impl From<Message> for Bytes {
    fn from(message: Message) -> Self {
        message.into_bytes()
    }
}

/// The payload, of either kind. It is copied if it is stored inline (up to 23 bytes) or
/// shared.
impl From<Message> for Vec<u8> {
    fn from(message: Message) -> Self {
        message.into_bytes().into()
    }
}
