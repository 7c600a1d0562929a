//! Messages on their way in: the driver publishes them, the handler takes them.

use std::task::{Context, Poll, Waker};

use super::chunks::{ChunkQueue, Delivery};
use super::desk::{self, Desk};
use super::driver_task::{DriverTask, Repoll};
use super::hints::Hints;
use super::inbox::{Capacity, Inbox};
use super::{Demand, Locked, Shared, State};
use crate::Message;
use crate::error::{Error, ErrorKind};
use crate::protocol::{Part, Pongs};

impl Shared {
    /// Hands over the messages in `batch`; returns whether the driver's own task waits for
    /// them.
    ///
    /// Pings that came with them are answered before the handler answers the messages: the
    /// answer to a ping between two fragments must not follow the echo of their message.
    pub(in crate::socket) fn publish(
        &self,
        batch: &mut Option<Box<Inbox>>,
        pings: Option<&mut Pongs>,
        cx: &mut Context<'_>,
    ) -> Repoll {
        let mut state = self.lock();
        self.answer_pings(&mut state, pings);
        if let Some(batch) = batch {
            state.received.add(batch.len(), batch.bytes());
        }
        match (&mut state.inbox, batch) {
            (_, Some(batch)) if self.hints.discards() => {
                batch.clear();
                return Repoll::No;
            }
            (Some(inbox), Some(batch)) if !inbox.is_empty() => inbox.append(batch),
            (inbox, batch) => std::mem::swap(inbox, batch),
        }
        self.wake_receiver(state, cx)
    }

    /// Hands over the messages in `batch`, of which the first may be the rest of a message,
    /// and a chunk of the message behind them. Otherwise like [`publish`](Self::publish).
    #[inline(never)]
    pub(in crate::socket) fn publish_chunks(
        &self,
        batch: &mut Option<Box<Inbox>>,
        chunk: Option<Message>,
        pings: Option<&mut Pongs>,
        cx: &mut Context<'_>,
    ) -> Repoll {
        let mut state = self.lock();
        self.answer_pings(&mut state, pings);
        let messages = batch.as_ref().map_or(0, |batch| batch.len());
        let bytes = batch.as_ref().map_or(0, |batch| batch.bytes());
        let chunk_bytes = chunk.as_ref().map_or(0, Message::len);
        state.received.add(messages, bytes + chunk_bytes);
        let chunks = state.chunks_or_new();
        if let Some(batch) = batch {
            while let Some(message) = batch.pop() {
                chunks.push(message, Part::Last);
            }
        }
        if let Some(chunk) = chunk {
            chunks.push(chunk, Part::More);
        }
        if self.hints.discards() {
            *chunks = ChunkQueue::default();
        }
        if chunks.is_empty() {
            return Repoll::No;
        }
        self.wake_receiver(state, cx)
    }

    /// Unlocks, and wakes the task that waits to receive; says whether that is the driver's own.
    pub(super) fn wake_receiver(&self, mut state: Locked<'_>, cx: &mut Context<'_>) -> Repoll {
        let receiver = state.take_receiver();
        drop(state);
        self.hints.take_awaited().or(Repoll::or_wake(receiver, cx))
    }

    /// Queues the answers to pings.
    #[inline]
    fn answer_pings(&self, state: &mut State, pings: Option<&mut Pongs>) {
        if let Some(pings) = pings
            && !pings.is_empty()
        {
            let (writer, outbox) = state.queue.output();
            for payload in pings.drain() {
                writer.pong(&payload, outbox);
            }
        }
    }

    /// Takes all messages that have arrived into `batch`, which is empty, or waits for
    /// some. `Ok(false)`: no more will come.
    pub(in crate::socket) fn poll_recv(
        &self,
        batch: &mut Option<Box<Inbox>>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<bool, Error>> {
        let mut state = self.lock();
        if state.has_input() {
            let was_full = state.capacity().is_empty();
            std::mem::swap(&mut state.inbox, batch);
            state.forget_receiver();
            self.unlock_after_taking(state, was_full);
            return Poll::Ready(Ok(true));
        }
        let mut was_full = false;
        if state.chunks().is_some() {
            was_full = state.capacity().is_empty();
            if state.next_whole(batch) {
                state.forget_receiver();
                self.unlock_after_taking(state, was_full);
                return Poll::Ready(Ok(true));
            }
        }
        if let Some(end) = state.life.take_end() {
            return Poll::Ready(end.map(|()| false));
        }
        self.wait_to_receive(&mut state, cx.waker());
        // The driver fills this batch next.
        if state.inbox.is_none() {
            state.inbox = batch.take();
        } else if let Some(batch) = batch.take() {
            batch.recycle();
        }
        // Chunks that were set aside made room for the rest of their message.
        self.unlock_after_taking(state, was_full);
        Poll::Pending
    }

    /// Receives without the lock, if this connection's handler is being polled on this thread.
    /// `None`: look under the lock.
    ///
    /// What lies on the desk is received first, since it was read when there was nothing under
    /// the lock. If there is nothing here and there, the handler waits on the desk. What comes
    /// after that look at the hints is not missed: messages are published by the driver, which
    /// polls the handler itself now, and whatever else changes notifies the driver, which polls
    /// the handler again before it parks.
    #[inline]
    pub(in crate::socket) fn poll_desk(&self, cx: &Context<'_>) -> Option<Poll<Message>> {
        desk::with(self.id(), |desk| {
            if let Some(message) = desk.arrived.pop() {
                return Some(Poll::Ready(message));
            }
            let waits = self.hints.has_nothing_to_receive() && desk.is_in_task(cx);
            waits.then(|| {
                self.hints.set_awaited();
                Poll::Pending
            })
        })
        .flatten()
    }

    /// Locks, with the messages that lie on the desk in the inbox. What looks at the inbox in
    /// another way than `recv` begins with this.
    pub(super) fn lock_with_arrived(&self) -> Locked<'_> {
        let mut arrived = Inbox::pooled();
        let _ = desk::with(self.id(), |desk| {
            while let Some(message) = desk.arrived.pop() {
                let length = message.len();
                arrived.push(message, length);
            }
        });
        let mut state = self.lock();
        if !arrived.is_empty() {
            debug_assert!(!state.has_input(), "they were read when there was nothing");
            state.inbox = Some(arrived);
        }
        state
    }

    /// Returns the first chunk of the next message, or all of it; `None` if no more will
    /// come. From now on messages are handed over in chunks.
    pub(in crate::socket) fn poll_first_chunk(
        &self,
        batch: &mut Option<Box<Inbox>>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<(Message, Part)>, Error>> {
        let mut state = self.lock_with_arrived();
        let was_full = state.capacity().is_empty();
        let chunks = state.chunks_or_new();
        let changed = chunks.deliver(Delivery::Chunks);
        chunks.skip();
        if batch.as_ref().is_none_or(|batch| batch.is_empty()) && state.has_input() {
            std::mem::swap(&mut state.inbox, batch);
        }
        let first = match batch.as_mut().and_then(|batch| batch.pop()) {
            Some(message) => Some((message, Part::Last)),
            None => state.chunks_mut().and_then(|chunks| chunks.first()),
        };
        let polled = match first {
            Some(first) => Poll::Ready(Ok(Some(first))),
            None => match state.life.take_end() {
                Some(end) => Poll::Ready(end.map(|()| None)),
                None => Poll::Pending,
            },
        };
        match polled {
            Poll::Ready(_) => state.forget_receiver(),
            Poll::Pending => self.wait_to_receive(&mut state, cx.waker()),
        }
        if changed {
            // What has arrived of a message may be taken at once.
            self.wake(state);
        } else {
            self.unlock_after_taking(state, was_full);
        }
        polled
    }

    /// Returns the next chunk of the message that is being received.
    pub(in crate::socket) fn poll_next_chunk(
        &self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(Message, Part), Error>> {
        let mut state = self.lock();
        let was_full = state.capacity().is_empty();
        let chunks = state.chunks_or_new();
        if let Some(next) = chunks.next() {
            state.forget_receiver();
            self.unlock_after_taking(state, was_full);
            return Poll::Ready(Ok(next));
        }
        if let Some(end) = state.life.take_end() {
            if let Some(chunks) = state.chunks_mut() {
                chunks.lose_rest();
            }
            let error = end.err().unwrap_or(Error::from_kind(ErrorKind::Unfinished));
            return Poll::Ready(Err(error));
        }
        self.wait_to_receive(&mut state, cx.waker());
        Poll::Pending
    }

    /// Discards the rest of the message that is being received.
    pub(in crate::socket) fn skip_message(&self) {
        let mut state = self.lock();
        let was_full = state.capacity().is_empty();
        if let Some(chunks) = state.chunks_mut() {
            chunks.skip();
        }
        self.unlock_after_taking(state, was_full);
    }

    /// Discards all that has arrived.
    pub(in crate::socket) fn discard_received(&self) {
        self.lock_with_arrived().discard_received();
    }

    /// Discards all that has arrived, and from now on all that arrives.
    pub(in crate::socket) fn discard_incoming(&self) {
        let mut state = self.lock_with_arrived();
        if !self.hints.discards() {
            self.hints.set_discards();
            state.discard_received();
            // It may have stopped reading for want of room.
            self.wake(state);
        }
    }

    /// Whether `recv` has nothing more to return.
    pub(in crate::socket) fn is_exhausted(&self) -> bool {
        let state = self.lock_with_arrived();
        !state.has_input()
            && state.chunks().is_none_or(ChunkQueue::is_empty)
            && !state.life.may_receive()
            && !state.life.has_error()
    }

    /// Whether the handler waits to receive, in the driver's own task.
    #[inline]
    pub(in crate::socket) fn is_awaited(&self) -> bool {
        self.hints.is_awaited()
    }

    /// The handler is about to be polled with what it waits for.
    #[inline]
    pub(in crate::socket) fn take_awaited(&self) {
        let _ = self.hints.take_awaited();
    }

    /// Returns what the driver is to read now; `None` if it is to drop the IO.
    pub(in crate::socket) fn demand(&self) -> Option<Demand> {
        self.look().demand(&self.hints)
    }

    /// Unlocks after something may have been taken out of a queue. Wakes the driver if it
    /// had stopped reading for want of room.
    #[inline]
    fn unlock_after_taking(&self, state: Locked<'_>, was_full: bool) {
        if was_full && state.driver_task == DriverTask::Idle {
            self.wake(state);
        }
    }
}

impl State {
    #[inline]
    pub(super) fn has_input(&self) -> bool {
        self.inbox.as_ref().is_some_and(|inbox| !inbox.is_empty())
    }

    /// The messages in chunks, if there have been any since the last whole one.
    #[inline]
    pub(super) fn chunks(&self) -> Option<&ChunkQueue> {
        self.rare.as_ref()?.chunks.as_deref()
    }

    fn chunks_mut(&mut self) -> Option<&mut ChunkQueue> {
        self.rare.as_mut()?.chunks.as_deref_mut()
    }

    fn chunks_or_new(&mut self) -> &mut ChunkQueue {
        self.rare
            .get_or_insert_default()
            .chunks
            .get_or_insert_default()
    }

    /// The task that waits to receive, unless that is the driver's own, by its handler.
    #[inline]
    pub(super) fn receiver(&self) -> Option<&Waker> {
        self.rare.as_ref()?.receiver.as_ref()
    }

    #[inline]
    pub(super) fn take_receiver(&mut self) -> Option<Waker> {
        self.rare.as_mut()?.receiver.take()
    }

    /// Returns how much may still be read ahead.
    pub(super) fn capacity(&self) -> Capacity {
        let capacity = match &self.inbox {
            Some(inbox) if !inbox.is_empty() => inbox.capacity(),
            _ => Capacity::WHOLE,
        };
        match self.chunks() {
            Some(chunks) => chunks.rest_of(capacity),
            None => capacity,
        }
    }

    pub(super) fn demand(&self, hints: &Hints) -> Option<Demand> {
        if !self.life.may_receive() {
            let is_over = self.life.is_aborting() || self.life.is_closed();
            return (!is_over).then_some(Demand::Discard);
        }
        if hints.discards() {
            return Some(Demand::ControlFrames);
        }
        let capacity = self.capacity();
        Some(match self.chunks() {
            Some(chunks) if chunks.is_active() && chunks.is_for_recv() => Demand::Rest(capacity),
            Some(chunks) if chunks.is_active() => Demand::Chunks(capacity),
            _ if self.receiver().is_some() || hints.is_awaited() => Demand::Awaited(capacity),
            _ => Demand::Ahead(capacity),
        })
    }

    /// Counts what was received from the desk.
    #[inline]
    pub(super) fn count_received(&mut self, desk: &mut Desk) {
        let (messages, bytes) = desk.arrived.count();
        self.received.add(messages, bytes);
    }

    pub(super) fn discard_received(&mut self) {
        self.inbox = None;
        if let Some(chunks) = self.chunks_mut() {
            *chunks = ChunkQueue::default();
        }
    }

    /// Takes the next message into `batch`, if messages were handed over in chunks so far;
    /// returns whether there is one. From now on they are handed over whole.
    #[cold]
    fn next_whole(&mut self, batch: &mut Option<Box<Inbox>>) -> bool {
        let Some(rare) = &mut self.rare else {
            return false;
        };
        let Some(chunks) = &mut rare.chunks else {
            return false;
        };
        chunks.deliver(Delivery::Whole);
        chunks.skip();
        let message = chunks.next_whole();
        rare.chunks.take_if(|chunks| !chunks.is_active());
        let found = message.is_some();
        if let Some(message) = message {
            let length = message.len();
            let batch = batch.get_or_insert_with(Inbox::pooled);
            batch.push(message, length);
        }
        found
    }
}
