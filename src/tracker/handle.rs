//! The handle: what a server counts, limits and drains its sockets with.

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep, timeout_at};

use super::registry::{Inner, Permit, Refused};
use super::stats::{Ended, Stats};
use crate::CloseCode;
use crate::deadline::after;
use crate::error::CloseCause;

/// Counts sockets, limits them and drains them. Clones share one count.
#[derive(Clone)]
pub struct Tracker {
    limit: usize,
    inner: Arc<Inner>,
}

/// What a [`drain`](Tracker::drain) came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Drained {
    /// Sockets that ended in time.
    pub closed: usize,
    /// Sockets that had to be cut off at the deadline.
    pub aborted: usize,
}

/// How many sockets are closed at a time, so that not all clients come back in
/// the same moment.
const BATCH: usize = 500;

/// The pause between two batches, unless the deadline is too near for that.
const PAUSE: Duration = Duration::from_millis(50);

impl Default for Tracker {
    fn default() -> Self {
        Self::new()
    }
}

impl Tracker {
    /// A tracker without a limit.
    pub fn new() -> Self {
        Tracker {
            limit: usize::MAX,
            inner: Arc::new(Inner {
                state: Mutex::default(),
                began: Instant::now(),
                freed: Notify::new(),
            }),
        }
    }

    /// Refuse handshakes with 503 while this many sockets are connected.
    pub fn limit(mut self, sockets: usize) -> Self {
        self.limit = sockets;
        self
    }

    /// Calls `observer` once for each conversation that has ended, in the task that
    /// ran it: for a histogram of durations, say. One for all clones, the last.
    pub fn on_end(self, observer: impl Fn(&Ended) + Send + Sync + 'static) -> Self {
        self.inner.lock().on_end = Some(Arc::new(observer));
        self
    }

    /// What has been counted until now. Messages are counted by each connection
    /// for itself, so this looks at every open socket, one after the other.
    pub fn stats(&self) -> Stats {
        let (mut stats, sockets) = {
            let state = self.inner.lock();
            let mut stats = state.stats.clone();
            stats.accepted = state.next;
            stats.open = state.count as u64;
            (stats, state.sockets.values().cloned().collect::<Vec<_>>())
        };
        for socket in sockets {
            let (received, sent) = socket.traffic();
            stats.add(received, sent);
        }
        stats
    }

    /// A handshake was refused with this status.
    #[cfg(feature = "server")]
    pub(crate) fn count_refusal(&self, status: u16) {
        *self.inner.lock().stats.refused.entry(status).or_default() += 1;
    }

    /// How many sockets there are, those included whose handshake was just answered.
    pub fn len(&self) -> usize {
        self.inner.lock().count
    }

    /// Whether there is no socket.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A place for another socket. It is free again when the permit is dropped.
    ///
    /// # Errors
    ///
    /// [`Refused`] if there is none.
    pub(crate) fn admit(&self) -> Result<Permit, Refused> {
        let mut state = self.inner.lock();
        if state.draining.is_some() {
            return Err(Refused::Draining);
        }
        if state.count >= self.limit {
            return Err(Refused::Full);
        }
        state.count += 1;
        let id = state.next;
        state.next += 1;
        Ok(Permit {
            id,
            began: self.inner.began.elapsed().as_micros() as u64,
            inner: self.inner.clone(),
        })
    }

    /// Refuses new handshakes with 503 from now on, closes every socket with
    /// `code`, a few hundred at a time, waits until they have ended, and cuts
    /// off those that have not when `timeout` runs out.
    ///
    /// Handlers see the end of the conversation: `recv` returns `Ok(None)`.
    /// Those that are still running at the deadline are dropped.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future stops neither the refusing nor the closing that has
    /// begun; call it again to go on.
    pub async fn drain(&self, code: CloseCode, timeout: Duration) -> Drained {
        let deadline = after(timeout);
        let (total, mut sockets) = {
            let mut state = self.inner.lock();
            state.draining = Some(code);
            (
                state.count,
                state.sockets.values().cloned().collect::<Vec<_>>(),
            )
        };
        let batches = u32::try_from(sockets.len().div_ceil(BATCH).max(1)).unwrap_or(u32::MAX);
        // At least half of the time is left for the answers.
        let pause = PAUSE.min(timeout / 2 / batches);
        while !sockets.is_empty() {
            // What has ended meanwhile is freed with its batch, not all at once.
            for socket in sockets.split_off(sockets.len().saturating_sub(BATCH)) {
                socket.close(CloseCause::Drained(code), code, "");
            }
            if !sockets.is_empty() {
                sleep(pause).await;
            }
        }
        drop(sockets);
        if timeout_at(deadline, self.inner.emptied()).await.is_ok() {
            return Drained {
                closed: total,
                aborted: 0,
            };
        }
        let (left, sockets) = {
            let state = self.inner.lock();
            (
                state.count,
                state.sockets.values().cloned().collect::<Vec<_>>(),
            )
        };
        for socket in sockets {
            socket.abort(CloseCause::Drained(code));
        }
        // Each ends when its task is next polled; a handler that never yields
        // keeps its thread, and is not waited for.
        let _ = timeout_at(after(ABORT), self.inner.emptied()).await;
        Drained {
            closed: total.saturating_sub(left),
            aborted: left,
        }
    }
}

/// How long to wait for the tasks of sockets that were cut off.
const ABORT: Duration = Duration::from_secs(1);

impl fmt::Debug for Tracker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tracker")
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}
