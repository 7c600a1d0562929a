//! Every way to send to the same sockets at once, by random scripts. What one source sends, no
//! other source drops, doubles or puts in another order.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;
use tokio::io::AsyncReadExt;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::*;
use crate::config::Overflow;
use crate::message::Kind;
use crate::protocol::{Event, Prepared};
use crate::socket::tests::peer::{Peer, Task, serve_with};
use crate::socket::{Pushed, Sender};
use crate::{Config, Error, Message, WebSocket};

/// The rooms, each by its hub.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum In {
    /// Keeps messages for members that lag.
    Keeping,
    /// The same with a history.
    History,
    DropsOldest,
    /// Into the same room as `Keeping`, by a handle that drops the oldest.
    KeepingDropsOldest,
    DropsNewest,
}

/// The ways to send by a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum By {
    Push,
    TrySend,
    TrySendPrepared,
    Send,
    Permit,
    Chunks,
}

/// The task that sends. Messages of two tasks have no order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Of {
    Handler,
    OtherTask,
    /// The task that runs the script. It does not wait.
    Script,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Source {
    Room(In),
    Socket(By, Of),
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Room(In, usize),
    /// To this member, a message of that length.
    Socket(usize, By, Of, usize),
    /// The peer of this member reads so many bytes.
    Reads(usize, usize),
    /// Every task does what it can.
    Rests,
    Aborts(usize),
}

#[derive(Clone, Debug)]
struct Member {
    overflow: Overflow,
    limit: usize,
    pipe: usize,
    is_compressed: bool,
}

fn room() -> impl Strategy<Value = In> {
    prop::sample::select(vec![
        In::Keeping,
        In::History,
        In::DropsOldest,
        In::KeepingDropsOldest,
        In::DropsNewest,
    ])
}

/// Some fit into a run of a room, and some are so large that they are not copied.
fn length() -> impl Strategy<Value = usize> {
    prop_oneof![8 => 0..100_usize, 4 => 200..3000_usize, 1 => 7000..9000_usize, 1 => 16_000..40_000_usize]
}

fn member() -> impl Strategy<Value = Member> {
    let policies = vec![
        Overflow::Wait,
        Overflow::Close,
        Overflow::DropOldest,
        Overflow::DropNewest,
    ];
    (
        prop::sample::select(policies),
        prop::sample::select(vec![1, 600, 4096, 65_536]),
        prop::sample::select(vec![64, 4096, 65_536]),
        any::<bool>(),
    )
        .prop_map(|(overflow, limit, pipe, is_compressed)| Member {
            overflow,
            limit,
            pipe,
            is_compressed: is_compressed && cfg!(feature = "deflate"),
        })
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let by = prop::sample::select(vec![
        By::Push,
        By::TrySend,
        By::TrySendPrepared,
        By::Send,
        By::Permit,
        By::Chunks,
    ]);
    let of = prop::sample::select(vec![Of::Handler, Of::OtherTask, Of::Script]);
    let step = prop_oneof![
        12 => (room(), length()).prop_map(|(room, length)| Step::Room(room, length)),
        8 => (0..MEMBERS, by, of, length()).prop_map(|(to, by, of, length)| Step::Socket(to, by, of, length)),
        4 => (0..MEMBERS, 1..20_000_usize).prop_map(|(member, bytes)| Step::Reads(member, bytes)),
        3 => Just(Step::Rests),
    ];
    // One kind of step is often repeated: full queues need many messages.
    let repeated = (step, prop_oneof![3 => Just(1), 1 => 2..20_usize]);
    let aborts = prop::option::weighted(0.2, (0..MEMBERS, any::<prop::sample::Index>()));
    (prop::collection::vec(repeated, 1..60), aborts).prop_map(|(steps, aborts)| {
        let mut steps: Vec<Step> = steps
            .into_iter()
            .flat_map(|(step, times)| std::iter::repeat_n(step, times))
            .collect();
        if let Some((member, at)) = aborts {
            steps.insert(at.index(steps.len() + 1), Step::Aborts(member));
        }
        steps
    })
}

const MEMBERS: usize = 3;

/// What was sent to a member, and what must arrive of it.
#[derive(Default)]
struct Ledger {
    sent: BTreeMap<Source, usize>,
    /// Messages that no policy may drop, by source.
    due: BTreeMap<Source, Vec<usize>>,
    /// The newest message that older ones may have been dropped for.
    newest: Option<(Source, usize)>,
}

impl Ledger {
    /// The next message of a source, and its number.
    fn next(&mut self, source: Source, length: usize) -> (usize, Message) {
        let count = self.sent.entry(source).or_default();
        let number = *count;
        *count += 1;
        (number, message(source, number, length))
    }

    fn is_due(&mut self, source: Source, number: usize) {
        self.due.entry(source).or_default().push(number);
    }
}

fn message(source: Source, number: usize, length: usize) -> Message {
    format!("{source:?}|{number}|{}", "x".repeat(length)).into()
}

/// A socket under test, from the outside.
struct Subject {
    peer: Peer,
    _task: Task,
    sender: Sender,
    ledger: Arc<Mutex<Ledger>>,
    overflow: Overflow,
    /// To the handler, and to the other task.
    orders: [UnboundedSender<(By, usize)>; 2],
    is_aborted: bool,
}

/// Sends one message. Returns at once for [`Of::Script`], which is given no way that waits.
async fn send(
    sender: &Sender,
    ledger: &Mutex<Ledger>,
    overflow: Overflow,
    source: (By, Of),
    length: usize,
) {
    let by = source.0;
    let source = Source::Socket(by, source.1);
    let (number, message) = ledger.lock().unwrap().next(source, length);
    let is_sent = match by {
        By::Push => {
            let pushed = sender.push(message);
            // What is said of a message must be noted before anything else is sent.
            let mut ledger = ledger.lock().unwrap();
            if pushed == Pushed::Queued && overflow == Overflow::DropOldest {
                ledger.newest = Some((source, number));
                return;
            }
            drop(ledger);
            pushed == Pushed::Queued
        }
        By::TrySend => sender.try_send(message).is_ok(),
        By::TrySendPrepared => sender.try_send_prepared(&Prepared::new(message)).is_ok(),
        By::Send => {
            let is_sent = sender.send(message).await.is_ok();
            match overflow {
                Overflow::Wait => is_sent,
                // `send` does not say whether its message was dropped, or has dropped others.
                _ => {
                    ledger.lock().unwrap().newest = None;
                    false
                }
            }
        }
        By::Permit => match sender.reserve().await {
            Ok(permit) => permit.send(message).is_ok(),
            Err(_) => false,
        },
        By::Chunks => {
            let text = message.as_text().unwrap();
            let mut stream = sender.send_stream(Kind::Text);
            let mut written = true;
            for chunk in text.as_bytes().chunks(700) {
                let chunk = std::str::from_utf8(chunk).unwrap().to_owned();
                written &= stream.write(chunk).await.is_ok();
            }
            stream.finish().await.is_ok() && written
        }
    };
    if is_sent {
        ledger.lock().unwrap().is_due(source, number);
    }
}

async fn subject(member: &Member, rooms: &BTreeMap<In, Room>) -> Subject {
    let config = Config::new()
        .overflow(member.overflow)
        .output_limit(member.limit);
    let ledger = Arc::new(Mutex::new(Ledger::default()));
    let overflow = member.overflow;
    let (to_handler, mut orders) = unbounded_channel();
    let (to_task, mut other_orders) = unbounded_channel();
    let (give, given) = oneshot::channel();
    let (joined, noted) = (rooms.clone(), ledger.clone());
    let handler = move |mut socket: WebSocket| async move {
        joined.values().for_each(|room| room.join(&socket));
        let sender = socket.sender();
        assert!(give.send(sender.clone()).is_ok());
        loop {
            tokio::select! {
                received = socket.recv() => match received? {
                    Some(_) => {}
                    None => return Ok::<_, Error>(()),
                },
                Some((by, length)) = orders.recv() => {
                    send(&sender, &noted, overflow, (by, Of::Handler), length).await;
                }
            }
        }
    };
    #[cfg(feature = "deflate")]
    let (peer, task) = match member.is_compressed {
        true => {
            let compression = crate::config::Compression::shared();
            crate::socket::tests::peer::serve_compressed_over(
                member.pipe,
                config,
                compression,
                handler,
            )
        }
        false => serve_with(member.pipe, config, handler),
    };
    #[cfg(not(feature = "deflate"))]
    let (peer, task) = serve_with(member.pipe, config, handler);
    let sender: Sender = given.await.unwrap();
    let (by_task, noted) = (sender.clone(), ledger.clone());
    tokio::spawn(async move {
        while let Some((by, length)) = other_orders.recv().await {
            send(&by_task, &noted, overflow, (by, Of::OtherTask), length).await;
        }
    });
    Subject {
        peer,
        _task: task,
        sender,
        ledger,
        overflow,
        orders: [to_handler, to_task],
        is_aborted: false,
    }
}

impl Subject {
    async fn take(&mut self, by: By, of: Of, length: usize) {
        let closes = match by {
            By::Push => matches!(self.overflow, Overflow::Wait | Overflow::Close),
            By::Send => self.overflow == Overflow::Close,
            By::TrySend | By::TrySendPrepared | By::Permit | By::Chunks => false,
        };
        if closes {
            return;
        }
        match of {
            Of::Handler => self.orders[0].send((by, length)).unwrap_or_default(),
            Of::OtherTask => self.orders[1].send((by, length)).unwrap_or_default(),
            Of::Script if matches!(by, By::Push | By::TrySend | By::TrySendPrepared) => {
                send(&self.sender, &self.ledger, self.overflow, (by, of), length).await;
            }
            Of::Script => {}
        }
    }

    async fn read(&mut self, bytes: usize) {
        let mut left = bytes;
        while left > 0 {
            let mut buffer = [0; 4096];
            let most = left.min(buffer.len());
            let reading = self.peer.io.read(&mut buffer[..most]);
            match timeout(Duration::from_millis(1), reading).await {
                Ok(Ok(count)) if count > 0 => {
                    self.peer.input.extend_from_slice(&buffer[..count]);
                    left -= count;
                }
                _ => return,
            }
        }
    }

    /// Reads until nothing comes any more, and compares what has arrived with what was sent.
    async fn check(mut self) {
        let mut arrived = BTreeMap::<String, Vec<usize>>::new();
        while let Ok(Some(event)) = timeout(Duration::from_secs(1), self.peer.event()).await {
            match event {
                Event::Message(message) => {
                    let text = message.as_text().unwrap();
                    let [source, number, _] = text.splitn(3, '|').collect::<Vec<_>>()[..] else {
                        panic!("half a message: {text}");
                    };
                    let numbers = arrived.entry(source.to_owned()).or_default();
                    numbers.push(number.parse().unwrap());
                }
                Event::Close(frame) => panic!("closed: {frame:?}"),
                _ => {}
            }
        }
        let ledger = self.ledger.lock().unwrap();
        for (source, numbers) in &arrived {
            assert!(
                numbers.is_sorted_by(|one, next| one < next),
                "{source} in order, and once: {numbers:?}"
            );
        }
        let of = |source: Source| arrived.get(&format!("{source:?}")).map_or(&[][..], |it| it);
        for (&source, due) in &ledger.due {
            let missing: Vec<_> = due.iter().filter(|it| !of(source).contains(it)).collect();
            assert!(missing.is_empty(), "{source:?} without {missing:?}");
        }
        if let Some((source, number)) = ledger.newest {
            assert_eq!(of(source).last(), Some(&number), "the newest of {source:?}");
        }
    }
}

async fn run(members: Vec<Member>, steps: Vec<Step>) {
    let keeping = Hub::new();
    let hubs = [
        (
            In::KeepingDropsOldest,
            keeping.clone().overflow(Overflow::DropOldest),
        ),
        (In::Keeping, keeping),
        (In::History, Hub::new().history(History::last(20))),
        (In::DropsOldest, Hub::new().overflow(Overflow::DropOldest)),
        (In::DropsNewest, Hub::new().overflow(Overflow::DropNewest)),
    ];
    let rooms: BTreeMap<In, Room> = hubs
        .iter()
        .map(|(of, hub)| (*of, hub.room("room")))
        .collect();
    let mut subjects = vec![];
    for member in &members {
        subjects.push(subject(member, &rooms).await);
    }
    let mut sent = BTreeMap::<In, usize>::new();
    for step in steps {
        match step {
            Step::Room(to, length) => {
                let source = Source::Room(to);
                let count = sent.entry(to).or_default();
                let outcome = rooms[&to].send(message(source, *count, length));
                let living = subjects.iter().filter(|it| !it.is_aborted).count();
                for subject in &subjects {
                    let mut ledger = subject.ledger.lock().unwrap();
                    match to {
                        In::Keeping | In::History => ledger.is_due(source, *count),
                        In::DropsNewest if outcome.queued >= subjects.len() => {
                            ledger.is_due(source, *count);
                        }
                        // The message may be dropped for later ones, and has itself dropped others.
                        In::DropsOldest | In::KeepingDropsOldest => ledger.newest = None,
                        In::DropsNewest => {}
                    }
                }
                if let In::Keeping | In::History = to {
                    assert!(outcome.queued >= living, "{outcome:?}");
                }
                *count += 1;
            }
            Step::Socket(to, by, of, length) => subjects[to].take(by, of, length).await,
            Step::Reads(member, bytes) => subjects[member].read(bytes).await,
            Step::Rests => tokio::time::sleep(Duration::from_millis(1)).await,
            Step::Aborts(member) => {
                subjects[member].sender.abort();
                subjects[member].is_aborted = true;
            }
        }
    }
    for subject in subjects {
        if !subject.is_aborted {
            subject.check().await;
        }
    }
    for (of, hub) in hubs {
        assert_eq!(hub.counters().too_slow, 0, "{of:?}");
    }
}

proptest! {
    #[test]
    fn no_source_drops_doubles_or_reorders_what_another_sends(
        members in prop::collection::vec(member(), MEMBERS),
        steps in steps(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(run(members, steps));
    }
}
