//! From a message to the log.

use super::server::{Passed, Pending, Request, Requests};
use super::without::Without;
use super::world::{Checked, KEEP, World};

impl World {
    pub(super) fn publish(&mut self, s: usize) {
        let server = &mut self.servers[s];
        server.publishes += 1;
        server.pending.push_back(Pending {
            publish: server.publishes,
            tags: vec![],
            is_under_way: false,
        });
    }

    pub(super) fn requests(&mut self, s: usize, to_replica: bool) -> &mut Requests {
        let node = if to_replica {
            1 - self.master
        } else {
            self.master
        };
        self.servers[s].requests.get_or_insert_with(|| Requests {
            node,
            under_way: Default::default(),
            outcomes: Default::default(),
        })
    }

    pub(super) fn send(&mut self, s: usize, to_replica: bool) {
        let tag = self.tags.next();
        let keeps_tag = self.without == Without::FreshTags;
        let mut pending = self.servers[s].pending.iter_mut();
        let Some(next) = pending.find(|next| !next.is_under_way) else {
            return;
        };
        next.is_under_way = true;
        if !keeps_tag || next.tags.is_empty() {
            next.tags.push(tag);
        }
        let request = Request::Publish {
            publish: next.publish,
            tag: *next.tags.last().expect("there is one"),
        };
        self.requests(s, to_replica).under_way.push_back(request);
    }

    pub(super) fn carry(&mut self, s: usize) -> Checked {
        let server = &mut self.servers[s];
        let id = server.id;
        let Some(requests) = &mut server.requests else {
            return Ok(());
        };
        let node = requests.node;
        let Some(request) = requests.under_way.pop_front() else {
            return Ok(());
        };
        match request {
            Request::Publish { publish, .. } => {
                self.carry_out(node, id, request);
                let pending = &self.servers[s].pending;
                let tags = pending.iter().find(|pending| pending.publish == publish);
                let position = tags.and_then(|pending| self.nodes[node].find(&pending.tags));
                // Without tags no message can be told from another.
                if let Some(position) = position
                    && self.without != Without::Tags
                {
                    let place = self.nodes[node].truth_at(position);
                    let found = place.and_then(|place| self.history.message(place));
                    if found != Some((id, publish)) {
                        return Err(format!("{position} is {found:?}, not {:?}", (id, publish)));
                    }
                }
                if let Some(requests) = &mut self.servers[s].requests {
                    requests.outcomes.push_back((publish, position));
                }
            }
            Request::Read(number, from) => {
                let answer = self.nodes[node].read(from, &mut self.history, &mut self.tags);
                let has_barrier = self.without != Without::Barrier;
                let server = &mut self.servers[s];
                match &mut server.line {
                    // Behind what it contains.
                    Some(line) if line.node == node && line.is_subscribed && has_barrier => {
                        line.passed.push_back(Passed::Answer(number, answer));
                    }
                    _ => server.answers.push((number, Some(answer))),
                }
            }
        }
        Ok(())
    }

    pub(super) fn carry_out(&mut self, node: usize, id: u64, request: Request) {
        let Request::Publish { publish, tag } = request else {
            return;
        };
        let appended =
            self.nodes[node].append((id, publish), tag, KEEP, &mut self.history, &mut self.tags);
        let Some(arrival) = appended else {
            self.counts.repeated += 1;
            return;
        };
        self.counts.appended += 1;
        for server in &mut self.servers {
            if let Some(line) = &mut server.line
                && line.node == node
                && line.is_subscribed
                && !line.is_deaf
            {
                line.passed.push_back(Passed::Message(arrival.clone()));
            }
        }
    }

    pub(super) fn outcome(&mut self, s: usize) {
        let server = &mut self.servers[s];
        let outcome = server
            .requests
            .as_mut()
            .and_then(|to| to.outcomes.pop_front());
        if let Some((publish, _)) = outcome {
            server.pending.retain(|pending| pending.publish != publish);
        }
    }
}
