//! What a connection's driver and its handles share, under one lock.

pub(in crate::socket) mod chunks;
pub(in crate::socket) mod cork;
pub(in crate::socket) mod driver_task;
pub(in crate::socket) mod exchange;
pub(in crate::socket) mod inbox;
pub(in crate::socket) mod queue;
pub(in crate::socket) mod send;
pub(in crate::socket) mod streams;
pub(in crate::socket) mod tally;
pub(in crate::socket) mod wait;

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use crate::error::{CloseCause, Error, ErrorKind, Violation};
use crate::protocol::{Coding, Encoded, Outbox, Role, Writer};
use crate::socket::driver::buffers;
use crate::socket::driver::conn::Demand;
use crate::socket::driver::handler::Ending;
use crate::socket::shared::chunks::ChunkQueue;
use crate::socket::shared::driver_task::{DriverTask, Phase};
use crate::socket::shared::inbox::{Inbox, Room};
use crate::socket::shared::streams::Streams;
use crate::socket::shared::tally::Tally;
use crate::socket::shared::wait::{Line, WaitFor};
use crate::tracker::Traffic;
use crate::{CloseCode, Config};

/// One connection, as all its handles see it.
///
/// No lock is held across a system call, parsing or a wake.
pub(crate) struct Shared {
    pub(in crate::socket) config: Arc<Config>,
    pub(in crate::socket) protocol: Option<Arc<str>>,
    /// What an extension makes of messages when they are written.
    pub(in crate::socket) coding: Option<Coding>,
    state: Mutex<State>,
    /// What can be seen of the state without the lock: [`HAS_OUTPUT`] and [`NEEDS_LOCK`].
    /// Changed only under it.
    hints: AtomicU8,
    /// Whether the `WebSocket` was dropped. Likewise.
    socket_dropped: AtomicBool,
    /// The bytes that stand before those in the outbox, and [`CORKED`]: changed
    /// by the thread of the driver only.
    ahead: AtomicU32,
}

/// The outbox holds something.
const HAS_OUTPUT: u8 = 1;

/// A message cannot just be appended to those before it: none is sent any more,
/// or one is being sent in chunks.
const NEEDS_LOCK: u8 = 2;

/// Of the bytes ahead some are on the [cork](cork), and not all are being
/// written. The other bits say how many they are, up to 2 GiB.
const CORKED: u32 = 1 << 31;

pub(in crate::socket) struct State {
    pub(in crate::socket) writer: Writer,
    /// Encoded frames that the driver has not taken.
    pub(in crate::socket) outbox: Option<Box<Outbox>>,
    /// Or one frame that others send too. There is one of the two at most.
    pub(in crate::socket) common: Option<Arc<Encoded>>,
    /// How often the driver has taken the outbox, and which of these is written.
    pub(in crate::socket) taken: u32,
    pub(in crate::socket) written: u32,
    /// Messages that `recv` has not taken.
    pub(in crate::socket) inbox: Option<Box<Inbox>>,
    /// What messages need that are received or sent in chunks.
    pub(in crate::socket) streams: Option<Box<Streams>>,
    /// Who waits in `recv`.
    pub(in crate::socket) receiver: Option<Waker>,
    /// Who waits for something else, and for what.
    pub(in crate::socket) waiting: Line,
    /// The driver's waker.
    pub(in crate::socket) driver: Option<Waker>,
    pub(in crate::socket) sleep: DriverTask,
    /// How the conversation ended: set once. Nothing is received any more.
    pub(in crate::socket) ending: Option<Box<Ending>>,
    pub(in crate::socket) phase: Phase,
    pub(in crate::socket) latency: Option<NonZeroU32>,
    /// The messages that have arrived, and those that were queued to be sent.
    pub(in crate::socket) received: Tally,
    pub(in crate::socket) sent: Tally,
    /// Who wants to know of the end: rooms. Mostly none, one or a few, so it is as
    /// long as they are many.
    pub(in crate::socket) watchers: Box<[Arc<dyn Watcher>]>,
}

/// Learns that a connection has ended.
pub(crate) trait Watcher: Send + Sync {
    fn ended(&self, socket: &Arc<Shared>);
}

impl Shared {
    pub(in crate::socket) fn new(
        role: Role,
        config: Arc<Config>,
        protocol: Option<Arc<str>>,
        coding: Option<Coding>,
    ) -> Arc<Self> {
        Arc::new(Shared {
            config,
            protocol,
            coding: coding.map(|coding| match role {
                Role::Server => coding,
                // Section 5.3 of RFC 6455: each frame of a client has a masking
                // key of its own, so none serves two of them.
                Role::Client { .. } => coding.unshared(),
            }),
            hints: AtomicU8::new(0),
            socket_dropped: AtomicBool::new(false),
            ahead: AtomicU32::new(0),
            state: Mutex::new(State {
                writer: Writer::new(role),
                outbox: None,
                common: None,
                taken: 0,
                written: 0,
                inbox: None,
                streams: None,
                receiver: None,
                waiting: Line::default(),
                driver: None,
                sleep: DriverTask::Running,
                ending: None,
                phase: Phase::Running,
                latency: None,
                received: Tally::default(),
                sent: Tally::default(),
                watchers: Box::default(),
            }),
        })
    }

    /// Nothing that runs under the lock panics, so a poisoned one is as good as any.
    pub(in crate::socket) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(in crate::socket) fn is_queued(&self) -> bool {
        self.hints.load(Ordering::Relaxed) & HAS_OUTPUT != 0
    }

    /// Whether the outbox is empty, and a message is just another one in it.
    pub(in crate::socket) fn is_plain(&self) -> bool {
        self.hints.load(Ordering::Relaxed) == 0
    }

    /// Notes what is to be seen of the state, which has changed.
    pub(in crate::socket) fn look(&self, state: &State) {
        let special = state.is_closing() || state.behind().is_some();
        let hints = [(state.has_output(), HAS_OUTPUT), (special, NEEDS_LOCK)]
            .map(|(holds, bit)| if holds { bit } else { 0 });
        self.hints.store(hints[0] | hints[1], Ordering::Relaxed);
    }

    /// The bytes that stand before those in the outbox: being written, or on the
    /// cork.
    pub(in crate::socket) fn ahead(&self) -> usize {
        (self.ahead.load(Ordering::Relaxed) & !CORKED) as usize
    }

    pub(in crate::socket) fn is_corked(&self) -> bool {
        self.ahead.load(Ordering::Relaxed) & CORKED != 0
    }

    /// So many bytes are being written, and none are on the cork.
    pub(in crate::socket) fn set_in_flight(&self, bytes: usize) {
        self.ahead.store(clamped(bytes), Ordering::Relaxed);
    }

    /// So many bytes are being written or on the cork.
    pub(in crate::socket) fn set_corked(&self, bytes: usize) {
        self.ahead.store(clamped(bytes) | CORKED, Ordering::Relaxed);
    }

    pub(in crate::socket) fn is_socket_dropped(&self) -> bool {
        self.socket_dropped.load(Ordering::Relaxed)
    }

    /// The batch to be written by which everything is written that is queued now;
    /// what waits behind a message that is sent in chunks is waited for.
    pub(in crate::socket) fn poll_flush_target(
        &self,
        place: usize,
        cx: &mut Context<'_>,
    ) -> Poll<Result<u32, Error>> {
        let mut state = self.lock();
        if state.behind().is_some_and(|it| !it.is_empty()) {
            if state.is_closing() {
                return Poll::Ready(Err(ErrorKind::Closed.into()));
            }
            self.wait(&mut state, WaitFor::OwnMessage, place, cx.waker());
            return Poll::Pending;
        }
        let is_queued = state.has_output() || self.is_corked();
        Poll::Ready(Ok(state.taken.wrapping_add(u32::from(is_queued))))
    }

    /// Waits until the batch `target` has been handed to the transport.
    pub(in crate::socket) fn poll_flushed(
        &self,
        target: u32,
        place: usize,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Error>> {
        let mut state = self.lock();
        if state.is_written(target) {
            return Poll::Ready(Ok(()));
        }
        if state.phase != Phase::Running {
            return Poll::Ready(Err(ErrorKind::Closed.into()));
        }
        self.wait(&mut state, WaitFor::Flush(target), place, cx.waker());
        Poll::Pending
    }

    /// Takes all messages that have arrived into `batch`, in which there are none,
    /// or waits for some. `Ok(false)`: no more will come.
    pub(in crate::socket) fn poll_receive(
        &self,
        batch: &mut Option<Box<Inbox>>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<bool, Error>> {
        let mut state = self.lock();
        if state.has_input() {
            let was_full = state.inbox_room().is_empty();
            std::mem::swap(&mut state.inbox, batch);
            state.receiver = None;
            if was_full && state.sleep == DriverTask::Idle {
                self.wake(state);
            }
            return Poll::Ready(Ok(true));
        }
        let mut was_full = false;
        if state.streams.is_some() {
            was_full = state.inbox_room().is_empty();
            if state.next_whole(batch) {
                state.receiver = None;
                if was_full && state.sleep == DriverTask::Idle {
                    self.wake(state);
                }
                return Poll::Ready(Ok(true));
            }
        }
        if let Some(ending) = &mut state.ending {
            return Poll::Ready(match ending.error.take() {
                Some(error) => Err(error),
                None => Ok(false),
            });
        }
        self.wait_to_receive(&mut state, cx.waker());
        // The driver fills it next.
        if state.inbox.is_none() {
            state.inbox = batch.take();
        } else if let Some(batch) = batch.take() {
            buffers::give_inbox(batch);
        }
        // What was put aside made room for the rest of it.
        if was_full && state.sleep == DriverTask::Idle {
            self.wake(state);
        }
        Poll::Pending
    }

    /// Begins the closing handshake; returns whether this call did.
    pub(crate) fn close(&self, cause: CloseCause, code: CloseCode, reason: &str) -> bool {
        let mut state = self.lock();
        let began = self.close_locked(&mut state, cause, code, reason);
        // Whoever polls for the end says so every time.
        if began {
            self.wake(state);
        }
        began
    }

    pub(in crate::socket) fn close_locked(
        &self,
        state: &mut State,
        cause: CloseCause,
        code: CloseCode,
        reason: &str,
    ) -> bool {
        if !state.begin_ending(cause) {
            return false;
        }
        let (writer, outbox) = state.output();
        let _ = writer.close(code, reason, outbox);
        self.look(state);
        true
    }

    /// Cuts the connection off, and its handler.
    pub(crate) fn abort(&self, cause: CloseCause) {
        let mut state = self.lock();
        match state.phase {
            Phase::Running => {
                state.begin_ending(cause);
                state.phase = Phase::Aborted;
                self.look(&state);
            }
            Phase::Ended => state.phase = Phase::Forsaken,
            Phase::Aborted | Phase::Forsaken => {}
        }
        self.wake(state);
    }

    /// Whatever has arrived is of no use any more.
    pub(in crate::socket) fn discard_received(&self) {
        self.lock().discard_received();
    }

    /// The `WebSocket` is gone.
    pub(in crate::socket) fn drop_socket(&self) {
        let mut state = self.lock();
        self.socket_dropped.store(true, Ordering::Relaxed);
        state.discard_received();
        state.receiver = None;
        self.wake(state);
    }

    /// Waits until the connection has ended.
    pub(in crate::socket) fn poll_ended(
        &self,
        place: usize,
        cx: &mut Context<'_>,
    ) -> Poll<CloseCause> {
        let mut state = self.lock();
        if !state.phase.has_ended() {
            self.wait(&mut state, WaitFor::End, place, cx.waker());
            return Poll::Pending;
        }
        Poll::Ready(state.cause().cloned().unwrap_or(CloseCause::Aborted))
    }

    /// Whether `recv` has nothing more to return.
    pub(in crate::socket) fn is_exhausted(&self) -> bool {
        let state = self.lock();
        !state.has_input()
            && state
                .streams
                .as_ref()
                .is_none_or(|it| it.arriving.is_empty())
            && state.ending.as_ref().is_some_and(|it| it.error.is_none())
    }

    pub(crate) fn close_cause(&self) -> Option<CloseCause> {
        self.lock().cause().cloned()
    }

    /// What has been received, and sent.
    pub(crate) fn traffic(&self) -> (Traffic, Traffic) {
        let mut state = self.lock();
        self.uncork_own(&mut state);
        (state.received.into(), state.sent.into())
    }

    pub(in crate::socket) fn latency(&self) -> Option<Duration> {
        self.lock()
            .latency
            .map(|it| Duration::from_micros(it.get().into()))
    }

    /// Tells `watcher` of the end; returns `false` if the connection is ending already.
    pub(crate) fn watch(&self, watcher: Arc<dyn Watcher>) -> bool {
        let mut state = self.lock();
        let running = state.ending.is_none();
        if running {
            state.change_watchers(|it| {
                it.reserve_exact(1);
                it.push(watcher);
            });
        }
        running
    }

    pub(crate) fn unwatch(&self, watcher: &Arc<dyn Watcher>) {
        self.lock()
            .change_watchers(|it| it.retain(|it| !Arc::ptr_eq(it, watcher)));
    }

    /// Unlocks, and wakes the driver if it waits.
    pub(in crate::socket) fn wake(&self, mut state: MutexGuard<'_, State>) {
        let (sleep, waker) = match state.sleep {
            DriverTask::Idle => (DriverTask::Running, state.driver.clone()),
            DriverTask::Running | DriverTask::Notified => (DriverTask::Notified, None),
        };
        state.sleep = sleep;
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl State {
    pub(in crate::socket) fn is_written(&self, target: u32) -> bool {
        // The counters wrap: what is at most half the circle behind has been written.
        self.written.wrapping_sub(target) as i32 >= 0
    }

    pub(in crate::socket) fn has_input(&self) -> bool {
        self.inbox.as_ref().is_some_and(|it| !it.is_empty())
    }

    /// How much may still be read.
    pub(in crate::socket) fn inbox_room(&self) -> Room {
        let room = match &self.inbox {
            Some(inbox) if !inbox.is_empty() => inbox.room(),
            _ => Room::WHOLE,
        };
        match &self.streams {
            Some(streams) => streams.arriving.rest_of(room),
            None => room,
        }
    }

    fn change_watchers(&mut self, change: impl FnOnce(&mut Vec<Arc<dyn Watcher>>)) {
        let mut watchers = std::mem::take(&mut self.watchers).into_vec();
        change(&mut watchers);
        self.watchers = watchers.into_boxed_slice();
    }

    fn discard_received(&mut self) {
        self.inbox = None;
        if let Some(streams) = &mut self.streams {
            streams.arriving = ChunkQueue::default();
        }
    }

    /// What is to be read now; `None` when the connection is to end at once.
    pub(in crate::socket) fn demand(&self) -> Option<Demand> {
        match (self.phase, &self.ending, &self.receiver) {
            (Phase::Running, Some(_), _) => Some(Demand::Discard),
            (Phase::Running, None, _) if self.receives_parts() => {
                let room = self.inbox_room();
                Some(match self.puts_together() {
                    true => Demand::Rest(room),
                    false => Demand::Parts(room),
                })
            }
            (Phase::Running, None, Some(_)) => Some(Demand::Awaited(self.inbox_room())),
            (Phase::Running, None, None) => Some(Demand::Ahead(self.inbox_room())),
            (Phase::Aborted | Phase::Ended | Phase::Forsaken, ..) => None,
        }
    }

    pub(in crate::socket) fn set_latency(&mut self, latency: Duration) {
        let micros = u32::try_from(latency.as_micros()).unwrap_or(u32::MAX);
        self.latency = NonZeroU32::new(micros.max(1));
    }

    /// The driver starts a turn; says whether in the same task as the last.
    pub(in crate::socket) fn unpark(&mut self, cx: &mut Context<'_>) -> bool {
        // What was called before is seen by the turn that begins.
        self.sleep = DriverTask::Running;
        self.driver
            .as_ref()
            .is_some_and(|it| it.will_wake(cx.waker()))
    }

    pub(in crate::socket) fn cause(&self) -> Option<&CloseCause> {
        self.ending.as_ref().map(|it| &it.cause)
    }

    /// Sets the cause, unless there is one; says whether this call did.
    pub(in crate::socket) fn begin_ending(&mut self, cause: CloseCause) -> bool {
        let first = self.ending.is_none();
        if first {
            self.ending = Some(Box::new(Ending { cause, error: None }));
        }
        first
    }
}

/// What is beyond it is beyond every limit.
fn clamped(bytes: usize) -> u32 {
    bytes.min((CORKED - 1) as usize) as u32
}

impl From<Violation> for CloseCause {
    fn from(violation: Violation) -> Self {
        CloseCause::Violation(violation)
    }
}
