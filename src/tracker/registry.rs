//! The state that the clones of a tracker share, and the permit of one socket.

use std::collections::HashMap;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::stats::{Ended, Stats};
use crate::CloseCode;
use crate::error::CloseCause;
use crate::shrink::shrink;
use crate::socket::shared::Shared;

/// All permits that are held, the sockets of those that have one, and the counts.
pub(super) struct Registry {
    state: Mutex<State>,
    /// When the tracker was made. Permits count from here.
    began: Instant,
    /// Notified when the last permit is dropped.
    emptied: Notify,
}

#[derive(Default)]
struct State {
    /// Permits that are held: sockets, and accepted handshakes without a socket yet.
    count: usize,
    /// The close code of the drain, once one has begun.
    draining: Option<CloseCode>,
    /// The id of the next permit, and so the number of permits given until now.
    next: u64,
    /// The attached sockets by the ids of their permits.
    sockets: HashMap<u64, Arc<Shared>>,
    /// Refused handshakes and ended connections. `Tracker::stats` adds what `next`,
    /// `count` and the open sockets hold.
    stats: Stats,
    on_end: Option<OnEnd>,
}

type OnEnd = Arc<dyn Fn(&Ended) + Send + Sync>;

/// The reason why a tracker does not admit another connection. Answer the handshake
/// with 503.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refused {
    /// The limit of sockets is reached.
    Full,
    /// A drain has begun.
    Draining,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Refused::Full => "too many WebSockets are open",
            Refused::Draining => "the server is shutting down",
        })
    }
}

impl std::error::Error for Refused {}

impl Registry {
    pub(super) fn new() -> Self {
        Registry {
            state: Mutex::default(),
            began: Instant::now(),
            emptied: Notify::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn count(&self) -> usize {
        self.lock().count
    }

    pub(super) fn set_on_end(&self, on_end: OnEnd) {
        let replaced = self.lock().on_end.replace(on_end);
        // Not under the lock: what an observer has captured may ask the tracker as it is dropped.
        drop(replaced);
    }

    #[cfg(feature = "server")]
    pub(super) fn count_refusal(&self, status: u16) {
        *self.lock().stats.refused.entry(status).or_default() += 1;
    }

    pub(super) fn stats(&self) -> Stats {
        let (mut stats, sockets) = {
            let state = self.lock();
            let mut stats = state.stats.clone();
            stats.accepted = state.next;
            stats.open = state.count as u64;
            (stats, state.sockets())
        };
        // Each socket has a lock of its own, so this is done without the tracker's.
        for socket in sockets {
            let (received, sent) = socket.traffic();
            stats.add(received, sent);
        }
        stats
    }

    /// Gives a permit, unless `limit` permits are held or a drain has begun.
    pub(super) fn admit(self: &Arc<Self>, limit: usize) -> Result<Permit, Refused> {
        let mut state = self.lock();
        state.look_for_room(limit)?;
        state.count += 1;
        let id = state.next;
        state.next += 1;
        Ok(Permit {
            id,
            began: self.began.elapsed().as_micros() as u64,
            registry: self.clone(),
        })
    }

    #[cfg(feature = "server")]
    pub(super) fn look_for_room(&self, limit: usize) -> Result<(), Refused> {
        self.lock().look_for_room(limit)
    }

    /// Gives no more permits, and has later sockets closed with `code`. Returns the
    /// number of permits that are held, and the sockets.
    pub(super) fn begin_drain(&self, code: CloseCode) -> (usize, Vec<Arc<Shared>>) {
        let mut state = self.lock();
        state.draining = Some(code);
        (state.count, state.sockets())
    }

    /// Returns the number of permits that are held, and the sockets.
    pub(super) fn remaining(&self) -> (usize, Vec<Arc<Shared>>) {
        let state = self.lock();
        (state.count, state.sockets())
    }

    /// Waits until no permit is held.
    pub(super) async fn emptied(&self) {
        loop {
            // Made before the count is read: if the last permit is dropped between
            // the two, this future is notified all the same.
            let emptied = self.emptied.notified();
            if self.count() == 0 {
                return;
            }
            emptied.await;
        }
    }
}

impl State {
    fn look_for_room(&self, limit: usize) -> Result<(), Refused> {
        if self.draining.is_some() {
            return Err(Refused::Draining);
        }
        if self.count >= limit {
            return Err(Refused::Full);
        }
        Ok(())
    }

    fn sockets(&self) -> Vec<Arc<Shared>> {
        self.sockets.values().cloned().collect()
    }
}

/// A hash table for at most four times as many sockets is not worth shrinking.
const FEW: usize = 500;

/// The right to one socket. Dropping it ends the count of this socket.
pub(crate) struct Permit {
    id: u64,
    /// When it was given, in microseconds since the tracker was made. (A permit has a
    /// box of its own, to which an `Instant` would add sixteen bytes.)
    began: u64,
    registry: Arc<Registry>,
}

impl Permit {
    /// Attaches the socket, once the handshake is done.
    pub(crate) fn attach(&self, socket: &Arc<Shared>) {
        let mut state = self.registry.lock();
        state.sockets.insert(self.id, socket.clone());
        // Its handshake was accepted before the drain began, so the drain has not
        // seen this socket.
        if let Some(code) = state.draining {
            drop(state);
            socket.close(CloseCause::Drained(code), code, "");
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let now = self.registry.began.elapsed();
        let mut state = self.registry.lock();
        state.count -= 1;
        // There is no socket if the client left before the connection was upgraded.
        let socket = state.sockets.remove(&self.id);
        shrink(&mut state.sockets, FEW);
        let cause = socket.as_ref().and_then(|socket| socket.close_cause());
        let traffic = socket.as_ref().map(|socket| socket.traffic());
        let (received, sent) = traffic.unwrap_or_default();
        let ended = Ended {
            cause: cause.unwrap_or(CloseCause::Lost),
            duration: now.saturating_sub(Duration::from_micros(self.began)),
            received,
            sent,
        };
        // Added under the lock under which the socket is removed: between two locks
        // its messages would be in neither, and a counter would go down.
        state.stats.end(&ended);
        let on_end = state.on_end.clone();
        let is_last = state.count == 0;
        drop(state);
        drop(socket);
        if is_last {
            self.registry.emptied.notify_waiters();
        }
        if let Some(on_end) = on_end {
            // A panic of the observer must not end the task of the connection.
            let _ = catch_unwind(AssertUnwindSafe(|| on_end(&ended)));
        }
    }
}
