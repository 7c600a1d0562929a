//! The public handle: counting, limiting and draining.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep_until, timeout_at};

use super::registry::{Permit, Refused, Registry};
use super::stats::{Ended, Stats};
use crate::CloseCode;
use crate::deadline::after;
use crate::error::CloseCause;

/// Counts the sockets of a server, limits their number and drains them. Clones share
/// one count.
#[derive(Clone)]
pub struct Tracker {
    limit: usize,
    registry: Arc<Registry>,
}

/// The outcome of a [`drain`](Tracker::drain).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Drained {
    /// Sockets that closed before the timeout.
    pub closed: usize,
    /// Sockets that were still open at the timeout, and were aborted.
    pub aborted: usize,
}

/// The number of sockets that a drain closes at a time. A pause between batches keeps
/// all the clients from connecting again in the same moment.
const BATCH: usize = 500;

/// The pause between two batches, unless the timeout is too short for it.
const PAUSE: Duration = Duration::from_millis(50);

/// How long a drain waits for the tasks of aborted sockets.
const ABORT: Duration = Duration::from_secs(1);

impl Default for Tracker {
    fn default() -> Self {
        Self::new()
    }
}

impl Tracker {
    /// Creates a tracker without a limit.
    pub fn new() -> Self {
        Tracker {
            limit: usize::MAX,
            registry: Arc::new(Registry::new()),
        }
    }

    /// Rejects handshakes with 503 while this many sockets are open.
    pub fn limit(mut self, sockets: usize) -> Self {
        self.limit = sockets;
        self
    }

    /// Calls `observer` once for each connection that has ended, in the task of that
    /// connection. It can fill a histogram of durations, for example.
    ///
    /// A tracker and its clones have one observer; the last call sets it.
    pub fn on_end(self, observer: impl Fn(&Ended) + Send + Sync + 'static) -> Self {
        self.registry.set_on_end(Arc::new(observer));
        self
    }

    /// Returns what has been counted until now.
    ///
    /// Each connection counts its own messages, so a call visits every open socket.
    pub fn stats(&self) -> Stats {
        self.registry.stats()
    }

    /// Counts a handshake that was rejected with `status`.
    #[cfg(feature = "server")]
    pub(crate) fn count_refusal(&self, status: u16) {
        self.registry.count_refusal(status);
    }

    /// Returns the number of open sockets. A handshake counts from the moment at which
    /// it is accepted.
    pub fn len(&self) -> usize {
        self.registry.count()
    }

    /// Returns whether no socket is open.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Gives a permit for another socket, which counts until the permit is dropped.
    ///
    /// # Errors
    ///
    /// [`Refused`] if the limit is reached or a drain has begun.
    pub(crate) fn admit(&self) -> Result<Permit, Refused> {
        self.registry.admit(self.limit)
    }

    /// Returns whether [`admit`](Self::admit) would give a permit now, without taking one.
    #[cfg(feature = "server")]
    pub(crate) fn look_for_room(&self) -> Result<(), Refused> {
        self.registry.look_for_room(self.limit)
    }

    /// Closes every socket with `code` and waits until all have ended. Sockets that
    /// are still open when `timeout` has passed are aborted.
    ///
    /// From now on, new handshakes are rejected with 503. Sockets are closed a few
    /// hundred at a time, so that not all clients connect again in the same moment.
    ///
    /// Handlers see the end of the connection: `recv` returns `Ok(None)`. Handlers that
    /// still run at the timeout are dropped. A client that has answered the close frame, and keeps
    /// its TCP connection open, is aborted too.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future does not undo what has begun: handshakes are still rejected,
    /// and sockets that were closed stay closed. Call `drain` again to continue.
    pub async fn drain(&self, code: CloseCode, timeout: Duration) -> Drained {
        let deadline = after(timeout);
        let (total, mut sockets) = self.registry.begin_drain(code);
        let batches = u32::try_from(sockets.len().div_ceil(BATCH).max(1)).unwrap_or(u32::MAX);
        // At least half of the time is left for the peers to answer.
        let pause = PAUSE.min(timeout / 2 / batches);
        let mut next = Instant::now();
        while !sockets.is_empty() {
            // Each batch drops its sockets, so those that have ended are freed batch by
            // batch and not all at once.
            for socket in sockets.split_off(sockets.len().saturating_sub(BATCH)) {
                socket.close(CloseCause::Drained(code), code, "");
            }
            if !sockets.is_empty() {
                // Not so long after the last batch: a timer is late by up to a millisecond, which
                // adds up to more than the timeout if the batches are many.
                next += pause;
                sleep_until(next).await;
            }
        }
        drop(sockets);
        if timeout_at(deadline, self.registry.emptied()).await.is_ok() {
            return Drained {
                closed: total,
                aborted: 0,
            };
        }
        let (aborted, sockets) = self.registry.remaining();
        for socket in sockets {
            socket.abort(CloseCause::Drained(code));
        }
        // A connection ends when its task is next polled. A handler that never yields
        // keeps its thread, and the drain does not wait for it.
        let _ = timeout_at(after(ABORT), self.registry.emptied()).await;
        Drained {
            closed: total.saturating_sub(aborted),
            aborted,
        }
    }
}

impl fmt::Debug for Tracker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tracker")
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}
