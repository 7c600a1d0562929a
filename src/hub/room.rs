//! The public handle on one room: its members, and sending to them.

use std::fmt;
use std::sync::Arc;

use super::registry::{MemberId, Members};
use crate::WebSocket;
use crate::config::Overflow;
use crate::protocol::Prepared;
use crate::socket::shared::{Item, Observer, Pushed};

/// A handle to a room, from [`Hub::room`](super::Hub::room). Clones are handles to the
/// same room.
#[derive(Clone)]
pub struct Room {
    members: Arc<Members>,
    overflow: Overflow,
}

/// The outcome of sending a message to a room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Sent {
    /// The number of members that the message is queued for.
    pub queued: usize,
    /// The number of members that do not get the message, because their output queue is
    /// full or their connection is closing. With the policy [`Close`](Overflow::Close), a
    /// full queue has closed the connection.
    pub missed: usize,
}

impl Room {
    pub(super) fn new(members: Arc<Members>, overflow: Overflow) -> Self {
        Room { members, overflow }
    }

    /// Returns the name of the room.
    pub fn name(&self) -> &str {
        &self.members.name
    }

    /// Makes a socket a member: it gets every message that is sent to the room from now
    /// on.
    ///
    /// Membership ends with the connection, or with [`leave`](Self::leave). Joining
    /// again has no effect.
    pub fn join(&self, socket: &WebSocket) {
        let socket = socket.shared();
        let known = self
            .members
            .lock()
            .insert(MemberId::of(socket), socket.clone());
        // A connection that has begun to end does not accept observers, and would
        // never be taken out.
        if known.is_none() && !socket.observe(self.members.clone()) {
            self.members.remove(socket);
        }
    }

    /// Ends the membership of a socket. It has no effect on a socket that is not a member.
    pub fn leave(&self, socket: &WebSocket) {
        let socket = socket.shared();
        let observer: Arc<dyn Observer> = self.members.clone();
        socket.stop_observing(&observer);
        self.members.remove(socket);
    }

    /// Queues a message for every member, and returns at once.
    ///
    /// The messages of one task arrive in the order of its calls. All members get the
    /// messages of all tasks in the same order.
    pub fn send(&self, message: impl Into<Prepared>) -> Sent {
        self.send_except(message, None)
    }

    /// Queues a message for every member except `socket`.
    pub fn send_to_others(&self, socket: &WebSocket, message: impl Into<Prepared>) -> Sent {
        self.send_except(message, Some(MemberId::of(socket.shared())))
    }

    fn send_except(&self, message: impl Into<Prepared>, except: Option<MemberId>) -> Sent {
        let message = message.into();
        let mut sent = Sent::default();
        // The lock is held until all members have the message queued: without that,
        // two messages of two tasks could reach two members in different orders.
        // Nothing here waits.
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

    /// Returns the number of members.
    pub fn len(&self) -> usize {
        self.members.lock().len()
    }

    /// Returns whether the room has no members.
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
