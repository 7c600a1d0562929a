//! What a hub does with what arrives from its engine.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;

use super::{Registry, RoomShared};
#[cfg(feature = "tracing")]
use crate::hub::backplane::NOT_CONNECTED;
use crate::hub::backplane::{Arrival, EngineState, Receive, RosterChange};
use crate::hub::counters::Counts;
use crate::hub::envelope::{self, Unreadable};

impl Registry {
    /// A message of a room cannot be read. It is counted. The first of them is logged, and not each:
    /// as many may come as a newer release sends.
    pub(super) fn cannot_read(&self, room: &str, unreadable: Unreadable) {
        let count = self.counts.unreadable.fetch_add(1, Ordering::Relaxed);
        let reason = unreadable.reason();
        #[cfg(feature = "tracing")]
        if count == 0 {
            tracing::error!(room, "a message of a room cannot be read: {reason}");
        }
        #[cfg(not(feature = "tracing"))]
        let _ = (count, room, reason);
    }
}

impl Receive for Registry {
    fn following(self: Arc<Self>, room: &str) {
        if let Some(room) = self.find(room) {
            room.follow_event(&self, |state, steps| {
                if let Some(follower) = state.follower() {
                    follower.following(steps);
                }
            });
            room.roster_heard(&self);
        }
    }

    fn arrived(self: Arc<Self>, room: &str, arrival: Arrival) {
        if let Some(room) = self.find(room) {
            room.arrived(&self, arrival);
        }
    }

    fn relayed(self: Arc<Self>, room: &str, envelope: Bytes) {
        let Some(room) = self.find(room) else {
            return;
        };
        match envelope::open(envelope) {
            Ok(opened) => {
                let overflow = self.settings.overflow;
                room.hand_out(&self, &mut room.lock(), &opened.message, None, overflow);
            }
            Err(unreadable) => self.cannot_read(&room.name, unreadable),
        }
    }

    fn presence(self: Arc<Self>, room: &str, change: RosterChange) {
        if let Some(room) = self.find(room) {
            room.roster_changed(&self, change);
        }
    }

    fn lease_lost(self: Arc<Self>) {
        for room in self.all() {
            room.enter_all_again(&self);
            // Others may have left unseen: who has no entry any more cannot be taken out of it.
            room.read_people_later(&self);
        }
    }

    fn has_entries(self: Arc<Self>, room: &str) {
        let is_compared = |room: Arc<RoomShared>| room.read_people_again(&self);
        if !self.find(room).is_some_and(is_compared) {
            self.check_roster(room.into());
        }
    }

    fn interrupted(self: Arc<Self>) {
        Counts::add(&self.counts.interruptions);
        for room in self.all() {
            room.follow_event(&self, |state, _| {
                if let Some(follower) = state.follower() {
                    follower.interrupted();
                }
            });
            room.roster_interrupted(&self);
        }
    }

    fn repeated(self: Arc<Self>) {
        Counts::add(&self.counts.repeats);
    }

    fn unreadable(self: Arc<Self>) {
        Counts::add(&self.counts.unreadable);
    }

    fn state(self: Arc<Self>, state: EngineState) {
        self.engine_state.send_if_modified(|known| {
            if *known == state {
                return false;
            }
            #[cfg(feature = "tracing")]
            match (&*known, &state) {
                (EngineState::Down { reason, .. }, EngineState::Down { .. })
                    if reason.to_string() != NOT_CONNECTED => {}
                (_, EngineState::Up) => tracing::info!("the engine of the rooms is up"),
                (_, EngineState::Down { reason, .. }) if reason.to_string() == NOT_CONNECTED => {}
                (_, EngineState::Down { reason, .. }) => {
                    tracing::warn!(%reason, "the engine of the rooms is down");
                }
            }
            *known = state;
            true
        });
    }
}
