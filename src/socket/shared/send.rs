//! A push into the outbox: what, what if it is full, and what became of it.

use std::io::IoSlice;
use std::task::{Context, Poll, Waker};

use crate::config::Overflow;
use crate::error::{CloseCause, Error, ErrorKind};
use crate::protocol::Prepared;
use crate::socket::shared::driver_task::DriverTask;
use crate::socket::shared::wait::WaitFor;
use crate::socket::shared::{Shared, State};
use crate::{CloseCode, Config, Message};

/// What is pushed into the outbox.
#[derive(Clone, Copy)]
pub(crate) enum Item<'a> {
    Message(&'a Message),
    Prepared(&'a Prepared),
    /// This many bytes of these pieces, as a binary message.
    Pieces(&'a [IoSlice<'a>], usize),
    /// No extension shall encode it.
    #[cfg(feature = "deflate")]
    AsIs(&'a Message),
}

impl Item<'_> {
    #[inline]
    fn len(self) -> usize {
        match self {
            Item::Message(message) => message.len(),
            Item::Prepared(prepared) => prepared.message().len(),
            Item::Pieces(_, length) => length,
            #[cfg(feature = "deflate")]
            Item::AsIs(message) => message.len(),
        }
    }
}

/// What to do about an outbox that is full.
#[derive(Clone, Copy)]
pub(in crate::socket) enum IfFull<'a> {
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

impl Shared {
    /// Encodes a message, onto the desk or into the outbox.
    #[inline]
    pub(in crate::socket) fn push(&self, item: Item<'_>, if_full: IfFull<'_>) -> Pushed {
        match item {
            Item::Message(message) if self.push_corked(message) => Pushed::Queued,
            item => self.push_slow(item, if_full),
        }
    }

    /// Encodes a message into the outbox.
    #[inline(never)]
    fn push_slow(&self, item: Item<'_>, if_full: IfFull<'_>) -> Pushed {
        if let (Item::Prepared(prepared), Some(coding)) = (item, self.coding)
            && let Some(terms) = coding.independent()
        {
            // Compressed by now, for this socket and all others: not under the lock.
            prepared.encoded(terms);
        }
        let mut state = self.lock();
        // The policy may want the oldest messages.
        self.uncork_own(&mut state);
        if state.is_closing() {
            return Pushed::Closed;
        }
        if !state.has_room(self) {
            match if_full {
                IfFull::Push => {}
                IfFull::Refuse => return Pushed::Full,
                IfFull::Wake(place, waker) => {
                    self.wait(&mut state, WaitFor::Room, place, waker);
                    return Pushed::Full;
                }
                IfFull::DropNewest => return Pushed::Dropped,
                IfFull::DropOldest => {
                    let written = match state.behind() {
                        Some(_) => 0,
                        None => self.ahead(),
                    };
                    let limit = self.config.output_limit.saturating_sub(1 + written);
                    state.queue().1.drop_oldest(limit);
                }
                IfFull::Close => {
                    let code = CloseCode::TRY_AGAIN_LATER;
                    self.close_locked(&mut state, CloseCause::Overflow, code, "too slow");
                    self.wake(state);
                    return Pushed::Closed;
                }
            }
        }
        let pushed = match item {
            Item::Message(message) => {
                let (writer, outbox) = state.queue();
                writer.message(message, outbox)
            }
            Item::Pieces(pieces, length) => {
                let (writer, outbox) = state.queue();
                writer.pieces(pieces, length, outbox)
            }
            Item::Prepared(prepared) => state.queue_prepared(prepared, self.coding),
            #[cfg(feature = "deflate")]
            Item::AsIs(message) => {
                let (writer, outbox) = state.queue();
                match self.coding {
                    None => writer.message(message, outbox),
                    Some(_) => writer.message_as_is(message, outbox),
                }
            }
        };
        debug_assert!(pushed.is_ok(), "the writer was open");
        state.sent.add(1, item.len());
        if state.behind().is_some() {
            return Pushed::Queued;
        }
        self.look(&state);
        if state.sleep == DriverTask::Idle {
            self.wake(state);
        }
        Pushed::Queued
    }

    /// A message into the outbox, by a policy that waits for nobody.
    pub(crate) fn deliver(&self, item: Item<'_>, overflow: Overflow) -> Pushed {
        let if_full = match overflow {
            Overflow::DropNewest => IfFull::DropNewest,
            Overflow::DropOldest => IfFull::DropOldest,
            // Whoever delivers to many cannot wait for one.
            Overflow::Close | Overflow::Wait => IfFull::Close,
        };
        self.push(item, if_full)
    }

    /// A message into the outbox, by the policy that the configuration names.
    pub(in crate::socket) fn poll_push(
        &self,
        item: Item<'_>,
        place: usize,
        cx: &mut Context<'_>,
    ) -> Poll<Pushed> {
        let if_full = match self.config.overflow {
            Overflow::Wait => IfFull::Wake(place, cx.waker()),
            Overflow::DropNewest => IfFull::DropNewest,
            Overflow::DropOldest => IfFull::DropOldest,
            Overflow::Close => IfFull::Close,
        };
        match self.push(item, if_full) {
            Pushed::Full => Poll::Pending,
            pushed => Poll::Ready(pushed),
        }
    }

    /// Waits for room in the outbox.
    pub(in crate::socket) fn poll_room(
        &self,
        place: usize,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Error>> {
        let mut state = self.lock();
        if state.is_closing() {
            return Poll::Ready(Err(ErrorKind::Closed.into()));
        }
        if state.has_room(self) {
            return Poll::Ready(Ok(()));
        }
        self.wait(&mut state, WaitFor::Room, place, cx.waker());
        Poll::Pending
    }
}

impl State {
    /// Whether another message may be queued: one always may if nothing else waits.
    fn has_room(&self, shared: &Shared) -> bool {
        match self.behind() {
            Some(behind) => is_room(behind.len(), &shared.config),
            None => self.has_room_ahead(shared),
        }
    }

    /// Whether another part of a message may be queued.
    fn has_room_ahead(&self, shared: &Shared) -> bool {
        let queued = self.output_length() + shared.ahead();
        is_room(queued, &shared.config)
    }

    /// Whether nothing is sent any more.
    pub(in crate::socket) fn is_closing(&self) -> bool {
        !self.writer.is_open() || self.ending.is_some()
    }

    /// Whether somebody who waits has what it wants.
    pub(in crate::socket) fn has(&self, want: WaitFor, shared: &Shared) -> bool {
        match want {
            WaitFor::Room => self.has_room(shared) || self.is_closing(),
            WaitFor::OwnMessage => {
                self.behind().is_none() && self.has_room_ahead(shared) || self.is_closing()
            }
            WaitFor::Chunk => self.has_room_ahead(shared) || self.is_closing(),
            WaitFor::Flush(target) => self.is_written(target) || self.phase.has_ended(),
            WaitFor::End => self.phase.has_ended(),
        }
    }
}

fn is_room(queued: usize, config: &Config) -> bool {
    queued == 0 || queued < config.output_limit
}
