//! What the clones of a tracker share, and the place of one socket in it.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::stats::{Ended, Stats};
use crate::CloseCode;
use crate::error::CloseCause;
use crate::shrink::shrink;
use crate::socket::Shared;

pub(super) struct Inner {
    pub(super) state: Mutex<State>,
    /// Before all sockets.
    pub(super) began: Instant,
    /// A place has become free.
    pub(super) freed: Notify,
}

#[derive(Default)]
pub(super) struct State {
    /// Sockets, and handshakes that were answered and are not sockets yet.
    pub(super) count: usize,
    /// The code that a drain closes with, from its beginning on.
    pub(super) draining: Option<CloseCode>,
    pub(super) next: u64,
    pub(super) sockets: HashMap<u64, Arc<Shared>>,
    /// What was refused, and what has ended.
    pub(super) stats: Stats,
    pub(super) on_end: Option<OnEnd>,
}

pub(super) type OnEnd = Arc<dyn Fn(&Ended) + Send + Sync>;

impl Inner {
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) async fn emptied(&self) {
        loop {
            let freed = self.freed.notified();
            if self.lock().count == 0 {
                return;
            }
            freed.await;
        }
    }
}

/// Why there is no place for another socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// As many as may be are connected.
    Full,
    /// The tracker is being drained, or was.
    Draining,
}

/// A table for a few times as many sockets is not worth moving.
const FEW: usize = 500;

/// A place among the tracked sockets.
pub(crate) struct Permit {
    pub(super) id: u64,
    /// In microseconds, since the tracker began. (A permit has a box of its own, to
    /// which an `Instant` would add sixteen bytes.)
    pub(super) began: u64,
    pub(super) inner: Arc<Inner>,
}

impl Permit {
    /// The handshake is done: this is the socket.
    pub(crate) fn attach(&self, socket: &Arc<Shared>) {
        let mut state = self.inner.lock();
        state.sockets.insert(self.id, socket.clone());
        if let Some(code) = state.draining {
            // Answered before the drain, connected after it began.
            drop(state);
            socket.close(CloseCause::Drained(code), code, "");
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let now = self.inner.began.elapsed();
        let mut state = self.inner.lock();
        state.count -= 1;
        // Where there is none, the client left before it was handed over.
        let socket = state.sockets.remove(&self.id);
        shrink(&mut state.sockets, FEW);
        let cause = socket.as_ref().and_then(|it| it.close_cause());
        let (received, sent) = socket.as_ref().map(|it| it.traffic()).unwrap_or_default();
        let ended = Ended {
            cause: cause.unwrap_or(CloseCause::Lost),
            duration: now.saturating_sub(Duration::from_micros(self.began)),
            received,
            sent,
        };
        // Under the same lock as the removal: no count may ever go back.
        state.stats.end(&ended);
        let on_end = state.on_end.clone();
        let empty = state.count == 0;
        drop(state);
        drop(socket);
        if empty {
            self.inner.freed.notify_waiters();
        }
        if let Some(on_end) = on_end {
            // Whatever goes wrong there is not the connection's business.
            let _ = catch_unwind(AssertUnwindSafe(|| on_end(&ended)));
        }
    }
}
