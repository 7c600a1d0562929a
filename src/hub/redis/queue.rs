//! What waits for the connection that asks, and in which order it goes out. A plain structure:
//! it knows no connection, no task, and no clock.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::call::{Appended, Call, Pending, PendingPublish, PublishCall, Request};
use crate::hub::backplane::{
    Arrival, EngineError, EnterError, Publish, PublishError, Published, Read,
};
use crate::hub::position::{Position, Tags};

/// The largest number of entries to end that wait for Redis. While it is away, every attempt to
/// enter leaves one behind.
const MAX_LEAVES: usize = 65_536;

/// The largest number of calls in a batch, and of the bytes in its messages. A single message may
/// be larger.
const MAX_CALLS: usize = 128;
const MAX_BYTES: usize = 1024 * 1024;

/// The largest number of rooms that one call reads, and of the bytes in their names. Redis does
/// nothing else meanwhile: some 4 µs for each room in which nothing has changed.
const MAX_READS: usize = 128;
const MAX_NAMES: usize = 64 * 1024;

/// The largest number of such calls in a batch.
const MAX_READ_CALLS: usize = 4;

/// The largest number of rosters that are read in a batch. The size of their answers is not known
/// before, and all of a batch must come within the time for one.
const MAX_ROSTERS: usize = 16;

/// The largest number of messages in a call: Lua's `unpack` fails at some 8,000.
const MAX_MESSAGES: usize = 1_000;

/// How long a room waits whose messages Redis has refused.
const REFUSED: Duration = Duration::from_secs(1);

/// What waits to be sent.
///
/// One batch is under way at a time. Its calls are taken out of the queue, and put back in front
/// if they have to be repeated, so the order stays. A message has its sequence number from when
/// it came into the queue, and Redis takes each number of a room once, in rising order: so a
/// message whose outcome is unknown can be repeated. For the same reason, messages of a room
/// must not overtake those that were refused.
pub(super) struct Queue {
    /// The sequence number of the last message.
    seq: u64,
    patience: Duration,
    tags: Tags,
    /// The rooms whose messages wait.
    rooms: HashMap<Arc<str>, Waiting>,
    /// Those of them that may be sent, each once.
    ready: VecDeque<Arc<str>>,
    /// Those that have been refused, and until when they wait.
    refused: VecDeque<(Instant, Arc<str>)>,
    reads: VecDeque<Pending<Read>>,
    /// Everything else.
    others: VecDeque<Pending<Request>>,
    /// Entries whose end Redis has refused, and until when they wait.
    refused_leaves: VecDeque<(Instant, Pending<Request>)>,
    /// Messages that are in the log already: where, is to be found out.
    sought: VecDeque<(Arc<str>, Vec<PendingPublish>)>,
}

#[derive(Debug, Default)]
struct Waiting {
    messages: VecDeque<PendingPublish>,
    is_refused: bool,
}

impl Queue {
    pub(super) fn new(patience: Duration) -> Self {
        Queue {
            seq: 0,
            patience,
            tags: Tags::new(),
            rooms: HashMap::new(),
            ready: VecDeque::new(),
            refused: VecDeque::new(),
            reads: VecDeque::new(),
            others: VecDeque::new(),
            refused_leaves: VecDeque::new(),
            sought: VecDeque::new(),
        }
    }

    /// Returns whether nothing is to be sent. Entries whose end was refused are not counted: if the
    /// server stops, all its entries end.
    pub(super) fn is_empty(&self) -> bool {
        self.rooms.is_empty()
            && self.reads.is_empty()
            && self.others.is_empty()
            && self.sought.is_empty()
    }

    /// Takes a request in.
    pub(super) fn push(&mut self, request: Request, now: Instant) {
        let deadline = now + self.patience;
        self.others.push_back(Pending::new(request, deadline));
    }

    /// Takes a question to a log in.
    pub(super) fn read(&mut self, request: Read, now: Instant) {
        let deadline = now + self.patience;
        self.reads.push_back(Pending::new(request, deadline));
    }

    /// Takes a message in.
    pub(super) fn publish(&mut self, request: Publish, now: Instant) {
        let deadline = now + self.patience;
        self.seq += 1;
        let room = request.room().clone();
        let waiting = self.rooms.entry(room.clone()).or_default();
        if waiting.messages.is_empty() && !waiting.is_refused {
            self.ready.push_back(room);
        }
        waiting
            .messages
            .push_back(PendingPublish::new(request, self.seq, deadline));
    }

    /// Takes the next batch out; empty if nothing is to be sent now.
    pub(super) fn next(&mut self, now: Instant) -> Vec<Call> {
        while self.refused.front().is_some_and(|(until, _)| *until <= now) {
            if let Some((_, room)) = self.refused.pop_front()
                && let Some(waiting) = self.rooms.get_mut(&room)
            {
                waiting.is_refused = false;
                self.ready.push_back(room);
            }
        }
        while self
            .refused_leaves
            .front()
            .is_some_and(|(until, _)| *until <= now)
            && let Some((_, leave)) = self.refused_leaves.pop_front()
        {
            self.others.push_back(leave);
        }
        // Half of the batch at least is for messages, if there are so many.
        let others = MAX_CALLS - self.ready.len().min(MAX_CALLS / 2);
        let mut calls = vec![];
        for _ in 0..MAX_READ_CALLS {
            let reads = self.next_reads();
            if reads.is_empty() {
                break;
            }
            calls.push(Call::Read(reads));
        }
        while calls.len() < others
            && let Some((room, messages)) = self.sought.pop_front()
        {
            calls.push(Call::Find(room, messages));
        }
        let mut rosters = 0;
        while calls.len() < others
            && rosters < MAX_ROSTERS
            && let Some(other) = self.others.pop_front()
        {
            rosters += usize::from(matches!(other.request, Request::People(_)));
            calls.push(Call::Other(other));
        }
        let mut bytes = 0;
        // Each room once: what follows must not go out before it is known what became of this.
        for _ in 0..self.ready.len().min(MAX_CALLS - calls.len()) {
            if bytes >= MAX_BYTES {
                break;
            }
            let Some(room) = self.ready.pop_front() else {
                break;
            };
            let messages = self.take(&room, &mut bytes);
            if let Some(call) = PublishCall::new(room, messages) {
                calls.push(Call::Publish(call));
            }
        }
        calls
    }

    /// Takes the questions of one call.
    fn next_reads(&mut self) -> Vec<Pending<Read>> {
        let mut names = 0;
        let count = self.reads.iter().take(MAX_READS).take_while(|read| {
            let is_first = names == 0;
            names += read.request.room().len() + 1;
            is_first || names <= MAX_NAMES
        });
        let count = count.count();
        self.reads.drain(..count).collect()
    }

    /// Takes messages of a room, with new tags.
    fn take(&mut self, room: &Arc<str>, bytes: &mut usize) -> Vec<PendingPublish> {
        let mut messages = vec![];
        let Some(waiting) = self.rooms.get_mut(room) else {
            return messages;
        };
        while messages.len() < MAX_MESSAGES
            && let Some(next) = waiting.messages.front()
            && (messages.is_empty() || *bytes + next.request.envelope().len() <= MAX_BYTES)
            && let Some(mut next) = waiting.messages.pop_front()
        {
            *bytes += next.request.envelope().len();
            next.tags.push(self.tags.next());
            messages.push(next);
        }
        if waiting.messages.is_empty() {
            self.rooms.remove(room);
        } else {
            self.ready.push_back(room.clone());
        }
        messages
    }

    /// A tag for a log that begins.
    pub(super) fn root(&self) -> u64 {
        self.tags.next()
    }

    /// Puts calls back in front, in their order. `is_unknown` tells whether they may have been
    /// carried out.
    pub(super) fn put_back(&mut self, calls: Vec<Call>, is_unknown: bool) {
        for call in calls.into_iter().rev() {
            match call {
                Call::Publish(mut call) => {
                    for message in &mut call.messages {
                        message.is_unknown |= is_unknown;
                    }
                    self.put_front(&call.room, call.messages, false);
                }
                Call::Find(room, messages) => self.sought.push_front((room, messages)),
                Call::Read(reads) => {
                    for read in reads.into_iter().rev() {
                        self.reads.push_front(read);
                    }
                }
                // It may be lost, and must not be doubled.
                Call::Other(other) if is_unknown && matches!(other.request, Request::Relay(_)) => {}
                Call::Other(mut other) => {
                    other.is_unknown |= is_unknown;
                    self.others.push_front(other);
                }
                Call::Probe(_) | Call::Beat(_) | Call::Rooms => {}
            }
        }
    }

    /// Redis has refused a call: its messages wait, and those behind them too.
    pub(super) fn refused(&mut self, mut call: PublishCall, reason: &EngineError, now: Instant) {
        for message in &mut call.messages {
            message.reason = Some(reason.clone());
        }
        let room = call.room.clone();
        self.put_front(&call.room, call.messages, true);
        self.refused.push_back((now + REFUSED, room));
    }

    /// Redis has refused to end an entry, which waits. Otherwise a person who has left would be present
    /// until the hub next compares the roster, for five minutes at most.
    pub(super) fn refused_leave(&mut self, leave: Pending<Request>, now: Instant) {
        if self.refused_leaves.len() == MAX_LEAVES {
            self.refused_leaves.pop_front();
        }
        self.refused_leaves.push_back((now + REFUSED, leave));
    }

    fn put_front(&mut self, room: &Arc<str>, messages: Vec<PendingPublish>, is_refused: bool) {
        let waiting = self.rooms.entry(room.clone()).or_default();
        let was_ready = !waiting.messages.is_empty() && !waiting.is_refused;
        waiting.is_refused |= is_refused;
        for message in messages.into_iter().rev() {
            waiting.messages.push_front(message);
        }
        if was_ready && is_refused {
            self.ready.retain(|other| other != room);
        } else if !was_ready && !waiting.is_refused {
            self.ready.push_front(room.clone());
        }
    }

    /// The outcome of a call: one for each message.
    pub(super) fn appended(&mut self, call: PublishCall, end: Position, outcomes: Vec<Appended>) {
        let PublishCall { room, messages, .. } = call;
        let appended = outcomes.iter().filter(|one| **one == Appended::Now);
        let mut number = end.number() - appended.count() as u64;
        let mut sought = vec![];
        for (message, outcome) in messages.into_iter().zip(outcomes) {
            match outcome {
                Appended::Now => {
                    number += 1;
                    let position = Position::new(number, message.tag());
                    message.request.done(Ok(Published::appended(position)));
                }
                // By an earlier attempt of this very message.
                Appended::Said(position) if message.tags.contains(&position.tag()) => {
                    message.request.done(Ok(Published::appended(position)));
                }
                Appended::Said(position) => message.request.done(Ok(Published::repeated(position))),
                Appended::Before if message.tags.contains(&end.tag()) => {
                    message.request.done(Ok(Published::appended(end)));
                }
                Appended::Before => sought.push(message),
            }
        }
        if !sought.is_empty() {
            self.sought.push_back((room, sought));
        }
    }

    /// Gives up requests that have waited for too long.
    pub(super) fn expire(&mut self, now: Instant, reason: &EngineError) {
        for waiting in self.rooms.values_mut() {
            while waiting
                .messages
                .front()
                .is_some_and(|message| message.deadline <= now)
            {
                if let Some(message) = waiting.messages.pop_front() {
                    message.give_up(reason);
                }
            }
        }
        let rooms = &mut self.rooms;
        rooms.retain(|_, waiting| !waiting.messages.is_empty());
        self.ready.retain(|room| rooms.contains_key(room));
        self.refused.retain(|(_, room)| rooms.contains_key(room));
        // A message whose position is sought is in the log, or was.
        for (_, messages) in &mut self.sought {
            let late = messages.extract_if(.., |message| message.deadline <= now);
            late.for_each(|message| {
                message
                    .request
                    .done(Err(PublishError::Unknown(reason.clone())))
            });
        }
        self.sought.retain(|(_, messages)| !messages.is_empty());
        // Their order is that of their deadlines, but for a few that have been put back.
        while self.reads.front().is_some_and(|read| read.deadline <= now)
            && let Some(read) = self.reads.pop_front()
        {
            read.request.done(Err(reason.clone()));
        }
        let mut kept = VecDeque::with_capacity(self.others.len());
        let is_leave = |other: &Pending<Request>| matches!(other.request, Request::Leave { .. });
        let leaves = self.others.iter().filter(|other| is_leave(other)).count();
        let mut surplus = leaves.saturating_sub(MAX_LEAVES);
        for other in self.others.drain(..) {
            if surplus > 0 && is_leave(&other) {
                // The hub finds the entry, and ends it, when it next compares the roster.
                surplus -= 1;
                continue;
            }
            if other.deadline > now {
                kept.push_back(other);
                continue;
            }
            match other.request {
                // Until the roster is compared, nothing else ends an entry while this server lives.
                Request::Leave { .. } => kept.push_back(other),
                Request::Enter(request) => {
                    if other.is_unknown {
                        // It may be in the roster, and is not in the hub.
                        let room = request.room().clone();
                        let key = request.key().into();
                        let seat = request.seat();
                        let leave = Request::Leave { room, key, seat };
                        kept.push_back(Pending::new(leave, other.deadline));
                    }
                    request.done(Err(EnterError::Unavailable(reason.clone())));
                }
                Request::People(request) => request.done(Err(reason.clone())),
                Request::Relay(_) => {}
            }
        }
        self.others = kept;
    }

    /// When something can be sent that cannot be sent now.
    pub(super) fn wake(&self) -> Option<Instant> {
        let refused = self.refused.front().map(|(until, _)| *until);
        let leaves = self.refused_leaves.front().map(|(until, _)| *until);
        refused.into_iter().chain(leaves).min()
    }
}

/// Answers messages that are in the log already, by what the log contains.
pub(super) fn found(messages: Vec<PendingPublish>, log: &[Arrival]) {
    for message in messages {
        let position = log
            .iter()
            .map(|arrival| arrival.position)
            .find(|position| message.tags.contains(&position.tag()));
        let trimmed = || {
            let reason = "the message was appended, and the log does not keep it any more";
            PublishError::Unknown(EngineError::new(reason))
        };
        message
            .request
            .done(position.map(Published::appended).ok_or_else(trimmed));
    }
}
