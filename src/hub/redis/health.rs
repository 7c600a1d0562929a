//! Whether the engine can be reached, as its two connections together show it.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use crate::hub::backplane::{EngineError, EngineState, Inbound, NOT_CONNECTED};

/// The two connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// The one that subscribes.
    Line,
    /// The one that asks.
    Publisher,
}

/// The state of both connections. The engine is up if both are.
#[derive(Debug)]
pub(super) struct Health(Mutex<Parts>);

#[derive(Debug)]
struct Parts {
    line: Option<EngineError>,
    publisher: Option<EngineError>,
    /// Since when one of them has been down.
    down: Option<Instant>,
}

impl Health {
    pub(super) fn new() -> Self {
        let reason = EngineError::new(NOT_CONNECTED);
        Health(Mutex::new(Parts {
            line: Some(reason.clone()),
            publisher: Some(reason),
            down: None,
        }))
    }

    /// Says that the engine is not connected yet.
    pub(super) fn begin(&self, inbound: &Inbound) {
        self.change(inbound, |_| {});
    }

    pub(super) fn up(&self, part: Part, inbound: &Inbound) {
        self.change(inbound, |parts| *parts.of(part) = None);
    }

    pub(super) fn down(&self, part: Part, reason: &EngineError, inbound: &Inbound) {
        self.change(inbound, |parts| *parts.of(part) = Some(reason.clone()));
    }

    /// Why the engine is down; `None` while it is up.
    pub(super) fn reason(&self) -> Option<EngineError> {
        let parts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        parts.reason()
    }

    /// The lock is held while the hub is told, so that it is told in order.
    fn change(&self, inbound: &Inbound, change: impl FnOnce(&mut Parts)) {
        let mut parts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut parts);
        match (parts.reason(), parts.down) {
            (Some(reason), None) => {
                let since = Instant::now();
                parts.down = Some(since);
                inbound.state(EngineState::Down { since, reason });
            }
            (Some(reason), Some(since)) => inbound.state(EngineState::Down { since, reason }),
            (None, Some(_)) => {
                parts.down = None;
                inbound.state(EngineState::Up);
            }
            (None, None) => {}
        }
    }
}

impl Parts {
    fn reason(&self) -> Option<EngineError> {
        self.publisher.as_ref().or(self.line.as_ref()).cloned()
    }

    fn of(&mut self, part: Part) -> &mut Option<EngineError> {
        match part {
            Part::Line => &mut self.line,
            Part::Publisher => &mut self.publisher,
        }
    }
}
