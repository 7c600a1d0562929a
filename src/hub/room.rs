//! One room: how a message gets to its members.

use std::fmt;
use std::sync::Arc;

use super::registry::{MemberId, Members};
use crate::WebSocket;
use crate::config::Overflow;
use crate::protocol::Prepared;
use crate::socket::{Item, Pushed, Watcher};

/// A room. Clones are handles to the same room.
#[derive(Clone)]
pub struct Room {
    members: Arc<Members>,
    overflow: Overflow,
}

/// What became of a message to a room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Sent {
    /// Members for whom it is queued.
    pub queued: usize,
    /// Members that do not get it: they read too slowly (by the policy
    /// [`Close`](Overflow::Close) they were closed for that), or are ending.
    pub missed: usize,
}

impl Room {
    pub(super) fn new(members: Arc<Members>, overflow: Overflow) -> Self {
        Room { members, overflow }
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.members.name
    }

    /// Lets a socket into the room; it gets everything that is sent to the room
    /// from now on. Membership ends with the connection, or with
    /// [`leave`](Self::leave). Joining twice changes nothing.
    pub fn join(&self, socket: &WebSocket) {
        let socket = socket.shared();
        let known = self
            .members
            .lock()
            .insert(MemberId::of(socket), socket.clone());
        // A connection that is ending will not tell again.
        if known.is_none() && !socket.watch(self.members.clone()) {
            self.members.remove(socket);
        }
    }

    /// Takes a socket out of the room.
    pub fn leave(&self, socket: &WebSocket) {
        let socket = socket.shared();
        let watcher: Arc<dyn Watcher> = self.members.clone();
        socket.unwatch(&watcher);
        self.members.remove(socket);
    }

    /// Queues a message for every member, and waits for none of them.
    ///
    /// Messages of one task arrive everywhere in the order of its calls; all
    /// members get the messages of all tasks in the same order.
    pub fn send(&self, message: impl Into<Prepared>) -> Sent {
        self.send_except(message, None)
    }

    /// Queues a message for every member but `socket`.
    pub fn send_to_others(&self, socket: &WebSocket, message: impl Into<Prepared>) -> Sent {
        self.send_except(message, Some(MemberId::of(socket.shared())))
    }

    fn send_except(&self, message: impl Into<Prepared>, except: Option<MemberId>) -> Sent {
        let message = message.into();
        let mut sent = Sent::default();
        // The lock is held for the whole round: that is what gives all members
        // the same order. Nothing in it waits.
        for (id, member) in self.members.lock().iter() {
            if Some(*id) == except {
                continue;
            }
            match member.deliver(Item::Prepared(&message), self.overflow) {
                Pushed::Queued => sent.queued += 1,
                Pushed::Dropped | Pushed::Full | Pushed::Closed => sent.missed += 1,
            }
        }
        sent
    }

    /// How many sockets are in the room.
    pub fn len(&self) -> usize {
        self.members.lock().len()
    }

    /// Whether nobody is in the room.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl fmt::Debug for Room {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Room")
            .field("name", &self.name())
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}
