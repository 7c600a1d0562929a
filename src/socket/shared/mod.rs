//! The state that a connection's driver and its handles share, under one lock.
//!
//! Three things hold:
//!
//! - **Only this folder locks.** [`State`] and its fields are private to it. The driver
//!   and the handles call the methods of [`Shared`], each of which is one critical section.
//! - **No lock is held across a system call, parsing or a wake.**
//! - **[`Hints`] are true whenever the lock is free**: the guard that lets it go publishes them
//!   ([`Locked`]). A method cannot forget it.
//!
//! The methods stand by subject: [`receive`], [`send`], [`end`], [`park`], [`wait`]. They
//! call plain parts that know no lock, no task and no IO, and have tests of their own.
//!
//! The package `tests/interleavings` builds these files with the lock, the atomics and the
//! thread-local place of loom, which runs a test once for each order in which threads can take
//! their steps.

mod arrived;
mod chunks;
mod cork;
mod demand;
pub(super) mod desk;
mod driver_task;
mod end;
mod hints;
mod inbox;
mod life;
mod member;
mod park;
pub(super) mod pool;
mod push;
mod queue;
mod receive;
mod retention;
mod run;
mod send;
mod tally;
mod wait;
mod waiters;

use std::num::NonZeroU32;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, PoisonError};
#[cfg(not(feature = "interleavings"))]
use std::sync::{Mutex, MutexGuard};
use std::task::Waker;
use std::time::Duration;

pub(super) use arrived::Taken;
use chunks::ChunkQueue;
pub(super) use cork::Cork;
pub(super) use demand::Demand;
use desk::ConnectionId;
pub(super) use desk::Desk;
use driver_task::DriverTask;
pub(super) use driver_task::Repoll;
pub(super) use end::ReadEnd;
use hints::Hints;
pub(super) use inbox::{Capacity, Inbox, MESSAGES};
use life::Life;
pub(super) use park::BeforePark;
pub(super) use push::IfFull;
pub use push::Pushed;
pub(crate) use push::{Full, Item};
use queue::SendQueue;
pub(super) use queue::is_poolable;
#[cfg(any(feature = "hub", feature = "interleavings"))]
pub(crate) use run::LastRun;
pub(super) use send::{Control, Flush};
use tally::Tally;
pub use tally::Traffic;
pub(super) use wait::WaiterGuard;
use waiters::Waiters;
pub(super) use waiters::{WaitFor, WaiterId};

#[cfg(feature = "interleavings")]
use loom::sync::{Mutex, MutexGuard};

use crate::Config;
use crate::error::CloseCause;
use crate::protocol::{Coding, Role};

/// One connection, as its driver and all its handles see it.
pub(crate) struct Shared {
    config: Arc<Config>,
    /// `None` if the handshake agreed on neither a subprotocol nor an extension.
    agreed: Option<Box<Agreed>>,
    hints: Hints,
    state: Mutex<State>,
}

/// The subprotocol and the extension of a connection. In a box, since most connections have
/// neither.
struct Agreed {
    protocol: Option<Arc<str>>,
    /// The coding of messages by an extension, applied when they are written.
    coding: Option<Coding>,
}

/// The state that the lock protects. Small fields stand flat here and not in the parts that they
/// belong to, where padding would cost every connection eight bytes.
struct State {
    /// The frames that are to be written.
    queue: SendQueue,
    /// How many messages in chunks have been sent to their end; wraps. Tells a flush whether
    /// the one that it waits for is still the same.
    ended_messages: u16,
    /// Messages that `recv` has not taken.
    inbox: Option<Box<Inbox>>,
    /// Made when something of it is needed for the first time, and kept.
    rare: Option<Box<Rare>>,
    /// The waker of the driver's task, and whether it must be called.
    driver: Option<Waker>,
    driver_task: DriverTask,
    life: Life,
    /// The round trip of the last answered ping, in microseconds.
    latency: Option<NonZeroU32>,
    /// The messages that have arrived, and those that were queued to be sent.
    received: Tally,
    sent: Tally,
    /// Told of the end: rooms.
    observers: Observers,
}

/// The parts of the state that most connections never need: their handler receives whole messages,
/// in the driver's task, and nothing waits for the connection.
#[derive(Default)]
struct Rare {
    /// Messages that are received in chunks.
    chunks: Option<Box<ChunkQueue>>,
    /// The task that waits to receive, unless that is the driver's own, by its handler
    /// ([`Hints::is_awaited`]).
    receiver: Option<Waker>,
    /// The tasks that wait for something else, and rooms that wait for room.
    waiters: Waiters<Arc<dyn Source>>,
}

/// The state, locked. What can be seen of it without the lock is published when the lock is let
/// go: a change that is not published is a wake that is lost.
struct Locked<'a> {
    hints: &'a Hints,
    state: MutexGuard<'a, State>,
    /// A waker that was registered ([`Locked::drop_unlocked`]). It stands behind the guard, and so it
    /// is dropped without the lock.
    unneeded: Option<Waker>,
}

impl Deref for Locked<'_> {
    type Target = State;

    #[inline]
    fn deref(&self) -> &State {
        &self.state
    }
}

impl DerefMut for Locked<'_> {
    #[inline]
    fn deref_mut(&mut self) -> &mut State {
        &mut self.state
    }
}

impl Drop for Locked<'_> {
    #[inline]
    fn drop(&mut self) {
        let state = &*self.state;
        debug_assert!(state.queue.is_open() || !state.life.is_open());
        self.hints.publish(
            !state.queue.is_empty(),
            !state.life.is_open() || state.queue.is_chunked(),
            state.has_input() || state.chunks().is_some(),
        );
    }
}

/// One pointer, since most connections have none.
type Observers = Option<Box<Vec<Arc<dyn Observer>>>>;

/// Learns that a connection has closed.
pub(crate) trait Observer: Send + Sync {
    fn closed(self: Arc<Self>, socket: &Arc<Shared>);
}

/// Has more to send to a connection than its queue takes.
pub(crate) trait Source: Send + Sync {
    /// The driver of the connection calls this, without a lock, when less than half of the next
    /// batch is taken, and when the end has begun.
    fn refill(self: Arc<Self>, socket: &Shared);
}

impl Shared {
    pub(super) fn new(
        role: Role,
        config: Arc<Config>,
        protocol: Option<Arc<str>>,
        coding: Option<Coding>,
    ) -> Arc<Self> {
        let coding = coding.map(|coding| match role {
            Role::Server => coding,
            // Section 5.3 of RFC 6455: each frame of a client has a masking key of
            // its own, so no frame serves two clients.
            Role::Client { .. } => coding.unshared(),
        });
        let has_agreed = protocol.is_some() || coding.is_some();
        Arc::new(Shared {
            config,
            agreed: has_agreed.then(|| Box::new(Agreed { protocol, coding })),
            hints: Hints::new(),
            state: Mutex::new(State {
                queue: SendQueue::new(role),
                ended_messages: 0,
                inbox: None,
                rare: None,
                driver: None,
                driver_task: DriverTask::default(),
                life: Life::default(),
                latency: None,
                received: Tally::default(),
                sent: Tally::default(),
                observers: None,
            }),
        })
    }

    #[inline]
    fn lock(&self) -> Locked<'_> {
        self.publish_after(self.lock_quietly())
    }

    /// Has the guard publish what has changed.
    #[inline]
    fn publish_after<'a>(&'a self, state: MutexGuard<'a, State>) -> Locked<'a> {
        Locked {
            hints: &self.hints,
            state,
            unneeded: None,
        }
    }

    /// Locks for a look: what does not change need not be published.
    #[inline]
    fn look(&self) -> impl Deref<Target = State> {
        self.lock_quietly()
    }

    /// Locks for a change of what cannot be seen without the lock.
    ///
    /// Nothing that runs under the lock panics, so a poisoned lock is as good as any.
    #[inline]
    fn lock_quietly(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[inline]
    fn id(&self) -> ConnectionId {
        ConnectionId::of(self)
    }

    #[inline]
    pub(super) fn config(&self) -> &Config {
        &self.config
    }

    pub(super) fn protocol(&self) -> Option<&str> {
        self.agreed.as_ref()?.protocol.as_deref()
    }

    #[inline]
    fn coding(&self) -> Option<Coding> {
        self.agreed.as_ref()?.coding
    }

    pub(crate) fn close_cause(&self) -> Option<CloseCause> {
        self.look().life.cause().cloned()
    }

    /// Returns what has been received, and what was queued to be sent.
    pub(crate) fn traffic(&self) -> (Traffic, Traffic) {
        let mut state = self.lock();
        let _ = desk::with(self.id(), |desk| {
            self.uncork(&mut desk.cork, &mut state);
            state.count_received(desk);
        });
        (state.received.into(), state.sent.into())
    }

    pub(super) fn latency(&self) -> Option<Duration> {
        let latency = self.look().latency;
        latency.map(|micros| Duration::from_micros(micros.get().into()))
    }

    /// Whether the connection has needed something of [`Rare`].
    #[cfg(test)]
    pub(super) fn has_rare(&self) -> bool {
        self.look().rare.is_some()
    }

    pub(super) fn set_latency(&self, latency: Duration) {
        let micros = u32::try_from(latency.as_micros()).unwrap_or(u32::MAX);
        self.lock().latency = NonZeroU32::new(micros.max(1));
    }
}
