//! What a connection's driver and its handles share, under one lock.

use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use super::lend;
use crate::config::Overflow;
use crate::error::{CloseCause, Error, ErrorKind, Violation};
use crate::protocol::{Outbox, Pongs, Prepared, Role, Writer};
use crate::{CloseCode, Config, Message};

/// How many messages are read before the handler asks for them.
pub(super) const INBOX_MESSAGES: usize = 64;

/// How many bytes are.
pub(super) const INBOX_BYTES: usize = 64 * 1024;

/// One connection, as all its handles see it.
///
/// No lock is held across a system call, parsing or a wake.
pub(crate) struct Shared {
    pub(super) config: Arc<Config>,
    pub(super) protocol: Option<Arc<str>>,
    state: Mutex<State>,
    /// Whether the outbox holds something: lets the driver look without the
    /// lock. Changed only under it.
    queued: AtomicBool,
    /// Whether the `WebSocket` was dropped. Likewise.
    abandoned: AtomicBool,
}

pub(super) struct State {
    pub(super) writer: Writer,
    /// Encoded frames that the driver has not taken.
    outbox: Outbox,
    /// Bytes that the driver has taken and not written.
    in_flight: usize,
    /// How often the driver has taken the outbox, and which of these is written.
    taken: u32,
    written: u32,
    /// Messages that `recv` has not taken.
    inbox: VecDeque<Message>,
    inbox_bytes: usize,
    /// Who waits in `recv`.
    receiver: Option<Waker>,
    /// Who waits for something else, and for what.
    waiting: Vec<(Want, Waker)>,
    /// The driver's waker.
    driver: Option<Waker>,
    /// The driver found nothing to do and waits.
    parked: bool,
    /// How the conversation ended: set once. Nothing is received any more.
    cause: Option<Box<CloseCause>>,
    /// What `recv` has yet to report of that.
    error: Option<Box<Error>>,
    pub(super) phase: Phase,
    latency: Option<NonZeroU32>,
    /// Who wants to know of the end: rooms.
    watchers: Vec<Arc<dyn Watcher>>,
}

/// What the driver is to do about the connection as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Serve it.
    Running,
    /// End it now, and the handler with it.
    Aborted,
    /// It has ended.
    Ended,
}

/// Learns that a connection has ended.
pub(crate) trait Watcher: Send + Sync {
    fn ended(&self, socket: &Arc<Shared>);
}

/// What a task waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Want {
    /// Room in the outbox.
    Room,
    /// That this batch has been written.
    Flush(u32),
    /// The end.
    End,
}

/// What is pushed into the outbox.
#[derive(Clone, Copy)]
pub(crate) enum Item<'a> {
    Message(&'a Message),
    Prepared(&'a Prepared),
}

/// What to do about an outbox that is full.
#[derive(Clone, Copy)]
pub(super) enum IfFull<'a> {
    /// Push all the same: the sender holds a permit.
    Push,
    /// Say so.
    Refuse,
    /// Say so, and wake the sender when there is room.
    Wake(&'a Waker),
    DropNewest,
    DropOldest,
    Close,
}

/// What became of a push.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pushed {
    Queued,
    Full,
    Dropped,
    Closed,
}

impl Shared {
    pub(super) fn new(role: Role, config: Arc<Config>, protocol: Option<Arc<str>>) -> Arc<Self> {
        Arc::new(Shared {
            config,
            protocol,
            queued: AtomicBool::new(false),
            abandoned: AtomicBool::new(false),
            state: Mutex::new(State {
                writer: Writer::new(role),
                outbox: Outbox::default(),
                in_flight: 0,
                taken: 0,
                written: 0,
                inbox: VecDeque::new(),
                inbox_bytes: 0,
                receiver: None,
                waiting: Vec::new(),
                driver: None,
                parked: false,
                cause: None,
                error: None,
                phase: Phase::Running,
                latency: None,
                watchers: Vec::new(),
            }),
        })
    }

    /// Nothing that runs under the lock panics, so a poisoned one is as good as any.
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn is_queued(&self) -> bool {
        self.queued.load(Ordering::Relaxed)
    }

    pub(super) fn is_abandoned(&self) -> bool {
        self.abandoned.load(Ordering::Relaxed)
    }

    // ---- what handles do ----

    /// Encodes a message into the outbox.
    pub(super) fn push(&self, item: Item<'_>, if_full: IfFull<'_>) -> Pushed {
        let mut state = self.lock();
        if !state.writer.is_open() || state.cause.is_some() {
            return Pushed::Closed;
        }
        if !state.has_room(&self.config) {
            match if_full {
                IfFull::Push => {}
                IfFull::Refuse => return Pushed::Full,
                IfFull::Wake(waker) => {
                    state.wait(Want::Room, waker);
                    return Pushed::Full;
                }
                IfFull::DropNewest => return Pushed::Dropped,
                IfFull::DropOldest => {
                    let limit = self.config.output_limit.saturating_sub(1 + state.in_flight);
                    state.outbox.drop_oldest(limit);
                }
                IfFull::Close => {
                    let code = CloseCode::TRY_AGAIN_LATER;
                    self.close_locked(&mut state, CloseCause::Overflow, code, "too slow");
                    self.wake(state);
                    return Pushed::Closed;
                }
            }
        }
        let State { writer, outbox, .. } = &mut *state;
        if outbox.capacity() == 0 {
            *outbox = lend::outbox();
        }
        let pushed = match item {
            Item::Message(message) => writer.message(message, outbox),
            Item::Prepared(prepared) => writer.prepared(prepared, outbox),
        };
        debug_assert!(pushed.is_ok(), "the writer was open");
        self.queued.store(true, Ordering::Relaxed);
        if state.parked {
            self.wake(state);
        }
        Pushed::Queued
    }

    /// A message into the outbox, by a policy that waits for nobody.
    pub(crate) fn deliver(&self, item: Item<'_>, overflow: Overflow) -> Pushed {
        let if_full = match overflow {
            Overflow::DropNewest => IfFull::DropNewest,
            Overflow::DropOldest => IfFull::DropOldest,
            // Whoever delivers to many cannot wait for one.
            Overflow::Close | Overflow::Wait => IfFull::Close,
        };
        self.push(item, if_full)
    }

    /// A message into the outbox, by the policy that the configuration names.
    pub(super) fn poll_push(&self, message: &Message, cx: &mut Context<'_>) -> Poll<Pushed> {
        let if_full = match self.config.overflow {
            Overflow::Wait => IfFull::Wake(cx.waker()),
            Overflow::DropNewest => IfFull::DropNewest,
            Overflow::DropOldest => IfFull::DropOldest,
            Overflow::Close => IfFull::Close,
        };
        match self.push(Item::Message(message), if_full) {
            Pushed::Full => Poll::Pending,
            pushed => Poll::Ready(pushed),
        }
    }

    /// Waits for room in the outbox.
    pub(super) fn poll_room(&self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let mut state = self.lock();
        if !state.writer.is_open() || state.cause.is_some() {
            return Poll::Ready(Err(ErrorKind::Closed.into()));
        }
        if state.has_room(&self.config) {
            return Poll::Ready(Ok(()));
        }
        state.wait(Want::Room, cx.waker());
        Poll::Pending
    }

    /// The batch to be written by which everything is written that is queued now.
    pub(super) fn flush_target(&self) -> u32 {
        let state = self.lock();
        state
            .taken
            .wrapping_add(u32::from(!state.outbox.is_empty()))
    }

    /// Waits until the batch `target` has been handed to the transport.
    pub(super) fn poll_flushed(
        &self,
        target: u32,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Error>> {
        let mut state = self.lock();
        if state.is_written(target) {
            return Poll::Ready(Ok(()));
        }
        if state.phase != Phase::Running {
            return Poll::Ready(Err(ErrorKind::Closed.into()));
        }
        state.wait(Want::Flush(target), cx.waker());
        Poll::Pending
    }

    /// Takes all messages that have arrived into `batch`, which is empty, or
    /// waits for some. `Ok(false)`: no more will come.
    pub(super) fn poll_receive(
        &self,
        batch: &mut VecDeque<Message>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<bool, Error>> {
        let mut state = self.lock();
        if !state.inbox.is_empty() {
            let was_full = state.inbox_is_full();
            std::mem::swap(&mut state.inbox, batch);
            state.inbox_bytes = 0;
            state.receiver = None;
            if was_full && state.parked {
                self.wake(state);
            }
            return Poll::Ready(Ok(true));
        }
        if state.cause.is_some() {
            return Poll::Ready(match state.error.take() {
                Some(error) => Err(*error),
                None => Ok(false),
            });
        }
        match &state.receiver {
            Some(waker) if waker.will_wake(cx.waker()) => {}
            _ => state.receiver = Some(cx.waker().clone()),
        }
        Poll::Pending
    }

    /// Begins the closing handshake; returns whether this call did.
    pub(crate) fn close(&self, cause: CloseCause, code: CloseCode, reason: &str) -> bool {
        let mut state = self.lock();
        let began = self.close_locked(&mut state, cause, code, reason);
        self.wake(state);
        began
    }

    pub(super) fn close_locked(
        &self,
        state: &mut State,
        cause: CloseCause,
        code: CloseCode,
        reason: &str,
    ) -> bool {
        if state.cause.is_some() {
            return false;
        }
        state.cause = Some(Box::new(cause));
        let State { writer, outbox, .. } = state;
        if writer.close(code, reason, outbox).is_ok() {
            self.queued.store(true, Ordering::Relaxed);
        }
        true
    }

    /// Cuts the connection off, and its handler.
    pub(crate) fn abort(&self, cause: CloseCause) {
        let mut state = self.lock();
        if state.phase == Phase::Running {
            state.cause.get_or_insert_with(|| Box::new(cause));
            state.phase = Phase::Aborted;
        }
        self.wake(state);
    }

    /// The `WebSocket` is gone.
    pub(super) fn abandon(&self) {
        let mut state = self.lock();
        self.abandoned.store(true, Ordering::Relaxed);
        state.inbox.clear();
        state.inbox_bytes = 0;
        state.receiver = None;
        self.wake(state);
    }

    /// Waits until the connection has ended.
    pub(super) fn poll_ended(&self, cx: &mut Context<'_>) -> Poll<CloseCause> {
        let mut state = self.lock();
        match (state.phase, &state.cause) {
            (Phase::Ended, Some(cause)) => Poll::Ready((**cause).clone()),
            (Phase::Ended, None) => Poll::Ready(CloseCause::Aborted),
            _ => {
                state.wait(Want::End, cx.waker());
                Poll::Pending
            }
        }
    }

    /// Whether `recv` has nothing more to return.
    pub(super) fn is_exhausted(&self) -> bool {
        let state = self.lock();
        state.inbox.is_empty() && state.cause.is_some() && state.error.is_none()
    }

    pub(crate) fn close_cause(&self) -> Option<CloseCause> {
        self.lock().cause.as_deref().cloned()
    }

    pub(super) fn latency(&self) -> Option<Duration> {
        self.lock()
            .latency
            .map(|it| Duration::from_micros(it.get().into()))
    }

    /// Tells `watcher` of the end; returns `false` if the connection is ending already.
    pub(crate) fn watch(&self, watcher: Arc<dyn Watcher>) -> bool {
        let mut state = self.lock();
        let running = state.cause.is_none();
        if running {
            state.watchers.push(watcher);
        }
        running
    }

    pub(crate) fn unwatch(&self, watcher: &Arc<dyn Watcher>) {
        self.lock().watchers.retain(|it| !Arc::ptr_eq(it, watcher));
    }

    /// Unlocks, and wakes the driver if it waits.
    fn wake(&self, mut state: MutexGuard<'_, State>) {
        let waker = match state.parked {
            true => state.driver.clone(),
            false => None,
        };
        state.parked = false;
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    // ---- what the driver does ----

    /// Takes what is queued into `writing`, which is written, after the answer
    /// to a ping and a ping of our own. Wakes whoever waited for room or for
    /// the flush; says whether the driver's own task was among them.
    pub(super) fn take_outbox(
        &self,
        writing: &mut Outbox,
        control: &mut Control,
        cx: &mut Context<'_>,
    ) -> OwnTask {
        let mut state = self.lock();
        state.written = state.taken;
        {
            let State { writer, outbox, .. } = &mut *state;
            if outbox.capacity() == 0 && !control.is_empty() {
                *outbox = lend::outbox();
            }
            for payload in control.pongs.drain() {
                writer.pong(&payload, outbox);
            }
            if let Some(payload) = control.ping.take() {
                let _ = writer.ping(&payload, outbox);
            }
        }
        if !state.outbox.is_empty() {
            state.taken = state.taken.wrapping_add(1);
            std::mem::swap(&mut state.outbox, writing);
        }
        state.in_flight = writing.len();
        self.queued.store(false, Ordering::Relaxed);
        self.wake_satisfied(state, cx)
    }

    /// Hands messages over to `recv`; says whether the driver's own task waits
    /// for them. Pings that came with them are answered before what the handler
    /// has to say to the messages.
    pub(super) fn publish(
        &self,
        batch: &mut VecDeque<Message>,
        bytes: usize,
        pongs: &mut Pongs,
        cx: &mut Context<'_>,
    ) -> OwnTask {
        let mut state = self.lock();
        if !pongs.is_empty() {
            let State { writer, outbox, .. } = &mut *state;
            for payload in pongs.drain() {
                writer.pong(&payload, outbox);
            }
            self.queued.store(!outbox.is_empty(), Ordering::Relaxed);
        }
        if self.is_abandoned() || state.cause.is_some() {
            batch.clear();
            return OwnTask::Idle;
        }
        if state.inbox.is_empty() {
            std::mem::swap(&mut state.inbox, batch);
        } else {
            state.inbox.append(batch);
        }
        state.inbox_bytes += bytes;
        let receiver = state.receiver.take();
        drop(state);
        OwnTask::unless_woken(receiver, cx)
    }

    /// Ends the receiving half with a cause, unless there is one.
    pub(super) fn end_receiving(
        &self,
        cause: CloseCause,
        error: Option<Error>,
        change: impl FnOnce(&mut Writer, &mut Outbox),
        cx: &mut Context<'_>,
    ) -> OwnTask {
        let mut state = self.lock();
        if state.cause.is_none() {
            state.cause = Some(Box::new(cause));
            state.error = error.map(Box::new);
        }
        let State { writer, outbox, .. } = &mut *state;
        change(writer, outbox);
        self.queued
            .store(!state.outbox.is_empty(), Ordering::Relaxed);
        let receiver = state.receiver.take();
        let own = self.wake_satisfied(state, cx);
        own.or(OwnTask::unless_woken(receiver, cx))
    }

    /// The connection has ended: tells everybody.
    pub(super) fn end(self: &Arc<Self>, cause: CloseCause, cx: &mut Context<'_>) -> OwnTask {
        let mut state = self.lock();
        if state.phase == Phase::Ended {
            return OwnTask::Idle;
        }
        state.phase = Phase::Ended;
        state.cause.get_or_insert_with(|| Box::new(cause));
        state.writer.received_end();
        state.outbox = Outbox::default();
        state.in_flight = 0;
        self.queued.store(false, Ordering::Relaxed);
        let receiver = state.receiver.take();
        let watchers = std::mem::take(&mut state.watchers);
        let own = self.wake_satisfied(state, cx);
        for watcher in watchers {
            watcher.ended(self);
        }
        own.or(OwnTask::unless_woken(receiver, cx))
    }

    /// Waits until it is woken, unless there is something to do after all.
    /// Gives back what an idle connection does not need. `blocked` is how many
    /// bytes the peer has yet to read of what was taken, `reading` whether the
    /// last turn could read.
    pub(super) fn park(&self, blocked: usize, reading: bool, cx: &mut Context<'_>) -> OwnTask {
        let mut state = self.lock();
        state.in_flight = blocked;
        if blocked == 0 {
            state.written = state.taken;
            if !state.outbox.is_empty() {
                return OwnTask::Ready;
            }
        }
        if state.phase == Phase::Aborted || !reading && !state.inbox_is_full() {
            return OwnTask::Ready;
        }
        if state.inbox.is_empty() && state.inbox.capacity() > 0 {
            lend::give_inbox(std::mem::take(&mut state.inbox));
        }
        if state.outbox.is_empty() && state.outbox.capacity() > 0 {
            lend::give_outbox(std::mem::take(&mut state.outbox));
        }
        if !state.waiting.is_empty() {
            let own = self.wake_satisfied(state, cx);
            if own == OwnTask::Ready {
                return own;
            }
            state = self.lock();
            // Those who were woken may have been quick.
            if blocked == 0 && !state.outbox.is_empty() {
                return OwnTask::Ready;
            }
        }
        state.parked = true;
        match &state.driver {
            Some(waker) if waker.will_wake(cx.waker()) => {}
            _ => state.driver = Some(cx.waker().clone()),
        }
        OwnTask::Idle
    }

    /// Unlocks and wakes those who have got what they waited for; says whether
    /// the driver's own task is among them.
    fn wake_satisfied(&self, mut state: MutexGuard<'_, State>, cx: &mut Context<'_>) -> OwnTask {
        if state.waiting.is_empty() {
            return OwnTask::Idle;
        }
        let mut waiting = std::mem::take(&mut state.waiting);
        let ended = state.phase == Phase::Ended;
        let room = state.has_room(&self.config) || !state.writer.is_open() || state.cause.is_some();
        let satisfied: Vec<_> = waiting
            .extract_if(.., |(want, _)| match *want {
                Want::Room => room || ended,
                Want::Flush(target) => ended || state.is_written(target),
                Want::End => ended,
            })
            .collect();
        state.waiting = waiting;
        drop(state);
        satisfied
            .into_iter()
            .fold(OwnTask::Idle, |own, (_, waker)| {
                own.or(OwnTask::unless_woken(Some(waker), cx))
            })
    }
}

/// Control frames on their way out.
#[derive(Default)]
pub(super) struct Control {
    pub(super) pongs: Pongs,
    /// The payload of a ping of our own.
    pub(super) ping: Option<[u8; 8]>,
}

impl Control {
    pub(super) fn is_empty(&self) -> bool {
        self.pongs.is_empty() && self.ping.is_none()
    }
}

/// Whether the task that the driver runs in has something new to look at: it is
/// polled again then, instead of being woken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(super) enum OwnTask {
    Idle,
    Ready,
}

impl OwnTask {
    pub(super) fn or(self, other: Self) -> Self {
        match self {
            OwnTask::Ready => self,
            OwnTask::Idle => other,
        }
    }

    /// Wakes `waker`, unless it is the driver's own.
    fn unless_woken(waker: Option<Waker>, cx: &mut Context<'_>) -> Self {
        match waker {
            Some(waker) if waker.will_wake(cx.waker()) => OwnTask::Ready,
            Some(waker) => {
                waker.wake();
                OwnTask::Idle
            }
            None => OwnTask::Idle,
        }
    }
}

impl State {
    /// Whether another message may be queued: one always may if nothing else waits.
    fn has_room(&self, config: &Config) -> bool {
        let queued = self.outbox.len() + self.in_flight;
        queued == 0 || queued < config.output_limit
    }

    fn wait(&mut self, want: Want, waker: &Waker) {
        if !self
            .waiting
            .iter()
            .any(|(it, known)| *it == want && known.will_wake(waker))
        {
            self.waiting.push((want, waker.clone()));
        }
    }

    fn is_written(&self, target: u32) -> bool {
        // The counters wrap: what is at most half the circle behind has been written.
        self.written.wrapping_sub(target) as i32 >= 0
    }

    pub(super) fn inbox_is_full(&self) -> bool {
        self.inbox.len() >= INBOX_MESSAGES || self.inbox_bytes >= INBOX_BYTES
    }

    /// How many messages and bytes may still be read.
    pub(super) fn inbox_room(&self) -> (usize, usize) {
        (
            INBOX_MESSAGES.saturating_sub(self.inbox.len()),
            INBOX_BYTES.saturating_sub(self.inbox_bytes),
        )
    }

    /// Whether `recv` waits for a message.
    pub(super) fn is_awaited(&self) -> bool {
        self.receiver.is_some()
    }

    /// Whether messages that arrive are of no use to anybody.
    pub(super) fn is_closing(&self) -> bool {
        self.cause.is_some()
    }

    pub(super) fn set_latency(&mut self, latency: Duration) {
        let micros = u32::try_from(latency.as_micros()).unwrap_or(u32::MAX);
        self.latency = NonZeroU32::new(micros.max(1));
    }

    /// The driver starts a turn; says whether in the same task as the last.
    pub(super) fn unpark(&mut self, cx: &mut Context<'_>) -> bool {
        self.parked = false;
        self.driver
            .as_ref()
            .is_some_and(|it| it.will_wake(cx.waker()))
    }

    pub(super) fn cause(&self) -> Option<&CloseCause> {
        self.cause.as_deref()
    }
}

impl From<Violation> for CloseCause {
    fn from(violation: Violation) -> Self {
        CloseCause::Violation(violation)
    }
}
