//! The cork: what a handler sends while its driver polls it. No lock is taken for that.
//!
//! It is an outbox of the driver's, on the [desk](super::desk) (the word of uWebSockets, which
//! corks the socket whose handler runs). A push from within the poll, through whatever handle,
//! appends its frame there.
//!
//! ```text
//!   the handler's poll                    other tasks, and every special case
//!          │ push                                   │ push
//!          ▼                                        ▼
//!   ┌─────────────┐    uncork, in front    ┌──────────────────┐
//!   │    cork     │ ─────────────────────► │ SendQueue (lock) │
//!   └─────────────┘                        └──────────────────┘
//!          └─────────────────┬───────────────────────┘
//!                            ▼ the driver takes both, under the lock
//!                       being written
//! ```
//!
//! # Why the order holds
//!
//! *All that is in the cork was pushed before all that is in the send queue.*
//!
//! - A push into the cork first looks whether the send queue is empty, and goes to the
//!   queue if it is not ([`Hints::is_plain`]). That is a relaxed load of a value that is
//!   changed under the lock only. A change that happened before the push (made by this
//!   task, or by a task that this one has heard from since) is seen. A change that did
//!   not happen before the push may as well have happened after it.
//! - A push into the send queue may come at any time: it comes later.
//! - So the two are joined with the cork in front, whenever that happens: the driver does
//!   it when it writes or parks, and so does a push of this thread that finds the cork
//!   full, so that the overflow policy sees everything.
//!
//! For the same reason nothing enters the cork after a close frame, and what is in the
//! cork leaves before a close frame that came later. Every handle sees how many bytes are
//! in the cork ([`Hints::unsent_bytes`]): they count against the limit of the queue, and
//! a flush waits for them.

use super::hints::Hints;
use super::queue::{is_poolable, pooled_outbox, recycle_outbox};
use crate::Message;
use crate::protocol::{Outbox, Role, Writer};

/// Frames that the send queue does not know of yet.
pub(in crate::socket) struct Cork {
    writer: Writer,
    outbox: Box<Outbox>,
    /// The bytes that are being written.
    in_flight: usize,
    limit: usize,
    /// The messages in the cork, and the bytes of their payloads.
    messages: usize,
    bytes: usize,
    /// Whether its frames were taken without the lock, which does not know of them yet.
    is_taken: bool,
}

impl Default for Cork {
    /// A cork of no connection.
    fn default() -> Self {
        Cork {
            writer: Writer::new(Role::Server),
            outbox: pooled_outbox(),
            in_flight: 0,
            limit: 0,
            messages: 0,
            bytes: 0,
            is_taken: false,
        }
    }
}

impl Cork {
    /// Makes this the cork of a connection with that role and that limit of its queue.
    #[inline]
    pub(super) fn assign(&mut self, role: Role, limit: usize) {
        self.writer = Writer::new(role);
        self.limit = limit;
    }

    #[inline]
    pub(in crate::socket) fn is_empty(&self) -> bool {
        self.messages == 0 || self.is_taken
    }

    /// Takes the frames into `writing`, which is empty, without the lock. Until the lock
    /// [knows](super::Shared::settle) of this batch, all handles see its bytes as those of the
    /// cork, so a flush waits for it and the limit counts it.
    #[inline]
    pub(in crate::socket) fn take(&mut self, writing: &mut Box<Outbox>) {
        debug_assert!(!self.is_taken && writing.is_empty());
        std::mem::swap(&mut self.outbox, writing);
        self.is_taken = true;
    }

    #[inline]
    pub(super) fn is_taken(&self) -> bool {
        self.is_taken
    }

    #[inline]
    pub(super) fn set_in_flight(&mut self, bytes: usize) {
        self.in_flight = bytes;
    }

    #[inline]
    pub(super) fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// Gives the buffer of an empty cork back to this thread's pool.
    pub(in crate::socket) fn recycle(self) {
        debug_assert!(self.is_empty());
        recycle_outbox(self.outbox);
    }

    /// Whether its buffer is of a size that is worth keeping.
    pub(in crate::socket) fn is_poolable(&self) -> bool {
        is_poolable(self.outbox.capacity())
    }

    /// Appends a message, unless that would exceed the limit; returns whether it did.
    #[inline]
    pub(super) fn push(&mut self, message: &Message, hints: &Hints) -> bool {
        debug_assert!(
            !self.is_taken,
            "the lock must know of a batch before the next"
        );
        let unsent = self.unsent_bytes();
        if unsent != 0 && unsent >= self.limit {
            return false;
        }
        self.bytes += match self.writer.short_message(message, &mut self.outbox) {
            Some(length) => length,
            None => {
                self.writer.longer_message(message, &mut self.outbox);
                message.len()
            }
        };
        self.messages += 1;
        hints.set_corked(self.unsent_bytes());
        true
    }

    /// The bytes that go out before those in the send queue.
    #[inline]
    fn unsent_bytes(&self) -> usize {
        self.in_flight + self.outbox.len()
    }

    /// The frames in the cork.
    #[inline]
    pub(super) fn outbox(&mut self) -> &mut Box<Outbox> {
        &mut self.outbox
    }

    /// Takes the counts of messages and of their payloads' bytes, after the frames have been
    /// taken out.
    #[inline]
    pub(super) fn take_counts(&mut self) -> (usize, usize) {
        debug_assert!(self.outbox.is_empty());
        let counts = (self.messages, self.bytes);
        (self.messages, self.bytes, self.is_taken) = (0, 0, false);
        counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cork(limit: usize) -> Cork {
        let mut cork = Cork::default();
        cork.assign(Role::Server, limit);
        cork
    }

    #[test]
    fn a_push_counts_what_is_being_written_and_stops_at_the_limit() {
        let hints = Hints::new();
        let mut cork = cork(20);
        cork.set_in_flight(7);
        assert!(cork.push(&"12345678".into(), &hints));
        assert!(hints.is_corked());
        assert_eq!(hints.unsent_bytes(), 17);
        // The limit may be exceeded by the message that reaches it.
        assert!(cork.push(&"12345678".into(), &hints));
        assert_eq!(hints.unsent_bytes(), 27);
        assert!(!cork.push(&"".into(), &hints));
        assert_eq!(hints.unsent_bytes(), 27);
        assert!(!cork.is_empty());
        cork.outbox().advance(20);
        assert_eq!(cork.take_counts(), (2, 16));
        assert!(cork.is_empty());
        assert_eq!(cork.take_counts(), (0, 0));
    }

    #[test]
    fn a_single_message_fits_whatever_the_limit() {
        let hints = Hints::new();
        let mut cork = cork(0);
        assert!(cork.push(&vec![0; 70_000].into(), &hints));
        assert!(!cork.push(&"".into(), &hints));
    }

    #[test]
    fn a_recycled_cork_leaves_its_buffer_to_the_next_one() {
        let hints = Hints::new();
        let mut small = cork(1 << 20);
        assert!(small.push(&vec![0; 1000].into(), &hints));
        small.set_in_flight(7);
        assert_eq!(small.in_flight(), 7);
        let length = small.outbox().len();
        small.outbox().advance(length);
        small.take_counts();
        assert!(small.is_poolable());
        let capacity = small.outbox.capacity();
        small.recycle();
        assert_eq!(pooled_outbox().capacity(), capacity);

        let mut large = cork(1 << 30);
        while large.outbox.capacity() <= 1 << 20 {
            assert!(large.push(&vec![0; 10_000].into(), &hints));
        }
        assert!(!large.is_poolable());
    }
}
