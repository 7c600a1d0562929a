//! A server of the model: the real follower and ring of the room, its connections to the engine,
//! and what it has to publish.

use std::collections::VecDeque;

use super::engine::{Answer, Truth};
use crate::hub::backplane::{Arrival, Budget, ReadFrom};
use crate::hub::follow::{Follower, Step};
use crate::hub::position::Position;
use crate::hub::ring::Ring;

/// What is under way on a line, from the engine to the server.
#[derive(Clone, Debug)]
pub(super) enum Passed {
    Following,
    Message(Arrival),
    /// An answer: it comes behind the messages that it contains.
    Answer(u64, Answer),
}

#[derive(Debug)]
pub(super) struct Line {
    pub(super) node: usize,
    pub(super) is_subscribed: bool,
    pub(super) is_deaf: bool,
    pub(super) passed: VecDeque<Passed>,
}

/// A request under way, from the server to the engine.
#[derive(Clone, Debug)]
pub(super) enum Request {
    Publish { publish: u64, tag: u64 },
    Read(u64, ReadFrom),
}

/// The connection for requests.
#[derive(Debug)]
pub(super) struct Requests {
    pub(super) node: usize,
    pub(super) under_way: VecDeque<Request>,
    /// What has become of publishes: the position, or `None` if it is not known.
    pub(super) outcomes: VecDeque<(u64, Option<Position>)>,
}

/// A message that is not known to be in the log.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) publish: u64,
    /// One for each attempt.
    pub(super) tags: Vec<u64>,
    pub(super) is_under_way: bool,
}

pub(super) struct Server {
    /// Different for each process.
    pub(super) id: u64,
    pub(super) follower: Follower,
    pub(super) ring: Option<Ring<Truth>>,
    /// What the room's last position is in truth.
    pub(super) last: Option<Truth>,
    /// The number of the last read.
    pub(super) reads: u64,
    /// Answers that may be received. `None`: the read has failed.
    pub(super) answers: Vec<(u64, Option<Answer>)>,
    pub(super) line: Option<Line>,
    pub(super) late: VecDeque<Arrival>,
    pub(super) requests: Option<Requests>,
    pub(super) carried_late: VecDeque<(usize, u64, Request)>,
    pub(super) pending: VecDeque<Pending>,
    pub(super) publishes: u64,
    /// Messages that wait, where they are to be merged by number (hole 5).
    pub(super) held: Vec<Arrival>,
}

impl Server {
    pub(super) fn new(id: u64, s: usize) -> Self {
        // On one of the servers hardly anything may wait.
        let budget = if s == 0 { 300 } else { 1 << 20 };
        Server {
            id,
            follower: Follower::new(Budget::new(budget)),
            ring: None,
            last: None,
            reads: 0,
            answers: vec![],
            line: None,
            late: VecDeque::new(),
            requests: None,
            carried_late: VecDeque::new(),
            pending: VecDeque::new(),
            publishes: 0,
            held: vec![],
        }
    }

    /// Gives the follower an event, and returns the steps that it asks for.
    pub(super) fn with(
        &mut self,
        event: impl FnOnce(&mut Follower, &dyn Fn(Position) -> bool, &mut Vec<Step>),
    ) -> Vec<Step> {
        let ring = &self.ring;
        let is_known = |position| {
            ring.as_ref()
                .is_some_and(|ring| ring.find(position).is_some())
        };
        let mut steps = vec![];
        event(&mut self.follower, &is_known, &mut steps);
        steps
    }

    /// The line is gone. What was under way is lost, or comes late.
    pub(super) fn cut_line(&mut self) {
        let Some(line) = self.line.take() else {
            return;
        };
        for passed in line.passed {
            match passed {
                Passed::Following => {}
                Passed::Message(arrival) => self.late.push_back(arrival),
                Passed::Answer(number, answer) => self.answers.push((number, Some(answer))),
            }
        }
        self.held.clear();
        self.follower.interrupted();
    }

    /// The connection for requests is gone. What was under way is lost, or carried out late.
    pub(super) fn cut_requests(&mut self, may_come_late: bool) {
        let Some(requests) = self.requests.take() else {
            return;
        };
        for request in requests.under_way {
            match request {
                Request::Read(number, _) => self.answers.push((number, None)),
                Request::Publish { .. } if may_come_late => {
                    self.carried_late
                        .push_back((requests.node, self.id, request));
                }
                Request::Publish { .. } => {}
            }
        }
        for pending in &mut self.pending {
            pending.is_under_way = false;
        }
    }
}
