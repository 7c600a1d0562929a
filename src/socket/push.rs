//! A push into the outbox: what, what if it is full, and what became of it.

use std::task::Waker;

use crate::Message;
use crate::protocol::Prepared;

/// What is pushed into the outbox.
#[derive(Clone, Copy)]
pub(crate) enum Item<'a> {
    Message(&'a Message),
    Prepared(&'a Prepared),
    /// No extension shall encode it.
    #[cfg(feature = "deflate")]
    AsIs(&'a Message),
}

/// What to do about an outbox that is full.
#[derive(Clone, Copy)]
pub(super) enum IfFull<'a> {
    /// Push all the same: the sender holds a permit.
    Push,
    /// Say so.
    Refuse,
    /// Say so, and wake the sender when there is room.
    Wake(usize, &'a Waker),
    DropNewest,
    DropOldest,
    Close,
}

/// What became of a push.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pushed {
    Queued,
    Full,
    Dropped,
    Closed,
}
