//! What a connection needs whose messages are received or sent in chunks: made
//! when it is needed, so that others have one empty pointer.

use super::arriving::Arriving;
use super::shared::State;
use crate::protocol::{Outbox, Writer};

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

    /// Whether the parts are to be put together.
    pub(super) fn puts_together(&self) -> bool {
        self.streams
            .as_ref()
            .is_some_and(|it| it.arriving.is_for_recv())
    }

    /// What waits behind a message that is being sent in chunks, if one is.
    pub(super) fn behind(&self) -> Option<&Outbox> {
        self.streams.as_ref().and_then(|it| it.behind.as_ref())
    }

    /// Where a message is queued, and who encodes it.
    #[inline]
    pub(super) fn queue(&mut self) -> (&mut Writer, &mut Outbox) {
        if self.behind().is_none() {
            return self.output();
        }
        let streams = self.streams.get_or_insert_default();
        (&mut self.writer, streams.behind.get_or_insert_default())
    }

    /// The message that is sent in chunks is complete: those behind it follow.
    pub(super) fn let_through(&mut self) {
        let behind = self.streams.as_mut().and_then(|it| it.behind.take());
        if let Some(mut behind) = behind {
            self.output().1.append(&mut behind);
        }
        self.forget_streams();
    }
}
