//! From the log to the members.

use std::collections::VecDeque;
use std::mem;

use super::client::Link;
use super::engine::{Answer, Truth, truth};
use super::server::{Line, Passed, Request};
use super::without::Without;
use super::world::{Checked, KEEP, World};
use crate::hub::backplane::{Arrival, EngineError, Past};
use crate::hub::follow::{Step, Want};
use crate::hub::position::Position;
use crate::hub::ring::{Entry, Limits, Ring};

impl World {
    pub(super) fn subscribe(&mut self, s: usize, to_replica: bool) {
        let node = if to_replica {
            1 - self.master
        } else {
            self.master
        };
        let server = &mut self.servers[s];
        let line = server.line.get_or_insert_with(|| Line {
            node,
            is_subscribed: false,
            is_deaf: false,
            passed: Default::default(),
        });
        if server.follower.is_followed() && !line.is_subscribed {
            line.is_subscribed = true;
            line.passed.push_back(Passed::Following);
        }
    }

    pub(super) fn receive(&mut self, s: usize) -> Checked {
        let Some(line) = &mut self.servers[s].line else {
            return Ok(());
        };
        match line.passed.pop_front() {
            None => Ok(()),
            Some(Passed::Following) => {
                let steps = self.servers[s].with(|follower, _, steps| follower.following(steps));
                self.take(s, steps, None)
            }
            Some(Passed::Message(arrival)) => self.arrived(s, arrival),
            Some(Passed::Answer(number, answer)) => {
                self.servers[s].answers.push((number, Some(answer)));
                Ok(())
            }
        }
    }

    pub(super) fn with_message(
        &mut self,
        s: usize,
        which: usize,
        change: impl FnOnce(&mut VecDeque<Passed>, usize),
    ) {
        if let Some(line) = &mut self.servers[s].line
            && !line.passed.is_empty()
        {
            let at = which % line.passed.len();
            if let Passed::Message(_) = line.passed[at] {
                change(&mut line.passed, at);
            }
        }
    }

    pub(super) fn arrived(&mut self, s: usize, arrival: Arrival) -> Checked {
        let server = &mut self.servers[s];
        let waits = server.follower.is_followed() && !server.follower.is_live();
        if self.without == Without::Predecessors && waits {
            server.held.push(arrival);
            return Ok(());
        }
        let steps = server.with(|follower, is_known, steps| {
            follower.arrived(arrival, is_known, steps);
        });
        self.take(s, steps, None)
    }

    pub(super) fn answer(&mut self, s: usize, which: usize) -> Checked {
        let server = &mut self.servers[s];
        if server.answers.is_empty() {
            return Ok(());
        }
        let (mut number, answer) = server.answers.remove(which % server.answers.len());
        if self.without == Without::ReadNumbers {
            number = server.reads;
        }
        if let (Without::Predecessors, Some(answer)) = (self.without, &answer) {
            self.merge_by_number(s, answer)?;
        }
        let past = match &answer {
            Some(answer) => Ok(answer.past.clone()),
            None => Err(EngineError::new("lost")),
        };
        let steps = self.servers[s].with(|follower, is_known, steps| {
            follower.answered(number, past, is_known, steps);
        });
        self.take(s, steps, answer.as_ref())
    }

    /// What waits is given predecessors that it does not have: whatever has the number before.
    pub(super) fn merge_by_number(&mut self, s: usize, answer: &Answer) -> Checked {
        let mut end = match answer.past {
            Past::Messages { end, .. } | Past::DoesNotFollow { end } => end,
        };
        let mut held = mem::take(&mut self.servers[s].held);
        held.sort_by_key(|arrival| arrival.position.number());
        for mut arrival in held {
            if arrival.position.number() == end.number() + 1 {
                arrival.previous = end;
                end = arrival.position;
            }
            let steps = self.servers[s].with(|follower, is_known, steps| {
                follower.arrived(arrival, is_known, steps);
            });
            self.take(s, steps, None)?;
        }
        Ok(())
    }

    pub(super) fn retry(&mut self, s: usize) -> Checked {
        if self.without == Without::Retries {
            return Ok(());
        }
        let steps = self.servers[s].with(|follower, _, steps| follower.retry(steps));
        self.take(s, steps, None)
    }

    pub(super) fn sweep(&mut self, s: usize) -> Checked {
        if !self.servers[s].follower.is_live() {
            return Ok(());
        }
        self.want(s, Want::Newer).map(drop)
    }

    pub(super) fn want(&mut self, s: usize, want: Want) -> Result<u64, String> {
        let mut number = 0;
        let steps = self.servers[s].with(|follower, _, steps| number = follower.want(want, steps));
        self.take(s, steps, None)?;
        Ok(number)
    }

    pub(super) fn unfollow(&mut self, s: usize) {
        if self.clients.iter().any(|client| client.server() == Some(s)) {
            return;
        }
        let server = &mut self.servers[s];
        server.follower.unfollow();
        server.ring = None;
        server.last = None;
        server.held.clear();
        if let Some(line) = &mut server.line {
            line.is_subscribed = false;
        }
    }

    /// Does what a follower asks for.
    pub(super) fn take(&mut self, s: usize, steps: Vec<Step>, answer: Option<&Answer>) -> Checked {
        let is_repair = answer.is_some() && self.servers[s].last.is_some();
        for step in steps {
            match step {
                Step::Begin(position) => self.begin(s, position, answer)?,
                Step::Broken(position) => {
                    self.check_broken(s, answer)?;
                    self.counts.broken += 1;
                    self.begin(s, position, answer)?;
                    if self.without != Without::EndOfMembership {
                        for client in &mut self.clients {
                            if let Link::Member(server) = client.state
                                && server == s
                            {
                                client.state = Link::Away;
                            }
                        }
                    }
                }
                Step::Older(messages) => {
                    if let (Some(first), Some(ring)) = (messages.first(), &mut self.servers[s].ring)
                    {
                        let before = first.previous;
                        ring.prepend(before, messages.iter().map(entry).collect());
                    }
                }
                Step::Deliver(arrival) => {
                    self.counts.repaired += usize::from(is_repair);
                    self.deliver(s, &arrival)?;
                }
                Step::Read(number, from) => {
                    self.servers[s].reads = number;
                    self.counts.reads += 1;
                    let request = Request::Read(number, from);
                    self.requests(s, false).under_way.push_back(request);
                }
                Step::Retry(_) | Step::Answered => {}
            }
        }
        Ok(())
    }

    pub(super) fn begin(
        &mut self,
        s: usize,
        position: Position,
        answer: Option<&Answer>,
    ) -> Checked {
        let answer = answer.ok_or("a room that begins without an answer")?;
        let server = &mut self.servers[s];
        server.last = Some(answer.end);
        match &mut server.ring {
            Some(ring) => ring.reset(position),
            ring => {
                let limits = Limits {
                    messages: KEEP,
                    bytes: usize::MAX,
                };
                *ring = Some(Ring::new(position, limits));
            }
        }
        Ok(())
    }

    /// A room breaks only if what it missed is not to be had.
    pub(super) fn check_broken(&self, s: usize, answer: Option<&Answer>) -> Checked {
        let (Some(last), Some(answer)) = (self.servers[s].last, answer) else {
            return Err("a room that breaks without an answer".into());
        };
        match self.history.distance(last, answer.end) {
            Some(missed) if missed <= answer.kept => Err(format!(
                "server {s} broke, but the answer held all {missed} messages that it missed"
            )),
            _ => Ok(()),
        }
    }

    pub(super) fn deliver(&mut self, s: usize, arrival: &Arrival) -> Checked {
        let server = &mut self.servers[s];
        let place = truth(&arrival.envelope);
        server.last = Some(place);
        if let Some(ring) = &mut server.ring {
            ring.push(entry(arrival));
        }
        for client in &mut self.clients {
            if let Link::Member(server) = client.state
                && server == s
            {
                client.receive(arrival.position, place, &self.history)?;
                self.counts.delivered += 1;
            }
        }
        Ok(())
    }
}

fn entry(arrival: &Arrival) -> Entry<Truth> {
    Entry {
        position: arrival.position,
        message: truth(&arrival.envelope),
        bytes: 1,
    }
}
