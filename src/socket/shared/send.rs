//! Messages on their way out: a push into the send queue, and the driver that takes it.

use std::mem;
use std::task::{Context, Poll, ready};

use super::cork::Cork;
use super::desk;
use super::driver_task::{DriverTask, Repoll};
#[cfg(feature = "hub")]
use super::push::SourceOf;
use super::push::{Full, IfFull, Item, Pushed};
use super::retention::Retention;
use super::{Shared, State, WaitFor, WaiterId};
use crate::config::Overflow;
use crate::error::{CloseCause, Error, ErrorKind};
use crate::message::Kind;
#[cfg(feature = "hub")]
use crate::protocol::Prepared;
use crate::protocol::{Closed, Outbox, Part, Pongs};
use crate::{CloseCode, Message};

/// The reason in the close frame of a peer that reads too slowly.
const TOO_SLOW: &str = "too slow";

/// A flush: finds the batch that ends what is queued now, then waits until that batch
/// has been written. Messages that are queued meanwhile do not prolong it.
///
/// ```text
///   Begin ── some are deferred ──► Deferred ── the message before them ends ──┐
///     └────────────────────────────────────────────────────────────────────► Until
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::socket) enum Flush {
    #[default]
    Begin,
    /// Messages wait for the end of one in chunks, which follows this many others.
    Deferred(u16),
    Until(u32),
}

impl Flush {
    pub(in crate::socket) fn poll(
        &mut self,
        shared: &Shared,
        id: WaiterId,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Error>> {
        let batch = match *self {
            Flush::Until(batch) => batch,
            Flush::Begin | Flush::Deferred(_) => ready!(shared.poll_last_batch(self, id, cx))?,
        };
        *self = Flush::Until(batch);
        shared.poll_written(batch, id, cx)
    }
}

/// Control frames on their way out.
#[derive(Default)]
pub(in crate::socket) struct Control {
    pub(in crate::socket) pongs: Pongs,
    /// The payload of a keep-alive ping.
    pub(in crate::socket) ping: Option<[u8; 8]>,
}

impl Control {
    #[inline]
    pub(in crate::socket) fn is_empty(&self) -> bool {
        self.pongs.is_empty() && self.ping.is_none()
    }
}

impl Shared {
    /// Encodes a message into the cork or the send queue.
    #[inline]
    pub(in crate::socket) fn push(
        &self,
        item: Item<'_>,
        if_full: IfFull<'_>,
    ) -> Result<Pushed, Full> {
        match item {
            Item::Message(message) if self.may_cork(if_full) && self.push_corked(message) => {
                Ok(Pushed::Queued)
            }
            item => self.push_slow(item, if_full),
        }
    }

    /// Whether a message may go into the cork, whose messages are all kept or all droppable
    /// ([`corked`](Self::corked)).
    #[inline]
    fn may_cork(&self, if_full: IfFull<'_>) -> bool {
        if_full.retention() == self.corked()
    }

    /// What a full queue does with messages from the cork.
    #[inline]
    fn corked(&self) -> Retention {
        Retention::of(self.config.overflow)
    }

    /// Puts a message into this connection's cork, if its handler is being polled on this
    /// thread and nothing is out of the ordinary; returns whether it did.
    #[inline]
    pub(in crate::socket) fn push_corked(&self, message: &Message) -> bool {
        self.hints.is_plain()
            && desk::with(self.id(), |desk| desk.cork.push(message, &self.hints)) == Some(true)
    }

    /// Encodes a message into the send queue.
    #[inline(never)]
    fn push_slow(&self, item: Item<'_>, if_full: IfFull<'_>) -> Result<Pushed, Full> {
        if let (Item::Prepared(prepared), Some(coding)) = (item, self.coding())
            && let Some(terms) = coding.independent()
        {
            // Compresses the message once for all sockets with these terms. Not under the
            // lock.
            prepared.encoded(terms);
        }
        let mut state = self.lock();
        // The policy may want to drop the oldest messages.
        self.uncork_own(&mut state);
        if !state.life.is_open() {
            return Ok(Pushed::Closed);
        }
        let limit = self.config.output_limit;
        let mut has_dropped = false;
        if !state.queue.has_room(self.hints.unsent_bytes(), limit) {
            state.queue.leave_run();
            match if_full {
                IfFull::Push => {}
                IfFull::Refuse => return Err(Full),
                IfFull::Wait(id, waker) => {
                    self.wait(&mut state, WaitFor::Room, id, waker);
                    return Err(Full);
                }
                IfFull::DropNewest => return Ok(Pushed::Dropped),
                IfFull::DropOldest => {
                    if !state.queue.drop_oldest(self.hints.unsent_bytes(), limit) {
                        return Ok(Pushed::Dropped);
                    }
                    has_dropped = true;
                }
                IfFull::Close => {
                    let code = CloseCode::TRY_AGAIN_LATER;
                    self.begin_close(&mut state, CloseCause::Overflow, code, TOO_SLOW);
                    self.wake_all(state);
                    return Ok(Pushed::Closed);
                }
                #[cfg(feature = "hub")]
                IfFull::Lag(source) => {
                    state.wait_for_half(source());
                    return Err(Full);
                }
            }
        }
        let pushed = self.encode(&mut state, item, if_full.retention());
        debug_assert!(pushed.is_ok(), "the writer was open");
        state.sent.add(1, item.len());
        // A message that waits for the end of one in chunks is nothing new to write. But what was
        // dropped for it may have been larger: the driver wakes the senders that wait for room.
        let is_news = !state.queue.is_chunked() || has_dropped;
        if is_news && state.driver_task == DriverTask::Idle {
            self.wake(state);
        }
        Ok(Pushed::Queued)
    }

    #[inline]
    fn encode(
        &self,
        state: &mut State,
        item: Item<'_>,
        retention: Retention,
    ) -> Result<(), Closed> {
        let State { queue, .. } = state;
        match item {
            Item::Prepared(prepared) => queue.push_prepared(prepared, self.coding(), retention),
            Item::Message(message) => {
                queue.push(retention, |writer, outbox| writer.message(message, outbox))
            }
            Item::Pieces(pieces, length) => queue.push(retention, |writer, outbox| {
                writer.pieces(pieces, length, outbox)
            }),
            #[cfg(feature = "deflate")]
            Item::AsIs(message) => queue.push(retention, |writer, outbox| match self.coding() {
                None => writer.message(message, outbox),
                Some(_) => writer.message_as_is(message, outbox),
            }),
        }
    }

    /// Pushes by a policy, without waiting for the socket.
    pub(crate) fn deliver(&self, item: Item<'_>, overflow: Overflow) -> Pushed {
        let if_full = match overflow {
            Overflow::DropNewest => IfFull::DropNewest,
            Overflow::DropOldest => IfFull::DropOldest,
            // Nothing here waits: neither a sender to many sockets, nor a push.
            Overflow::Close | Overflow::Wait => IfFull::Close,
        };
        match self.push(item, if_full) {
            Ok(pushed) => pushed,
            // No policy refuses.
            Err(Full) => Pushed::Dropped,
        }
    }

    /// Delivers a message of a room. If the policy is to close and there is a `source`, a full queue
    /// is an error instead: the source keeps the message, and is [called](super::Source::refill) when
    /// there is room.
    #[cfg(feature = "hub")]
    pub(crate) fn deliver_or_lag(
        &self,
        message: &Prepared,
        overflow: Overflow,
        source: Option<SourceOf<'_>>,
    ) -> Result<Pushed, Full> {
        let item = Item::Prepared(message);
        match (overflow, source) {
            (Overflow::Close | Overflow::Wait, Some(source)) => {
                self.push(item, IfFull::Lag(source))
            }
            (Overflow::Close | Overflow::Wait, None)
            | (Overflow::DropNewest | Overflow::DropOldest, _) => Ok(self.deliver(item, overflow)),
        }
    }

    /// Queues a message for a member that lags, if less than half of the next batch is taken. If not,
    /// the source is called again. To be called by the driver, within
    /// [`refill`](super::Source::refill): what was queued before it parks is written.
    #[cfg(feature = "hub")]
    pub(crate) fn push_lagging(
        &self,
        message: &Prepared,
        source: SourceOf<'_>,
    ) -> Result<Pushed, Full> {
        let mut state = self.lock();
        if !self.has(&state, WaitFor::Half) {
            state.wait_for_half(source());
            return Err(Full);
        }
        drop(state);
        // Other tasks may fill the queue before this.
        self.push(Item::Prepared(message), IfFull::Lag(source))
    }

    /// Closes the connection of a member that lags too far behind.
    #[cfg(feature = "hub")]
    pub(crate) fn close_too_slow(&self) {
        let code = CloseCode::TRY_AGAIN_LATER;
        self.close(CloseCause::Overflow, code, TOO_SLOW);
    }

    /// Pushes by the policy that the configuration names.
    pub(in crate::socket) fn poll_push(
        &self,
        item: Item<'_>,
        id: WaiterId,
        cx: &mut Context<'_>,
    ) -> Poll<Pushed> {
        let if_full = match self.config.overflow {
            Overflow::Wait => IfFull::Wait(id, cx.waker()),
            Overflow::DropNewest => IfFull::DropNewest,
            Overflow::DropOldest => IfFull::DropOldest,
            Overflow::Close => IfFull::Close,
        };
        match self.push(item, if_full) {
            Ok(pushed) => Poll::Ready(pushed),
            Err(Full) => Poll::Pending,
        }
    }

    /// Waits for room in the send queue.
    pub(in crate::socket) fn poll_room(
        &self,
        id: WaiterId,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Error>> {
        let mut state = self.lock();
        if !state.life.is_open() {
            return Poll::Ready(Err(Error::from_kind(ErrorKind::Closed)));
        }
        if self.has(&state, WaitFor::Room) {
            return Poll::Ready(Ok(()));
        }
        self.wait(&mut state, WaitFor::Room, id, cx.waker());
        Poll::Pending
    }

    /// Queues a chunk of a message, once `wait_for` holds: no other message is being sent in
    /// chunks, or there is room for the chunk.
    pub(in crate::socket) fn poll_push_chunk(
        &self,
        (kind, chunk, part): (Kind, &Message, Part),
        wait_for: WaitFor,
        id: WaiterId,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Error>> {
        let mut state = self.lock();
        if !state.life.is_open() {
            return Poll::Ready(Err(Error::from_kind(ErrorKind::Closed)));
        }
        // The final fragment is queued even if the queue is full: it is empty.
        let is_end = wait_for == WaitFor::Chunk && part == Part::Last;
        if !is_end && !self.has(&state, wait_for) {
            self.wait(&mut state, wait_for, id, cx.waker());
            return Poll::Pending;
        }
        let pushed = state.queue.push_chunk(kind, chunk, part);
        debug_assert!(pushed.is_ok(), "the writer was open");
        let messages = u16::from(part == Part::Last);
        state.ended_messages = state.ended_messages.wrapping_add(messages);
        state.sent.add(messages.into(), chunk.len());
        if state.driver_task == DriverTask::Idle {
            self.wake(state);
        }
        Poll::Ready(Ok(()))
    }

    /// The number of the batch that ends what is queued now. If messages are deferred by one
    /// that is sent in chunks, waits for the end of that one. (Others may be deferred by then,
    /// by the next one in chunks.)
    fn poll_last_batch(
        &self,
        flush: &mut Flush,
        id: WaiterId,
        cx: &mut Context<'_>,
    ) -> Poll<Result<u32, Error>> {
        let mut state = self.lock();
        let ended = state.ended_messages;
        let is_deferred = match *flush {
            Flush::Deferred(before) => before == ended,
            _ => true,
        };
        if is_deferred && state.queue.has_deferred() {
            if !state.life.is_open() {
                return Poll::Ready(Err(Error::from_kind(ErrorKind::Closed)));
            }
            *flush = Flush::Deferred(ended);
            self.wait(&mut state, WaitFor::Deferred(ended), id, cx.waker());
            return Poll::Pending;
        }
        Poll::Ready(Ok(state.queue.last_batch(self.hints.is_corked())))
    }

    /// Waits until that batch has been handed to the transport.
    fn poll_written(
        &self,
        batch: u32,
        id: WaiterId,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Error>> {
        let mut state = self.lock();
        if state.queue.is_written(batch) {
            return Poll::Ready(Ok(()));
        }
        if state.life.is_writing_over() {
            return Poll::Ready(Err(Error::from_kind(ErrorKind::Closed)));
        }
        self.wait(&mut state, WaitFor::Flush(batch), id, cx.waker());
        Poll::Pending
    }

    /// Whether something is queued that the driver has not taken. (Not under the lock: what
    /// is pushed at this moment wakes the driver.)
    #[inline]
    pub(in crate::socket) fn has_output(&self) -> bool {
        self.hints.has_output()
    }

    /// Whether nothing is queued, and the connection is not closing.
    #[inline]
    pub(in crate::socket) fn is_plain(&self) -> bool {
        self.hints.is_plain()
    }

    /// Takes what is queued and what is in the cork into `writing`, which is empty, and
    /// behind it the answers to pings and a ping of our own: the next batch. What was taken
    /// before has been written. Wakes the tasks that waited for that or for room; returns
    /// whether the driver's own task was among them.
    pub(in crate::socket) fn take_output(
        &self,
        cork: &mut Cork,
        writing: &mut Box<Outbox>,
        control: &mut Control,
        cx: &mut Context<'_>,
    ) -> Repoll {
        let mut state = self.lock();
        state.queue.all_written();
        if !control.is_empty() {
            let (writer, outbox) = state.queue.output();
            for payload in control.pongs.drain() {
                writer.pong(&payload, outbox);
            }
            if let Some(payload) = control.ping.take() {
                let _ = writer.ping(&payload, outbox);
            }
        }
        if !state.queue.is_empty() {
            self.uncork(cork, &mut state);
        }
        if !state.queue.take(writing) {
            mem::swap(cork.outbox(), writing);
            let (messages, bytes) = cork.take_counts();
            state.sent.add(messages, bytes);
        }
        self.hints.set_in_flight(writing.len());
        if !writing.is_empty() {
            state.queue.batch_taken();
        }
        self.wake_satisfied(state, cx)
    }

    /// All that was taken has been handed to the transport.
    pub(in crate::socket) fn all_written(&self) {
        self.lock().queue.all_written();
    }

    /// Puts what is in this connection's cork into the send queue, if its desk stands in
    /// this thread's place.
    pub(super) fn uncork_own(&self, state: &mut State) {
        if self.hints.is_corked() {
            let _ = desk::with(self.id(), |desk| self.uncork(&mut desk.cork, state));
        }
    }

    /// Puts what is in the cork into the send queue, in front.
    #[inline]
    pub(super) fn uncork(&self, cork: &mut Cork, state: &mut State) {
        if !cork.is_empty() {
            self.uncork_slow(cork, state);
        }
    }

    #[inline(never)]
    fn uncork_slow(&self, cork: &mut Cork, state: &mut State) {
        state.queue.prepend(cork.outbox(), self.corked());
        let (messages, bytes) = cork.take_counts();
        state.sent.add(messages, bytes);
        self.hints.set_in_flight(cork.in_flight());
    }

    /// Whether a waiter has what it waits for.
    pub(super) fn has(&self, state: &State, wait_for: WaitFor) -> bool {
        let State { queue, life, .. } = state;
        let limit = self.config.output_limit;
        let unsent = self.hints.unsent_bytes();
        match wait_for {
            WaitFor::Room => queue.has_room(unsent, limit) || !life.is_open(),
            #[cfg(feature = "hub")]
            WaitFor::Half => queue.has_half(unsent, limit) || !life.is_open(),
            WaitFor::OwnMessage => {
                !queue.is_chunked() && queue.has_room_for_chunk(unsent, limit) || !life.is_open()
            }
            WaitFor::Chunk => queue.has_room_for_chunk(unsent, limit) || !life.is_open(),
            WaitFor::Deferred(ended) => state.ended_messages != ended || !life.is_open(),

            WaitFor::Flush(batch) => queue.is_written(batch) || life.is_writing_over(),
            WaitFor::Closed => life.is_closed(),
        }
    }
}
