//! Who is present in a room, as this server knows it. A plain structure.

use std::collections::HashMap;
use std::collections::hash_map::Entry as Place;

use bytes::Bytes;

use super::backplane::{Entry, RosterChange};

/// A person who has [entered](super::Room::enter) a room.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Person {
    /// The key: unique in the room.
    pub key: Box<str>,
    /// What the program says about the person.
    pub info: Bytes,
}

/// A change of who is present; see [`Hub::on_presence`](super::Hub::on_presence).
#[derive(Clone, Debug, PartialEq, Eq)]
// Exhaustive on purpose: a person is there, or is not.
pub enum Change {
    /// The person has entered, or the info has changed.
    Entered(Person),
    /// The person has left.
    Left(Person),
}

/// The people of a room.
#[derive(Debug, Default)]
pub(super) struct People(HashMap<Box<str>, Known>);

#[derive(Debug)]
struct Known {
    info: Bytes,
    /// The seat, if it belongs to this server.
    seat: Option<u64>,
}

impl People {
    pub(super) fn list(&self) -> Vec<Person> {
        let people = self.0.iter();
        people
            .map(|(key, known)| known.person(key.clone()))
            .collect()
    }

    /// The seat of this server that has the key.
    pub(super) fn seat(&self, key: &str) -> Option<u64> {
        self.0.get(key)?.seat
    }

    pub(super) fn contains(&self, key: &str) -> bool {
        self.0.contains_key(key)
    }

    /// Takes a change. Returns what members are to be told, which is nothing if it was known.
    pub(super) fn change(&mut self, change: RosterChange) -> Option<Change> {
        match change {
            RosterChange::Entered(entry) => self.enter(entry),
            RosterChange::Left(key) => {
                let known = self.0.remove(&key)?;
                Some(Change::Left(known.person(key)))
            }
        }
    }

    /// Takes the whole roster. Returns what members are to be told.
    pub(super) fn compare(&mut self, roster: Vec<Entry>) -> Vec<Change> {
        let mut gone = std::mem::take(&mut self.0);
        let mut changes = vec![];
        for entry in roster {
            if let Some((key, known)) = gone.remove_entry(&entry.key) {
                self.0.insert(key, known);
            }
            changes.extend(self.enter(entry));
        }
        let left = gone.into_iter();
        let left = left.map(|(key, known)| Change::Left(known.person(key)));
        changes.extend(left);
        changes
    }

    fn enter(&mut self, entry: Entry) -> Option<Change> {
        let known = Known {
            info: entry.info,
            seat: entry.seat,
        };
        let person = known.person(entry.key.clone());
        match self.0.entry(entry.key) {
            Place::Vacant(place) => {
                place.insert(known);
            }
            Place::Occupied(mut place) => {
                // A seat that is taken over: for the others, nobody has come or gone.
                if place.insert(known).info == person.info {
                    return None;
                }
            }
        }
        Some(Change::Entered(person))
    }
}

impl Known {
    fn person(&self, key: Box<str>) -> Person {
        Person {
            key,
            info: self.info.clone(),
        }
    }
}
