//! The log of one room, as an engine keeps it. A plain structure: it knows no lock, no task
//! and no clock.

use std::collections::{HashMap, VecDeque};

use bytes::Bytes;

use crate::hub::Position;
use crate::hub::backplane::{Arrival, Past, ReadFrom};

/// The newest messages of a room, and what tells a repeated publish from a new one.
#[derive(Clone, Debug)]
pub(crate) struct Log {
    end: Position,
    /// The messages that are kept. Each follows the one before, and the last stands at `end`.
    messages: VecDeque<Arrival>,
    bytes: usize,
    /// The last publish of each server that is in the log.
    published: HashMap<u64, u64>,
}

/// A message to append.
#[derive(Clone, Debug)]
pub(crate) struct Append {
    /// The server that publishes.
    pub(crate) server: u64,
    /// The number of the publish. It rises with each message of the server, and a publish that is
    /// repeated has the same.
    pub(crate) publish: u64,
    /// The tag of the message, new at each attempt.
    pub(crate) tag: u64,
    pub(crate) envelope: Bytes,
}

impl Log {
    /// Makes an empty log. Its tag is new too.
    pub(crate) fn new(tag: u64) -> Self {
        Log {
            end: Position::new(0, tag),
            messages: VecDeque::new(),
            bytes: 0,
            published: HashMap::new(),
        }
    }

    /// The number of messages that are kept.
    pub(crate) fn len(&self) -> usize {
        self.messages.len()
    }

    /// Appends a message, and returns it with its position; `None` if it was appended before.
    pub(crate) fn append(&mut self, append: Append) -> Option<Arrival> {
        let last = self.published.get(&append.server);
        if last.is_some_and(|last| append.publish <= *last) {
            return None;
        }
        self.published.insert(append.server, append.publish);
        let arrival = Arrival {
            previous: self.end,
            position: Position::new(self.end.number() + 1, append.tag),
            envelope: append.envelope,
        };
        self.end = arrival.position;
        self.bytes += arrival.envelope.len();
        self.messages.push_back(arrival.clone());
        Some(arrival)
    }

    /// Drops the oldest messages until no more than so many are left, of no more than so many
    /// bytes. A single message may have more.
    pub(crate) fn trim(&mut self, messages: usize, bytes: usize) {
        while self.len() > messages || (self.bytes > bytes && self.len() > 1) {
            let Some(oldest) = self.messages.pop_front() else {
                return;
            };
            self.bytes -= oldest.envelope.len();
        }
    }

    /// The position of a message, by the tags that its publisher gave it at its attempts; `None` if
    /// it is not kept.
    pub(crate) fn find(&self, tags: &[u64]) -> Option<Position> {
        let mut positions = self.messages.iter().map(|message| message.position);
        positions.find(|position| tags.contains(&position.tag()))
    }

    pub(crate) fn read(&self, from: ReadFrom) -> Past {
        let count = match from {
            ReadFrom::End => Some(0),
            ReadFrom::Start => Some(self.messages.len()),
            ReadFrom::After(position) => self.count_after(position),
        };
        match count {
            Some(count) => Past::Messages {
                end: self.end,
                messages: self
                    .messages
                    .range(self.messages.len() - count..)
                    .cloned()
                    .collect(),
            },
            None => Past::DoesNotFollow { end: self.end },
        }
    }

    /// The number of messages after a position; `None` if it is not in the log, or not all of them
    /// are kept.
    fn count_after(&self, position: Position) -> Option<usize> {
        let count = self.end.number().checked_sub(position.number())?;
        let count = usize::try_from(count).ok()?;
        if count == 0 {
            return (position == self.end).then_some(0);
        }
        let first = self.messages.len().checked_sub(count)?;
        (self.messages[first].previous == position).then_some(count)
    }
}
