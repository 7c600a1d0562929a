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

/// The bytes that may wait in all rooms together.
const ALL_WAITING_BYTES: usize = 16 * 1024 * 1024;

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
    /// The engine has been asked to follow the room.
    Waiting,
    /// Something may be missing: a read finds out. What arrives meanwhile waits.
    Behind(Backlog),
    /// Everything up to `last` was accepted, and what follows it arrives.
    Live,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ReadState {
    Idle,
    /// Under way, since the room stood at this position.
    UnderWay(Option<Position>),
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
    /// A read has been answered: who waits for it may look again.
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
            self.state = State::Waiting;
        }
    }

    /// The engine is asked to follow the room no longer. The last position is kept: if the room
    /// is followed again, it goes on there.
    pub(super) fn unfollow(&mut self) {
        self.state = State::Cold;
        self.read = ReadState::Idle;
        self.wanted = None;
        self.failures = 0;
    }

    /// Messages may have been lost from now on. The answer to a read that is under way would come
    /// from before, so it is not waited for.
    pub(super) fn interrupted(&mut self) {
        if self.is_followed() {
            self.state = State::Waiting;
            self.read = ReadState::Idle;
        }
    }

    /// What is published from now on arrives. What was published before is read.
    pub(super) fn following(&mut self, steps: &mut Vec<Step>) {
        if self.is_followed() {
            self.read = ReadState::Idle;
            self.fall_behind(Backlog::default(), steps);
        }
    }

    /// A message has arrived. `is_known` tells whether a position is in the ring.
    pub(super) fn arrived(
        &mut self,
        arrival: Arrival,
        is_known: impl FnOnce(Position) -> bool,
        steps: &mut Vec<Step>,
    ) {
        match &mut self.state {
            // A late message of an earlier subscription: the read will find it.
            State::Cold | State::Waiting => {}
            State::Behind(backlog) => backlog.push(arrival, &self.budget),
            State::Live if self.last == Some(arrival.previous) => self.deliver(arrival, steps),
            State::Live if is_known(arrival.position) => {}
            State::Live => {
                let mut backlog = Backlog::default();
                backlog.push(arrival, &self.budget);
                // A read that is under way may have been carried out before what is missing was
                // published.
                self.read = ReadState::Idle;
                self.fall_behind(backlog, steps);
            }
        }
    }

    /// Asks for a read that begins after this call. It has been answered when
    /// [`has_answered`](Self::has_answered) says so of the number that is returned.
    pub(super) fn want(&mut self, want: Want, steps: &mut Vec<Step>) -> u64 {
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
        let ReadState::UnderWay(at_begin) = self.read else {
            return;
        };
        // Every interruption begins another read. Its answer must not be mistaken.
        if number != self.reads {
            return;
        }
        self.read = ReadState::Idle;
        let Some((end, messages)) = answer.ok().and_then(checked) else {
            return self.pause(steps);
        };
        match self.take(end, messages, steps) {
            Taken::Whole => {}
            // The room has moved since the read began, beyond what the read found.
            Taken::Not(messages) if self.is_live() && self.last != at_begin && is_known(end) => {
                steps.push(Step::Older(messages));
            }
            // It has moved elsewhere. Whether messages are missing for good is shown by another
            // read, during which nothing is accepted.
            Taken::Not(_) if self.is_live() && self.last != at_begin => {
                return self.fall_behind(Backlog::default(), steps);
            }
            Taken::Not(messages) => {
                self.last = Some(end);
                steps.push(Step::Broken(end));
                steps.push(Step::Older(messages));
            }
        }
        self.answered = number;
        steps.push(Step::Answered);
        self.catch_up(steps);
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

    /// Takes what has waited for the answer, and goes on reading if that was not all.
    fn catch_up(&mut self, steps: &mut Vec<Step>) {
        if let State::Behind(backlog) = &mut self.state {
            let mut backlog = mem::take(backlog);
            while let Some(arrival) = backlog.pop() {
                // By the predecessor, not by the number: what has arrived may belong to a branch
                // that the log has left.
                if self.last == Some(arrival.previous) {
                    self.deliver(arrival, steps);
                } else if self.is_newer(&arrival) {
                    backlog.push_front(arrival, &self.budget);
                    self.state = State::Behind(backlog);
                    return self.pause(steps);
                }
            }
            self.state = State::Live;
        }
        self.failures = 0;
        if self.wanted.is_some() {
            self.begin_read(steps);
        }
    }

    fn is_newer(&self, arrival: &Arrival) -> bool {
        self.last
            .is_none_or(|last| arrival.position.number() > last.number())
    }

    fn fall_behind(&mut self, backlog: Backlog, steps: &mut Vec<Step>) {
        self.state = State::Behind(backlog);
        self.begin_read(steps);
    }

    fn begin_read(&mut self, steps: &mut Vec<Step>) {
        debug_assert_eq!(self.read, ReadState::Idle);
        self.read = ReadState::UnderWay(self.last);
        self.reads += 1;
        let from = match (self.wanted.take(), self.last) {
            (Some(Want::All), _) => ReadFrom::Start,
            (_, Some(last)) => ReadFrom::After(last),
            (_, None) => ReadFrom::End,
        };
        steps.push(Step::Read(self.reads, from));
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
    let is_counted = messages
        .iter()
        .all(|next| next.position.number() == next.previous.number().wrapping_add(1));
    let ends = messages.last().is_none_or(|last| last.position == end);
    (is_chain && is_counted && ends).then_some((end, messages))
}

/// Messages that wait for a read. If there are too many, the oldest are dropped: the next read
/// finds them.
#[derive(Debug, Default)]
struct Backlog {
    arrivals: VecDeque<(Arrival, Permit)>,
    bytes: usize,
}

impl Backlog {
    fn push(&mut self, arrival: Arrival, budget: &Arc<Budget>) {
        let bytes = arrival.envelope.len();
        let Some(permit) = budget.take(bytes + OVERHEAD, ALL_WAITING_BYTES) else {
            // What follows does not follow what is here, so this would be of no use.
            *self = Backlog::default();
            return;
        };
        self.bytes += bytes;
        self.arrivals.push_back((arrival, permit));
        while self.arrivals.len() > MAX_WAITING || self.bytes > MAX_WAITING_BYTES {
            self.pop();
        }
    }

    fn push_front(&mut self, arrival: Arrival, budget: &Arc<Budget>) {
        let bytes = arrival.envelope.len();
        if let Some(permit) = budget.take(bytes + OVERHEAD, ALL_WAITING_BYTES) {
            self.bytes += bytes;
            self.arrivals.push_front((arrival, permit));
        }
    }

    fn pop(&mut self) -> Option<Arrival> {
        let (arrival, _) = self.arrivals.pop_front()?;
        self.bytes -= arrival.envelope.len();
        Some(arrival)
    }
}
