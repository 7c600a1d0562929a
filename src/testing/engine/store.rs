//! What one side of the engine keeps: the logs and the rosters of all rooms.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use super::log::{Append, Log};
use crate::hub::Position;
use crate::hub::backplane::{Arrival, Enter, Entry, Past, Publish, Published, ReadFrom};

/// How long a key of [`Publish::once`] is remembered.
const ONCE_FOR: Duration = Duration::from_secs(300);

#[derive(Clone, Debug, Default)]
pub(super) struct Store {
    rooms: HashMap<Arc<str>, Room>,
}

#[derive(Clone, Debug)]
struct Room {
    log: Log,
    /// When the messages are too old.
    keep_until: Instant,
    once: HashMap<Box<str>, (Position, Instant)>,
    people: BTreeMap<Box<str>, Person>,
}

#[derive(Clone, Debug)]
struct Person {
    server: u64,
    seat: u64,
    info: Bytes,
}

/// A message that is to be in the log once, however often that is tried.
#[derive(Debug)]
pub(super) struct Attempts {
    pub(super) server: u64,
    /// The number of the publish.
    pub(super) publish: u64,
    /// A tag for each attempt.
    pub(super) tags: Vec<u64>,
}

impl Store {
    fn room(&mut self, room: &Arc<str>, tag: u64) -> &mut Room {
        let now = Instant::now();
        let room = self.rooms.entry(room.clone()).or_insert_with(|| Room {
            log: Log::new(tag),
            keep_until: now,
            once: HashMap::new(),
            people: BTreeMap::new(),
        });
        if room.keep_until < now {
            room.log.trim(0, 0);
        }
        room.once.retain(|_, (_, until)| *until > now);
        room
    }

    /// Appends a message if it is not there. Returns it if it is new, and where it stands if that is
    /// known. `root` is the tag of the log, should it begin with this.
    pub(super) fn publish(
        &mut self,
        request: &Publish,
        attempts: &Attempts,
        root: u64,
    ) -> (Option<Arrival>, Option<Published>) {
        let now = Instant::now();
        let room = self.room(request.room(), root);
        let once = request.once();
        if let Some((known, _)) = once.and_then(|key| room.once.get(key)) {
            let is_own = attempts.tags.contains(&known.tag());
            let published = if is_own {
                Published::appended
            } else {
                Published::repeated
            };
            return (None, Some(published(*known)));
        }
        let appended = room.log.append(Append {
            server: attempts.server,
            publish: attempts.publish,
            tag: attempts.tags.last().copied().unwrap_or_default(),
            envelope: request.envelope().clone(),
        });
        let Some(arrival) = appended else {
            return (None, room.log.find(&attempts.tags).map(Published::appended));
        };
        let history = request.history();
        room.log.trim(history.max_messages(), history.max_bytes());
        room.keep_until = now + history.max_age();
        if let Some(key) = once {
            let known = (arrival.position, now + ONCE_FOR);
            room.once.insert(key.into(), known);
        }
        let position = arrival.position;
        (Some(arrival), Some(Published::appended(position)))
    }

    pub(super) fn read(&mut self, room: &Arc<str>, from: ReadFrom, root: u64) -> Past {
        self.room(room, root).log.read(from)
    }

    /// Loses the messages of a room. The position stays.
    pub(super) fn lose_messages(&mut self, room: &str) {
        if let Some(room) = self.rooms.get_mut(room) {
            room.log.trim(0, 0);
        }
    }

    /// Loses a room as if it had never been.
    pub(super) fn lose_room(&mut self, room: &str) {
        self.rooms.remove(room);
    }

    /// Enters a key, and returns whether that is a change; `None` if it belongs to another seat.
    pub(super) fn enter(&mut self, enter: &Enter, server: u64, root: u64) -> Option<bool> {
        let people = &mut self.room(enter.room(), root).people;
        let seat = enter.seat();
        match people.get(enter.key()) {
            Some(person) if person.server == server && person.seat == seat => return Some(false),
            Some(_) if !enter.takes_over() => return None,
            _ => {}
        }
        let info = enter.info().clone();
        people.insert(enter.key().into(), Person { server, seat, info });
        Some(true)
    }

    /// Removes a key, if it belongs to this seat, and returns whether it did.
    pub(super) fn leave(&mut self, room: &str, key: &str, (server, seat): (u64, u64)) -> bool {
        let Some(room) = self.rooms.get_mut(room) else {
            return false;
        };
        let is_own = |person: &Person| person.server == server && person.seat == seat;
        let is_there = room.people.get(key).is_some_and(is_own);
        if is_there {
            room.people.remove(key);
        }
        is_there
    }

    /// Removes all entries of a server, and returns their rooms and keys.
    pub(super) fn remove_server(&mut self, server: u64) -> Vec<(Arc<str>, Box<str>)> {
        let mut removed = vec![];
        for (name, room) in &mut self.rooms {
            room.people.retain(|key, person| {
                if person.server == server {
                    removed.push((name.clone(), key.clone()));
                }
                person.server != server
            });
        }
        removed
    }

    /// The rooms in which a server has entries.
    pub(super) fn rooms_of(&self, server: u64) -> Vec<Arc<str>> {
        let has_entries = |room: &Room| room.people.values().any(|person| person.server == server);
        let rooms = self.rooms.iter().filter(|(_, room)| has_entries(room));
        rooms.map(|(name, _)| name.clone()).collect()
    }

    /// Who is present in a room, as a server sees it.
    pub(super) fn people(&self, room: &str, server: u64) -> Vec<Entry> {
        let room = self.rooms.get(room);
        let people = room.into_iter().flat_map(|room| &room.people);
        people
            .map(|(key, person)| Entry {
                key: key.clone(),
                info: person.info.clone(),
                seat: (person.server == server).then_some(person.seat),
            })
            .collect()
    }
}
