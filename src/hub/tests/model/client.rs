//! A client of the model: it keeps its position, and resumes with it on any server.

use std::collections::HashSet;

use super::engine::{History, Truth};
use crate::hub::position::Position;

#[derive(Debug, Default)]
pub(super) struct Client {
    /// The position that it would name, and what that is in truth. `None` before the first join.
    pub(super) at: Option<(Position, Truth)>,
    pub(super) state: Link,
    /// What it has received since it last loaded the state.
    received: HashSet<(u64, u64)>,
}

#[derive(Debug, Default)]
pub(super) enum Link {
    #[default]
    Away,
    Joining(Join),
    Member(usize),
}

/// `Room::join_from`, between two of its turns.
#[derive(Debug)]
pub(super) struct Join {
    pub(super) server: usize,
    /// The read that is waited for.
    pub(super) waits_for: Option<u64>,
    /// The position was not in the ring, and the read has been asked for that may bring it.
    pub(super) has_read: bool,
    /// It has been found in the ring.
    pub(super) is_feeding: bool,
    /// How often the engine and the servers had lost something when this began.
    pub(super) losses: usize,
}

impl Client {
    pub(super) fn server(&self) -> Option<usize> {
        match &self.state {
            Link::Away => None,
            Link::Joining(join) => Some(join.server),
            Link::Member(server) => Some(*server),
        }
    }

    /// Receives a message: the one after the last, or something is wrong.
    pub(super) fn receive(
        &mut self,
        position: Position,
        truth: Truth,
        history: &History,
    ) -> Result<(), String> {
        let Some((at, last)) = self.at else {
            return Err("a message before a position".into());
        };
        if history.before(truth) != Some(last) {
            return Err(format!(
                "delivered {position} after {at}: {:?} after {:?}, and not after {:?}",
                history.message(truth),
                history.message(last),
                history
                    .before(truth)
                    .and_then(|place| history.message(place)),
            ));
        }
        if let Some(message) = history.message(truth)
            && !self.received.insert(message)
        {
            return Err(format!("delivered {message:?} twice"));
        }
        self.at = Some((position, truth));
        Ok(())
    }

    /// It loads the state at a position.
    pub(super) fn load(&mut self, position: Position, truth: Truth) {
        self.at = Some((position, truth));
        self.received.clear();
    }
}
