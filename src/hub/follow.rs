//! Following a room: what arrives from an engine is put into the order of the log, and what is
//! missing is read. A plain structure: events go in, steps come out. It knows no lock, no task
//! and no clock.
//!
//! Messages may be lost, repeated or late, and so may the log itself: a failover or an older
//! snapshot makes it a fork of what it was. One rule covers all of that: **a message is accepted
//! if its predecessor is the last message that was accepted.** Everything else is looked up in the
//! log.

use std::collections::VecDeque;
use std::mem;
use std::sync::Arc;

use super::backplane::{Arrival, Budget, EngineError, Past, Permit, ReadFrom};
use super::position::Position;

/// The largest number of messages that wait for a read, and of their bytes.
const MAX_WAITING: usize = 256;
const MAX_WAITING_BYTES: usize = 256 * 1024;

/// What a message that waits takes beside its bytes.
const OVERHEAD: usize = size_of::<(Arrival, Permit)>();

/// One room, as this server follows it.
///
/// ```text
///            ┌──────────────────── interrupted ───────────────────┐
///            ▼                                                    │
///  Cold ─► Waiting ── following ──► Behind ── answer ──► Live ────┤
///   ▲        │                        ▲ │                 │       │
///   │        │                        │ └── interrupted ──┼───────┘
///   │        │                        └─ does not chain ──┤
///   └────────┴───────────────── unfollow ─────────────────┘
/// ```
///
/// A read is under way in `Behind`, and may be in `Live`: for a member that resumes from before
/// the ring, or to look whether the room is still the same.
#[derive(Debug)]
pub(super) struct Follower {
    state: State,
    /// The last message that was accepted; `None` before the first answer.
    last: Option<Position>,
    read: ReadState,
    /// The number of the last read that was begun.
    reads: u64,
    /// The number of the last read that was answered.
    answered: u64,
    /// What the next read is wanted for; `None` if it is not.
    wanted: Option<Want>,
    /// The failures since the last answer that brought the room up to date.
    failures: u32,
    /// The bytes that wait for reads, in all rooms.
    budget: Arc<Budget>,
}

#[derive(Debug)]
enum State {
    /// The room is not followed.
    Cold,
    /// The engine has been asked to follow the room. If a client has come with a position before
    /// the first read, what follows that position is read.
    Waiting(Option<Position>),
    /// Something may be missing: a read finds out. What arrives meanwhile waits.
    Behind(Box<Backlog>),
    /// Everything up to `last` was accepted, and what follows it arrives.
    Live,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ReadState {
    Idle,
    UnderWay {
        /// Where the room stood when the read began.
        at: Option<Position>,
        /// What the read is wanted for, beside bringing the room up to date.
        want: Option<Want>,
    },
    /// The last read failed, or did not bring the room up to date. The next waits for
    /// [`Follower::retry`].
    Paused,
}

/// How much of the log a read is wanted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Want {
    /// What follows the last message.
    Newer,
    /// Everything that is kept.
    All,
}

/// What is to be done, in this order.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// The room begins at this position: the ring is set to it.
    Begin(Position),
    /// Older messages, to be put before the ring. No member gets them.
    Older(Vec<Arrival>),
    /// The next message of the room, for the ring and all members.
    Deliver(Arrival),
    /// Messages are missing for good. Members do not get what follows before they are told. The
    /// ring is set to this position.
    Broken(Position),
    /// The log is to be read. The answer goes to [`Follower::answered`], with the number.
    Read(u64, ReadFrom),
    /// [`Follower::retry`] is to be called, after a pause for this many failures.
    Retry(u32),
    /// A read has been answered: joins that wait for it may look again.
    Answered,
}

impl Follower {
    /// Makes a follower of a room that is not followed yet. `budget` bounds what waits for
    /// reads in all rooms together.
    pub(super) fn new(budget: Arc<Budget>) -> Self {
        Follower {
            state: State::Cold,
            last: None,
            read: ReadState::Idle,
            reads: 0,
            answered: 0,
            wanted: None,
            failures: 0,
            budget,
        }
    }

    pub(super) fn is_followed(&self) -> bool {
        !matches!(self.state, State::Cold)
    }

    /// Returns whether nothing is known to be missing.
    pub(super) fn is_live(&self) -> bool {
        matches!(self.state, State::Live)
    }

    /// The engine is asked to follow the room.
    pub(super) fn follow(&mut self) {
        if !self.is_followed() {
            self.state = State::Waiting(None);
        }
    }

    /// A client comes with a position. If the room has not been read yet, the first read is one of
    /// what follows. So after a server has died, one read serves all clients with that position.
    pub(super) fn expect(&mut self, position: Position) {
        if let State::Waiting(expected @ None) = &mut self.state
            && self.last.is_none()
        {
            *expected = Some(position);
        }
    }

    /// The engine is asked to follow the room no longer, and no read is wanted any more.
    ///
    /// The last position is forgotten. A member that joins later was not here meanwhile: it misses
    /// nothing, and what was said is not news to it.
    pub(super) fn unfollow(&mut self) {
        self.last = None;
        self.state = State::Cold;
        self.read = ReadState::Idle;
        self.wanted = None;
        self.failures = 0;
    }

    /// Messages may have been lost from now on. The answer to a read that is under way would come
    /// from before, so it is not waited for.
    pub(super) fn interrupted(&mut self) {
        if self.is_followed() {
            self.state = State::Waiting(None);
            self.discard_read();
        }
    }

    /// What is published from now on arrives. What was published before is read.
    pub(super) fn following(&mut self, steps: &mut Vec<Step>) {
        if self.is_followed() {
            self.discard_read();
            let expected = match self.state {
                State::Waiting(expected) => expected,
                _ => None,
            };
            self.state = State::Behind(Box::default());
            self.begin_read_after(self.last.or(expected), steps);
        }
    }

    /// A message has arrived. `is_known` tells whether a position is in the ring.
    pub(super) fn arrived(
        &mut self,
        arrival: Arrival,
        is_known: impl FnOnce(Position) -> bool,
        steps: &mut Vec<Step>,
    ) {
        // An engine that counts wrongly has as good as lost the message. The order of the ring, by
        // which positions are found, is worth more.
        if !is_counted(&arrival) {
            return;
        }
        match &mut self.state {
            // A late message of an earlier subscription: the read will find it.
            State::Cold | State::Waiting(_) => {}
            State::Behind(backlog) => backlog.push(arrival, &self.budget),
            State::Live if self.last == Some(arrival.previous) => self.deliver(arrival, steps),
            State::Live if is_known(arrival.position) => {}
            State::Live => {
                let mut backlog = Box::<Backlog>::default();
                backlog.push(arrival, &self.budget);
                // A read that is under way may have been carried out before what is missing was
                // published.
                self.discard_read();
                self.fall_behind(backlog, steps);
            }
        }
    }

    /// Asks for a read that begins after this call. It has been answered when
    /// [`has_answered`](Self::has_answered) says so of the number that is returned.
    pub(super) fn want(&mut self, want: Want, steps: &mut Vec<Step>) -> u64 {
        // All of the log is wanted for a position that is older than the ring. A read of all of it
        // that is under way finds such a position, or it is not there.
        if let (Want::All, ReadState::UnderWay { want: begun, .. }) = (want, self.read)
            && begun == Some(want)
        {
            return self.reads;
        }
        self.wanted = self.wanted.max(Some(want));
        if self.is_live() && self.read == ReadState::Idle {
            self.begin_read(steps);
            self.reads
        } else {
            self.reads + 1
        }
    }

    /// Returns whether the read with this number, or a later one, has been answered.
    pub(super) fn has_answered(&self, read: u64) -> bool {
        self.answered >= read
    }

    /// The answer to a read. `is_known` tells whether a position is in the ring.
    pub(super) fn answered(
        &mut self,
        number: u64,
        answer: Result<Past, EngineError>,
        is_known: impl Fn(Position) -> bool,
        steps: &mut Vec<Step>,
    ) {
        let ReadState::UnderWay { at, .. } = self.read else {
            return;
        };
        // Every interruption begins another read. Its answer must not be mistaken.
        if number != self.reads {
            return;
        }
        let Some((end, messages)) = answer.ok().and_then(checked) else {
            self.discard_read();
            return self.pause(steps);
        };
        let before = self.last;
        match self.take(end, messages, steps) {
            Taken::Whole => {}
            // The room has moved since the read began, beyond what the read found.
            Taken::Not(messages) if self.is_live() && self.last != at && is_known(end) => {
                steps.push(Step::Older(messages));
            }
            // It has moved elsewhere. Whether messages are missing for good is shown by another
            // read, during which nothing is accepted.
            Taken::Not(_) if self.is_live() && self.last != at => {
                self.discard_read();
                return self.fall_behind(Box::default(), steps);
            }
            Taken::Not(messages) => {
                self.last = Some(end);
                steps.push(Step::Broken(end));
                steps.push(Step::Older(messages));
            }
        }
        self.read = ReadState::Idle;
        self.answered = number;
        steps.push(Step::Answered);
        self.catch_up(before, steps);
    }

    /// The pause is over that [`Step::Retry`] asked for.
    pub(super) fn retry(&mut self, steps: &mut Vec<Step>) {
        if self.read == ReadState::Paused {
            self.read = ReadState::Idle;
            self.begin_read(steps);
        }
    }

    fn deliver(&mut self, arrival: Arrival, steps: &mut Vec<Step>) {
        self.last = Some(arrival.position);
        steps.push(Step::Deliver(arrival));
    }

    /// Takes an answer, messages that lead up to `end`, if it goes on where the room stands.
    fn take(&mut self, end: Position, messages: Vec<Arrival>, steps: &mut Vec<Step>) -> Taken {
        let Some(last) = self.last else {
            self.last = Some(end);
            steps.push(Step::Begin(end));
            steps.push(Step::Older(messages));
            return Taken::Whole;
        };
        let accepted = match messages.iter().position(|next| next.previous == last) {
            Some(accepted) => accepted,
            None if last == end => messages.len(),
            None => return Taken::Not(messages),
        };
        let mut older = messages;
        let newer = older.split_off(accepted);
        steps.push(Step::Older(older));
        for arrival in newer {
            self.deliver(arrival, steps);
        }
        Taken::Whole
    }

    /// Takes what has waited for the answer, and goes on reading if that was not all. `before` is
    /// where the room stood before the answer.
    fn catch_up(&mut self, before: Option<Position>, steps: &mut Vec<Step>) {
        if let State::Behind(backlog) = &mut self.state {
            let mut backlog = mem::take(backlog);
            while let Some(next) = backlog.first() {
                // By the predecessor, not by the number: what has arrived may belong to a branch
                // that the log has left.
                let follows = self.last == Some(next.previous);
                let is_needed = !backlog.is_first_found() && self.is_newer(next.position.number());
                if !follows && is_needed {
                    break;
                }
                if let Some(next) = backlog.pop()
                    && follows
                {
                    self.deliver(next, steps);
                }
            }
            let is_behind =
                !backlog.is_empty() || backlog.dropped.is_some_and(|number| self.is_newer(number));
            if is_behind {
                self.state = State::Behind(backlog);
                // A busy room cannot wait, and a read that has got on will again.
                if self.last == before {
                    self.pause(steps);
                } else {
                    self.begin_read(steps);
                }
                return;
            }
            self.state = State::Live;
        }
        self.failures = 0;
        if self.wanted.is_some() {
            self.begin_read(steps);
        }
    }

    fn is_newer(&self, number: u64) -> bool {
        self.last.is_none_or(|last| number > last.number())
    }

    fn fall_behind(&mut self, backlog: Box<Backlog>, steps: &mut Vec<Step>) {
        self.state = State::Behind(backlog);
        self.begin_read(steps);
    }

    fn begin_read(&mut self, steps: &mut Vec<Step>) {
        self.begin_read_after(self.last, steps);
    }

    fn begin_read_after(&mut self, after: Option<Position>, steps: &mut Vec<Step>) {
        debug_assert_eq!(self.read, ReadState::Idle);
        if let State::Behind(backlog) = &mut self.state {
            backlog.read_begins();
        }
        let want = self.wanted.take();
        self.read = ReadState::UnderWay {
            at: self.last,
            want,
        };
        self.reads += 1;
        let from = match (want, after) {
            (Some(Want::All), _) => ReadFrom::Start,
            (_, Some(last)) => ReadFrom::After(last),
            (_, None) => ReadFrom::End,
        };
        steps.push(Step::Read(self.reads, from));
    }

    /// Forgets the read that is under way, or is to be repeated. What it was wanted for is still
    /// wanted.
    fn discard_read(&mut self) {
        if let ReadState::UnderWay { want, .. } = self.read {
            self.wanted = self.wanted.max(want);
        }
        self.read = ReadState::Idle;
    }

    fn pause(&mut self, steps: &mut Vec<Step>) {
        self.read = ReadState::Paused;
        self.failures = self.failures.saturating_add(1);
        steps.push(Step::Retry(self.failures));
    }
}

/// Whether an answer goes on where the room stands.
enum Taken {
    Whole,
    /// The messages that do not.
    Not(Vec<Arrival>),
}

/// The end and the messages of an answer, each of which follows the one before; `None` if the
/// engine has broken its contract.
fn checked(past: Past) -> Option<(Position, Vec<Arrival>)> {
    let (end, messages) = match past {
        Past::Messages { end, messages } => (end, messages),
        Past::DoesNotFollow { end } => (end, vec![]),
    };
    let is_chain = messages
        .windows(2)
        .all(|pair| pair[1].previous == pair[0].position);
    let ends = messages.last().is_none_or(|last| last.position == end);
    (is_chain && messages.iter().all(is_counted) && ends).then_some((end, messages))
}

fn is_counted(arrival: &Arrival) -> bool {
    arrival.previous.number().checked_add(1) == Some(arrival.position.number())
}

/// Messages that wait for a read. If there are too many, the oldest are dropped: a read finds
/// them.
///
/// Each message was in the log before it arrived. So a read that began after it arrived has found
/// it, or the log has lost it.
#[derive(Debug, Default)]
struct Backlog {
    arrivals: VecDeque<(Arrival, Permit)>,
    bytes: usize,
    /// How many of the messages, the first ones, arrived before the read began.
    before_read: usize,
    /// The highest number of the messages that were dropped since the read began.
    dropped: Option<u64>,
}

impl Backlog {
    fn push(&mut self, arrival: Arrival, budget: &Arc<Budget>) {
        let bytes = arrival.envelope.len();
        let Some(permit) = budget.take(bytes + OVERHEAD) else {
            // What follows does not follow what is here, so this would be of no use.
            self.dropped = self.dropped.max(Some(arrival.position.number()));
            while !self.arrivals.is_empty() {
                self.drop_oldest();
            }
            return;
        };
        self.bytes += bytes;
        self.arrivals.push_back((arrival, permit));
        while self.arrivals.len() > MAX_WAITING || self.bytes > MAX_WAITING_BYTES {
            self.drop_oldest();
        }
    }

    /// A read begins, which finds all that has arrived before.
    fn read_begins(&mut self) {
        self.before_read = self.arrivals.len();
        self.dropped = None;
    }

    fn first(&self) -> Option<&Arrival> {
        self.arrivals.front().map(|(arrival, _)| arrival)
    }

    /// Returns whether the read has found the first message, unless the log has lost it.
    fn is_first_found(&self) -> bool {
        self.before_read > 0
    }

    fn is_empty(&self) -> bool {
        self.arrivals.is_empty()
    }

    fn pop(&mut self) -> Option<Arrival> {
        let (arrival, _) = self.arrivals.pop_front()?;
        self.bytes -= arrival.envelope.len();
        self.before_read = self.before_read.saturating_sub(1);
        Some(arrival)
    }

    fn drop_oldest(&mut self) {
        let is_found = self.is_first_found();
        let number = self.pop().map(|arrival| arrival.position.number());
        if !is_found {
            self.dropped = self.dropped.max(number);
        }
    }
}
