//! Why an engine did not do what was asked of it.

use std::borrow::Cow;
use std::fmt;

/// Why an engine is down at first. That is not logged, and the first other reason is.
pub(in crate::hub) const NOT_CONNECTED: &str = "not connected yet";

/// Why an engine could not do what was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EngineError(Cow<'static, str>);

impl EngineError {
    /// Makes an error of a text: what is wrong first, then a hint.
    pub fn new(reason: impl Into<Cow<'static, str>>) -> Self {
        EngineError(reason.into())
    }
}

impl fmt::Display for EngineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for EngineError {}

/// Why a message was not published.
///
/// The text may contain what the engine says, such as the address of a host: it is for logs, not for
/// clients.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PublishError {
    /// More bytes wait for the engine than [`Hub::outgoing_limit`](crate::hub::Hub::outgoing_limit)
    /// allows. The message is not in the log.
    Full,
    /// The key of [`Room::publish_once`](crate::hub::Room::publish_once) has more than 256 bytes. The
    /// message is not in the log.
    TooLarge,
    /// The engine cannot be reached, or refuses. The message is not in the log.
    Unavailable(EngineError),
    /// The engine did not answer in time, or the hub was closed. The message may be in the log.
    Unknown(EngineError),
    /// The hub has no history, so there is no log. Use [`Room::send`](crate::hub::Room::send).
    NoHistory,
}

impl fmt::Display for PublishError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PublishError::TooLarge => {
                f.write_str("the key is too large (expected at most 256 bytes)")
            }
            PublishError::Full => f.write_str("too many bytes wait for the engine"),
            PublishError::Unavailable(reason) => write!(f, "the engine is unavailable: {reason}"),
            PublishError::Unknown(reason) => {
                write!(
                    f,
                    "it is not known whether the message was published: {reason}"
                )
            }
            PublishError::NoHistory => {
                f.write_str("the hub has no history (set one with `Hub::history`)")
            }
        }
    }
}

impl std::error::Error for PublishError {}

/// Why a key did not enter a room.
///
/// The text may contain what the engine says, such as the address of a host: it is for logs, not for
/// clients.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EnterError {
    /// The key is in the room already.
    Taken,
    /// The key has more than 256 bytes, or the info more than 1,024.
    TooLarge,
    /// The socket is closed or closing.
    Closed,
    /// The engine cannot be reached, refuses, or keeps no roster.
    Unavailable(EngineError),
}

impl fmt::Display for EnterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            EnterError::Taken => f.write_str("the key is taken"),
            EnterError::TooLarge => f.write_str(
                "the key or the info is too large (expected at most 256 and 1,024 bytes)",
            ),
            EnterError::Closed => f.write_str("the WebSocket is closed"),
            EnterError::Unavailable(reason) => write!(f, "the engine is unavailable: {reason}"),
        }
    }
}

impl std::error::Error for EnterError {}
