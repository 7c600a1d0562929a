//! What a handler sends while its driver polls it: no lock is taken for that.
//!
//! The driver does nothing else during that poll, and nobody but this thread is
//! in it. So for that long an outbox of the driver's lies where this thread finds
//! it, its cork; a push that comes from within the poll, by whatever handle,
//! appends its frame there.
//!
//! ```text
//!   the handler's poll                    other tasks; whatever is out of the ordinary
//!          │ push                                   │ push
//!          ▼                                        ▼
//!   ┌─────────────┐   put back, in front   ┌─────────────────┐
//!   │    desk     │ ─────────────────────► │ outbox (locked) │
//!   └─────────────┘                        └─────────────────┘
//!          └─────────────────┬──────────────────────┘
//!                            ▼ the driver takes both, under the lock
//!                       being written
//! ```
//!
//! # Why the order holds
//!
//! *All that lies on the desk was pushed before all that is in the outbox.*
//!
//! - A push onto the desk looks first whether the outbox is empty, and goes to the
//!   outbox if not ([`Shared::is_plain`]). That is a relaxed load of what is
//!   changed under the lock only; but a change that happened before the push (of
//!   this task, or of one that this task has heard from since) is seen, and what
//!   did not happen before it may as well have happened after.
//! - A push into the outbox may come at any time: it comes later.
//! - So the two are put together with the desk in front, whoever does that and
//!   whenever: the driver when it writes or parks, or a push of this thread that
//!   finds the desk full, so that the policy sees everything.
//!
//! For the same reason nothing goes onto the desk after a close frame, and what
//! lies there leaves before a close frame that came later. How much lies there
//! everybody sees ([`Shared::ahead`]): it counts against the limit of the
//! queue, and a flush waits for it.
//!
//! A desk names the connection that it belongs to, which lives as long as the
//! desk lies there: its driver is being polled. A poll within the poll, of
//! another connection's driver, puts its own desk in the place and then this one
//! back; what is sent on the outer connection meanwhile goes to the outbox. And a
//! panic of the handler is caught within the driver's poll, which then takes the
//! desk away like after any other.

use std::cell::RefCell;
use std::mem;

use crate::Message;
use crate::protocol::{Outbox, Role, Writer};
use crate::socket::driver::buffers;
use crate::socket::shared::{Shared, State};

thread_local! {
    static CORK: RefCell<Option<Box<Cork>>> = const { RefCell::new(None) };
}

/// Frames that the outbox does not know of yet.
pub(in crate::socket) struct Cork {
    /// Whose they are: where its shared state is.
    owner: usize,
    writer: Writer,
    outbox: Box<Outbox>,
    /// The bytes that are being written.
    in_flight: usize,
    limit: usize,
    /// The messages on the cork, and the bytes of their payloads.
    messages: usize,
    bytes: usize,
}

impl Default for Cork {
    /// Nobody's.
    fn default() -> Self {
        Cork {
            owner: 0,
            writer: Writer::new(Role::Server),
            outbox: buffers::outbox(),
            in_flight: 0,
            limit: 0,
            messages: 0,
            bytes: 0,
        }
    }
}

impl Cork {
    /// The next to send here is `owner`, whose state this is.
    #[inline]
    pub(in crate::socket) fn assign(&mut self, owner: &Shared, state: &State) {
        debug_assert!(self.is_empty() || self.owner == address(owner));
        self.owner = address(owner);
        self.writer = Writer::new(state.writer.role());
        self.limit = owner.config.output_limit;
    }

    #[inline]
    pub(in crate::socket) fn is_empty(&self) -> bool {
        self.messages == 0
    }

    pub(in crate::socket) fn set_in_flight(&mut self, bytes: usize) {
        self.in_flight = bytes;
    }

    /// Its buffer, in which there is nothing.
    pub(in crate::socket) fn into_outbox(self) -> Box<Outbox> {
        self.outbox
    }

    /// The bytes that its buffer holds without growing.
    pub(in crate::socket) fn capacity(&self) -> usize {
        self.outbox.capacity()
    }

    #[inline]
    fn push(&mut self, message: &Message, owner: &Shared) -> bool {
        let ahead = self.ahead();
        if ahead != 0 && ahead >= self.limit {
            return false;
        }
        self.bytes += match self.writer.short_message(message, &mut self.outbox) {
            Some(length) => length,
            None => self.push_long(message),
        };
        self.messages += 1;
        owner.set_corked(self.ahead());
        true
    }

    #[inline(never)]
    fn push_long(&mut self, message: &Message) -> usize {
        let pushed = self.writer.message(message, &mut self.outbox);
        debug_assert!(pushed.is_ok(), "this writer is never closed");
        message.len()
    }

    /// The bytes before those in the outbox that all share.
    #[inline]
    fn ahead(&self) -> usize {
        self.in_flight + self.outbox.len()
    }

    /// It has been cleared: what lay there counts as sent.
    fn count(&mut self, state: &mut State) {
        state.sent.add(self.messages, self.bytes);
        (self.messages, self.bytes) = (0, 0);
    }
}

/// Puts a driver's desk into the place, for the poll of its handler, and what was
/// there before into `cork`; called again, puts things back. While the thread is
/// ending there is no place: all goes to the outbox.
#[inline]
pub(in crate::socket) fn swap(cork: &mut Option<Box<Cork>>) {
    let _ = CORK.try_with(|place| mem::swap(&mut *place.borrow_mut(), cork));
}

/// What is in this thread's place, if it is the desk of `owner`.
#[inline]
fn own<R>(owner: &Shared, run: impl FnOnce(&mut Cork) -> R) -> Option<R> {
    let found = CORK.try_with(|place| match place.borrow_mut().as_deref_mut() {
        Some(cork) if cork.owner == address(owner) => Some(run(cork)),
        _ => None,
    });
    found.ok().flatten()
}

fn address(shared: &Shared) -> usize {
    std::ptr::from_ref(shared) as usize
}

impl Shared {
    /// Whether this connection's handler is being polled, on this thread.
    #[inline]
    pub(in crate::socket) fn is_in_handler(&self) -> bool {
        own(self, |_| ()).is_some()
    }

    /// Puts a message onto this connection's cork, if that lies here and nothing
    /// is out of the ordinary.
    #[inline]
    pub(in crate::socket) fn push_corked(&self, message: &Message) -> bool {
        self.is_plain() && own(self, |cork| cork.push(message, self)) == Some(true)
    }

    /// Puts what lies on this connection's desk back, if that lies here.
    pub(in crate::socket) fn uncork_own(&self, state: &mut State) {
        if self.is_corked() {
            let _ = own(self, |cork| self.uncork(cork, state));
        }
    }

    /// Puts what lies on the desk into the outbox, in front.
    #[inline]
    pub(in crate::socket) fn uncork(&self, cork: &mut Cork, state: &mut State) {
        if !cork.is_empty() {
            self.uncork_slow(cork, state);
        }
    }

    fn uncork_slow(&self, cork: &mut Cork, state: &mut State) {
        state.output().1.prepend(&mut cork.outbox);
        cork.count(state);
        self.set_in_flight(cork.in_flight);
        self.look(state);
    }

    /// Takes all that was sent, to be written, into `writing`, which is empty.
    pub(in crate::socket) fn take_all(
        &self,
        cork: &mut Cork,
        state: &mut State,
        writing: &mut Box<Outbox>,
    ) {
        if state.has_output() {
            self.uncork(cork, state);
        }
        if !state.take_output(writing) {
            mem::swap(&mut cork.outbox, writing);
            cork.count(state);
        }
        self.set_in_flight(writing.len());
        self.look(state);
    }
}
