//! What the handles share: the settings, the rooms by name, and the members of each.

mod answer;
mod interest;
pub(super) mod join;
mod logged;
mod members;
pub(super) mod presence;
mod publish;
mod receive;
mod roster;
pub(super) mod subscribe;

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, TryLockError, Weak};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use crate::hub::backplane::{Backplane, Budget, EngineError, EngineState, Inbound, NOT_CONNECTED};
use crate::hub::counters::Counts;
use crate::hub::follow::Follower;
use crate::hub::keeper::Keeper;
use crate::hub::lag::Lag;
use crate::hub::log::{Log, ONCE_FOR};
use crate::hub::position::{Position, Tags};
use crate::hub::ring::Ring;
use crate::hub::seats::Presence;
use crate::hub::settings::Settings;
use crate::protocol::Prepared;
use crate::shrink::shrink;
use crate::socket::SocketId;
use crate::socket::shared::{LastRun, Observer, Shared};

/// A hash table for at most four times as many entries is not worth shrinking.
const FEW: usize = 16;

/// The bytes that may wait for reads, in all rooms.
const BACKLOG_BYTES: usize = 16 * 1024 * 1024;

/// A hub. It does not own the rooms: the handles of a room and the connections of its members
/// do, so a room without either is dropped. Those with history are kept for a while.
pub(in crate::hub) struct Registry {
    pub(in crate::hub) settings: Settings,
    pub(in crate::hub) tags: Tags,
    /// Tells this hub apart from others on the same engine.
    pub(in crate::hub) id: u64,
    pub(in crate::hub) counts: Counts,
    /// The bytes that wait for the engine.
    pub(in crate::hub) outgoing: Arc<Budget>,
    /// Whether that was too much when last a message was to be passed on.
    pub(in crate::hub) is_full: AtomicBool,
    /// The messages that wait for reads.
    backlog: Arc<Budget>,
    /// Of a hub with an engine, once it has started.
    keeper: OnceLock<Keeper>,
    pub(in crate::hub) engine_state: watch::Sender<EngineState>,
    rooms: Mutex<HashMap<Arc<str>, Weak<RoomShared>>>,
    /// Rooms that are kept although nobody is in them, and when to look at them again, in this
    /// order.
    kept: Mutex<VecDeque<(Instant, Arc<RoomShared>)>>,
    /// Held by the task that makes rooms forget.
    forgetting: Mutex<()>,
}

impl Registry {
    pub(in crate::hub) fn new(settings: Settings) -> Self {
        let tags = Tags::new();
        Registry {
            id: tags.next(),
            tags,
            counts: Counts::default(),
            outgoing: Budget::new(settings.outgoing_limit),
            is_full: AtomicBool::new(false),
            backlog: Budget::new(BACKLOG_BYTES),
            settings,
            keeper: OnceLock::new(),
            engine_state: watch::Sender::new(EngineState::Up),
            rooms: Mutex::default(),
            kept: Mutex::default(),
            forgetting: Mutex::default(),
        }
    }

    pub(in crate::hub) fn lock(&self) -> MutexGuard<'_, HashMap<Arc<str>, Weak<RoomShared>>> {
        lock(&self.rooms)
    }

    /// Returns the engine and the keeper, and starts them if this is the first call; `None` if
    /// the hub has no engine.
    pub(in crate::hub) fn engine(self: &Arc<Self>) -> Option<(&Arc<dyn Backplane>, &Keeper)> {
        let engine = self.settings.engine.as_ref()?;
        let mut is_first = false;
        let keeper = self.keeper.get_or_init(|| {
            is_first = true;
            // Nothing else may reach the engine before this.
            let (hub, since) = (Arc::downgrade(self), Instant::now().into_std());
            let reason = EngineError::new(NOT_CONNECTED);
            self.engine_state
                .send_replace(EngineState::Down { since, reason });
            let keeper = Keeper::spawn();
            engine.start(Inbound(hub));
            keeper
        });
        if is_first {
            self.look_later();
        }
        Some((engine, keeper))
    }

    /// Returns the room of this name, and creates it if it does not exist.
    pub(in crate::hub) fn room(self: &Arc<Self>, name: &str) -> Arc<RoomShared> {
        self.engine();
        let mut rooms = self.lock();
        if let Some(room) = rooms.get(name).and_then(Weak::upgrade) {
            return room;
        }
        let name: Arc<str> = name.into();
        let room = RoomShared::new(name.clone(), self);
        rooms.insert(name, Arc::downgrade(&room));
        drop(rooms);
        self.release_kept();
        room
    }

    /// Returns the room of this name, if it exists.
    pub(in crate::hub) fn find(&self, name: &str) -> Option<Arc<RoomShared>> {
        self.lock().get(name).and_then(Weak::upgrade)
    }

    /// Returns all rooms.
    pub(in crate::hub) fn all(&self) -> Vec<Arc<RoomShared>> {
        self.lock().values().filter_map(Weak::upgrade).collect()
    }

    /// Keeps a room of this process until nothing has happened in it for this time.
    pub(in crate::hub) fn keep(&self, room: Arc<RoomShared>, time: Duration) {
        self.lock_kept().push_back((Instant::now() + time, room));
        self.release_kept();
    }

    /// Lets rooms go that have been kept for long enough.
    fn release_kept(&self) {
        let Some(history) = self.settings.history else {
            return;
        };
        let now = Instant::now();
        let mut released = vec![];
        let mut kept = self.lock_kept();
        while let Some((look, room)) = kept.pop_front() {
            if look > now {
                kept.push_front((look, room));
                break;
            }
            let mut state = room.lock();
            let has_keys = state.log.as_deref_mut().is_some_and(Log::has_once);
            let age = history.max_age();
            let age = if has_keys { age.max(ONCE_FOR) } else { age };
            let until = state.quiet_since.map(|since| since + age);
            match until {
                Some(until) if until > now => {
                    drop(state);
                    kept.push_back((until, room));
                }
                _ => {
                    state.is_kept = false;
                    drop(state);
                    released.push(room);
                }
            }
        }
        drop(kept);
        // Dropped without the lock: it may be the last handle on the room.
        drop(released);
    }

    #[cfg(test)]
    pub(in crate::hub) fn kept_rooms(&self) -> usize {
        self.lock_kept().len()
    }

    fn lock_kept(&self) -> MutexGuard<'_, VecDeque<(Instant, Arc<RoomShared>)>> {
        lock(&self.kept)
    }

    /// Makes rooms forget until all histories together are well within their limit, those first
    /// in which nothing was said for longest.
    pub(in crate::hub) fn forget_oldest(&self, limit: usize) {
        let Ok(_alone) = self.forgetting.try_lock() else {
            return;
        };
        let mut rooms: Vec<_> = self
            .all()
            .into_iter()
            .filter_map(|room| {
                let newest = room.lock().log.as_ref()?.newest();
                Some((newest, room))
            })
            .collect();
        rooms.sort_by_key(|(newest, _)| *newest);
        for (_, room) in rooms {
            // An eighth at a time, so that this is not done again for each message.
            if self.counts.history_bytes.load(Ordering::Relaxed) <= limit / 8 * 7 {
                return;
            }
            room.change_log(self, Log::forget);
        }
    }
}

/// Nothing that runs under our locks panics, so a poisoned lock is as good as any.
pub(in crate::hub) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Tells the members of a room apart: the address of what the handles of a socket
/// share. The room holds that too, so no other socket can have the address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(in crate::hub) struct MemberId(pub(in crate::hub) usize);

impl MemberId {
    pub(in crate::hub) fn of(socket: &Arc<Shared>) -> Self {
        Self::at(socket)
    }

    pub(in crate::hub) fn with(id: SocketId) -> Self {
        MemberId(id.address())
    }

    fn at(socket: &Shared) -> Self {
        MemberId(std::ptr::from_ref(socket).addr())
    }
}

/// A room, which its handles share.
///
/// The connection of each member holds it too, to take the member out when it ends.
pub(in crate::hub) struct RoomShared {
    pub(in crate::hub) name: Arc<str>,
    pub(in crate::hub) hub: Weak<Registry>,
    state: Mutex<State>,
    /// Made when it is first needed: a plain room needs none.
    order: OnceLock<Box<Order>>,
}

/// What the lock of a room protects.
pub(in crate::hub) struct State {
    /// The members, without those that lag.
    members: HashMap<MemberId, Arc<Shared>>,
    /// The frames that were queued for them last.
    last_run: LastRun,
    /// The members that lag, while there are any.
    lag: Option<Box<Lag<MemberId, Arc<Shared>, Prepared>>>,
    pub(in crate::hub) log: Option<Box<Log>>,
    /// Who is here, once somebody has asked or entered.
    pub(in crate::hub) presence: Option<Box<Presence>>,
    /// Calls that wait for the engine about this room.
    pub(in crate::hub) waiting: u32,
    /// Whether the engine has been asked to follow the room.
    pub(in crate::hub) is_followed: bool,
    /// Whether the engine follows it: nothing that happens in the room is missed.
    pub(in crate::hub) is_heard: bool,
    /// Since when nobody has been in the room, and nothing was said; `None` while somebody is.
    pub(in crate::hub) quiet_since: Option<Instant>,
    /// Whether the hub keeps the room, and will look when it may be let go.
    pub(in crate::hub) is_kept: bool,
}

/// What keeps the messages of a log, and the changes of who is present, in one order.
#[derive(Default)]
pub(in crate::hub) struct Order {
    /// Held while messages are put into the log and handed to the members, also while closures
    /// of the user run. It is taken before the lock of the state.
    pub(in crate::hub) turn: Mutex<()>,
    /// Messages that were sent from within such closures. Who holds the turn sends them.
    pub(in crate::hub) deferred: Mutex<Vec<Deferred>>,
    /// Something has happened that a call may wait for.
    pub(in crate::hub) answered: Notify,
    /// Whether the roster is to be read after a pause.
    pub(in crate::hub) is_roster_due: AtomicBool,
    /// The number of subscriptions, which wait for messages by `answered` too.
    pub(in crate::hub) listeners: AtomicU32,
}

/// A message that a closure of the user has sent.
pub(in crate::hub) struct Deferred {
    pub(in crate::hub) message: Prepared,
    pub(in crate::hub) except: Option<MemberId>,
    /// The key, if it is to be appended once.
    pub(in crate::hub) once: Option<Box<str>>,
}

impl RoomShared {
    fn new(name: Arc<str>, hub: &Arc<Registry>) -> Arc<Self> {
        let settings = &hub.settings;
        let log = settings.history.map(|history| {
            let start = Position::new(0, hub.tags.next());
            let follower = settings
                .engine
                .as_ref()
                .map(|_| Follower::new(hub.backlog.clone()));
            Box::new(Log::new(Ring::new(start, history.limits()), follower))
        });
        Arc::new(RoomShared {
            name,
            hub: Arc::downgrade(hub),
            order: OnceLock::new(),
            state: Mutex::new(State {
                members: HashMap::new(),
                last_run: LastRun::default(),
                lag: None,
                log,
                presence: hub.settings.on_presence.as_ref().map(|_| Box::default()),
                waiting: 0,
                is_followed: false,
                is_heard: false,
                quiet_since: None,
                is_kept: false,
            }),
        })
    }

    pub(in crate::hub) fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    pub(in crate::hub) fn order(&self) -> &Order {
        self.order.get_or_init(Box::default)
    }

    /// Takes the turn, unless another task has it.
    pub(in crate::hub) fn try_turn(&self) -> Option<MutexGuard<'_, ()>> {
        match self.order().turn.try_lock() {
            Ok(turn) => Some(turn),
            Err(TryLockError::Poisoned(turn)) => Some(turn.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    /// Changes the log, and counts what it takes then. Rooms forget if that is too much.
    pub(in crate::hub) fn change_log<R>(
        &self,
        hub: &Registry,
        change: impl FnOnce(&mut Log) -> R,
    ) -> Option<R> {
        let mut state = self.lock();
        let log = state.log.as_deref_mut()?;
        Some(count_memory(hub, log, change))
    }

    pub(in crate::hub) fn remove(self: &Arc<Self>, socket: &Arc<Shared>) {
        let mut state = self.lock();
        let removed = state.take_out(MemberId::of(socket));
        let is_over = removed.is_some() && !state.is_wanted();
        drop(state);
        // Without the lock of the room.
        if let Some(socket) = &removed {
            socket.leave_run();
        }
        // Dropped without the lock: it may be the last handle on the connection.
        drop(removed);
        if is_over && let Some(hub) = self.hub.upgrade() {
            self.left(&hub);
        }
    }
}

/// The outcome of sending a message to a room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Sent {
    /// The number of members that the message is queued for, or kept for because they
    /// [lag](super::Hub::lag_limit).
    pub queued: usize,
    /// The number of members that do not get the message. There are three reasons: the connection
    /// is closing; the output queue is full and the policy drops this message; or the member lagged too
    /// far, and this message has closed its connection.
    pub missed: usize,
    /// Whether the message was passed on, and reaches members later. The hub's engine delivers it,
    /// or, if a closure of the hub has sent it, the room does when the closure has returned. With a
    /// history the two numbers are then 0. Without one they count the members on this server, and
    /// the engine delivers to other servers.
    pub passed_on: bool,
}

impl State {
    /// Returns whether somebody is interested in what is said here.
    pub(in crate::hub) fn is_wanted(&self) -> bool {
        let has_seats = |presence: &Presence| presence.has_seats();
        self.len() > 0 || self.waiting > 0 || self.presence.as_deref().is_some_and(has_seats)
    }
}

/// Changes a log, and counts the difference in memory.
pub(in crate::hub) fn count_memory<R>(
    hub: &Registry,
    log: &mut Log,
    change: impl FnOnce(&mut Log) -> R,
) -> R {
    let before = log.memory();
    let result = change(log);
    let after = log.memory();
    let bytes = &hub.counts.history_bytes;
    if after > before {
        bytes.fetch_add(after - before, Ordering::Relaxed);
    } else {
        bytes.fetch_sub(before - after, Ordering::Relaxed);
    }
    result
}

impl Observer for RoomShared {
    fn closed(self: Arc<Self>, socket: &Arc<Shared>) {
        self.remove(socket);
    }
}

impl Drop for RoomShared {
    fn drop(&mut self) {
        if let Some(hub) = self.hub.upgrade() {
            let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
            if let Some(log) = state.log.as_deref_mut() {
                count_memory(&hub, log, Log::forget);
            }
            let mut rooms = hub.lock();
            // A new room may have taken the name since the last handle was dropped.
            if rooms
                .get(&self.name)
                .is_some_and(|room| room.strong_count() == 0)
            {
                rooms.remove(&self.name);
                shrink(&mut rooms, FEW);
            }
        }
    }
}
