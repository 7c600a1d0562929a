//! Clients that come and go between servers, and remember what they were sent.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hyper_ws::client::connect;
use hyper_ws::hub::Position;
use hyper_ws::{Message, WebSocket};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

/// What a client saw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    Message(Position, String),
    /// It was told that messages are missing.
    Missed(Position),
}

/// What a client does, and what it has seen.
pub(crate) struct Shared {
    pub(crate) seen: Mutex<Vec<Seen>>,
    /// The messages that are in the log, as the server said: key and position.
    pub(crate) accepted: Mutex<Vec<(String, Position)>>,
    /// Messages that were not accepted yet.
    unsaid: Mutex<VecDeque<(String, String)>>,
    is_over: AtomicBool,
    pub(crate) connections: AtomicUsize,
}

pub(crate) struct Client {
    pub(crate) name: String,
    pub(crate) shared: Arc<Shared>,
    task: JoinHandle<()>,
}

/// The ports of the servers, which change when one is started again.
pub(crate) type Ports = Arc<Vec<AtomicU16>>;

impl Client {
    /// A client that stays for `stay` at each server, if that is given.
    pub(crate) fn start(
        name: impl Into<String>,
        ports: &Ports,
        room: &str,
        first: usize,
        stay: Option<Duration>,
    ) -> Self {
        let name = name.into();
        let shared = Arc::new(Shared {
            seen: Mutex::default(),
            accepted: Mutex::default(),
            unsaid: Mutex::default(),
            is_over: AtomicBool::new(false),
            connections: AtomicUsize::new(0),
        });
        let task = tokio::spawn(run(
            shared.clone(),
            ports.clone(),
            room.to_owned(),
            first,
            stay,
        ));
        Client { name, shared, task }
    }

    /// Says a message, again and again until it is in the log.
    pub(crate) fn say(&self, number: usize) {
        let key = format!("{}-{number}", self.name);
        let text = key.clone();
        self.shared.unsaid.lock().unwrap().push_back((key, text));
    }

    pub(crate) fn is_done(&self) -> bool {
        self.shared.unsaid.lock().unwrap().is_empty()
    }

    pub(crate) fn missed(&self) -> usize {
        let seen = self.shared.seen.lock().unwrap();
        // The first one is no loss: the client had no position yet.
        let missed = seen.iter().filter(|it| matches!(it, Seen::Missed(_)));
        missed.count().saturating_sub(1)
    }

    /// The place of its last message that is in the log.
    pub(crate) fn accepted(&self) -> Option<Position> {
        self.shared
            .accepted
            .lock()
            .unwrap()
            .last()
            .map(|(_, position)| *position)
    }

    /// The last message that it was sent.
    pub(crate) fn last(&self) -> Option<Position> {
        last(&self.shared.seen.lock().unwrap())
    }

    pub(crate) async fn stop(self) -> (String, Arc<Shared>) {
        self.shared.is_over.store(true, Ordering::Relaxed);
        let _ = timeout(Duration::from_secs(10), self.task).await;
        (self.name, self.shared)
    }
}

fn last(seen: &[Seen]) -> Option<Position> {
    seen.last().map(|it| match it {
        Seen::Message(position, _) | Seen::Missed(position) => *position,
    })
}

async fn run(
    shared: Arc<Shared>,
    ports: Ports,
    room: String,
    first: usize,
    stay: Option<Duration>,
) {
    let mut server = first;
    while !shared.is_over.load(Ordering::Relaxed) {
        let port = ports[server % ports.len()].load(Ordering::Relaxed);
        server += 1;
        let after = last(&shared.seen.lock().unwrap()).map_or(String::new(), |it| it.to_string());
        let url = format!("ws://127.0.0.1:{port}/ws?room={room}&after={after}");
        match timeout(Duration::from_secs(3), connect(&url)).await {
            Ok(Ok(socket)) => {
                shared.connections.fetch_add(1, Ordering::Relaxed);
                let conversation = converse(socket, &shared);
                match stay {
                    None => conversation.await,
                    Some(stay) => tokio::select! {
                        () = conversation => {}
                        () = leave(&shared, stay) => {}
                    },
                }
            }
            _ => sleep(Duration::from_millis(100)).await,
        }
    }
}

/// Waits until a client that moves on after some time may: one of its messages was accepted
/// meanwhile. Where all takes longer than its stay, it would never get on. A server that stands still
/// is left by the conversation.
async fn leave(shared: &Shared, stay: Duration) {
    let accepted = || shared.accepted.lock().unwrap().len();
    let before = accepted();
    sleep(stay).await;
    while accepted() == before && !shared.unsaid.lock().unwrap().is_empty() {
        sleep(Duration::from_millis(50)).await;
    }
}

async fn converse(mut socket: WebSocket, shared: &Shared) {
    let mut said = 0;
    let mut quiet = 0;
    while !shared.is_over.load(Ordering::Relaxed) {
        // At most this many at a time, the oldest first: all are said again on a new connection.
        let next = shared.unsaid.lock().unwrap().get(said).cloned();
        if said < 8
            && let Some((key, text)) = next
        {
            said += 1;
            if socket.send(format!("say {key} {text}")).await.is_err() {
                return;
            }
            continue;
        }
        match timeout(Duration::from_millis(50), socket.recv()).await {
            Ok(Ok(Some(message))) => {
                quiet = 0;
                take(&message, shared, &mut said);
            }
            Ok(_) => return,
            Err(_) => {
                quiet += 1;
                // A server that is stopped sends nothing, and its kernel closes nothing.
                if quiet % 40 == 39 && socket.send("still there?").await.is_err() {
                    return;
                }
                if quiet > 100 && said > 0 {
                    return;
                }
            }
        }
    }
}

fn take(message: &Message, shared: &Shared, said: &mut usize) {
    let text = message.as_text().expect("the server sends text");
    let (kind, rest) = text.split_once(' ').expect("a line has words");
    match kind {
        "m" => {
            let (position, text) = rest.split_once(' ').expect("a message has a position");
            let position = position.parse().expect("it is a position");
            let mut seen = shared.seen.lock().unwrap();
            seen.push(Seen::Message(position, text.to_owned()));
        }
        "missed" => {
            let position = rest.parse().expect("it is a position");
            shared.seen.lock().unwrap().push(Seen::Missed(position));
        }
        "ok" => {
            let (key, position) = rest.split_once(' ').expect("there is a position");
            let mut unsaid = shared.unsaid.lock().unwrap();
            if let Some(index) = unsaid.iter().position(|(unsaid, _)| unsaid == key) {
                unsaid.remove(index);
                *said = said.saturating_sub(1);
                let position = position.parse().expect("it is a position");
                let mut accepted = shared.accepted.lock().unwrap();
                accepted.push((key.to_owned(), position));
            }
        }
        // It is said again: at the end of those that wait for an answer.
        "failed" => {
            let key = rest.split(' ').next().unwrap_or_default();
            let mut unsaid = shared.unsaid.lock().unwrap();
            if let Some(index) = unsaid.iter().position(|(unsaid, _)| unsaid == key)
                && let Some(again) = unsaid.remove(index)
            {
                unsaid.push_back(again);
                *said = said.saturating_sub(1);
            }
        }
        "joined" => {}
        _ => panic!("an unknown line: {text}"),
    }
}
