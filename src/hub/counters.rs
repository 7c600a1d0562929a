//! What a hub counts.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// What has happened in a hub since it was made; see [`Hub::counters`](super::Hub::counters).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// How often a room had fallen behind the engine, and everything that was missing was found.
    pub gaps_repaired: u64,
    /// How often messages of a room were lost for good, and its members, if any, were told or closed.
    pub gaps_lost: u64,
    /// How often the subscription to the engine was interrupted.
    pub interruptions: u64,
    /// Messages that, as far as is known, were not passed on, because too many bytes waited for the
    /// engine, or because it did not answer in time. [`Room::publish`](super::Room::publish)
    /// reports them too.
    pub dropped: u64,
    /// Reads of a room's log from the engine.
    pub reads: u64,
    /// Messages whose outcome was unknown, and that were sent again, although the engine had them
    /// already.
    pub repeats: u64,
    /// Messages that could not be read, because a newer release has written them.
    pub unreadable: u64,
    /// The bytes that the histories of all rooms take now.
    pub history_bytes: usize,
    /// How often a member began to [lag](super::Hub::lag_limit): its output queue was full when its
    /// room sent.
    pub lagged: u64,
    /// How often a member lagged too far, and was closed.
    pub too_slow: u64,
    /// The bytes that all rooms keep now for members that lag.
    pub lag_bytes: usize,
}

/// The counters as they count.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) gaps_repaired: AtomicU64,
    pub(super) gaps_lost: AtomicU64,
    pub(super) interruptions: AtomicU64,
    pub(super) dropped: AtomicU64,
    pub(super) reads: AtomicU64,
    pub(super) repeats: AtomicU64,
    pub(super) unreadable: AtomicU64,
    pub(super) history_bytes: AtomicUsize,
    pub(super) lagged: AtomicU64,
    pub(super) too_slow: AtomicU64,
    /// Rooms that go give back their part.
    pub(super) lag_bytes: Arc<AtomicUsize>,
}

impl Counts {
    pub(super) fn add(counter: &AtomicU64) {
        Self::add_many(counter, 1);
    }

    pub(super) fn add_many(counter: &AtomicU64, count: usize) {
        counter.fetch_add(count as u64, Ordering::Relaxed);
    }

    pub(super) fn read(&self) -> Counters {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counters {
            gaps_repaired: get(&self.gaps_repaired),
            gaps_lost: get(&self.gaps_lost),
            interruptions: get(&self.interruptions),
            dropped: get(&self.dropped),
            reads: get(&self.reads),
            repeats: get(&self.repeats),
            unreadable: get(&self.unreadable),
            history_bytes: self.history_bytes.load(Ordering::Relaxed),
            lagged: get(&self.lagged),
            too_slow: get(&self.too_slow),
            lag_bytes: self.lag_bytes.load(Ordering::Relaxed),
        }
    }
}
