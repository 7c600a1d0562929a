//! Which channels are wanted, and which the connection has. A plain structure: it knows no
//! connection, no lock and no clock.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

/// The largest number of channels in one command.
pub(super) const MAX_CHANNELS: usize = 512;

/// The rooms that are wanted, and the channels that the present connection has.
///
/// One command is under way at a time, and what changes meanwhile is gathered for the next.
/// A room is looked at when the command is made: what is wanted by then is what counts.
#[derive(Debug, Default)]
pub(super) struct Interest {
    rooms: HashMap<Arc<str>, Room>,
    /// The rooms of which something has changed, those first that have waited for longest. Each is in
    /// it once.
    changed: VecDeque<Arc<str>>,
    /// How many of them, the first ones, have waited since before the connection.
    behind: usize,
}

#[derive(Debug, Default)]
struct Room {
    is_wanted: bool,
    is_changed: bool,
    channel: Channel,
}

/// ```text
///              ┌──────────── the connection is lost ───────────┐
///              ▼                                               │
///   Absent ─► Subscribing ── confirmed ──► Held ─► Unsubscribing ─► Absent
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Channel {
    #[default]
    Absent,
    Subscribing,
    Held,
    Unsubscribing,
}

/// What is to be done next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Command {
    Subscribe(Vec<Arc<str>>),
    Unsubscribe(Vec<Arc<str>>),
    /// These rooms are followed: their channels were held still when they were wanted again.
    Following(Vec<Arc<str>>),
}

impl Interest {
    /// Returns whether something is to be done.
    pub(super) fn follow(&mut self, room: &Arc<str>) -> bool {
        let entry = self.rooms.entry(room.clone()).or_default();
        if entry.is_wanted {
            return false;
        }
        entry.is_wanted = true;
        self.change(room)
    }

    /// Returns whether something is to be done.
    pub(super) fn unfollow(&mut self, room: &Arc<str>) -> bool {
        match self.rooms.get_mut(room) {
            Some(entry) if entry.is_wanted => {
                entry.is_wanted = false;
                self.change(room)
            }
            _ => false,
        }
    }

    /// Whether messages of the room may arrive over the connection.
    pub(super) fn may_arrive(&self, room: &str) -> bool {
        self.rooms
            .get(room)
            .is_some_and(|room| room.channel != Channel::Absent)
    }

    /// The connection has confirmed a channel. Returns whether the room is followed by that.
    pub(super) fn subscribed(&mut self, room: &str) -> bool {
        match self.rooms.get_mut(room) {
            Some(room) if room.channel == Channel::Subscribing => {
                room.channel = Channel::Held;
                room.is_wanted
            }
            _ => false,
        }
    }

    /// The connection has ended a channel.
    pub(super) fn unsubscribed(&mut self, room: &str) {
        let Some((room, entry)) = self.rooms.get_key_value(room) else {
            return;
        };
        if entry.channel != Channel::Unsubscribing {
            return;
        }
        let room = room.clone();
        if let Some(entry) = self.rooms.get_mut(&room) {
            entry.channel = Channel::Absent;
            // It is wanted, or removed when its turn comes.
            self.change(&room);
        }
    }

    /// There is a connection. It is up to date when what is wanted by now is subscribed.
    pub(super) fn connected(&mut self) {
        self.behind = self.changed.len();
    }

    /// Whether something waits that was wanted before the connection was there.
    pub(super) fn is_behind(&self) -> bool {
        self.behind > 0
    }

    /// The connection is lost: all that is wanted is to be subscribed anew.
    pub(super) fn lost(&mut self) {
        self.rooms.retain(|_, room| room.is_wanted);
        self.changed.clear();
        self.behind = 0;
        for (room, entry) in &mut self.rooms {
            entry.channel = Channel::Absent;
            entry.is_changed = true;
            self.changed.push_back(room.clone());
        }
    }

    /// What is to be done next. A `Subscribe` or `Unsubscribe` must be carried out, or the
    /// connection be [`lost`](Self::lost), before this is called again.
    pub(super) fn next(&mut self) -> Option<Command> {
        let mut kind = None;
        let mut rooms = vec![];
        // What needs another command, and how much of that has waited since before the connection.
        // It stays in its place: where rooms come and go without a pause, none may wait for ever.
        let (mut others, mut others_behind) = (vec![], 0);
        while rooms.len() < MAX_CHANNELS
            && others.len() < MAX_CHANNELS
            && let Some(room) = self.changed.pop_front()
        {
            let was_behind = self.behind > 0;
            self.behind -= usize::from(was_behind);
            let Some(entry) = self.rooms.get_mut(&room) else {
                continue;
            };
            entry.is_changed = false;
            let (own, channel) = match (entry.is_wanted, entry.channel) {
                (true, Channel::Absent) => (Kind::Subscribe, Channel::Subscribing),
                (false, Channel::Held) => (Kind::Unsubscribe, Channel::Unsubscribing),
                (true, Channel::Held) => (Kind::Following, Channel::Held),
                (false, Channel::Absent) => {
                    self.rooms.remove(&room);
                    continue;
                }
                (_, Channel::Subscribing | Channel::Unsubscribing) => {
                    debug_assert!(false, "a command for `{room}` is under way");
                    continue;
                }
            };
            if *kind.get_or_insert(own) != own {
                entry.is_changed = true;
                others.push(room);
                others_behind += usize::from(was_behind);
                continue;
            }
            entry.channel = channel;
            rooms.push(room);
        }
        for room in others.into_iter().rev() {
            self.changed.push_front(room);
        }
        self.behind += others_behind;
        Some(match kind? {
            Kind::Subscribe => Command::Subscribe(rooms),
            Kind::Unsubscribe => Command::Unsubscribe(rooms),
            Kind::Following => Command::Following(rooms),
        })
    }

    /// Returns whether something is to be done that was not known.
    fn change(&mut self, room: &Arc<str>) -> bool {
        match self.rooms.get_mut(room) {
            Some(entry) if !entry.is_changed => {
                entry.is_changed = true;
                self.changed.push_back(room.clone());
                true
            }
            _ => false,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Subscribe,
    Unsubscribe,
    Following,
}
