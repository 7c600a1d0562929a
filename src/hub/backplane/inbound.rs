//! What arrives from an engine.

use std::fmt;
use std::sync::{Arc, Weak};
use std::time::Instant;

use bytes::Bytes;

use super::error::EngineError;
use super::log::{Arrival, RosterChange};

/// Where an engine puts what arrives.
///
/// Each call has done its work when it returns: it delivers to the members on this server, and
/// waits for none of them. Calls about the same room must come one after the other. An `Inbound`
/// does not keep the hub alive: when the hub is gone, calls have no effect, and
/// [`is_closed`](Self::is_closed) says so.
#[derive(Clone)]
pub struct Inbound(pub(in crate::hub) Weak<dyn Receive>);

/// The hub, as an engine sees it.
pub(in crate::hub) trait Receive: Send + Sync {
    fn following(self: Arc<Self>, room: &str);
    fn arrived(self: Arc<Self>, room: &str, arrival: Arrival);
    fn relayed(self: Arc<Self>, room: &str, envelope: Bytes);
    fn presence(self: Arc<Self>, room: &str, change: RosterChange);
    fn lease_lost(self: Arc<Self>);
    fn has_entries(self: Arc<Self>, room: &str);
    fn interrupted(self: Arc<Self>);
    fn repeated(self: Arc<Self>);
    fn unreadable(self: Arc<Self>);
    fn state(self: Arc<Self>, state: EngineState);
}

impl Inbound {
    /// The engine follows this room: what is published from now on arrives.
    pub fn following(&self, room: &str) {
        self.with(|hub| hub.following(room));
    }

    /// A message of a room that is followed.
    pub fn arrived(&self, room: &str, arrival: Arrival) {
        self.with(|hub| hub.arrived(room, arrival));
    }

    /// A message that another server [relayed](crate::hub::backplane::Backplane::relay).
    pub fn relayed(&self, room: &str, envelope: Bytes) {
        self.with(|hub| hub.relayed(room, envelope));
    }

    /// A change in the roster of a room that is followed.
    pub fn presence(&self, room: &str, change: RosterChange) {
        self.with(|hub| hub.presence(room, change));
    }

    /// The lease of this server was over for a time, so its entries may have been removed. The hub
    /// enters them again.
    pub fn lease_lost(&self) {
        self.with(|hub| hub.lease_lost());
    }

    /// The roster of a room has entries of this server. The engine says so of each such room when it
    /// has connected anew: its store may have gone back to an older state, in which a person is present
    /// who has left since. The hub compares the roster with its seats, and ends each entry without a
    /// seat. Other calls about the room may be under way.
    pub fn has_entries(&self, room: &str) {
        self.with(|hub| hub.has_entries(room));
    }

    /// No room is followed any more: messages may be lost from now on, until
    /// [`following`](Self::following) is called for each.
    pub fn interrupted(&self) {
        self.with(|hub| hub.interrupted());
    }

    /// A message whose outcome was unknown was sent again, and the engine had it already. It is
    /// [counted](crate::hub::Counters::repeats).
    pub fn repeated(&self) {
        self.with(|hub| hub.repeated());
    }

    /// Something that another server has written cannot be read, since its release is newer. It is
    /// [counted](crate::hub::Counters::unreadable).
    pub fn unreadable(&self) {
        self.with(|hub| hub.unreadable());
    }

    /// Tells the hub whether the engine can be reached.
    pub fn state(&self, state: EngineState) {
        self.with(|hub| hub.state(state));
    }

    /// Returns whether the hub is gone.
    pub fn is_closed(&self) -> bool {
        self.0.strong_count() == 0
    }

    fn with(&self, call: impl FnOnce(Arc<dyn Receive>)) {
        if let Some(hub) = self.0.upgrade() {
            call(hub);
        }
    }
}

impl fmt::Debug for Inbound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inbound")
            .field("is_closed", &self.is_closed())
            .finish()
    }
}

/// Whether an engine can be reached; see [`Hub::state`](crate::hub::Hub::state).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EngineState {
    /// The engine answers. A hub without an engine is always in this state.
    Up,
    /// The engine does not answer.
    Down {
        /// When that was noticed.
        since: Instant,
        /// The last error.
        reason: EngineError,
    },
}
