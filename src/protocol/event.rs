//! What the reader finds in the bytes, and where it goes.

use std::ops::ControlFlow;

use bytes::Bytes;

use crate::Message;
use crate::close::CloseFrame;

/// What arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A whole message.
    Message(Message),
    /// A ping, with its payload. It has been answered if it came from a [`Connection`].
    Ping(Bytes),
    /// A pong, with its payload.
    Pong(Bytes),
    /// A close frame. The reply is queued if one was due.
    Close(Option<CloseFrame>),
}

/// Whether more of a message follows a part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// More follows.
    More,
    /// This is the last.
    Last,
}

/// Where events go, as they come; it breaks when it has had enough.
pub(crate) trait EventSink {
    fn event(&mut self, event: Event) -> ControlFlow<()>;

    /// A message that came the shortest way. What takes it stands on that way.
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
