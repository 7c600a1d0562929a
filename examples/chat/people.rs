//! Who is in which room.

use std::collections::{BTreeMap, HashMap};
use std::iter;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hyper_ws::WebSocket;
use hyper_ws::hub::{Hub, Room};

use crate::talk::{Event, json};

/// The people of all rooms. A room has an entry as long as somebody is in it.
#[derive(Clone, Default)]
pub(crate) struct People {
    /// Tells who comes and goes, without a history: who comes back gets the list.
    hub: Hub,
    rooms: Arc<Mutex<HashMap<String, Names>>>,
}

/// The names by themselves in lower case: "ann" must not be confused with "Ann".
type Names = BTreeMap<String, String>;

/// The place of one page in a room. Dropping it leaves the room, however the conversation ended.
pub(crate) struct Seat {
    people: People,
    room: Room,
    pub(crate) name: String,
}

impl People {
    /// Gives a page a name that nobody in the room has.
    pub(crate) fn enter(&self, room: &str, name: &str) -> Seat {
        let mut rooms = self.lock();
        let names = rooms.entry(room.into()).or_default();
        let name = iter::once(name.to_owned())
            .chain((2..).map(|number| format!("{name} ({number})")))
            .find(|name| !names.contains_key(&name.to_lowercase()))
            .expect("there are fewer people than numbers");
        names.insert(name.to_lowercase(), name.clone());
        let room = self.hub.room(room);
        room.send(json(&Event::Joined { name: &name }));
        Seat {
            people: self.clone(),
            room,
            name,
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Names>> {
        self.rooms.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seat {
    /// Has the page told who comes and goes.
    pub(crate) fn join(&self, socket: &WebSocket) {
        self.room.join(socket);
    }

    /// Returns everybody in the room.
    pub(crate) fn people(&self) -> Vec<String> {
        let rooms = self.people.lock();
        let names = rooms.get(self.room.name()).expect("somebody is in it");
        names.values().cloned().collect()
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut rooms = self.people.lock();
        let names = rooms.get_mut(self.room.name()).expect("somebody is in it");
        names.remove(&self.name.to_lowercase());
        if names.is_empty() {
            rooms.remove(self.room.name());
        }
        self.room.send(json(&Event::Left { name: &self.name }));
    }
}
