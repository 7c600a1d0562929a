//! Who is interested in a room: whether an engine follows it, and for how long it is kept.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::{Registry, RoomShared, State, count_memory};
use crate::hub::log::{Log, ONCE_FOR};

/// How long a room is followed after its last member has left: clients that connect anew find
/// the ring as they left it.
const LINGER: Duration = Duration::from_secs(5);

/// How often each room is compared with the engine, although nothing seems to be missing.
const LOOK_EVERY: Duration = Duration::from_secs(300);

/// The parts in which all rooms are compared, so that they do not all read at once.
const LOOK_PARTS: u32 = 100;

impl RoomShared {
    /// Somebody is interested: the engine follows the room. To be called after a member or a call
    /// that waits was counted.
    pub(in crate::hub) fn wanted(&self, hub: &Arc<Registry>) {
        let Some((engine, _)) = hub.engine() else {
            return;
        };
        let mut state = self.lock();
        if !state.is_followed && state.is_wanted() {
            state.is_followed = true;
            if let Some(follower) = state.log.as_mut().and_then(|log| log.follower.as_mut()) {
                follower.follow();
            }
            // Under the lock, so that it does not overtake `unfollow`.
            engine.follow(&self.name);
        }
    }

    /// The last of those who were interested has left.
    pub(in crate::hub) fn left(self: &Arc<Self>, hub: &Arc<Registry>) {
        let time = match (hub.engine(), hub.settings.history) {
            (Some(_), _) => LINGER,
            (None, Some(history)) => history.max_age().max(ONCE_FOR),
            (None, None) => return,
        };
        let mut state = self.lock();
        if state.is_wanted() || !state.is_worth_keeping(hub) {
            return;
        }
        state.quiet_since = Some(Instant::now());
        if state.is_kept {
            return;
        }
        state.is_kept = true;
        drop(state);
        match hub.engine() {
            None => hub.keep(self.clone(), time),
            Some(_) => self.look_whether_left(hub, time),
        }
    }

    /// Ends following the room, once nobody has been interested for a while.
    fn look_whether_left(self: &Arc<Self>, hub: &Arc<Registry>, after: Duration) {
        let Some((_, keeper)) = hub.engine() else {
            return;
        };
        // Not all at the same time: a proxy that dies makes all members leave at once.
        let jitter = Duration::from_millis(hub.tags.next() % 1000);
        let (room, weak) = (self.clone(), Arc::downgrade(hub));
        keeper.after(after + jitter, move || {
            let Some(hub) = weak.upgrade() else {
                return;
            };
            let Some((engine, _)) = hub.engine() else {
                return;
            };
            let mut state = room.lock();
            let quiet = state.quiet_since.map(|since| since.elapsed());
            match quiet {
                _ if state.is_wanted() => state.is_kept = false,
                Some(quiet) if quiet < LINGER => {
                    drop(state);
                    room.look_whether_left(&hub, LINGER - quiet);
                }
                _ => {
                    state.is_kept = false;
                    state.is_followed = false;
                    state.is_heard = false;
                    if let Some(log) = state.log.as_deref_mut() {
                        // What is said from now on is not in the ring.
                        count_memory(&hub, log, Log::forget);
                        if let Some(follower) = &mut log.follower {
                            follower.unfollow();
                        }
                    }
                    if let Some(presence) = &mut state.presence {
                        presence.unfollowed();
                    }
                    engine.unfollow(&room.name);
                }
            }
        });
    }

    /// Counts a call that waits for the engine, so that the room is followed meanwhile.
    pub(in crate::hub) fn wait(self: &Arc<Self>, hub: &Arc<Registry>) -> WaitGuard {
        self.lock().waiting += 1;
        self.wanted(hub);
        WaitGuard {
            room: self.clone(),
            hub: hub.clone(),
        }
    }
}

impl State {
    /// Returns whether a room that nobody is in has something to keep: in one process, a message.
    fn is_worth_keeping(&self, hub: &Registry) -> bool {
        let has_message = self
            .log
            .as_ref()
            .is_some_and(|log| log.ring.last().number() > 0);
        has_message || hub.settings.engine.is_some()
    }
}

/// A call that waits for the engine.
pub(in crate::hub) struct WaitGuard {
    room: Arc<RoomShared>,
    hub: Arc<Registry>,
}

impl Drop for WaitGuard {
    fn drop(&mut self) {
        let mut state = self.room.lock();
        state.waiting -= 1;
        let is_over = !state.is_wanted();
        drop(state);
        if is_over {
            self.room.left(&self.hub);
        }
    }
}

impl Registry {
    /// Compares all rooms with the engine, part by part, for ever.
    pub(in crate::hub) fn look_later(self: &Arc<Self>) {
        self.look_at(vec![], 0);
    }

    fn look_at(self: &Arc<Self>, mut rooms: Vec<std::sync::Weak<RoomShared>>, part: usize) {
        let Some((_, keeper)) = self.engine() else {
            return;
        };
        let weak = Arc::downgrade(self);
        keeper.after(LOOK_EVERY / LOOK_PARTS, move || {
            let Some(hub) = weak.upgrade() else {
                return;
            };
            if rooms.is_empty() {
                rooms = hub.all().iter().map(Arc::downgrade).collect();
            }
            let size = part.max(rooms.len().div_ceil(LOOK_PARTS as usize));
            for room in rooms.split_off(rooms.len().saturating_sub(size)) {
                if let Some(room) = room.upgrade() {
                    room.look(&hub);
                }
            }
            let part = if rooms.is_empty() { 0 } else { size };
            hub.look_at(rooms, part);
        });
    }
}
