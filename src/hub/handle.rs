//! The public handle on all rooms.

use std::fmt;
use std::sync::{Arc, Weak};

use super::registry::{Members, Rooms};
use super::room::Room;
use crate::config::Overflow;

/// A set of rooms with names. Clones are handles to the same rooms.
///
/// A room exists as long as it has a member or there is a [`Room`] handle to it.
#[derive(Clone)]
pub struct Hub {
    rooms: Arc<Rooms>,
    overflow: Overflow,
}

impl Default for Hub {
    fn default() -> Self {
        Self::new()
    }
}

impl Hub {
    /// Creates a hub without rooms.
    pub fn new() -> Self {
        Hub {
            rooms: Arc::default(),
            overflow: Overflow::Close,
        }
    }

    /// Sets what happens to a message for a member whose output queue is full.
    ///
    /// The default is [`Close`](Overflow::Close). A room does not wait for a member, so
    /// [`Wait`](Overflow::Wait) is treated as `Close`. The policy holds for the
    /// [`Room`] handles that this `Hub` handle returns from now on. Earlier ones keep theirs.
    pub fn overflow(mut self, overflow: Overflow) -> Self {
        self.overflow = overflow;
        self
    }

    /// Returns the room of this name, and creates it if it does not exist.
    pub fn room(&self, name: &str) -> Room {
        let mut rooms = self.rooms.lock();
        let members = match rooms.get(name).and_then(Weak::upgrade) {
            Some(members) => members,
            None => {
                let name: Arc<str> = name.into();
                let members = Members::new(name.clone(), Arc::downgrade(&self.rooms));
                rooms.insert(name, Arc::downgrade(&members));
                members
            }
        };
        Room::new(members, self.overflow)
    }

    /// Returns the number of rooms.
    pub fn len(&self) -> usize {
        self.rooms
            .lock()
            .values()
            .filter(|room| room.strong_count() > 0)
            .count()
    }

    /// Returns whether there are no rooms.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl fmt::Debug for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hub")
            .field("rooms", &self.len())
            .finish_non_exhaustive()
    }
}
