//! Presence: who is in a room. In one process the copy of the room is all there is. With an
//! engine, the roster is there, and the copy follows it.

use std::fmt;
use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::join::HubError;
use super::{Registry, RoomShared, State, lock};
use crate::WebSocket;
use crate::hub::backplane::{EngineError, Enter, EnterError, Reply, Roster, RosterChange};
use crate::hub::people::{Change, Person};
use crate::hub::seats::{Presence, SeatShared, SeatState};
use crate::hub::user_code;
use crate::protocol::Prepared;
use crate::socket::shared::{Observer, Shared};

/// The longest key, and the longest info, in bytes.
const MAX_KEY: usize = 256;
const MAX_INFO: usize = 1024;

/// How long a call waits for an engine.
const PATIENCE: Duration = Duration::from_secs(5);

/// The pause before a roster that could not be read is read again, and before one is read for a
/// change that has not come.
pub(super) const PAUSE: Duration = Duration::from_secs(1);

/// A place in a room, from [`Room::enter`](crate::hub::Room::enter). The person leaves when it is
/// dropped, or when the socket ends.
pub struct Seat {
    occupied: Arc<Occupied>,
    socket: Arc<Shared>,
}

/// What the handle of a seat and its socket share. Dropped or closed, it leaves.
struct Occupied {
    room: Arc<RoomShared>,
    hub: Weak<Registry>,
    seat: Arc<SeatShared>,
}

impl Seat {
    /// Returns the key.
    pub fn key(&self) -> &str {
        &self.occupied.seat.key
    }

    /// Returns whether the person is still present by this seat. It is not if the socket has ended,
    /// or if the key was [taken over](crate::hub::Room::take_over).
    pub fn is_held(&self) -> bool {
        self.occupied.seat.is_held()
    }

    /// Waits until the person is not present by this seat any more.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future has no effect.
    pub async fn ended(&self) {
        loop {
            let ended = self.occupied.seat.ended();
            if !self.is_held() {
                return;
            }
            ended.await;
        }
    }

    /// Leaves the room; dropping does the same.
    pub fn leave(self) {}
}

impl Drop for Seat {
    fn drop(&mut self) {
        let observer: Arc<dyn Observer> = self.occupied.clone();
        self.socket.stop_observing(&observer);
        self.occupied.leave();
    }
}

impl fmt::Debug for Seat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Seat")
            .field("key", &self.key())
            .field("is_held", &self.is_held())
            .finish_non_exhaustive()
    }
}

impl Occupied {
    fn leave(&self) {
        let was_held = self.seat.end(SeatState::Left);
        if let Some(hub) = self.hub.upgrade() {
            self.room.leave_seat(&hub, &self.seat, was_held);
        }
    }
}

impl Observer for Occupied {
    fn closed(self: Arc<Self>, _socket: &Arc<Shared>) {
        self.leave();
    }
}

/// How somebody enters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::hub) enum IfTaken {
    Refuse,
    TakeOver,
}

impl RoomShared {
    pub(in crate::hub) async fn enter(
        self: &Arc<Self>,
        hub: &Arc<Registry>,
        socket: &WebSocket,
        key: &str,
        info: Bytes,
        if_taken: IfTaken,
    ) -> Result<Seat, EnterError> {
        if key.len() > MAX_KEY || info.len() > MAX_INFO {
            return Err(EnterError::TooLarge);
        }
        let shared = Arc::new(SeatShared::new(hub.tags.next(), key.into(), info));
        let seat = Seat {
            occupied: Arc::new(Occupied {
                room: self.clone(),
                hub: Arc::downgrade(hub),
                seat: shared.clone(),
            }),
            socket: socket.shared().clone(),
        };
        // From here on, whatever happens to this future, dropping `seat` leaves the room.
        if !socket.shared().observe(seat.occupied.clone()) {
            return Err(EnterError::Closed);
        }
        self.lock().presence().add(&shared);
        match hub.roster() {
            None if hub.settings.engine.is_some() => {
                let reason = EngineError::new("the engine keeps no roster");
                return Err(EnterError::Unavailable(reason));
            }
            None => self.enter_here(hub, &shared, if_taken)?,
            Some(_) => self.enter_there(hub, &shared, if_taken).await?,
        }
        Ok(seat)
    }

    /// Enters a room of this process.
    fn enter_here(
        self: &Arc<Self>,
        hub: &Arc<Registry>,
        seat: &SeatShared,
        if_taken: IfTaken,
    ) -> Result<(), EnterError> {
        let mut entered = Ok(());
        self.presence_event(hub, |presence| {
            if !seat.is_held() {
                // The socket has ended meanwhile, and has left already.
                entered = Err(EnterError::Closed);
                return vec![];
            }
            if if_taken == IfTaken::Refuse && presence.people.contains(&seat.key) {
                entered = Err(EnterError::Taken);
                return vec![];
            }
            presence.change(RosterChange::Entered(seat.entry()))
        });
        entered
    }

    /// Enters the roster of the engine.
    async fn enter_there(
        self: &Arc<Self>,
        hub: &Arc<Registry>,
        seat: &Arc<SeatShared>,
        if_taken: IfTaken,
    ) -> Result<(), EnterError> {
        let _waiting = self.wait(hub);
        let (to, answer) = oneshot::channel();
        self.ask_to_enter(hub, seat, if_taken, move |entered| {
            // It fails if the call has been dropped.
            let _ = to.send(entered);
        });
        match timeout(PATIENCE, answer).await {
            Ok(Ok(entered)) => entered?,
            Ok(Err(_)) | Err(_) => return Err(EnterError::Unavailable(hub.why_unavailable())),
        }
        // The change comes with the other changes of the room, which gives them one order. It has
        // come, as a rule, or comes soon: where many enter at once, the answers are quicker. If it was
        // lost, the roster has it. A roster that were read at once would be read for each of the many.
        let is_here = |state: &mut State| {
            let presence = state.presence();
            presence.people.seat(&seat.key) == Some(seat.number) || !seat.is_held()
        };
        let comes = async {
            if timeout(PAUSE, self.until_people(hub, is_here))
                .await
                .is_err()
            {
                self.read_people(hub);
                let _ = self.until_people(hub, is_here).await;
            }
        };
        if timeout(PATIENCE, comes).await.is_err() {
            return Err(EnterError::Unavailable(hub.why_unavailable()));
        }
        if seat.is_left() {
            // The socket has ended meanwhile, and may have left before it entered.
            self.leave_roster(hub, seat);
            return Err(EnterError::Closed);
        }
        // The key may have been taken over already. The seat tells that, as it would a moment later.
        Ok(())
    }

    fn ask_to_enter(
        self: &Arc<Self>,
        hub: &Arc<Registry>,
        seat: &SeatShared,
        if_taken: IfTaken,
        then: impl FnOnce(Result<(), EnterError>) + Send + 'static,
    ) {
        let Some(roster) = hub.roster() else {
            return;
        };
        let lost = || {
            Err(EnterError::Unavailable(EngineError::new(
                "the engine gave no answer",
            )))
        };
        roster.enter(Enter {
            room: self.name.clone(),
            key: seat.key.clone(),
            info: seat.info.clone(),
            seat: seat.number,
            takes_over: if_taken == IfTaken::TakeOver,
            reply: Reply::new(lost, then),
        });
    }

    fn leave_seat(self: &Arc<Self>, hub: &Arc<Registry>, seat: &SeatShared, was_held: bool) {
        self.forget_seat(hub, seat);
        if !was_held {
            return;
        }
        match hub.roster() {
            Some(roster) => roster.leave(&self.name, &seat.key, seat.number),
            None => self.presence_event(hub, |presence| {
                if presence.people.seat(&seat.key) != Some(seat.number) {
                    return vec![];
                }
                presence.change(RosterChange::Left(seat.key.clone()))
            }),
        }
    }

    pub(in crate::hub) async fn people(
        self: &Arc<Self>,
        hub: &Arc<Registry>,
    ) -> Result<Vec<Person>, HubError> {
        if hub.roster().is_some() {
            let _waiting = self.wait(hub);
            let needs_read = {
                let mut state = self.lock();
                if !state.is_heard {
                    // What was read before may have changed since, and nobody has said so.
                    state.presence().unheard();
                }
                state.presence().needs_read()
            };
            if needs_read {
                self.read_people(hub);
            }
            let is_current = |state: &mut State| state.presence().is_current();
            self.until_people(hub, is_current).await?;
        } else if hub.settings.engine.is_some() {
            let reason = EngineError::new("the engine keeps no roster");
            return Err(HubError::Unavailable(reason));
        }
        Ok(self.lock().presence().people.list())
    }

    async fn until_people(
        &self,
        hub: &Registry,
        is_done: impl Fn(&mut State) -> bool,
    ) -> Result<(), HubError> {
        let changed = timeout(PATIENCE, async {
            loop {
                // Made before the look, so that no change comes between.
                let changed = self.order().answered.notified();
                if is_done(&mut self.lock()) {
                    return;
                }
                changed.await;
            }
        });
        let changed = changed.await;
        changed.map_err(|_| HubError::Unavailable(hub.why_unavailable()))
    }

    /// Enters the seats of this server again: the engine may have removed them.
    pub(in crate::hub) fn enter_all_again(self: &Arc<Self>, hub: &Arc<Registry>) {
        let seats: Vec<_> = match &self.lock().presence {
            Some(presence) => presence.seats(),
            None => return,
        };
        for seat in seats {
            self.enter_again(hub, seat);
        }
    }

    pub(super) fn enter_again(self: &Arc<Self>, hub: &Arc<Registry>, seat: Arc<SeatShared>) {
        let (again, room, weak) = (seat.clone(), Arc::downgrade(self), Arc::downgrade(hub));
        self.ask_to_enter(hub, &seat, IfTaken::Refuse, move |entered| {
            let (Some(room), Some(hub)) = (room.upgrade(), weak.upgrade()) else {
                return;
            };
            let Some((_, keeper)) = hub.engine() else {
                return;
            };
            match entered {
                Ok(()) => {}
                Err(EnterError::Taken) => {
                    again.end(SeatState::Lost);
                    // Not here: the engine answers from wherever it likes.
                    let hub = hub.clone();
                    keeper.run(move || room.forget_seat(&hub, &again));
                }
                // The roster is read again, and the seat will be missing there.
                Err(_) => room.read_people_later(&hub),
            }
        });
        if !seat.is_held() {
            // It has left meanwhile, perhaps before it entered again.
            self.leave_roster(hub, &seat);
        }
    }

    fn leave_roster(self: &Arc<Self>, hub: &Arc<Registry>, seat: &SeatShared) {
        if let Some(roster) = hub.roster() {
            roster.leave(&self.name, &seat.key, seat.number);
        }
    }

    /// A seat has ended: nothing is kept of it, and perhaps nobody is interested in the room any
    /// more.
    fn forget_seat(self: &Arc<Self>, hub: &Arc<Registry>, seat: &SeatShared) {
        let mut state = self.lock();
        state.presence().remove(seat);
        let is_over = !state.is_wanted();
        drop(state);
        if is_over {
            self.left(hub);
        }
    }

    /// Something has happened that concerns who is present: changes the copy, and tells the
    /// members.
    pub(super) fn presence_event(
        self: &Arc<Self>,
        hub: &Arc<Registry>,
        event: impl FnOnce(&mut Presence) -> Vec<Change>,
    ) {
        let turn = match user_code::is_running() {
            // A closure of the user has dropped a seat. Its room may be the one whose turn it is.
            true => self.try_turn(),
            false => Some(lock(&self.order().turn)),
        };
        let changes = event(self.lock().presence());
        self.order().answered.notify_waiters();
        if let Some(on_presence) = &hub.settings.on_presence {
            let overflow = hub.settings.overflow;
            for change in changes {
                let told = user_code::call("on_presence", || on_presence(&self.name, &change));
                if let Some(message) = told.flatten() {
                    let message = Prepared::new(message);
                    self.hand_out(hub, &mut self.lock(), &message, None, overflow);
                }
            }
        }
        drop(turn);
        self.append_deferred(hub);
    }
}

impl State {
    pub(super) fn presence(&mut self) -> &mut Presence {
        self.presence.get_or_insert_default()
    }
}

impl Registry {
    /// The roster of the engine, if there is one.
    pub(super) fn roster(self: &Arc<Self>) -> Option<&dyn Roster> {
        self.engine().and_then(|(engine, _)| engine.roster())
    }
}
