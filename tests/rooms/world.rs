//! Three servers, each behind a proxy of its own to one Redis, and clients that come and go.

use std::collections::{HashMap, HashSet};
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use hyper_ws::hub::Position;
use tokio::time::sleep;

use super::client::{Client, Ports, Seen};
use super::proxy::Proxy;
use super::redis_server::RedisServer;

pub(crate) const SERVERS: usize = 3;

pub(crate) struct World {
    pub(crate) redis: RedisServer,
    pub(crate) proxies: Vec<Proxy>,
    pub(crate) servers: Vec<Server>,
    pub(crate) ports: Ports,
    pub(crate) clients: Vec<Client>,
    said: usize,
}

/// A process of the example `rooms_server`, ended when this is dropped.
pub(crate) struct Server {
    child: Child,
    options: Vec<String>,
}

impl Server {
    fn start(options: &[String]) -> (Self, u16) {
        let mut child = Command::new(program())
            .args(options)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the server starts");
        let mut line = String::new();
        let output = child.stdout.as_mut().expect("it is piped");
        BufReader::new(output)
            .read_line(&mut line)
            .expect("the server says its port");
        let port = line.trim().parse().expect("it is a port");
        let options = options.to_vec();
        (Server { child, options }, port)
    }

    pub(crate) fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    pub(crate) fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        let sent = Command::new("kill")
            .arg(format!("-{name}"))
            .arg(id)
            .status();
        assert!(sent.is_ok_and(|status| status.success()));
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// cargo builds the examples before it runs the tests.
fn program() -> PathBuf {
    let mut path = std::env::current_exe().expect("a test has a path");
    path.pop();
    path.pop();
    path.push("examples/rooms_server");
    assert!(
        path.exists(),
        "{} is not built (cargo build --example rooms_server)",
        path.display()
    );
    path
}

impl World {
    /// Starts all, with clients in one room; `None` without Redis.
    pub(crate) async fn start(
        redis: Option<RedisServer>,
        clients: usize,
        more: &[&str],
    ) -> Option<Self> {
        let redis = redis?;
        let (mut proxies, mut servers, mut ports) = (vec![], vec![], vec![]);
        for _ in 0..SERVERS {
            let proxy = Proxy::start(redis.port()).await;
            let mut options = vec!["--redis".to_owned(), proxy.url()];
            options.extend(more.iter().map(|it| (*it).to_owned()));
            let (server, port) = Server::start(&options);
            proxies.push(proxy);
            servers.push(server);
            ports.push(AtomicU16::new(port));
        }
        let ports: Ports = Arc::new(ports);
        let clients = (0..clients)
            .map(|number| {
                // A third of them move from server to server.
                let stay = (number % 3 == 0).then_some(Duration::from_millis(400));
                Client::start(format!("c{number}"), &ports, "lobby", number, stay)
            })
            .collect();
        let world = World {
            redis,
            proxies,
            servers,
            ports,
            clients,
            said: 0,
        };
        // Everybody has a place before anything is said.
        world
            .until("every client has joined", || {
                world.clients.iter().all(|client| client.last().is_some())
            })
            .await;
        Some(world)
    }

    pub(crate) fn restart_server(&mut self, number: usize) {
        let (server, port) = Server::start(&self.servers[number].options.clone());
        self.servers[number] = server;
        self.ports[number].store(port, Ordering::Relaxed);
    }

    /// Every client says a message now and then, for this long.
    pub(crate) async fn talk(&mut self, time: Duration) {
        let until = Instant::now() + time;
        while Instant::now() < until {
            for client in &self.clients {
                client.say(self.said);
            }
            self.said += 1;
            sleep(Duration::from_millis(20)).await;
        }
    }

    pub(crate) async fn until(&self, what: &str, is_so: impl Fn() -> bool) {
        let state = || -> Vec<_> {
            let clients = self.clients.iter();
            clients
                .map(|client| (client.last(), client.accepted(), client.is_done()))
                .collect()
        };
        // A busy machine is slow, and gets on.
        let (mut seen, mut changed) = (state(), Instant::now());
        while !is_so() {
            let now = state();
            if now != seen {
                (seen, changed) = (now, Instant::now());
            } else if changed.elapsed() > Duration::from_secs(60) {
                panic!("nothing gets on for a minute: {what}: {seen:?}");
            }
            sleep(Duration::from_millis(50)).await;
        }
    }

    /// Waits until everything has been said, and all clients have all of it; then compares what
    /// they saw.
    pub(crate) async fn finish(self) -> Outcome {
        let outcome = self.finish_with_repeats().await;
        outcome.check_no_repeats();
        outcome
    }

    /// The same, where messages that are said again may be appended again: Redis has forgotten them.
    pub(crate) async fn finish_with_repeats(self) -> Outcome {
        self.until("everything is said", || {
            self.clients.iter().all(Client::is_done)
        })
        .await;
        // A last message, at which all have to arrive: a client that was told of a loss just now may
        // be told of that place, and not of the message.
        self.clients[0].say(usize::MAX);
        self.until("the last message is said", || self.clients[0].is_done())
            .await;
        let end = self.clients[0].accepted();
        self.until("all are at the last message", || {
            self.clients.iter().all(|client| client.last() == end)
        })
        .await;
        let mut outcome = Outcome::default();
        for client in self.clients {
            outcome.missed += client.missed();
            let (name, shared) = client.stop().await;
            let seen = shared.seen.lock().unwrap().clone();
            outcome.messages += seen.len();
            outcome
                .accepted
                .extend(shared.accepted.lock().unwrap().iter().cloned());
            outcome.logs.push((name, seen));
        }
        outcome.check();
        outcome
    }
}

/// What all clients saw.
#[derive(Default)]
pub(crate) struct Outcome {
    /// How often clients were told that messages are missing.
    pub(crate) missed: usize,
    pub(crate) messages: usize,
    accepted: Vec<(String, Position)>,
    logs: Vec<(String, Vec<Seen>)>,
}

impl Outcome {
    /// What holds whatever happened.
    fn check(&self) {
        let mut texts: HashMap<Position, &str> = HashMap::new();
        for (name, seen) in &self.logs {
            let mut at: Option<Position> = None;
            for it in seen {
                match it {
                    Seen::Missed(position) => at = Some(*position),
                    Seen::Message(position, text) => {
                        let before = at.expect("a client is told where it begins");
                        // No hole.
                        assert_eq!(position.number(), before.number() + 1, "{name} at {before}");
                        // One position, one message.
                        assert_eq!(*texts.entry(*position).or_insert(text), text, "{position}");
                        at = Some(*position);
                    }
                }
            }
        }
        // All ends are the same: what each client saw since it was last told of a loss is the end of
        // one log.
        let ends: Vec<(&str, Vec<Position>)> = self
            .logs
            .iter()
            .map(|(name, seen)| (&name[..], end(seen)))
            .collect();
        let longest = ends
            .iter()
            .map(|(_, end)| end)
            .max_by_key(|end| end.len())
            .expect("there are clients");
        for (name, end) in &ends {
            let common = longest.len() - end.len();
            assert!(
                longest[common..] == end[..],
                "{name} saw another log than others"
            );
        }
    }

    /// Nothing came twice.
    fn check_no_repeats(&self) {
        for (name, seen) in &self.logs {
            let mut since_missed = HashSet::new();
            for it in seen {
                match it {
                    Seen::Missed(_) => since_missed.clear(),
                    Seen::Message(_, text) => {
                        assert!(since_missed.insert(text), "{name} saw {text} twice");
                    }
                }
            }
        }
    }

    /// Nothing was lost: no client was told so, and each saw each accepted message.
    pub(crate) fn check_nothing_missed(&self) {
        assert_eq!(self.missed, 0, "clients were told of a loss");
        for (name, seen) in &self.logs {
            let all: HashSet<&str> = seen
                .iter()
                .filter_map(|it| match it {
                    Seen::Message(_, text) => Some(&text[..]),
                    Seen::Missed(_) => None,
                })
                .collect();
            for (key, position) in &self.accepted {
                assert!(
                    all.contains(&key[..]),
                    "{name} has not seen {key} at {position}"
                );
            }
        }
    }

    pub(crate) fn check_all_missed(&self) {
        for (name, seen) in &self.logs {
            let missed = seen
                .iter()
                .filter(|it| matches!(it, Seen::Missed(_)))
                .count();
            assert!(missed > 1, "{name} was not told of the loss");
        }
    }
}

/// What a client saw since it was last told of a loss, and the last message before its end.
fn end(seen: &[Seen]) -> Vec<Position> {
    let first = seen
        .iter()
        .rposition(|it| matches!(it, Seen::Missed(_)))
        .unwrap_or(0);
    seen[first..]
        .iter()
        .filter_map(|it| match it {
            Seen::Message(position, _) => Some(*position),
            Seen::Missed(_) => None,
        })
        .collect()
}
