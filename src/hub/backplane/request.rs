//! What the hub asks of an engine. Each request carries the address of its answer.

use std::sync::Arc;

use bytes::Bytes;

use super::budget::Permit;
use super::error::{EngineError, EnterError, PublishError};
use super::log::{Entry, Past, ReadFrom};
use super::published::Published;
use super::reply::Reply;
use crate::hub::history::History;

/// A message to append; see [`Backplane::publish`](crate::hub::backplane::Backplane::publish). Dropping it says that the outcome is
/// unknown.
#[derive(Debug)]
pub struct Publish {
    pub(in crate::hub) room: Arc<str>,
    pub(in crate::hub) envelope: Bytes,
    pub(in crate::hub) history: History,
    pub(in crate::hub) once: Option<Box<str>>,
    pub(in crate::hub) permit: Option<Permit>,
    pub(in crate::hub) reply: Reply<Result<Published, PublishError>>,
}

impl Publish {
    /// Returns the name of the room.
    pub fn room(&self) -> &Arc<str> {
        &self.room
    }

    /// Returns the message as it is to be passed on: bytes, opaque to the engine.
    pub fn envelope(&self) -> &Bytes {
        &self.envelope
    }

    /// Returns how much of the room is to be kept.
    pub fn history(&self) -> &History {
        &self.history
    }

    /// Returns a key that stands for this message. If a message with the same key was appended
    /// to the room within the last five minutes, this one is not, and the position is that of
    /// the other.
    pub fn once(&self) -> Option<&str> {
        self.once.as_deref()
    }

    /// Answers the request: where the message stands, or why it was not appended.
    pub fn done(mut self, outcome: Result<Published, PublishError>) {
        drop(self.permit.take());
        self.reply.send(outcome);
    }
}

/// A message to pass on; see [`Backplane::relay`](crate::hub::backplane::Backplane::relay).
#[derive(Debug)]
pub struct Relay {
    pub(in crate::hub) room: Arc<str>,
    pub(in crate::hub) envelope: Bytes,
    /// Held until the message has left.
    pub(in crate::hub) _permit: Permit,
}

impl Relay {
    /// Returns the name of the room.
    pub fn room(&self) -> &Arc<str> {
        &self.room
    }

    /// Returns the message as it is to be passed on: bytes, opaque to the engine.
    pub fn envelope(&self) -> &Bytes {
        &self.envelope
    }
}

/// A question to the log of a room; see [`Backplane::read`](crate::hub::backplane::Backplane::read). Dropping it is an answer too:
/// the question is asked again later.
#[derive(Debug)]
pub struct Read {
    pub(in crate::hub) room: Arc<str>,
    pub(in crate::hub) from: ReadFrom,
    pub(in crate::hub) reply: Reply<Result<Past, EngineError>>,
}

impl Read {
    /// Returns the name of the room.
    pub fn room(&self) -> &Arc<str> {
        &self.room
    }

    /// Returns which part of the log is asked for.
    pub fn from(&self) -> ReadFrom {
        self.from
    }

    /// Answers the question.
    pub fn done(mut self, outcome: Result<Past, EngineError>) {
        self.reply.send(outcome);
    }
}

/// A key to enter; see [`Roster::enter`](crate::hub::backplane::Roster::enter).
#[derive(Debug)]
pub struct Enter {
    pub(in crate::hub) room: Arc<str>,
    pub(in crate::hub) key: Box<str>,
    pub(in crate::hub) info: Bytes,
    pub(in crate::hub) seat: u64,
    pub(in crate::hub) takes_over: bool,
    pub(in crate::hub) reply: Reply<Result<(), EnterError>>,
}

impl Enter {
    /// Returns the name of the room.
    pub fn room(&self) -> &Arc<str> {
        &self.room
    }

    /// Returns the key, which is unique in the room.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Returns what the program says about the person.
    pub fn info(&self) -> &Bytes {
        &self.info
    }

    /// Returns the seat: a number that this server has not used before. An entry belongs to a
    /// server and a seat, and entering it again for the same seat is a success.
    pub fn seat(&self) -> u64 {
        self.seat
    }

    /// Returns whether the key is to be entered even if it is taken: the entry then belongs to
    /// this seat.
    pub fn takes_over(&self) -> bool {
        self.takes_over
    }

    /// Answers the request.
    pub fn done(mut self, outcome: Result<(), EnterError>) {
        self.reply.send(outcome);
    }
}

/// The question who is present in a room; see [`Roster::people`](crate::hub::backplane::Roster::people).
#[derive(Debug)]
pub struct ReadPeople {
    pub(in crate::hub) room: Arc<str>,
    pub(in crate::hub) reply: Reply<Result<Vec<Entry>, EngineError>>,
}

impl ReadPeople {
    /// Returns the name of the room.
    pub fn room(&self) -> &Arc<str> {
        &self.room
    }

    /// Answers the question. As with a [`Read`], all changes that the answer contains have been
    /// given to [`Inbound::presence`](crate::hub::backplane::Inbound::presence) before.
    pub fn done(mut self, outcome: Result<Vec<Entry>, EngineError>) {
        self.reply.send(outcome);
    }
}
