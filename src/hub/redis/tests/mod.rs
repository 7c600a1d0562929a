//! Tests of the engine, with processes of `redis-server`.

mod busy;
mod faults;
mod hubs;
mod interest;
mod main_path;
mod measure;
mod panics;
mod presence;
#[path = "../../../../tests/rooms/proxy.rs"]
mod proxy;
mod queue;
#[path = "../../../../tests/rooms/redis_server.rs"]
mod redis_server;
mod refusals;
mod restarts;
mod scripts;
mod steps;
#[cfg(feature = "redis-tls")]
mod tls;
mod versions;
mod wire;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{Notify, oneshot};
use tokio::time::timeout;

use self::redis_server::RedisServer;
use super::Redis;
use crate::hub::History;
use crate::hub::backplane::*;
use crate::hub::position::Position;

/// An event that is waited for takes less than this, or never comes.
const NEVER: Duration = Duration::from_secs(60);

/// What a hub is told.
#[derive(Clone, Debug, PartialEq)]
enum Event {
    Following(String),
    Arrived(String, Arrival),
    Relayed(String, Bytes),
    Presence(String, RosterChange),
    LeaseLost,
    HasEntries(String),
    Interrupted,
    Unreadable,
    State(bool),
}

/// Stands for a hub: notes what it is told.
#[derive(Default)]
struct Notes {
    events: Mutex<Vec<Event>>,
    states: Mutex<Vec<EngineState>>,
    changed: Notify,
    /// How often a room was followed.
    following: AtomicUsize,
    /// Each message takes a while.
    is_slow: AtomicBool,
    /// The next message makes it panic.
    panics: AtomicBool,
}

impl Notes {
    fn note(&self, event: Event) {
        self.events.lock().unwrap().push(event);
        self.changed.notify_waiters();
    }
}

impl Receive for Notes {
    fn following(self: Arc<Self>, room: &str) {
        self.following.fetch_add(1, Ordering::Relaxed);
        self.note(Event::Following(room.to_owned()));
    }

    fn arrived(self: Arc<Self>, room: &str, arrival: Arrival) {
        if self.is_slow.load(Ordering::Relaxed) {
            std::thread::sleep(Duration::from_millis(100));
        }
        assert!(
            !self.panics.swap(false, Ordering::Relaxed),
            "as the test wants"
        );
        self.note(Event::Arrived(room.to_owned(), arrival));
    }

    fn relayed(self: Arc<Self>, room: &str, envelope: Bytes) {
        self.note(Event::Relayed(room.to_owned(), envelope));
    }

    fn repeated(self: Arc<Self>) {}

    fn unreadable(self: Arc<Self>) {
        self.note(Event::Unreadable);
    }

    fn presence(self: Arc<Self>, room: &str, change: RosterChange) {
        self.note(Event::Presence(room.to_owned(), change));
    }

    fn lease_lost(self: Arc<Self>) {
        self.note(Event::LeaseLost);
    }

    fn has_entries(self: Arc<Self>, room: &str) {
        self.note(Event::HasEntries(room.to_owned()));
    }

    fn interrupted(self: Arc<Self>) {
        self.note(Event::Interrupted);
    }

    fn state(self: Arc<Self>, state: EngineState) {
        let is_up = state == EngineState::Up;
        self.states.lock().unwrap().push(state);
        self.note(Event::State(is_up));
    }
}

/// A server: an engine and what stands for its hub.
struct Server {
    engine: Redis,
    notes: Arc<Notes>,
    history: History,
    budget: Arc<Budget>,
}

impl Server {
    fn start(url: &str) -> Self {
        Self::with(Redis::new(url).unwrap())
    }

    fn with(engine: Redis) -> Self {
        let notes = Arc::new(Notes::default());
        let weak: std::sync::Weak<Notes> = Arc::downgrade(&notes);
        engine.start(Inbound(weak));
        Server {
            engine,
            notes,
            history: History::last(1000),
            budget: Budget::new(64 * 1024 * 1024),
        }
    }

    /// Waits until a count of events is reached.
    async fn wait(&self, what: impl Fn(&Event) -> bool, count: usize) {
        self.until(|| self.count(&what) >= count).await;
    }

    /// Waits until the events are as they should be.
    async fn until(&self, is_so: impl Fn() -> bool) {
        let reached = async {
            loop {
                let changed = self.notes.changed.notified();
                tokio::pin!(changed);
                changed.as_mut().enable();
                if is_so() {
                    return;
                }
                changed.await;
            }
        };
        if timeout(NEVER, reached).await.is_err() {
            let events = self.notes.events.lock().unwrap();
            let last = events.len().saturating_sub(30);
            panic!("it never came; the last: {:#?}", &events[last..]);
        }
    }

    /// Publishes until a message is heard; returns its position.
    ///
    /// Where connections are replaced, one more may be replaced at any time, on a busy machine above
    /// all. A message of that time is in the log alone.
    async fn heard(&self, name: &str, text: &str) -> Position {
        let is_other = |event: &Event| match event {
            Event::Interrupted => true,
            Event::Following(room) => room == name,
            _ => false,
        };
        loop {
            let others = self.count(is_other);
            let position = self.publish(name, text).ok().await;
            let is_heard = |event: &Event| match event {
                Event::Arrived(room, arrival) => room == name && arrival.position == position,
                _ => false,
            };
            self.until(|| self.count(is_heard) > 0 || self.count(is_other) > others)
                .await;
            if self.count(is_heard) > 0 {
                return position;
            }
        }
    }

    fn count(&self, what: impl Fn(&Event) -> bool) -> usize {
        self.notes
            .events
            .lock()
            .unwrap()
            .iter()
            .filter(|event| what(event))
            .count()
    }

    /// Waits until the engine is up after it was down so many times.
    async fn up(&self) {
        self.wait(|event| *event == Event::State(true), 1).await;
    }

    async fn follow(&self, name: &str) {
        self.engine.follow(&room(name));
        let expected = Event::Following(name.to_owned());
        self.wait(|event| *event == expected, 1).await;
    }

    fn publish(&self, name: &str, text: &str) -> Publishing {
        self.publish_once(name, text, None)
    }

    fn publish_once(&self, name: &str, text: &str, once: Option<&str>) -> Publishing {
        let (sender, receiver) = oneshot::channel();
        self.engine.publish(Publish {
            room: room(name),
            envelope: Bytes::copy_from_slice(text.as_bytes()),
            history: self.history,
            once: once.map(Into::into),
            permit: None,
            reply: Reply::new(
                || Err(unknown()),
                move |answer| {
                    let _ = sender.send(answer);
                },
            ),
        });
        Publishing(receiver)
    }

    async fn read(&self, name: &str, from: ReadFrom) -> Result<Past, EngineError> {
        let (sender, receiver) = oneshot::channel();
        self.engine.read(Read {
            room: room(name),
            from,
            reply: Reply::new(
                || Err(EngineError::new("dropped")),
                move |answer| {
                    let _ = sender.send(answer);
                },
            ),
        });
        within(receiver).await.unwrap()
    }

    /// The log of a room.
    async fn log(&self, name: &str) -> (Position, Vec<Arrival>) {
        match self.read(name, ReadFrom::Start).await.unwrap() {
            Past::Messages { end, messages } => {
                assert_chain(&messages);
                assert!(messages.last().is_none_or(|last| last.position == end));
                (end, messages)
            }
            other => panic!("{other:?}"),
        }
    }

    fn relay(&self, name: &str, text: &str) {
        self.engine.relay(Relay {
            room: room(name),
            envelope: Bytes::copy_from_slice(text.as_bytes()),
            _permit: self.budget.take(1).unwrap(),
        });
    }

    async fn enter(&self, name: &str, key: &str, seat: u64) -> Result<(), EnterError> {
        self.enter_with(name, key, "", seat, false).await
    }

    async fn enter_with(
        &self,
        name: &str,
        key: &str,
        info: &str,
        seat: u64,
        takes_over: bool,
    ) -> Result<(), EnterError> {
        let (sender, receiver) = oneshot::channel();
        self.engine.roster().unwrap().enter(Enter {
            room: room(name),
            key: key.into(),
            info: Bytes::copy_from_slice(info.as_bytes()),
            seat,
            takes_over,
            reply: Reply::new(
                || Err(EnterError::Closed),
                move |answer| {
                    let _ = sender.send(answer);
                },
            ),
        });
        within(receiver).await.unwrap()
    }

    fn leave(&self, name: &str, key: &str, seat: u64) {
        self.engine.roster().unwrap().leave(&room(name), key, seat);
    }

    /// Who is in a room: keys, and the seats of those of this server.
    async fn people(&self, name: &str) -> Vec<(String, Option<u64>)> {
        let (sender, receiver) = oneshot::channel();
        self.engine.roster().unwrap().people(ReadPeople {
            room: room(name),
            reply: Reply::new(
                || Err(EngineError::new("dropped")),
                move |answer| {
                    let _ = sender.send(answer);
                },
            ),
        });
        let entries = within(receiver).await.unwrap().unwrap();
        let mut people: Vec<_> = entries
            .into_iter()
            .map(|entry| (entry.key.into_string(), entry.seat))
            .collect();
        people.sort();
        people
    }

    /// Waits until Redis has refused something after now, for want of memory.
    async fn wait_refused(&self, redis: &RedisServer) {
        let refused = || redis.info("errorstats", "errorstat_OOM");
        let before = refused();
        while refused() == before {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// What has arrived in a room, in order.
    fn arrivals(&self, name: &str) -> Vec<Arrival> {
        let events = self.notes.events.lock().unwrap();
        let arrivals = events.iter().filter_map(|event| match event {
            Event::Arrived(room, arrival) if room == name => Some(arrival.clone()),
            _ => None,
        });
        arrivals.collect()
    }

    async fn arrived(&self, name: &str, count: usize) -> Vec<Arrival> {
        self.wait(
            |event| matches!(event, Event::Arrived(room, _) if room == name),
            count,
        )
        .await;
        self.arrivals(name)
    }

    fn changes(&self, name: &str) -> Vec<RosterChange> {
        let events = self.notes.events.lock().unwrap();
        let changes = events.iter().filter_map(|event| match event {
            Event::Presence(room, change) if room == name => Some(change.clone()),
            _ => None,
        });
        changes.collect()
    }

    async fn stop(&self) {
        let (sender, receiver) = oneshot::channel();
        self.engine.stop(Stopped { _dropped: sender });
        let _ = within(receiver).await;
    }
}

/// A message that is being published.
struct Publishing(oneshot::Receiver<Result<Published, PublishError>>);

impl Publishing {
    async fn outcome(self) -> Result<Position, PublishError> {
        self.published().await.map(|published| published.position)
    }

    async fn published(self) -> Result<Published, PublishError> {
        within(self.0).await.unwrap()
    }

    async fn ok(self) -> Position {
        self.outcome().await.unwrap()
    }
}

/// The outcome of a request that was dropped.
fn unknown() -> PublishError {
    PublishError::Unknown(EngineError::new("dropped"))
}

async fn within<T>(what: impl Future<Output = T>) -> T {
    timeout(NEVER, what).await.expect("it never came")
}

fn room(name: &str) -> Arc<str> {
    name.into()
}

fn texts(messages: &[Arrival]) -> Vec<String> {
    let texts = messages.iter().map(|message| message.envelope.to_vec());
    texts.map(|text| String::from_utf8(text).unwrap()).collect()
}

/// Each message follows the one before.
fn assert_chain(messages: &[Arrival]) {
    for pair in messages.windows(2) {
        assert_eq!(pair[1].previous, pair[0].position, "{messages:#?}");
    }
    for message in messages {
        assert_eq!(message.position.number(), message.previous.number() + 1);
    }
}
