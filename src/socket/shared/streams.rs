//! What a connection needs whose messages are received or sent in chunks: made
//! when it is needed, so that others have one empty pointer.

use crate::protocol::{Outbox, Writer};
use crate::socket::shared::State;
use crate::socket::shared::chunks::ChunkQueue;

#[derive(Default)]
pub(in crate::socket) struct Streams {
    pub(in crate::socket) arriving: ChunkQueue,
    /// Messages that wait behind one that is being sent in chunks.
    pub(in crate::socket) behind: Option<Outbox>,
}

impl State {
    pub(in crate::socket) fn streams(&mut self) -> &mut Streams {
        self.streams.get_or_insert_default()
    }

    /// Forgets what is not needed any more.
    pub(in crate::socket) fn forget_streams(&mut self) {
        self.streams
            .take_if(|it| !it.arriving.is_active() && it.behind.is_none());
    }

    /// Whether messages are handed over in parts.
    pub(in crate::socket) fn receives_parts(&self) -> bool {
        self.streams
            .as_ref()
            .is_some_and(|it| it.arriving.is_active())
    }

    /// Whether the parts are to be put together.
    pub(in crate::socket) fn puts_together(&self) -> bool {
        self.streams
            .as_ref()
            .is_some_and(|it| it.arriving.is_for_recv())
    }

    /// What waits behind a message that is being sent in chunks, if one is.
    pub(in crate::socket) fn behind(&self) -> Option<&Outbox> {
        self.streams.as_ref().and_then(|it| it.behind.as_ref())
    }

    /// Where a message is queued, and who encodes it.
    #[inline]
    pub(in crate::socket) fn queue(&mut self) -> (&mut Writer, &mut Outbox) {
        if self.behind().is_none() {
            return self.output();
        }
        let streams = self.streams.get_or_insert_default();
        (&mut self.writer, streams.behind.get_or_insert_default())
    }

    /// The message that is sent in chunks is complete: those behind it follow.
    pub(in crate::socket) fn let_through(&mut self) {
        let behind = self.streams.as_mut().and_then(|it| it.behind.take());
        if let Some(mut behind) = behind {
            self.output().1.append(&mut behind);
        }
        self.forget_streams();
    }
}
