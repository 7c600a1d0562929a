//! What one read of the driver brought.

use std::ops::ControlFlow;

use bytes::Bytes;

use crate::Message;
use crate::protocol::{Event, EventSink};
use crate::socket::shared::{Control, Demand, Inbox, ReadEnd};

/// The outcome of one read.
#[derive(Debug, Default)]
pub(super) struct Received {
    /// Whether the IO returned bytes.
    pub(super) read: bool,
    /// Whether there were bytes from before, for which there had been no room.
    pub(super) left_over: bool,
    /// The number of frames that were completed.
    pub(super) frames: u32,
    /// Whether a message was completed.
    pub(super) messages: bool,
    /// Whether messages are handed over in chunks, and the chunk that was cut.
    pub(super) in_chunks: bool,
    pub(super) chunk: Option<Message>,
    /// The payload of the last pong.
    pub(super) pong: Option<Bytes>,
    /// The end of receiving, if it has ended.
    pub(super) end: Option<ReadEnd>,
}

impl Received {
    /// Whether there is something to publish.
    #[inline]
    pub(super) fn has_input(&self) -> bool {
        self.messages || self.chunk.is_some()
    }
}

/// Takes events from the reader, until there is no room for another.
pub(super) struct Taking<'a> {
    pub(super) received: &'a mut Received,
    pub(super) demand: &'a mut Demand,
    pub(super) batch: &'a mut Option<Box<Inbox>>,
    pub(super) control: &'a mut Control,
}

impl EventSink for Taking<'_> {
    fn event(&mut self, event: Event) -> ControlFlow<()> {
        match event {
            Event::Message(message) => return self.message(message),
            Event::Ping(payload) => self.control.pongs.push(payload),
            Event::Pong(payload) => self.received.pong = Some(payload),
            Event::Close(frame) => {
                self.received.end = Some(ReadEnd::Close(frame));
                return ControlFlow::Break(());
            }
        }
        ControlFlow::Continue(())
    }

    #[inline(always)]
    fn message(&mut self, message: Message) -> ControlFlow<()> {
        let Some(capacity) = self.demand.capacity() else {
            return ControlFlow::Continue(());
        };
        let length = message.len();
        *capacity = capacity.less(1, length);
        let batch = self.batch.get_or_insert_with(Inbox::pooled);
        batch.push(message, length);
        self.received.messages = true;
        if capacity.is_empty() {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }
}
