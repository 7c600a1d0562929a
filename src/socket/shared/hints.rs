//! The facts about a connection that can be seen without its lock.

#[cfg(not(feature = "interleavings"))]
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, Ordering};

#[cfg(feature = "interleavings")]
use loom::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, Ordering};

use super::driver_task::Repoll;

/// A copy of a few facts about the state, for code that only asks whether it needs the
/// lock at all.
///
/// | fact | written by | when |
/// |---|---|---|
/// | `flags` | [`publish`](Hints::publish) | by the guard of the lock, whenever that is let go |
/// | `receiving` | the `WebSocket`, when it discards what arrives, and its drop | under the lock, once each |
/// | `is_awaited` | the driver, and its handler's poll | by the driver's thread only |
/// | `unsent` | the driver, and its handler's poll | by the driver's thread only |
///
/// `Relaxed` is enough. A reader that must see a change either made it itself, or has
/// heard of it from the task that did, which orders the two. A change that it has not
/// heard of may as well have come later. ([`cork`](super::cork) has the argument.)
pub(super) struct Hints {
    flags: AtomicU8,
    receiving: AtomicU8,
    is_awaited: AtomicBool,
    unsent: AtomicU32,
}

/// The send queue is not empty.
const HAS_OUTPUT: u8 = 1;

/// A message cannot just be appended to the last one: the connection is closing, or
/// a message is being sent in chunks.
const NEEDS_LOCK: u8 = 2;

/// Messages wait in the inbox, or are received in chunks.
const HAS_INPUT: u8 = 4;

/// Whether messages that arrive are received, or discarded, or the `WebSocket` is gone.
const RECEIVES: u8 = 0;
const DISCARDS: u8 = 1;
const DROPPED: u8 = 2;

/// Some of the unsent bytes are in the cork, and not all of them are being written.
/// The other bits of `unsent` are the number of bytes, up to 2 GiB.
const CORKED: u32 = 1 << 31;

impl Hints {
    pub(super) fn new() -> Self {
        Hints {
            flags: AtomicU8::new(0),
            receiving: AtomicU8::new(RECEIVES),
            is_awaited: AtomicBool::new(false),
            unsent: AtomicU32::new(0),
        }
    }

    /// Shows a state that has changed.
    #[inline]
    pub(super) fn publish(&self, has_output: bool, needs_lock: bool, has_input: bool) {
        let flag = |holds, flag| if holds { flag } else { 0 };
        let flags = flag(has_output, HAS_OUTPUT)
            | flag(needs_lock, NEEDS_LOCK)
            | flag(has_input, HAS_INPUT);
        self.flags.store(flags, Ordering::Relaxed);
    }

    /// Whether the send queue holds something.
    #[inline]
    pub(super) fn has_output(&self) -> bool {
        self.flags.load(Ordering::Relaxed) & HAS_OUTPUT != 0
    }

    /// Whether the send queue is empty and a message may simply follow the last one.
    #[inline]
    pub(super) fn is_plain(&self) -> bool {
        self.flags.load(Ordering::Relaxed) & (HAS_OUTPUT | NEEDS_LOCK) == 0
    }

    /// Whether a receiver finds nothing under the lock: no message, no end, no chunks.
    #[inline]
    pub(super) fn has_nothing_to_receive(&self) -> bool {
        self.flags.load(Ordering::Relaxed) & (NEEDS_LOCK | HAS_INPUT) == 0
            && self.receiving.load(Ordering::Relaxed) == RECEIVES
    }

    /// Whether the handler waits to receive, in the driver's own task.
    #[inline]
    pub(super) fn is_awaited(&self) -> bool {
        self.is_awaited.load(Ordering::Relaxed)
    }

    /// The handler waits to receive. The driver polls it when there is something.
    #[inline]
    pub(super) fn set_awaited(&self) {
        self.is_awaited.store(true, Ordering::Relaxed);
    }

    /// There is something to receive: the handler is polled again if it waits for that.
    #[inline]
    pub(super) fn take_awaited(&self) -> Repoll {
        if !self.is_awaited() {
            return Repoll::No;
        }
        self.is_awaited.store(false, Ordering::Relaxed);
        Repoll::Yes
    }

    /// The bytes that go out before those in the send queue: they are being written,
    /// or in the cork.
    #[inline]
    pub(super) fn unsent_bytes(&self) -> usize {
        (self.unsent.load(Ordering::Relaxed) & !CORKED) as usize
    }

    #[inline]
    pub(super) fn is_corked(&self) -> bool {
        self.unsent.load(Ordering::Relaxed) & CORKED != 0
    }

    /// This many bytes are being written, and none are in the cork.
    #[inline]
    pub(super) fn set_in_flight(&self, bytes: usize) {
        self.unsent.store(saturated(bytes), Ordering::Relaxed);
    }

    /// This many bytes are being written or in the cork.
    #[inline]
    pub(super) fn set_corked(&self, bytes: usize) {
        self.unsent
            .store(saturated(bytes) | CORKED, Ordering::Relaxed);
    }

    #[inline]
    pub(super) fn is_socket_dropped(&self) -> bool {
        self.receiving.load(Ordering::Relaxed) == DROPPED
    }

    pub(super) fn set_socket_dropped(&self) {
        self.receiving.store(DROPPED, Ordering::Relaxed);
    }

    /// Whether nothing that arrives is received any more.
    #[inline]
    pub(super) fn discards(&self) -> bool {
        self.receiving.load(Ordering::Relaxed) != RECEIVES
    }

    /// Messages that arrive are discarded from now on.
    pub(super) fn set_discards(&self) {
        self.receiving.store(DISCARDS, Ordering::Relaxed);
    }
}

/// Larger values exceed every limit anyway.
#[inline]
fn saturated(bytes: usize) -> u32 {
    bytes.min((CORKED - 1) as usize) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_fact_is_seen_by_itself() {
        let hints = Hints::new();
        assert!(hints.is_plain());
        for flags in 0..8 {
            let [has_output, needs_lock, has_input] = [1, 2, 4].map(|flag| flags & flag != 0);
            hints.publish(has_output, needs_lock, has_input);
            assert_eq!(hints.has_output(), has_output);
            assert_eq!(hints.is_plain(), !has_output && !needs_lock);
            assert_eq!(hints.has_nothing_to_receive(), !has_input && !needs_lock);
        }
        hints.publish(false, false, false);
        assert!(hints.is_plain() && hints.has_nothing_to_receive());
        assert!(!hints.is_socket_dropped() && !hints.discards());
        hints.set_discards();
        assert!(!hints.is_socket_dropped() && hints.discards());
        assert!(!hints.has_nothing_to_receive());
        hints.set_socket_dropped();
        assert!(hints.is_socket_dropped() && hints.discards() && hints.is_plain());
    }

    #[test]
    fn a_handler_that_waits_is_polled_once() {
        let hints = Hints::new();
        assert_eq!(hints.take_awaited(), Repoll::No);
        hints.set_awaited();
        assert!(hints.is_awaited());
        assert_eq!(hints.take_awaited(), Repoll::Yes);
        assert!(!hints.is_awaited());
    }

    #[test]
    fn unsent_bytes_say_whether_some_are_in_the_cork_and_saturate() {
        let hints = Hints::new();
        hints.set_corked(7);
        assert!(hints.is_corked());
        assert_eq!(hints.unsent_bytes(), 7);
        hints.set_in_flight(9);
        assert!(!hints.is_corked());
        assert_eq!(hints.unsent_bytes(), 9);
        hints.set_in_flight(usize::MAX);
        assert!(!hints.is_corked());
        assert_eq!(hints.unsent_bytes(), (1 << 31) - 1);
        hints.set_corked(usize::MAX);
        assert!(hints.is_corked());
        assert_eq!(hints.unsent_bytes(), (1 << 31) - 1);
    }
}
