//! Messages that are handed over while they arrive: what the driver and the
//! receiving side share for that.
//!
//! What was asked for last decides: after `recv_stream` messages come in parts,
//! after `recv` whole; a large one for which nobody has asked comes in parts until
//! somebody does. The parts stand in a queue of their own, and all that is
//! in the inbox came before them: as long as there is a part in the queue, or a
//! message of which one was, nothing goes to the inbox.

use std::collections::VecDeque;
use std::task::{Context, Poll};

use crate::Message;
use crate::error::{Error, ErrorKind};
use crate::message::{Kind, Text};
use crate::protocol::{Part, Pongs};
use crate::socket::driver::buffers;
use crate::socket::shared::driver_task::DriverTask;
use crate::socket::shared::exchange::Repoll;
use crate::socket::shared::inbox::{Inbox, Room};
use crate::socket::shared::{Shared, State};

/// A queue that has grown beyond this is not kept when it is empty.
const KEPT: usize = 8;

#[derive(Default)]
pub(in crate::socket) struct ChunkQueue {
    wanted: Form,
    place: Place,
    parts: VecDeque<(Message, Part)>,
    /// Of the messages in `parts`.
    bytes: usize,
    /// Parts of a message for `recv`, which were handed over before it was called.
    begun: Option<(Kind, Vec<u8>)>,
}

/// How messages are to be handed over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Form {
    #[default]
    Whole,
    Parts,
}

/// Where the receiving side is.
///
/// ```text
///             first of several parts
///   Between ─────────────────────────► Within
///      ▲                                │ │
///      ├───────────── last part ────────┘ │ nobody wants the rest
///      └── last part ─── Skipping ◄───────┘
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Place {
    #[default]
    Between,
    Within,
    Skipping,
}

impl ChunkQueue {
    /// Whether what arrives goes this way.
    pub(in crate::socket) fn is_active(&self) -> bool {
        self.wanted == Form::Parts
            || self.place != Place::Between
            || self.begun.is_some()
            || !self.parts.is_empty()
    }

    /// Whether what arrives is for `recv`, and not for somebody who takes it in
    /// parts, or for nobody.
    pub(in crate::socket) fn is_for_recv(&self) -> bool {
        self.wanted == Form::Whole && self.place == Place::Between
    }

    pub(in crate::socket) fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// What of that room these parts do not take.
    pub(in crate::socket) fn rest_of(&self, room: Room) -> Room {
        room.less(self.parts.len(), self.bytes)
    }

    fn push(&mut self, message: Message, part: Part) {
        match (self.place, part) {
            (Place::Skipping, Part::More) => {}
            (Place::Skipping, Part::Last) => self.place = Place::Between,
            _ => {
                self.bytes += message.len();
                self.parts.push_back((message, part));
            }
        }
    }

    fn pop(&mut self) -> Option<(Message, Part)> {
        let (message, part) = self.parts.pop_front()?;
        self.bytes -= message.len();
        if self.parts.is_empty() && self.parts.capacity() > KEPT {
            self.parts = VecDeque::new();
        }
        Some((message, part))
    }

    /// The next part of the message that is being received, or of the next.
    fn next(&mut self) -> Option<(Message, Part)> {
        let (message, part) = match self.begun.take() {
            Some((kind, bytes)) => (message(kind, bytes), Part::More),
            None => self.pop()?,
        };
        self.place = match part {
            Part::More => Place::Within,
            Part::Last => Place::Between,
        };
        Some((message, part))
    }

    /// The next message. What stands in the queue of one that is not complete is
    /// put aside for it.
    fn next_whole(&mut self) -> Option<Message> {
        while let Some((message, part)) = self.pop() {
            if self.begun.is_none() && part == Part::Last {
                return Some(message);
            }
            let (_, bytes) = self
                .begun
                .get_or_insert_with(|| (message.kind(), Vec::new()));
            bytes.extend_from_slice(message.as_bytes());
            if part == Part::Last {
                return self
                    .begun
                    .take()
                    .map(|(kind, bytes)| self::message(kind, bytes));
            }
        }
        None
    }

    /// Nobody wants the rest of the message that is being received.
    fn skip(&mut self) {
        if self.place != Place::Within {
            return;
        }
        self.place = Place::Skipping;
        while self.place == Place::Skipping {
            match self.pop() {
                Some((_, Part::More)) => {}
                Some((_, Part::Last)) => self.place = Place::Between,
                None => return,
            }
        }
    }
}

/// Of parts that were validated as they arrived, each whole characters.
fn message(kind: Kind, bytes: Vec<u8>) -> Message {
    match kind {
        Kind::Text => Text::from_validated(bytes).into(),
        Kind::Binary => bytes.into(),
    }
}

impl Shared {
    /// Hands over the messages in `batch`, of which the first may be the rest of
    /// one, and a part of the next. See [`publish`](Self::publish).
    pub(in crate::socket) fn publish_parts(
        &self,
        batch: &mut Option<Box<Inbox>>,
        part: Option<Message>,
        pongs: &mut Pongs,
        cx: &mut Context<'_>,
    ) -> Repoll {
        let mut state = self.lock();
        self.answer(&mut state, pongs);
        let socket_dropped = self.is_socket_dropped();
        let messages = batch.as_ref().map_or(0, |it| it.len());
        let bytes = batch.as_ref().map_or(0, |it| it.bytes());
        let part_bytes = part.as_ref().map_or(0, |it| it.len());
        state.received.add(messages, bytes + part_bytes);
        let arriving = &mut state.streams().arriving;
        if let Some(batch) = batch {
            while let Some(message) = batch.pop() {
                arriving.push(message, Part::Last);
            }
        }
        if let Some(part) = part {
            arriving.push(part, Part::More);
        }
        if socket_dropped {
            *arriving = ChunkQueue::default();
        }
        if arriving.is_empty() {
            return Repoll::No;
        }
        let receiver = state.receiver.take();
        drop(state);
        Repoll::unless_woken(receiver, cx)
    }

    /// The first part of the next message, or all of it; `None` if no more will
    /// come. Messages come in parts from now on.
    pub(in crate::socket) fn poll_first_part(
        &self,
        batch: &mut Option<Box<Inbox>>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<(Message, Part)>, Error>> {
        let mut state = self.lock();
        let was_full = state.inbox_room().is_empty();
        let arriving = &mut state.streams().arriving;
        // What has arrived of a message may be taken away at once.
        let changed = std::mem::replace(&mut arriving.wanted, Form::Parts) == Form::Whole;
        arriving.skip();
        if batch.as_ref().is_none_or(|it| it.is_empty()) && state.has_input() {
            std::mem::swap(&mut state.inbox, batch);
        }
        let first = match batch.as_mut().and_then(|it| it.pop()) {
            Some(message) => Some((message, Part::Last)),
            None => match state.streams().arriving.place {
                Place::Skipping => None,
                Place::Between | Place::Within => state.streams().arriving.next(),
            },
        };
        let polled = match (first, &mut state.ending) {
            (Some(first), _) => Poll::Ready(Ok(Some(first))),
            (None, Some(ending)) => Poll::Ready(match ending.error.take() {
                Some(error) => Err(error),
                None => Ok(None),
            }),
            (None, None) => Poll::Pending,
        };
        match polled {
            Poll::Ready(_) => state.receiver = None,
            Poll::Pending => self.wait_to_receive(&mut state, cx.waker()),
        }
        if changed || was_full && state.sleep == DriverTask::Idle {
            self.wake(state);
        }
        polled
    }

    /// The next part of the message that is being received.
    pub(in crate::socket) fn poll_next_part(
        &self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(Message, Part), Error>> {
        let mut state = self.lock();
        let was_full = state.inbox_room().is_empty();
        if let Some(next) = state.streams().arriving.next() {
            state.receiver = None;
            if was_full && state.sleep == DriverTask::Idle {
                self.wake(state);
            }
            return Poll::Ready(Ok(next));
        }
        if let Some(ending) = &mut state.ending {
            let error = ending.error.take();
            state.streams().arriving.place = Place::Between;
            return Poll::Ready(Err(error.unwrap_or(ErrorKind::Unfinished.into())));
        }
        self.wait_to_receive(&mut state, cx.waker());
        Poll::Pending
    }

    /// Nobody wants the rest of the message that is being received.
    pub(in crate::socket) fn skip_message(&self) {
        let mut state = self.lock();
        let was_full = state.inbox_room().is_empty();
        state.streams().arriving.skip();
        if was_full && state.sleep == DriverTask::Idle {
            self.wake(state);
        }
    }
}

impl State {
    /// The next message, if messages have come in parts so far; they come whole
    /// from now on.
    #[cold]
    pub(in crate::socket) fn next_whole(&mut self, batch: &mut Option<Box<Inbox>>) -> bool {
        let Some(streams) = &mut self.streams else {
            return false;
        };
        streams.arriving.wanted = Form::Whole;
        streams.arriving.skip();
        let message = match streams.arriving.place {
            Place::Skipping => None,
            Place::Between | Place::Within => streams.arriving.next_whole(),
        };
        self.forget_streams();
        let found = message.is_some();
        if let Some(message) = message {
            let length = message.len();
            let batch = batch.get_or_insert_with(buffers::inbox);
            batch.push(message, length);
        }
        found
    }
}
