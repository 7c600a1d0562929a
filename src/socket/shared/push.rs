//! A push: a message in one of its forms, the action to take if the queue is full, and the outcome.

use std::io::IoSlice;
#[cfg(feature = "hub")]
use std::sync::Arc;
use std::task::Waker;

#[cfg(feature = "hub")]
use super::Source;
use super::WaiterId;
use super::retention::Retention;
use crate::Message;
#[cfg(doc)]
use crate::config::Overflow;
use crate::protocol::Prepared;

/// The item that is pushed: a message in one of its forms.
#[derive(Clone, Copy)]
pub(crate) enum Item<'a> {
    Message(&'a Message),
    Prepared(&'a Prepared),
    /// This many bytes of these pieces, as a binary message.
    Pieces(&'a [IoSlice<'a>], usize),
    /// A message that no extension may encode.
    #[cfg(feature = "deflate")]
    AsIs(&'a Message),
}

impl Item<'_> {
    #[inline]
    pub(super) fn len(self) -> usize {
        match self {
            Item::Message(message) => message.len(),
            Item::Prepared(prepared) => prepared.message().len(),
            Item::Pieces(_, length) => length,
            #[cfg(feature = "deflate")]
            Item::AsIs(message) => message.len(),
        }
    }
}

/// The action to take if the send queue is full.
#[derive(Clone, Copy)]
pub(in crate::socket) enum IfFull<'a> {
    /// Push all the same: the sender holds a permit.
    Push,
    /// Refuse.
    Refuse,
    /// Refuse, and wake the sender when there is room.
    Wait(WaiterId, &'a Waker),
    DropNewest,
    DropOldest,
    Close,
    /// Refuse, and have the driver call the room when there is room.
    #[cfg(feature = "hub")]
    Lag(SourceOf<'a>),
}

impl IfFull<'_> {
    /// What a full queue does with this message later: the action is that of its sender's policy.
    #[inline]
    pub(super) fn retention(self) -> Retention {
        match self {
            IfFull::DropOldest => Retention::Droppable,
            IfFull::Push
            | IfFull::Refuse
            | IfFull::Wait(..)
            | IfFull::DropNewest
            | IfFull::Close => Retention::Kept,
            #[cfg(feature = "hub")]
            IfFull::Lag(_) => Retention::Kept,
        }
    }
}

/// Makes a handle on the room that sends, if it is needed.
#[cfg(feature = "hub")]
pub(crate) type SourceOf<'a> = &'a dyn Fn() -> Arc<dyn Source>;

/// The outcome of [`Sender::push`](crate::Sender::push).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Pushed {
    /// The message is queued. With [`Overflow::DropOldest`] older ones may have been dropped for it.
    Queued,
    /// The queue is full, and the message was dropped: [`Overflow::DropNewest`]. With
    /// [`Overflow::DropOldest`], if nothing in the queue may be dropped for it.
    Dropped,
    /// The connection has ended or is closing. With [`Overflow::Close`] and [`Overflow::Wait`], a
    /// full queue has closed it now.
    Closed,
}

/// The send queue is full, and the action was to refuse.
pub(crate) struct Full;
