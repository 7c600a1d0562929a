//! The handle on all rooms.

use std::fmt;
use std::sync::{Arc, Weak};

use super::registry::{Members, Rooms};
use super::room::Room;
use crate::config::Overflow;

/// Rooms by name. Clones are handles to the same rooms.
///
/// A room is there as long as somebody holds it or is in it.
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
    /// A hub without rooms.
    pub fn new() -> Self {
        Hub {
            rooms: Arc::default(),
            overflow: Overflow::Close,
        }
    }

    /// What happens to a message for a member whose output queue is full:
    /// [`Close`](Overflow::Close) unless set. A room cannot
    /// [`Wait`](Overflow::Wait) for one member; that is taken for `Close`.
    pub fn overflow(mut self, overflow: Overflow) -> Self {
        self.overflow = overflow;
        self
    }

    /// The room of that name. It is made if there is none.
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

    /// How many rooms there are.
    pub fn len(&self) -> usize {
        self.rooms
            .lock()
            .values()
            .filter(|it| it.strong_count() > 0)
            .count()
    }

    /// Whether there is no room.
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
