//! The two servers, what is measured of them, and what a run of clients shares.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep};

use super::support::Client;

/// A process of the example `soak_server`, ended when this is dropped.
pub(crate) struct Server {
    child: Child,
    redis: String,
    pub(crate) port: u16,
}

/// What a server holds at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Holdings {
    pub(crate) tasks: usize,
    pub(crate) sockets: usize,
    pub(crate) rooms: usize,
    pub(crate) descriptors: usize,
    pub(crate) threads: usize,
}

impl Server {
    pub(crate) fn start(redis: &str) -> Self {
        Server::start_at("127.0.0.1:0", redis, None)
    }

    /// Starts a server that may have this many file descriptors.
    pub(crate) fn with_descriptors(redis: &str, most: usize) -> Self {
        Server::start_at("127.0.0.1:0", redis, Some(most))
    }

    fn start_at(address: &str, redis: &str, descriptors: Option<usize>) -> Self {
        let mut path = std::env::current_exe().expect("a test has a path");
        path.pop();
        path.pop();
        path.push("examples/soak_server");
        let mut command = match descriptors {
            None => Command::new(&path),
            Some(most) => {
                let mut command = Command::new("prlimit");
                command.arg(format!("--nofile={most}")).arg(&path);
                command
            }
        };
        let mut child = command
            .args(["--listen", address, "--redis", redis])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| {
                panic!(
                    "{error}: {} (cargo build --example soak_server)",
                    path.display()
                )
            });
        let mut line = String::new();
        let output = child.stdout.as_mut().expect("it is piped");
        BufReader::new(output)
            .read_line(&mut line)
            .expect("the server says its port");
        let port = line.trim().parse().expect("it is a port");
        let redis = redis.to_owned();
        Server { child, redis, port }
    }

    /// Drains the sockets, ends the process, and starts another on the same port.
    pub(crate) async fn reload(&mut self, run: &Run) {
        self.signal("TERM");
        let deadline = Instant::now() + Duration::from_secs(15);
        while self.child.try_wait().expect("it is a child").is_none() {
            if Instant::now() > deadline {
                run.fault("a server that drains does not end".to_owned());
                break;
            }
            sleep(Duration::from_millis(20)).await;
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
        let address = format!("127.0.0.1:{}", self.port);
        *self = Server::start_at(&address, &self.redis.clone(), None);
    }

    pub(crate) fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        let sent = Command::new("kill")
            .arg(format!("-{name}"))
            .arg(id)
            .status();
        assert!(sent.is_ok_and(|status| status.success()));
    }

    /// What the server says of itself.
    async fn stats(&self) -> impl Fn(&str) -> usize {
        let address = ([127, 0, 0, 1], self.port).into();
        let stats = Client::connect(address).await.get("/stats").await.body;
        move |name| {
            let mut lines = stats.lines().filter_map(|line| line.split_once(' '));
            let value = lines.find(|(key, _)| *key == name).map(|(_, value)| value);
            value.and_then(|value| value.parse().ok()).expect(&stats)
        }
    }

    pub(crate) async fn holdings(&self) -> Holdings {
        let number = self.stats().await;
        let count = |folder: &str| {
            let path = format!("/proc/{}/{folder}", self.child.id());
            std::fs::read_dir(path).expect("the server lives").count()
        };
        Holdings {
            tasks: number("tasks"),
            sockets: number("sockets"),
            rooms: number("rooms"),
            descriptors: count("fd"),
            threads: count("task"),
        }
    }

    /// Waits until the server holds what it held once; returns what it holds.
    pub(crate) async fn settles_at(&self, expected: Option<Holdings>) -> Holdings {
        let deadline = Instant::now() + Duration::from_secs(60);
        let mut last = self.holdings().await;
        let mut same_for = 0;
        loop {
            sleep(Duration::from_millis(250)).await;
            let now = self.holdings().await;
            same_for = if now == last { same_for + 1 } else { 0 };
            last = now;
            let is_settled = match expected {
                Some(expected) => now == expected,
                // For six seconds: longer than each deadline of a connection.
                None => same_for >= 24 && now.sockets == 0,
            };
            if is_settled || Instant::now() > deadline {
                return now;
            }
        }
    }

    /// The bytes that are allocated.
    pub(crate) async fn allocated(&self) -> usize {
        self.stats().await("bytes")
    }

    /// The resident memory, in KiB: what is allocated, and what the allocator keeps.
    pub(crate) fn resident(&self) -> usize {
        let path = format!("/proc/{}/status", self.child.id());
        let status = std::fs::read_to_string(path).expect("the server lives");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let number = line.and_then(|line| line.split_whitespace().next());
        number
            .and_then(|number| number.parse().ok())
            .expect("it is a number")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What the clients of one round share.
#[derive(Default)]
pub(crate) struct Run {
    is_over: AtomicBool,
    ended: Notify,
    checked: AtomicUsize,
    faults: Mutex<Vec<String>>,
}

impl Run {
    pub(crate) fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed)
    }

    pub(crate) async fn over(&self) {
        let ended = self.ended.notified();
        tokio::pin!(ended);
        ended.as_mut().enable();
        if !self.is_over() {
            ended.await;
        }
    }

    pub(crate) fn end(&self) {
        self.is_over.store(true, Ordering::Relaxed);
        self.ended.notify_waiters();
    }

    /// Counts things that were checked and were right.
    pub(crate) fn count(&self, number: usize) {
        self.checked.fetch_add(number, Ordering::Relaxed);
    }

    pub(crate) fn checked(&self) -> usize {
        self.checked.load(Ordering::Relaxed)
    }

    pub(crate) fn fault(&self, text: String) {
        let mut faults = self.faults.lock().unwrap();
        // The first ones say enough; each text may be large.
        if faults.len() < 20 {
            faults.push(text.chars().take(300).collect());
        }
    }

    pub(crate) fn faults(&self) -> Vec<String> {
        self.faults.lock().unwrap().clone()
    }
}
