//! What a hub is told before it has rooms.

use std::sync::Arc;

use super::backplane::Backplane;
use super::history::{Gap, History};
use super::people::Change;
use super::position::Position;
use crate::Message;
use crate::config::Overflow;

pub(super) type PresenceFn = dyn Fn(&str, &Change) -> Option<Message> + Send + Sync;

pub(super) type StampFn = dyn Fn(&str, Position, Message) -> Message + Send + Sync;

/// The settings that all rooms of a hub share.
#[derive(Clone)]
pub(super) struct Settings {
    /// What happens to a message from another server for a member whose queue is full.
    pub(super) overflow: Overflow,
    pub(super) history: Option<History>,
    pub(super) stamp: Option<Arc<StampFn>>,
    pub(super) gap: Gap,
    pub(super) on_presence: Option<Arc<PresenceFn>>,
    pub(super) engine: Option<Arc<dyn Backplane>>,
    /// The bytes that may wait for the engine.
    pub(super) outgoing_limit: usize,
    /// The bytes that a room keeps for members that lag.
    pub(super) lag_limit: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            overflow: Overflow::Close,
            history: None,
            stamp: None,
            gap: Gap::default(),
            on_presence: None,
            engine: None,
            outgoing_limit: 4 * 1024 * 1024,
            lag_limit: 16 * 1024 * 1024,
        }
    }
}
