//! The public handle on all rooms.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::oneshot;

use super::backplane::{Backplane, Budget, EngineError, EngineState, Stopped};
use super::counters::Counters;
use super::history::{Gap, History};
use super::people::Change;
use super::position::Position;
use super::room::Room;
use super::settings::Settings;
use super::shared::Registry;
use crate::Message;
use crate::config::Overflow;

/// A set of rooms with names. Clones are handles to the same rooms.
///
/// A room exists as long as it has a member or there is a [`Room`] handle to it, and for a while
/// longer if it has a [`history`](Self::history).
///
/// Some settings hold for all rooms: [`history`](Self::history), [`stamp`](Self::stamp),
/// [`gap`](Self::gap), [`on_presence`](Self::on_presence), [`backplane`](Self::backplane),
/// [`outgoing_limit`](Self::outgoing_limit) and [`lag_limit`](Self::lag_limit). Set them before the
/// hub is cloned, and before its first room; later they panic.
#[derive(Clone)]
pub struct Hub {
    registry: Arc<Registry>,
    overflow: Overflow,
}

impl Default for Hub {
    fn default() -> Self {
        Self::new()
    }
}

impl Hub {
    /// Creates a hub without rooms.
    pub fn new() -> Self {
        Hub {
            registry: Arc::new(Registry::new(Settings::default())),
            overflow: Overflow::Close,
        }
    }

    /// Sets what happens to a message for a member whose output queue is full.
    ///
    /// The default is [`Close`](Overflow::Close): the room keeps the message for the member, and closes
    /// it with 1013 when it is [too far behind](Self::lag_limit). A room does not wait for a member, so
    /// [`Wait`](Overflow::Wait) is treated as `Close`. The policy holds for the
    /// [`Room`] handles that this `Hub` handle returns from now on. Earlier ones keep theirs. While a
    /// member has messages to come that are kept for it, those of handles that drop are dropped for it.
    /// Messages from other servers, and those about [presence](Self::on_presence), follow the policy
    /// that was set before the first room.
    ///
    /// # Panics
    ///
    /// If the hub has a history and the policy drops messages: with a history, a member gets every
    /// message or is closed, and resumes by its position.
    pub fn overflow(mut self, overflow: Overflow) -> Self {
        self.overflow = overflow;
        if let Some(registry) = Arc::get_mut(&mut self.registry) {
            registry.settings.overflow = overflow;
        }
        self.check();
        self
    }

    /// Makes the rooms keep their last messages, so that clients can
    /// [resume](Room::join_from). Without this, a hub keeps nothing.
    ///
    /// Clients need to know the position of each message: see [`stamp`](Self::stamp). Without a
    /// stamp they cannot resume, and a history serves [`Room::history`] only.
    ///
    /// # Panics
    ///
    /// If the hub has been cloned or has had a room, or if its [`overflow`](Self::overflow) policy
    /// drops messages.
    pub fn history(mut self, history: History) -> Self {
        self.settings("history").history = Some(history);
        self.check();
        self
    }

    /// Sets how a message tells its position to the clients: a function of the room's name, the
    /// position after the message, and the message. What it returns is what members get.
    ///
    /// It is called once for each message and server, in the order of the room. It should not
    /// block. It may send to rooms; a message that it sends to the same room follows after this
    /// one.
    ///
    /// ```
    /// use hyper_ws::hub::{History, Hub};
    ///
    /// let hub = Hub::new()
    ///     .history(History::last(100))
    ///     .stamp(|_room, position, message| {
    ///         format!("{position} {}", message.as_text().unwrap_or_default())
    ///     });
    /// ```
    ///
    /// # Panics
    ///
    /// If the hub has been cloned or has had a room.
    pub fn stamp<M: Into<Message>>(
        mut self,
        stamp: impl Fn(&str, Position, Message) -> M + Send + Sync + 'static,
    ) -> Self {
        self.settings("stamp").stamp = Some(Arc::new(move |room, position, message| {
            stamp(room, position, message).into()
        }));
        self
    }

    /// Sets what happens to the members of a room whose messages the engine has lost. The default
    /// is [`Gap::Close`].
    ///
    /// # Panics
    ///
    /// If the hub has been cloned or has had a room.
    pub fn gap(mut self, gap: Gap) -> Self {
        self.settings("gap").gap = gap;
        self
    }

    /// Sets what members of a room are told when somebody enters or leaves it: a function of the
    /// room's name and the change. If it returns a message, all members on this server get it, by the
    /// hub's [policy](Self::overflow). It is not part of the history, and not
    /// [stamped](Self::stamp). A socket that has joined before it enters also gets the message about
    /// itself.
    ///
    /// To show a list, join, enter, and then send [`people`](super::Room::people). A change that
    /// happens meanwhile may arrive before the list and be in it too. So let the client apply
    /// changes by key: then a person who is in both is shown once. There is no grace period: a
    /// person whose connection breaks has left, and enters again after reconnecting.
    ///
    /// It is called once for each change and server. With an engine, changes that were missed are
    /// found by comparing, and told then. It should not block; it may send to rooms.
    ///
    /// ```
    /// use hyper_ws::hub::{Change, Hub};
    ///
    /// let hub = Hub::new().on_presence(|_room, change| match change {
    ///     Change::Entered(person) => Some(format!("{} is here", person.key).into()),
    ///     Change::Left(person) => Some(format!("{} has left", person.key).into()),
    /// });
    /// ```
    ///
    /// # Panics
    ///
    /// If the hub has been cloned or has had a room.
    pub fn on_presence(
        mut self,
        tell: impl Fn(&str, &Change) -> Option<Message> + Send + Sync + 'static,
    ) -> Self {
        self.settings("on_presence").on_presence = Some(Arc::new(tell));
        self
    }

    /// Connects the hub with those of other servers, by an engine. It is started with the first
    /// room, or the first call of [`state`](Self::state).
    ///
    /// With a [`history`](Self::history), all servers have one log for each room. Without one,
    /// messages are passed on, and lost while the engine is away.
    ///
    /// # Panics
    ///
    /// If the hub has been cloned or has had a room. The call that starts the engine panics outside
    /// of a tokio runtime.
    pub fn backplane(mut self, engine: impl Backplane) -> Self {
        self.settings("backplane").engine = Some(Arc::new(engine));
        self
    }

    /// Sets how many bytes may wait for the engine. The default is 4 MiB. Beyond it,
    /// [`Room::publish`] fails, and [`Room::send`] counts the message as dropped.
    ///
    /// # Panics
    ///
    /// If the hub has been cloned or has had a room.
    pub fn outgoing_limit(mut self, bytes: usize) -> Self {
        self.settings("outgoing_limit").outgoing_limit = bytes;
        if let Some(registry) = Arc::get_mut(&mut self.registry) {
            registry.outgoing = Budget::new(bytes);
        }
        self
    }

    /// Sets how many bytes a room keeps for members that *lag*. The default is 16 MiB; all rooms of
    /// this hub together keep at most four times as much.
    ///
    /// A member lags if its output queue is full when the room sends, and the policy is
    /// [`Close`](Overflow::Close). The reason may be a burst in the room, many messages of the
    /// member's handler, or a peer that reads slowly. The room then keeps its messages, once for
    /// all such members, and each member gets them in order, as fast as it reads. Messages that the
    /// member's handler sends meanwhile may overtake them. A member that has got everything no
    /// longer lags. A member that is further behind than the limit is closed with 1013. A member
    /// that reads nothing at all is also closed by the
    /// [`write_timeout`](crate::Config::write_timeout).
    ///
    /// Each message counts as its bytes plus 256. A room with a [`history`](Self::history) may keep
    /// as many messages as the history holds, and a room without one the newest message, however
    /// large they are. That exception ends when all rooms together are over their limit. As they
    /// come near it, each room has at most half of the bytes that are left. The memory taken may be
    /// twice the count, since a short message is stored as a payload and as a frame.
    ///
    /// With 0, a member is closed as soon as its output queue is full.
    ///
    /// # Panics
    ///
    /// If the hub has been cloned or has had a room.
    pub fn lag_limit(mut self, bytes: usize) -> Self {
        self.settings("lag_limit").lag_limit = bytes;
        self
    }

    /// Returns the room of this name, and creates it if it does not exist.
    ///
    /// A room takes memory here, and a key in the engine once it is used. So check names that come
    /// from clients, or let only some of them make rooms.
    ///
    /// # Panics
    ///
    /// If the hub has an engine and this is its first room, outside of a tokio runtime.
    pub fn room(&self, name: &str) -> Room {
        let room = self.registry.room(name);
        Room::new(room, self.registry.clone(), self.overflow)
    }

    /// Returns whether the engine can be reached, for a readiness probe. A hub without an engine
    /// is always [up](EngineState::Up).
    ///
    /// It is down until the engine has answered for the first time, and after [`close`](Self::close).
    /// While the engine is down, sockets work and members are not closed.
    ///
    /// # Panics
    ///
    /// If the engine was not started, outside of a tokio runtime.
    pub fn state(&self) -> EngineState {
        self.registry.engine();
        self.registry.engine_state.borrow().clone()
    }

    /// Waits until the [`state`](Self::state) differs from a known one, and returns it.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future has no effect.
    pub async fn state_changed(&self, known: &EngineState) -> EngineState {
        self.registry.engine();
        let mut states = self.registry.engine_state.subscribe();
        match states.wait_for(|state| state != known).await {
            Ok(state) => state.clone(),
            // It cannot happen: this hub has the sender.
            Err(_) => known.clone(),
        }
    }

    /// Returns what has happened so far.
    pub fn counters(&self) -> Counters {
        self.registry.counts.read()
    }

    /// Stops the engine: carries out what is queued, and leaves the rosters. Call it when the
    /// server shuts down, after its sockets have been closed. A hub without an engine has nothing
    /// to stop.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future does not keep the engine from stopping.
    pub async fn close(&self) {
        if let Some((engine, _)) = self.registry.engine() {
            let (stopped, is_stopped) = oneshot::channel();
            engine.stop(Stopped { _dropped: stopped });
            // The engine drops the sender when it has stopped.
            let _ = is_stopped.await;
            let (since, reason) = (Instant::now(), EngineError::new("the hub was closed"));
            let closed = EngineState::Down { since, reason };
            self.registry.engine_state.send_replace(closed);
        }
    }

    /// Returns the number of rooms on this server.
    pub fn len(&self) -> usize {
        self.registry
            .lock()
            .values()
            .filter(|room| room.strong_count() > 0)
            .count()
    }

    /// Returns whether there are no rooms on this server.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The number of rooms that are kept although nobody is in them.
    #[cfg(test)]
    pub(super) fn kept(&self) -> usize {
        self.registry.kept_rooms()
    }

    fn settings(&mut self, name: &str) -> &mut Settings {
        match Arc::get_mut(&mut self.registry) {
            Some(registry) => &mut registry.settings,
            None => panic!(
                "`Hub::{name}` comes too late (set it before the hub is cloned, and before its \
                 first room)"
            ),
        }
    }

    fn check(&self) {
        let overflow = self.overflow;
        let drops = match overflow {
            Overflow::DropNewest | Overflow::DropOldest => true,
            Overflow::Close | Overflow::Wait => false,
        };
        assert!(
            self.registry.settings.history.is_none() || !drops,
            "a hub with a history and `Overflow::{overflow:?}` (with a history, a member gets every \
             message or is closed and resumes: use `Overflow::Close`)"
        );
    }
}

impl fmt::Debug for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hub")
            .field("rooms", &self.len())
            .finish_non_exhaustive()
    }
}
