//! What a connection needs whose messages are received or sent in chunks: made
//! when it is needed, so that others have one empty pointer.

use super::arriving::Arriving;
use super::shared::State;
use crate::protocol::Outbox;

#[derive(Default)]
pub(super) struct Streams {
    pub(super) arriving: Arriving,
    /// Messages that wait behind one that is being sent in chunks.
    pub(super) behind: Option<Outbox>,
}

impl State {
    pub(super) fn streams(&mut self) -> &mut Streams {
        self.streams.get_or_insert_default()
    }

    /// Forgets what is not needed any more.
    pub(super) fn forget_streams(&mut self) {
        self.streams
            .take_if(|it| !it.arriving.is_active() && it.behind.is_none());
    }

    /// Whether messages are handed over in parts.
    pub(super) fn receives_parts(&self) -> bool {
        self.streams
            .as_ref()
            .is_some_and(|it| it.arriving.is_active())
    }
}
