//! Reads of rosters: what this server knows of who is present follows them, and entries of this
//! server that must not be there are ended.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::presence::PAUSE;
use super::{Registry, RoomShared, State};
use crate::hub::backplane::{EngineError, Entry, ReadPeople, Reply, RosterChange};
use crate::hub::seats::{OwnSeats, Presence};

impl Registry {
    /// Ends the entries of this server in the roster of a room for which it has no seat. The room is
    /// not followed, so nobody here looks at its roster otherwise.
    pub(super) fn check_roster(self: &Arc<Self>, room: Arc<str>) {
        let Some(roster) = self.roster() else {
            return;
        };
        let (weak, name) = (Arc::downgrade(self), room.clone());
        let lost = || Err(EngineError::new("the engine gave no answer"));
        let reply = Reply::new(lost, move |answer: Result<Vec<Entry>, EngineError>| {
            // If it failed, the engine has lost its connection, as a rule, and asks again with the next.
            let (Ok(roster), Some(hub)) = (answer, weak.upgrade()) else {
                return;
            };
            if let Some((_, keeper)) = hub.engine() {
                // Not here: the engine answers from wherever it likes.
                keeper.run(move || {
                    if let Some(hub) = weak.upgrade() {
                        hub.compare_roster(&name, &roster);
                    }
                });
            }
        });
        roster.people(ReadPeople { room, reply });
    }

    fn compare_roster(self: &Arc<Self>, name: &Arc<str>, roster: &[Entry]) {
        let known = self.find(name);
        let own = known.and_then(|room| Some(room.lock().presence.as_ref()?.own_seats(roster)));
        // Nobody has entered there since.
        let own = own.unwrap_or_else(|| Presence::default().own_seats(roster));
        self.end_entries(name, own.unknown);
    }

    /// Takes entries for which this server has no seat out of a roster.
    pub(super) fn end_entries(self: &Arc<Self>, room: &Arc<str>, entries: Vec<Entry>) {
        for entry in entries {
            if let (Some(roster), Some(seat)) = (self.roster(), entry.seat) {
                roster.leave(room, &entry.key, seat);
            }
        }
    }
}

impl RoomShared {
    /// A change in the roster.
    pub(in crate::hub) fn roster_changed(
        self: &Arc<Self>,
        hub: &Arc<Registry>,
        change: RosterChange,
    ) {
        self.presence_event(hub, |presence| presence.change(change));
    }

    /// No change is missing from now on, but some may be missing until now.
    pub(in crate::hub) fn roster_heard(self: &Arc<Self>, hub: &Arc<Registry>) {
        let mut state = self.lock();
        state.is_heard = state.is_followed;
        drop(state);
        self.read_people(hub);
    }

    /// Changes may be missing from now on.
    pub(in crate::hub) fn roster_interrupted(self: &Arc<Self>, hub: &Arc<Registry>) {
        let mut state = self.lock();
        state.is_heard = false;
        let Some(presence) = &mut state.presence else {
            return;
        };
        // A call that waits for the answer need not wait until changes are heard again.
        let was_being_read = presence.is_being_read();
        presence.interrupted();
        let is_asked = was_being_read && state.waiting > 0;
        drop(state);
        if is_asked {
            self.read_people(hub);
        }
    }

    /// Reads the roster, if somebody wants to know it here.
    pub(in crate::hub) fn read_people(self: &Arc<Self>, hub: &Arc<Registry>) {
        let Some(roster) = hub.roster() else {
            return;
        };
        let mut state = self.lock();
        let is_followed = state.is_followed;
        let Some(presence) = &mut state.presence else {
            return;
        };
        if !is_followed {
            return;
        }
        let number = presence.begin_read();
        drop(state);
        let reply = self.reply_in_keeper(hub, PAUSE, move |room, hub, answer| {
            room.people_read(hub, number, answer);
        });
        roster.people(ReadPeople {
            room: self.name.clone(),
            reply,
        });
    }

    /// Reads the roster again, which may be older than the copy, unless it is read anyway. Returns
    /// false if it is not read here: the room is not followed, or nobody has asked who is present.
    pub(super) fn read_people_again(self: &Arc<Self>, hub: &Arc<Registry>) -> bool {
        let state = self.lock();
        let Some(presence) = state.presence.as_deref() else {
            return false;
        };
        if !state.is_followed || !state.is_wanted() {
            return false;
        }
        let is_read_anyway = presence.is_read_anyway();
        drop(state);
        if !is_read_anyway {
            self.read_people(hub);
        }
        true
    }

    /// The answer to a read of the roster.
    fn people_read(
        self: &Arc<Self>,
        hub: &Arc<Registry>,
        number: u64,
        answer: Result<Vec<Entry>, EngineError>,
    ) {
        let is_latest = |state: &mut State| state.presence().is_latest(number);
        if !is_latest(&mut self.lock()) {
            return;
        }
        let Ok(roster) = answer else {
            return self.read_people(hub);
        };
        let mut found = None;
        self.presence_event(hub, |presence| {
            let Some(roster) = presence.brought_up_to_date(roster) else {
                return vec![];
            };
            found = Some(presence.own_seats(&roster));
            presence.compare(roster)
        });
        let Some(OwnSeats { unknown, missing }) = found else {
            return self.read_people_later(hub);
        };
        hub.end_entries(&self.name, unknown);
        for seat in missing {
            self.enter_again(hub, seat);
        }
    }

    /// Reads the roster after a pause.
    pub(super) fn read_people_later(self: &Arc<Self>, hub: &Arc<Registry>) {
        let Some((_, keeper)) = hub.engine() else {
            return;
        };
        // One read serves all seats that want it. An atomic, since an engine answers from wherever it
        // likes.
        if self.order().is_roster_due.swap(true, Ordering::AcqRel) {
            return;
        }
        let (room, weak) = (Arc::downgrade(self), Arc::downgrade(hub));
        keeper.after(PAUSE, move || {
            if let (Some(room), Some(hub)) = (room.upgrade(), weak.upgrade()) {
                room.order().is_roster_due.store(false, Ordering::Release);
                room.read_people(&hub);
            }
        });
    }
}
