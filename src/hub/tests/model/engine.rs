//! The engine of the model: a master and a replica, each with the log of the room, and the
//! true history of every message, which no server sees.

use bytes::Bytes;

use crate::hub::backplane::{Arrival, Past, ReadFrom};
use crate::hub::position::Position;
use crate::testing::engine::{Append, Log};

/// A message, or the beginning of a log, as it truly is: it has one predecessor, whatever the
/// positions say.
pub(super) type Truth = usize;

/// What stands where, in truth.
#[derive(Debug, Default)]
pub(super) struct History {
    places: Vec<Place>,
}

#[derive(Debug)]
struct Place {
    before: Option<Truth>,
    /// The server and the number of the publish.
    message: Option<(u64, u64)>,
    depth: usize,
}

impl History {
    fn begin(&mut self) -> Truth {
        self.places.push(Place {
            before: None,
            message: None,
            depth: 0,
        });
        self.places.len() - 1
    }

    fn append(&mut self, before: Truth, message: (u64, u64)) -> Truth {
        self.places.push(Place {
            before: Some(before),
            message: Some(message),
            depth: self.places[before].depth + 1,
        });
        self.places.len() - 1
    }

    pub(super) fn before(&self, place: Truth) -> Option<Truth> {
        self.places[place].before
    }

    pub(super) fn message(&self, place: Truth) -> Option<(u64, u64)> {
        self.places[place].message
    }

    /// The number of messages from `from` to `to`; `None` if `to` does not come after it.
    pub(super) fn distance(&self, from: Truth, to: Truth) -> Option<usize> {
        let count = self.places[to].depth.checked_sub(self.places[from].depth)?;
        let mut place = to;
        for _ in 0..count {
            place = self.before(place)?;
        }
        (place == from).then_some(count)
    }
}

pub(super) fn envelope(place: Truth) -> Bytes {
    Bytes::copy_from_slice(&place.to_ne_bytes())
}

pub(super) fn truth(envelope: &Bytes) -> Truth {
    Truth::from_ne_bytes(envelope[..].try_into().expect("made by `envelope`"))
}

/// A server of the engine.
#[derive(Clone, Debug, Default)]
pub(super) struct Node {
    log: Option<(Log, Truth)>,
}

/// An answer, and what it stands for in truth.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub(super) past: Past,
    pub(super) end: Truth,
    /// The number of messages that the log held.
    pub(super) kept: usize,
}

/// Gives each message a tag.
#[derive(Debug)]
pub(super) struct Tags {
    next: u64,
    /// Positions are numbers alone.
    pub(super) are_equal: bool,
}

impl Tags {
    pub(super) fn new(are_equal: bool) -> Self {
        Tags { next: 0, are_equal }
    }

    pub(super) fn next(&mut self) -> u64 {
        self.next += 1;
        if self.are_equal { 0 } else { self.next }
    }
}

impl Node {
    fn log(&mut self, history: &mut History, tags: &mut Tags) -> &mut (Log, Truth) {
        self.log
            .get_or_insert_with(|| (Log::new(tags.next()), history.begin()))
    }

    /// Appends a message, and returns it; `None` if it is a repeat.
    pub(super) fn append(
        &mut self,
        (server, publish): (u64, u64),
        tag: u64,
        keep: usize,
        history: &mut History,
        tags: &mut Tags,
    ) -> Option<Arrival> {
        let (log, end) = self.log(history, tags);
        let place = history.append(*end, (server, publish));
        let arrival = log.append(Append {
            server,
            publish,
            tag,
            envelope: envelope(place),
        })?;
        log.trim(keep, usize::MAX);
        *end = place;
        Some(arrival)
    }

    pub(super) fn find(&self, tags: &[u64]) -> Option<Position> {
        self.log.as_ref()?.0.find(tags)
    }

    /// The message before a position, in truth.
    pub(super) fn truth_at(&self, position: Position) -> Option<Truth> {
        let Past::Messages { messages, .. } = self.log.as_ref()?.0.read(ReadFrom::Start) else {
            return None;
        };
        let mut messages = messages.iter();
        let found = messages.find(|message| message.position == position)?;
        Some(truth(&found.envelope))
    }

    pub(super) fn read(
        &mut self,
        from: ReadFrom,
        history: &mut History,
        tags: &mut Tags,
    ) -> Answer {
        let (log, end) = self.log(history, tags);
        Answer {
            past: log.read(from),
            end: *end,
            kept: log.len(),
        }
    }

    pub(super) fn end(&self) -> Option<Truth> {
        self.log.as_ref().map(|(_, end)| *end)
    }

    pub(super) fn kept(&self) -> usize {
        self.log.as_ref().map_or(0, |(log, _)| log.len())
    }

    pub(super) fn trim(&mut self, messages: usize) {
        if let Some((log, _)) = &mut self.log {
            log.trim(messages, usize::MAX);
        }
    }

    pub(super) fn flush(&mut self) {
        self.log = None;
    }
}
