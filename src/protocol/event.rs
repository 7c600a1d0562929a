//! Events: what the reader finds in the bytes, and the sink that takes them.

use std::ops::ControlFlow;

use bytes::Bytes;

use crate::Message;
use crate::close::CloseFrame;

/// A message or control frame that has arrived completely.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A whole message.
    Message(Message),
    /// A ping, with its payload. A [`Connection`](super::Connection) has queued the
    /// answer.
    Ping(Bytes),
    /// A pong, with its payload.
    Pong(Bytes),
    /// A close frame. A [`Connection`](super::Connection) has queued the reply, if
    /// one was due.
    Close(Option<CloseFrame>),
}

/// The place of a part in its message: the last, or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// More follows.
    More,
    /// This is the last.
    Last,
}

/// Takes events as the reader finds them, and breaks when it wants no more.
pub(crate) trait EventSink {
    fn event(&mut self, event: Event) -> ControlFlow<()>;

    /// Takes a message from the fast path. It is separate from
    /// [`event`](Self::event) so that it is inlined into the read loop.
    fn message(&mut self, message: Message) -> ControlFlow<()>;
}

impl<F: FnMut(Event) -> ControlFlow<()>> EventSink for F {
    #[inline]
    fn event(&mut self, event: Event) -> ControlFlow<()> {
        self(event)
    }

    #[inline]
    fn message(&mut self, message: Message) -> ControlFlow<()> {
        self(Event::Message(message))
    }
}
