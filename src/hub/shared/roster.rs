//! The rosters of rooms that are not followed: entries of this server that must not be there.

use std::sync::Arc;

use super::Registry;
use crate::hub::backplane::{EngineError, Entry, ReadPeople, Reply};
use crate::hub::seats::Presence;

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
