//! Answers of an engine, as the keeper gives them to a room.

use std::sync::Arc;
use std::time::Duration;

use super::{Registry, RoomShared};
use crate::hub::backplane::{EngineError, Reply};

impl RoomShared {
    /// Makes the address of an answer that the keeper gives to the room; an error after a pause.
    ///
    /// The engine answers from wherever it likes, also within the call that asks, while locks of the
    /// room are held. So nothing is done there.
    pub(super) fn reply_in_keeper<T: Send + 'static>(
        self: &Arc<Self>,
        hub: &Arc<Registry>,
        pause: Duration,
        then: impl FnOnce(&Arc<RoomShared>, &Arc<Registry>, Result<T, EngineError>) + Send + 'static,
    ) -> Reply<Result<T, EngineError>> {
        let (room, weak) = (Arc::downgrade(self), Arc::downgrade(hub));
        let lost = || Err(EngineError::new("the engine gave no answer"));
        Reply::new(lost, move |answer: Result<T, EngineError>| {
            let Some(hub) = weak.upgrade() else {
                return;
            };
            if let Some((_, keeper)) = hub.engine() {
                let delay = if answer.is_ok() {
                    Duration::ZERO
                } else {
                    pause
                };
                keeper.after(delay, move || {
                    if let (Some(room), Some(hub)) = (room.upgrade(), weak.upgrade()) {
                        then(&room, &hub, answer);
                    }
                });
            }
        })
    }
}
