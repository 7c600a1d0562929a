//! The bytes that wait for an engine.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The bytes that wait for the engine, over the whole hub.
#[derive(Debug)]
pub(in crate::hub) struct Budget {
    used: AtomicUsize,
    limit: usize,
}

impl Budget {
    pub(in crate::hub) fn new(limit: usize) -> Arc<Self> {
        Arc::new(Budget {
            used: AtomicUsize::new(0),
            limit,
        })
    }

    /// Takes this many bytes, or returns `None` if that many are not left. A single request may
    /// exceed the limit if nothing else waits.
    pub(in crate::hub) fn take(self: &Arc<Self>, bytes: usize) -> Option<Permit> {
        let taken = self
            .used
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
                (used == 0 || used.saturating_add(bytes) <= self.limit).then_some(used + bytes)
            });
        taken.ok().map(|_| Permit {
            budget: self.clone(),
            bytes,
        })
    }
}

/// The right to keep some bytes waiting. Dropping it gives them back.
#[derive(Debug)]
pub(in crate::hub) struct Permit {
    budget: Arc<Budget>,
    bytes: usize,
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.budget.used.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}
