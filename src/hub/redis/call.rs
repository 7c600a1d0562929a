//! Requests as they wait, and the calls that they become.

use std::sync::Arc;

use tokio::time::Instant;

use crate::hub::backplane::{
    EngineError, Enter, Publish, PublishError, Read, ReadPeople, Relay, Stopped,
};
use crate::hub::history::History;
use crate::hub::position::Position;

/// What the hub asks for, beside messages to publish and logs to read.
#[derive(Debug)]
pub(super) enum Request {
    Relay(Relay),
    Enter(Enter),
    Leave {
        room: Arc<str>,
        key: Box<str>,
        seat: u64,
    },
    People(ReadPeople),
}

/// What the publisher is asked to do.
#[derive(Debug)]
pub(super) enum Order {
    Publish(Publish),
    Read(Read),
    Other(Request),
    Stop(Stopped),
}

/// A request that waits.
#[derive(Debug)]
pub(super) struct Pending<T> {
    pub(super) request: T,
    pub(super) deadline: Instant,
    /// It was sent before, and whether Redis has carried it out is not known.
    pub(super) is_unknown: bool,
}

impl<T> Pending<T> {
    pub(super) fn new(request: T, deadline: Instant) -> Self {
        Pending {
            request,
            deadline,
            is_unknown: false,
        }
    }
}

/// A message that waits.
#[derive(Debug)]
pub(super) struct PendingPublish {
    pub(super) request: Publish,
    pub(super) seq: u64,
    pub(super) deadline: Instant,
    /// An attempt was sent, and whether Redis has carried it out is not known.
    pub(super) is_unknown: bool,
    /// Why Redis has refused it.
    pub(super) reason: Option<EngineError>,
    /// The tags of all attempts. Each has its own: a log that has lost the message of one
    /// attempt must not agree with one that has that of another.
    pub(super) tags: Vec<u64>,
}

impl PendingPublish {
    pub(super) fn new(request: Publish, seq: u64, deadline: Instant) -> Self {
        PendingPublish {
            request,
            seq,
            deadline,
            is_unknown: false,
            reason: None,
            tags: vec![],
        }
    }

    /// The tag of the present attempt.
    pub(super) fn tag(&self) -> u64 {
        self.tags.last().copied().unwrap_or_default()
    }

    pub(super) fn give_up(self, reason: &EngineError) {
        let reason = self.reason.unwrap_or_else(|| reason.clone());
        let error = if self.is_unknown {
            PublishError::Unknown(reason)
        } else {
            PublishError::Unavailable(reason)
        };
        self.request.done(Err(error));
    }
}

/// One command of a batch.
#[derive(Debug)]
pub(super) enum Call {
    Publish(PublishCall),
    /// Reads the log for messages that are in it already.
    Find(Arc<str>, Vec<PendingPublish>),
    /// Reads the logs of many rooms.
    Read(Vec<Pending<Read>>),
    Other(Pending<Request>),
    Probe(Probe),
    Beat(Beat),
    /// Reads in which rooms this server has entries.
    Rooms,
}

/// The messages of one room.
#[derive(Debug)]
pub(super) struct PublishCall {
    pub(super) room: Arc<str>,
    pub(super) messages: Vec<PendingPublish>,
    pub(super) history: History,
}

impl PublishCall {
    /// Returns `None` if there is no message.
    pub(super) fn new(room: Arc<str>, messages: Vec<PendingPublish>) -> Option<Self> {
        let history = *messages.last()?.request.history();
        Some(PublishCall {
            room,
            messages,
            history,
        })
    }
}

/// A message that the publisher sends and the line must hear.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Probe {
    pub(super) number: u64,
    /// The connection that must hear it; `None` if there was none.
    pub(super) line: Option<u64>,
}

/// The renewal of the lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Beat {
    pub(super) number: u64,
    /// The last loss of the lease that is known here.
    pub(super) known_loss: u64,
    /// The server takes its people out of all rooms.
    pub(super) stops: bool,
}

/// What became of a message in a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Appended {
    Now,
    /// An earlier attempt had appended it.
    Before,
    /// A message with the same key was appended before.
    Said(Position),
}
