//! Rooms: one message to many sockets.
//!
//! A message is encoded once, whatever the size of the room, and everything a
//! socket gets between two turns of its task leaves in one write. Sending waits
//! for nobody: what happens to a member that does not read as fast as the room
//! talks is a [policy](Hub::overflow), to close it with 1013 unless you say
//! otherwise.
//!
//! ```
//! use hyper_ws::{WebSocket, hub::Hub};
//!
//! async fn chat(mut socket: WebSocket, hub: Hub) -> Result<(), hyper_ws::Error> {
//!     let room = hub.room("lobby");
//!     room.join(&socket);
//!     while let Some(message) = socket.recv().await? {
//!         room.send(message);
//!     }
//!     Ok(())
//! }
//! ```
//!
//! Every member gets the messages of a room in the same order. Delivery is at
//! most once: a socket that is closed gets nothing more.

mod room;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

pub use room::{Room, Sent};

use crate::config::Overflow;
use room::Members;

/// Rooms by name. Clones are handles to the same rooms.
///
/// A room is there as long as somebody holds it or is in it.
#[derive(Clone)]
pub struct Hub {
    rooms: Arc<Rooms>,
    overflow: Overflow,
}

/// Room names to rooms. The rooms own themselves (through their members and
/// handles), so that an empty one vanishes.
#[derive(Default)]
struct Rooms(Mutex<HashMap<Arc<str>, Weak<Members>>>);

impl Rooms {
    fn lock(&self) -> MutexGuard<'_, HashMap<Arc<str>, Weak<Members>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
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

/// Gives back what a crowd took, once three quarters of it have gone: memory, and
/// the time of going through a table that is nearly empty. (Half of what is left
/// is free then, so a table is not moved again soon.)
fn shrink<K: Eq + Hash, V>(table: &mut HashMap<K, V>) {
    let kept = table.capacity() / 4;
    if table.len() < kept && kept > FEW {
        table.shrink_to(2 * kept);
    }
}

/// A table for a few times as many is not worth the moving.
const FEW: usize = 16;
