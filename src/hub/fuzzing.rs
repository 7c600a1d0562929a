//! Parts of rooms, for the fuzz targets (`src/fuzzing.rs`).

use bytes::Bytes;

use super::envelope::{self, Origin};
use super::position::Position;
use super::ring::{self, Entry, Limits};
use crate::protocol::Prepared;

pub use super::tests::model::fuzz as model;

/// Puts a message into an envelope. `except`: the server and the socket that does not get it.
pub fn seal(message: &Prepared, except: Option<(u64, u64)>) -> Bytes {
    let except = except.map(|(server, socket)| Origin { server, socket });
    envelope::seal(message, except)
}

/// Takes a message out of its envelope.
pub fn open(envelope: Bytes) -> Result<(Prepared, Option<(u64, u64)>), &'static str> {
    let opened = envelope::open(envelope).map_err(|unreadable| unreadable.reason())?;
    let except = opened.except.map(|origin| (origin.server, origin.socket));
    Ok((opened.message, except))
}

/// The ring of a room, whose messages are numbers.
pub struct Ring(ring::Ring<u64>);

/// A message for a ring: its position, its number and its size.
pub type RingEntry = (Position, u64, usize);

impl Ring {
    /// Makes an empty ring at a position.
    pub fn new(at: Position, messages: usize, bytes: usize) -> Self {
        Ring(ring::Ring::new(at, Limits { messages, bytes }))
    }

    /// Appends the message that follows the last.
    pub fn push(&mut self, message: RingEntry) {
        self.0.push(entry(message));
    }

    /// Puts older messages before the first; `before` is the position before them.
    pub fn prepend(&mut self, before: Position, older: Vec<RingEntry>) {
        self.0
            .prepend(before, older.into_iter().map(entry).collect());
    }

    /// Drops all messages.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// Drops all messages, and goes on at another position.
    pub fn reset(&mut self, at: Position) {
        self.0.reset(at);
    }

    /// Returns how many messages stand before a position.
    pub fn find(&self, position: Position) -> Option<usize> {
        self.0.find(position)
    }

    /// Returns the position before the first message, all messages, and their bytes.
    pub fn content(&self) -> (Position, Vec<RingEntry>, usize) {
        let messages: Vec<RingEntry> = self
            .0
            .from(0)
            .map(|entry| (entry.position, entry.message, entry.bytes))
            .collect();
        assert_eq!(messages.len(), self.0.len());
        let last = messages.last().map_or(self.0.start(), |last| last.0);
        assert_eq!(last, self.0.last());
        (self.0.start(), messages, self.0.bytes())
    }
}

fn entry((position, message, bytes): RingEntry) -> Entry<u64> {
    Entry {
        position,
        message,
        bytes,
    }
}
