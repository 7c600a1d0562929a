//! The log of a room, as this server keeps it. A plain structure behind the room's lock.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use tokio::time::Instant;

use super::follow::Follower;
use super::position::Position;
use super::ring::{Entry, Ring};
use crate::protocol::Prepared;

/// How long a key of `publish_once` is remembered.
const ONCE_FOR: Duration = Duration::from_secs(300);

/// The largest number of keys of a room that are remembered.
const ONCE_KEYS: usize = 1024;

/// What a message of a ring takes beside its bytes, roughly: two allocations with their heads, the
/// frame's header, its place in the ring.
const OVERHEAD: usize = 256;

pub(super) struct Log {
    pub(super) ring: Ring<Prepared>,
    /// With an engine.
    pub(super) follower: Option<Follower>,
    /// Whether the ring holds all that the engine keeps, so that it need not be asked for older
    /// messages.
    pub(super) is_whole: bool,
    /// When the newest message came.
    newest: Instant,
    once: Once,
}

impl Log {
    pub(super) fn new(ring: Ring<Prepared>, follower: Option<Follower>) -> Self {
        Log {
            ring,
            follower,
            is_whole: false,
            newest: Instant::now(),
            once: Once::default(),
        }
    }

    /// When the newest message came.
    pub(super) fn newest(&self) -> Instant {
        self.newest
    }

    /// Appends a message.
    pub(super) fn push(&mut self, position: Position, message: Prepared, bytes: usize) {
        self.newest = Instant::now();
        self.ring.push(Entry {
            position,
            message,
            bytes,
        });
    }

    /// Forgets messages that are too old.
    pub(super) fn expire(&mut self, age: Duration) {
        // What the engine keeps, the engine forgets.
        if self.follower.is_none() && self.newest.elapsed() > age {
            self.forget();
        }
    }

    /// Forgets all messages; the position stays.
    pub(super) fn forget(&mut self) {
        self.ring.clear();
        self.is_whole = false;
    }

    /// The memory of the messages. Payload and frame are two copies, as a rule.
    pub(super) fn memory(&self) -> usize {
        2 * self.ring.bytes() + self.ring.len() * OVERHEAD
    }

    /// Where the message with this key stands, if it was appended before.
    pub(super) fn find_once(&mut self, key: &str) -> Option<Position> {
        self.once.forget_old();
        self.once.positions.get(key).copied()
    }

    pub(super) fn remember_once(&mut self, key: &str, position: Position) {
        self.once.remember(key.into(), position);
    }
}

/// The keys of messages that are appended once.
#[derive(Default)]
struct Once {
    positions: HashMap<Box<str>, Position>,
    order: VecDeque<(Instant, Box<str>)>,
}

impl Once {
    fn forget_old(&mut self) {
        while let Some((when, key)) = self.order.front()
            && (when.elapsed() > ONCE_FOR || self.order.len() > ONCE_KEYS)
        {
            self.positions.remove(key);
            self.order.pop_front();
        }
    }

    fn remember(&mut self, key: Box<str>, position: Position) {
        self.order.push_back((Instant::now(), key.clone()));
        self.positions.insert(key, position);
        self.forget_old();
    }
}
