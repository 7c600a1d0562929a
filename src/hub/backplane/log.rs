//! The logs and the rosters that an engine keeps.

use bytes::Bytes;

use crate::hub::position::Position;

/// The part of a log that is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadFrom {
    /// No message: only the position at the end.
    End,
    /// The messages after this position.
    After(Position),
    /// All messages that are kept.
    Start,
}

/// The answer to a [`Read`](crate::hub::backplane::Read).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Past {
    /// The messages that were asked for, oldest first. Each follows the one before, and the
    /// last stands at `end`.
    Messages {
        /// The position at the end of the log.
        end: Position,
        /// The messages.
        messages: Vec<Arrival>,
    },
    /// The position that was asked for is not in the log, or what followed it is not kept any
    /// more.
    DoesNotFollow {
        /// The position at the end of the log.
        end: Position,
    },
}

/// A message of the log of a room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// The position before the message: that of its predecessor.
    pub previous: Position,
    /// The position after the message. Its number is one more than that of `previous`.
    pub position: Position,
    /// The message, as [`Publish::envelope`](crate::hub::backplane::Publish::envelope) gave it.
    pub envelope: Bytes,
}

/// An entry of a roster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The key, unique in the room.
    pub key: Box<str>,
    /// What the program says about the person.
    pub info: Bytes,
    /// The seat, if the entry belongs to this server.
    pub seat: Option<u64>,
}

/// A change of who is present, as an engine passes it on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RosterChange {
    /// A key has entered.
    Entered(Entry),
    /// A key has left.
    Left(Box<str>),
}
