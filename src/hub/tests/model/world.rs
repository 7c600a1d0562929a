//! Everything together: what each step does, and what must hold after it.

use super::client::{Client, Link};
use super::counts::Counts;
use super::engine::{History, Node, Tags};
use super::script::Step;
use super::server::Server;
use super::without::Without;

pub(super) const SERVERS: usize = 3;
const CLIENTS: usize = 4;

/// The messages that the log and the rings keep.
pub(super) const KEEP: usize = 24;

pub(super) type Checked = Result<(), String>;

pub(super) struct World {
    pub(super) without: Without,
    pub(super) history: History,
    pub(super) tags: Tags,
    pub(super) nodes: [Node; 2],
    pub(super) master: usize,
    pub(super) saved: Node,
    pub(super) servers: Vec<Server>,
    pub(super) clients: Vec<Client>,
    /// How often the engine lost something, or a server dropped what it could have replayed.
    pub(super) losses: usize,
    pub(super) processes: u64,
    pub(super) counts: Counts,
}

impl World {
    pub(super) fn new(without: Without) -> Self {
        World {
            without,
            history: History::default(),
            tags: Tags::new(without == Without::Tags),
            nodes: Default::default(),
            master: 0,
            saved: Node::default(),
            servers: (0..SERVERS).map(|s| Server::new(s as u64, s)).collect(),
            clients: (0..CLIENTS).map(|_| Client::default()).collect(),
            losses: 0,
            processes: SERVERS as u64,
            counts: Counts::default(),
        }
    }

    pub(super) fn step(&mut self, step: Step) -> Checked {
        let server = |number: u8| usize::from(number) % SERVERS;
        let client = |number: u8| usize::from(number) % CLIENTS;
        match step {
            Step::Publish(s) => self.publish(server(s)),
            Step::Send(s, to_replica) => self.send(server(s), to_replica),
            Step::Carry(s) => return self.carry(server(s)),
            Step::CarryLate(s) => {
                if let Some((node, id, request)) = self.servers[server(s)].carried_late.pop_front()
                {
                    self.carry_out(node, id, request);
                }
            }
            Step::Outcome(s) => self.outcome(server(s)),
            Step::Answer(s, which) => return self.answer(server(s), which.into()),
            Step::Retry(s) => return self.retry(server(s)),
            Step::Subscribe(s, to_replica) => self.subscribe(server(s), to_replica),
            Step::Receive(s) => return self.receive(server(s)),
            Step::ReceiveLate(s) => {
                if let Some(arrival) = self.servers[server(s)].late.pop_front() {
                    return self.arrived(server(s), arrival);
                }
            }
            Step::Lose(s, which) => self.with_message(server(s), which.into(), |passed, at| {
                passed.remove(at);
            }),
            Step::Repeat(s, which) => self.with_message(server(s), which.into(), |passed, at| {
                let message = passed[at].clone();
                passed.insert(at, message);
            }),
            Step::Deafen(s) => {
                if let Some(line) = &mut self.servers[server(s)].line {
                    line.is_deaf = true;
                }
            }
            Step::CutLine(s) => self.servers[server(s)].cut_line(),
            Step::CutRequests(s, late) => self.servers[server(s)].cut_requests(late),
            Step::Replicate => self.replicate(),
            Step::Promote => {
                self.losses += 1;
                self.master = 1 - self.master;
            }
            Step::Heal => {
                self.cut_all_to(1 - self.master);
                self.replicate();
            }
            Step::Save => self.saved = self.nodes[self.master].clone(),
            Step::Restore(restarts) => {
                self.losses += 1;
                self.nodes[self.master] = self.saved.clone();
                if restarts {
                    self.cut_all_to(self.master);
                }
            }
            Step::Flush => {
                self.losses += 1;
                self.nodes[self.master].flush();
            }
            Step::LoseMessages => {
                self.losses += 1;
                self.nodes[self.master].trim(0);
            }
            Step::Trim(messages) => {
                self.losses += 1;
                self.nodes[self.master].trim(messages.into());
            }
            Step::Sweep(s) => return self.sweep(server(s)),
            Step::Clear(s) => {
                self.losses += 1;
                if let Some(ring) = &mut self.servers[server(s)].ring {
                    ring.clear();
                }
            }
            Step::Unfollow(s) => self.unfollow(server(s)),
            Step::Kill(s) => self.kill(server(s)),
            Step::Join(c, s) => self.join(client(c), server(s)),
            Step::Feed(c) => return self.feed(client(c)),
            Step::Leave(c) => self.clients[client(c)].state = Link::Away,
        }
        Ok(())
    }

    /// The replica takes the master's log, if no server still writes to it.
    pub(super) fn replicate(&mut self) {
        let replica = 1 - self.master;
        let is_written = self.servers.iter().any(|server| {
            server
                .line
                .as_ref()
                .is_some_and(|line| line.node == replica)
                || server
                    .requests
                    .as_ref()
                    .is_some_and(|to| to.node == replica)
        });
        if !is_written {
            self.nodes[replica] = self.nodes[self.master].clone();
        }
    }

    pub(super) fn cut_all_to(&mut self, node: usize) {
        for server in &mut self.servers {
            if server.line.as_ref().is_some_and(|line| line.node == node) {
                server.cut_line();
            }
            if server.requests.as_ref().is_some_and(|to| to.node == node) {
                server.cut_requests(false);
            }
            server.carried_late.retain(|(to, ..)| *to != node);
        }
    }

    pub(super) fn kill(&mut self, s: usize) {
        for client in &mut self.clients {
            if client.server() == Some(s) {
                client.state = Link::Away;
            }
        }
        self.processes += 1;
        let mut old = std::mem::replace(&mut self.servers[s], Server::new(self.processes, s));
        old.cut_requests(true);
        self.servers[s].carried_late = old.carried_late;
    }

    /// The faults stop: everybody must be up to date within a bounded number of steps.
    pub(super) fn settle(&mut self) -> Checked {
        // What the probes notice.
        self.cut_all_to(1 - self.master);
        for server in &mut self.servers {
            if server.line.as_ref().is_some_and(|line| line.is_deaf) {
                server.cut_line();
            }
        }
        for s in 0..SERVERS {
            // Every server has a member, so it follows.
            self.join(s, s);
        }
        for _ in 0..2 {
            self.run_on()?;
            for s in 0..SERVERS {
                self.sweep(s)?;
                self.publish(s);
            }
        }
        self.run_on()?;
        self.check_settled()
    }

    /// A round publishes one message of each server, so it takes as many as there are messages,
    /// and some for the reads that follow.
    fn run_on(&mut self) -> Checked {
        let pending = self.servers.iter().map(|server| server.pending.len());
        for _ in 0..60 + pending.max().unwrap_or(0) {
            for s in 0..SERVERS {
                self.subscribe(s, false);
                self.send(s, false);
                while self.servers[s]
                    .requests
                    .as_ref()
                    .is_some_and(|to| !to.under_way.is_empty())
                {
                    self.carry(s)?;
                }
                self.outcome(s);
                for _ in 0..8 {
                    self.receive(s)?;
                    self.answer(s, 0)?;
                }
                self.retry(s)?;
            }
            for c in 0..CLIENTS {
                self.join(c, c % SERVERS);
                self.feed(c)?;
            }
        }
        Ok(())
    }

    fn check_settled(&self) -> Checked {
        let end = self.nodes[self.master].end();
        for (s, server) in self.servers.iter().enumerate() {
            if server.follower.is_followed() && !server.follower.is_live() {
                return Err(format!("server {s} is not live: {:?}", server.follower));
            }
            if server.follower.is_followed() && server.last != end {
                return Err(format!("server {s} is not up to date"));
            }
            if !server.pending.is_empty() {
                return Err(format!(
                    "server {s} has not published: {:?}",
                    server.pending
                ));
            }
        }
        for (c, client) in self.clients.iter().enumerate() {
            let Link::Member(_) = client.state else {
                return Err(format!("client {c} is not a member: {:?}", client.state));
            };
            if client.at.map(|(_, place)| place) != end {
                return Err(format!("client {c} is not up to date"));
            }
        }
        Ok(())
    }
}
