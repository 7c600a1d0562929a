//! What the handles share: the rooms by name, and the members of each.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use crate::shrink::shrink;
use crate::socket::shared::{Observer, Shared};

/// The rooms by name. It does not own them: the handles of a room and the connections
/// of its members do, so a room without either is dropped.
#[derive(Default)]
pub(super) struct Rooms(Mutex<HashMap<Arc<str>, Weak<Members>>>);

impl Rooms {
    pub(super) fn lock(&self) -> MutexGuard<'_, HashMap<Arc<str>, Weak<Members>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A hash table for at most four times as many entries is not worth shrinking.
const FEW: usize = 16;

/// Tells the members of a room apart: the address of what the handles of a socket
/// share. The room holds that too, so no other socket can have the address.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct MemberId(usize);

impl MemberId {
    pub(super) fn of(socket: &Arc<Shared>) -> Self {
        MemberId(Arc::as_ptr(socket) as usize)
    }
}

/// The members of a room, which its handles share.
///
/// The connection of each member holds it too, to take the member out when it ends.
pub(super) struct Members {
    pub(super) name: Arc<str>,
    rooms: Weak<Rooms>,
    sockets: Mutex<HashMap<MemberId, Arc<Shared>>>,
}

impl Members {
    pub(super) fn new(name: Arc<str>, rooms: Weak<Rooms>) -> Arc<Self> {
        Arc::new(Members {
            name,
            rooms,
            sockets: Mutex::default(),
        })
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, HashMap<MemberId, Arc<Shared>>> {
        self.sockets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn remove(&self, socket: &Arc<Shared>) {
        let mut sockets = self.lock();
        let removed = sockets.remove(&MemberId::of(socket));
        shrink(&mut sockets, FEW);
        drop(sockets);
        // Dropped without the lock: it may be the last handle on the connection.
        drop(removed);
    }
}

impl Observer for Members {
    fn closed(&self, socket: &Arc<Shared>) {
        self.remove(socket);
    }
}

impl Drop for Members {
    fn drop(&mut self) {
        if let Some(rooms) = self.rooms.upgrade() {
            let mut rooms = rooms.lock();
            // A new room may have taken the name since the last handle was dropped.
            if rooms
                .get(&self.name)
                .is_some_and(|room| room.strong_count() == 0)
            {
                rooms.remove(&self.name);
                shrink(&mut rooms, FEW);
            }
        }
    }
}
