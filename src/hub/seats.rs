//! The seats of a room that belong to this server, and its copy of the roster. Plain structures
//! behind the room's lock.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Weak};

use bytes::Bytes;
use tokio::sync::Notify;
use tokio::sync::futures::Notified;

use super::backplane::{Entry, RosterChange};
use super::people::{Change, People};

/// What a person has in a room: the key, by a connection of this server.
pub(super) struct SeatShared {
    pub(super) number: u64,
    pub(super) key: Box<str>,
    pub(super) info: Bytes,
    /// A [`SeatState`].
    state: AtomicU8,
    ended: Notify,
}

/// ```text
///   Held ── the key was taken over ──► Lost
///    └───── dropped, or the socket ended ──► Left
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum SeatState {
    Held,
    Lost,
    Left,
}

impl SeatShared {
    pub(super) fn new(number: u64, key: Box<str>, info: Bytes) -> Self {
        SeatShared {
            number,
            key,
            info,
            state: AtomicU8::new(SeatState::Held as u8),
            ended: Notify::new(),
        }
    }

    pub(super) fn is_held(&self) -> bool {
        self.state.load(Ordering::Acquire) == SeatState::Held as u8
    }

    /// Whether it has ended because the person has left, and not because the key was taken over.
    pub(super) fn is_left(&self) -> bool {
        self.state.load(Ordering::Acquire) == SeatState::Left as u8
    }

    /// Waits until the seat ends, from now on.
    pub(super) fn ended(&self) -> Notified<'_> {
        self.ended.notified()
    }

    /// Ends the seat; returns whether it was held.
    pub(super) fn end(&self, state: SeatState) -> bool {
        let held = SeatState::Held as u8;
        let ended =
            self.state
                .compare_exchange(held, state as u8, Ordering::AcqRel, Ordering::Acquire);
        self.ended.notify_waiters();
        ended.is_ok()
    }

    pub(super) fn entry(&self) -> Entry {
        Entry {
            key: self.key.clone(),
            info: self.info.clone(),
            seat: Some(self.number),
        }
    }
}

/// The presence in a room that this server keeps.
#[derive(Default)]
pub(super) struct Presence {
    pub(super) people: People,
    /// The seats of this server, by number.
    seats: HashMap<u64, Weak<SeatShared>>,
    copy: CopyState,
    /// The number of the last read of the roster that was begun.
    reads: u64,
    read: ReadState,
}

/// The largest number of changes that are kept while the roster is read.
const MAX_CHANGES: usize = 1024;

/// Whether the roster is being read.
#[derive(Debug, Default)]
enum ReadState {
    #[default]
    Idle,
    /// The changes since the read was begun. Those that came after the engine had answered are not
    /// in the answer.
    UnderWay(Vec<RosterChange>),
    /// There were too many changes: the answer is of no use.
    Overtaken,
}

/// Whether the copy of the roster is right.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum CopyState {
    /// It has never been read: what it lacks is not news to anybody.
    #[default]
    Unread,
    /// Changes may be missing.
    Old,
    Current,
}

/// What a roster says of the seats of this server.
#[derive(Default)]
pub(super) struct OwnSeats {
    /// Entries of seats that have been left.
    pub(super) unknown: Vec<Entry>,
    /// Seats without an entry.
    pub(super) missing: Vec<Arc<SeatShared>>,
}

impl Presence {
    pub(super) fn add(&mut self, seat: &Arc<SeatShared>) {
        self.seats.insert(seat.number, Arc::downgrade(seat));
    }

    pub(super) fn remove(&mut self, seat: &SeatShared) {
        self.seats.remove(&seat.number);
    }

    pub(super) fn has_seats(&self) -> bool {
        !self.seats.is_empty()
    }

    pub(super) fn seats(&self) -> Vec<Arc<SeatShared>> {
        self.seats.values().filter_map(Weak::upgrade).collect()
    }

    /// Returns whether the roster is to be read, and is not being read.
    pub(super) fn needs_read(&self) -> bool {
        !self.is_current() && !self.is_being_read()
    }

    pub(super) fn is_being_read(&self) -> bool {
        !matches!(self.read, ReadState::Idle)
    }

    pub(super) fn is_current(&self) -> bool {
        self.copy == CopyState::Current
    }

    /// Returns whether the roster is being read, or will be when changes are heard again. One that
    /// nobody has asked for yet is not, though there may be seats.
    pub(super) fn is_read_anyway(&self) -> bool {
        match self.copy {
            CopyState::Unread => self.is_being_read(),
            CopyState::Old => true,
            CopyState::Current => false,
        }
    }

    /// Changes may be missing from now on. The answer to a read that is under way would come from
    /// before.
    pub(super) fn interrupted(&mut self) {
        self.unheard();
        self.reads += 1;
        self.read = ReadState::Idle;
    }

    /// Changes may be missing already.
    pub(super) fn unheard(&mut self) {
        if self.copy == CopyState::Current {
            self.copy = CopyState::Old;
        }
    }

    /// The room is not followed any more: the copy is given up.
    pub(super) fn unfollowed(&mut self) {
        self.copy = CopyState::Unread;
        self.people = People::default();
        self.reads += 1;
        self.read = ReadState::Idle;
    }

    /// Returns the number of a read of the roster, which begins.
    pub(super) fn begin_read(&mut self) -> u64 {
        self.reads += 1;
        self.read = ReadState::UnderWay(vec![]);
        self.reads
    }

    pub(super) fn is_latest(&self, read: u64) -> bool {
        self.reads == read
    }

    /// Returns the roster of an answer as it is by now. A change that the answer contains already
    /// is made again, which changes nothing: the later changes are made again too. `None` if there
    /// were too many changes: the roster is to be read again.
    pub(super) fn brought_up_to_date(&mut self, mut roster: Vec<Entry>) -> Option<Vec<Entry>> {
        let ReadState::UnderWay(changes) = std::mem::take(&mut self.read) else {
            return None;
        };
        for change in changes {
            let key = match &change {
                RosterChange::Entered(entry) => &entry.key,
                RosterChange::Left(key) => key,
            };
            roster.retain(|entry| entry.key != *key);
            if let RosterChange::Entered(entry) = change {
                roster.push(entry);
            }
        }
        Some(roster)
    }

    /// Compares a roster with the seats of this server.
    pub(super) fn own_seats(&self, roster: &[Entry]) -> OwnSeats {
        let is_unknown = |entry: &&Entry| {
            entry
                .seat
                .is_some_and(|seat| !self.seats.contains_key(&seat))
        };
        let is_missing =
            |seat: &Arc<SeatShared>| roster.iter().all(|entry| entry.seat != Some(seat.number));
        OwnSeats {
            unknown: roster.iter().filter(is_unknown).cloned().collect(),
            missing: self
                .seats()
                .into_iter()
                .filter(|seat| seat.is_held())
                .filter(is_missing)
                .collect(),
        }
    }

    /// Takes the whole roster; returns what members are to be told.
    pub(super) fn compare(&mut self, roster: Vec<Entry>) -> Vec<Change> {
        let is_first = self.copy == CopyState::Unread;
        self.copy = CopyState::Current;
        let mut changes = self.people.compare(roster);
        if is_first {
            // Who is in the copy already was told by a change, and so is that end.
            changes.retain(|change| matches!(change, Change::Left(_)));
        }
        changes
    }

    /// Takes a change; returns what members are to be told.
    pub(super) fn change(&mut self, change: RosterChange) -> Vec<Change> {
        match &mut self.read {
            ReadState::UnderWay(changes) if changes.len() < MAX_CHANGES => {
                changes.push(change.clone());
            }
            ReadState::UnderWay(_) => self.read = ReadState::Overtaken,
            ReadState::Idle | ReadState::Overtaken => {}
        }
        // A seat of this server whose key is taken over, here or elsewhere, is lost.
        if let RosterChange::Entered(entry) = &change
            && let Some(before) = self.people.seat(&entry.key)
            && entry.seat != Some(before)
            && let Some(seat) = self.seats.remove(&before).and_then(|seat| seat.upgrade())
        {
            seat.end(SeatState::Lost);
        }
        self.people.change(change).into_iter().collect()
    }
}
