//! The log of a room, as this server keeps it. A plain structure behind the room's lock.

use std::collections::{HashMap, VecDeque};
use std::sync::Weak;
use std::time::Duration;

use tokio::time::Instant;

use super::follow::Follower;
use super::position::Position;
use super::ring::{Entry, Ring};
use crate::protocol::Prepared;
use crate::socket::shared::Shared;

/// How long a key of `publish_once` is remembered.
pub(super) const ONCE_FOR: Duration = Duration::from_secs(300);

/// The largest number of keys of a room that are remembered.
const ONCE_KEYS: usize = 1024;

/// The largest number of sockets that are remembered because they do not get a message that is on
/// its way.
const EXCEPTED: usize = 1024;

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
    aside: Option<Box<Aside>>,
}

/// What few rooms need, made when it is first needed: with an engine, the engine knows the keys.
#[derive(Default)]
struct Aside {
    once: Once,
    /// The sockets that do not get a message which is on its way through the engine, oldest first.
    excepted: VecDeque<(u64, Weak<Shared>)>,
}

impl Log {
    pub(super) fn new(ring: Ring<Prepared>, follower: Option<Follower>) -> Self {
        Log {
            ring,
            follower,
            is_whole: false,
            newest: Instant::now(),
            aside: None,
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

    /// Appends older messages before the first. `before` is the position before them.
    pub(super) fn prepend(&mut self, before: Position, older: Vec<Entry<Prepared>>) {
        // They were asked for just now: other rooms forget first.
        self.newest = Instant::now();
        self.ring.prepend(before, older);
    }

    /// Remembers under a number which socket does not get a message that is on its way. The `Weak`
    /// keeps another socket from having its address. If too many are on their way, the oldest is
    /// forgotten, and that socket gets its own message.
    pub(super) fn except(&mut self, number: u64, socket: Weak<Shared>) {
        let excepted = &mut self.aside.get_or_insert_default().excepted;
        if excepted.len() == EXCEPTED {
            excepted.pop_front();
        }
        excepted.push_back((number, socket));
    }

    /// The socket of this number. It and those before it are forgotten, since messages arrive in the
    /// order in which they were sent.
    pub(super) fn take_excepted(&mut self, number: u64) -> Option<Weak<Shared>> {
        let excepted = &mut self.aside.as_mut()?.excepted;
        let index = excepted.iter().position(|(known, _)| *known == number)?;
        let (_, socket) = excepted.drain(..=index).next_back()?;
        Some(socket)
    }

    /// Returns whether keys are remembered.
    pub(super) fn has_once(&mut self) -> bool {
        self.aside.as_mut().is_some_and(|aside| {
            aside.once.forget_old();
            !aside.once.positions.is_empty()
        })
    }

    /// Where the message with this key stands, if it was appended before.
    pub(super) fn find_once(&mut self, key: &str) -> Option<Position> {
        let once = &mut self.aside.as_mut()?.once;
        once.forget_old();
        once.positions.get(key).copied()
    }

    pub(super) fn remember_once(&mut self, key: &str, position: Position) {
        let once = &mut self.aside.get_or_insert_default().once;
        once.remember(key.into(), position);
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
