//! Clients that come back, on any server.

use super::client::{Join, Link};
use super::engine::{Truth, truth};
use super::without::Without;
use super::world::{Checked, KEEP, World};
use crate::hub::backplane::{Past, ReadFrom};
use crate::hub::follow::Want;
use crate::hub::position::Position;
use crate::hub::ring::Entry;

impl World {
    pub(super) fn join(&mut self, c: usize, s: usize) {
        let losses = self.losses;
        if let Link::Away = self.clients[c].state {
            self.clients[c].state = Link::Joining(Join {
                server: s,
                waits_for: None,
                has_read: false,
                is_feeding: false,
                losses,
            });
            self.servers[s].follower.follow();
        }
    }

    /// `Room::join_from`: one turn of it.
    pub(super) fn feed(&mut self, c: usize) -> Checked {
        let client = &mut self.clients[c];
        let Link::Joining(join) = &mut client.state else {
            return Ok(());
        };
        let s = join.server;
        let server = &self.servers[s];
        if let Some(number) = join.waits_for {
            if !server.follower.has_answered(number) {
                return Ok(());
            }
            join.waits_for = None;
        }
        let Some(ring) = &server.ring else {
            let number = self.want(s, Want::Newer)?;
            return self.wait(c, number);
        };
        let found = client.at.and_then(|(position, _)| {
            if self.without == Without::CursorPositions && join.is_feeding {
                let index = position.number().checked_sub(ring.start().number())? as usize;
                return (index <= ring.len()).then_some(index);
            }
            ring.find(position)
        });
        match (found, client.at) {
            (Some(index), _) => {
                join.is_feeding = true;
                join.has_read = false;
                let entries: Vec<Entry<Truth>> = ring.from(index).take(2).cloned().collect();
                for entry in &entries {
                    client.receive(entry.position, entry.message, &self.history)?;
                    self.counts.replayed += 1;
                }
                if index + entries.len() == ring.len() {
                    self.clients[c].state = Link::Member(s);
                    self.counts.resumed += 1;
                }
                Ok(())
            }
            (None, Some((position, _))) if !join.has_read => {
                join.has_read = true;
                if self.without == Without::RoomReadsFirst {
                    return self.join_by_the_engine(c, s, position);
                }
                // Of the whole log, even if the position is ahead: the room may jump beyond it.
                let number = self.want(s, Want::All)?;
                self.wait(c, number)
            }
            (None, _) => self.missed(c, s),
        }
    }

    pub(super) fn wait(&mut self, c: usize, number: u64) -> Checked {
        if let Link::Joining(join) = &mut self.clients[c].state {
            join.waits_for = Some(number);
        }
        Ok(())
    }

    /// Hole 3: the answer of the engine makes a member.
    pub(super) fn join_by_the_engine(&mut self, c: usize, s: usize, position: Position) -> Checked {
        let from = ReadFrom::After(position);
        let answer = self.nodes[self.master].read(from, &mut self.history, &mut self.tags);
        if let Past::Messages { messages, .. } = answer.past {
            for arrival in messages {
                let place = truth(&arrival.envelope);
                self.clients[c].receive(arrival.position, place, &self.history)?;
            }
            self.clients[c].state = Link::Member(s);
        }
        Ok(())
    }

    /// `Joined::Missed`: the client loads the state at the room's last position, and asks again.
    pub(super) fn missed(&mut self, c: usize, s: usize) -> Checked {
        let server = &self.servers[s];
        let (Some(ring), Some(last)) = (&server.ring, server.last) else {
            return Err("missed in a room without a position".into());
        };
        let client = &mut self.clients[c];
        let Link::Joining(join) = &mut client.state else {
            return Ok(());
        };
        if let Some((position, at)) = client.at {
            self.counts.missed += 1;
            let master = &self.nodes[self.master];
            let to_end = |place| self.history.distance(place, master.end()?);
            let is_kept = to_end(at).is_some_and(|count| count <= master.kept().min(KEEP));
            // And the server knows that log, not the one of the demoted master.
            let is_kept = is_kept && to_end(last).is_some();
            let is_one = [
                server.line.as_ref().map(|line| line.node),
                server.requests.as_ref().map(|requests| requests.node),
            ]
            .iter()
            .all(|node| *node == Some(self.master));
            if join.losses == self.losses && is_kept && is_one {
                return Err(format!(
                    "client {c} at {position} missed on server {s} at {} (ring from {}), but nothing was lost",
                    ring.last(),
                    ring.start()
                ));
            }
        }
        join.has_read = false;
        join.is_feeding = false;
        join.losses = self.losses;
        client.load(ring.last(), last);
        Ok(())
    }
}
