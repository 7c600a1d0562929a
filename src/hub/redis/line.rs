//! The task of the line: the connection that subscribes. All that arrives is given to the hub
//! by this task, in the order in which it arrives.

use std::future::{Future, pending};
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use redis::{Pipeline, PushInfo, PushKind, Value, cmd};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::connect::{self, Backoff, Connection, concerns_both, ended, late, misled};
use super::fault::Fault;
use super::health::Part;
use super::interest::Command;
use super::panics::caught;
use super::shared::{Answer, Shared, forget};
use super::wire::{self, Payload};

/// How often the line shows that its server takes writes.
const CHECK: Duration = Duration::from_secs(5);

/// How long the line waits for an answer. A server that stops for a few seconds is not left: to
/// subscribe to all channels again would cost it more.
const ANSWER: Duration = Duration::from_secs(8);

/// The largest number of answers that are taken from the publisher at once.
const MAX_ANSWERS: usize = 1024;

/// Holds the line for ever: connects, subscribes to what is wanted, and does so again when the
/// connection is lost.
pub(super) async fn run(shared: Arc<Shared>, mut answers: mpsc::UnboundedReceiver<Answer>) {
    let mut backoff = Backoff::new();
    let mut number = 0;
    loop {
        number += 1;
        let ear = Arc::new(Ear::new(shared.clone()));
        let heard = ear.clone();
        let opened = connect::open(&shared.address, &shared.names, move |info| ear.hear(info));
        let fault = match while_away(opened, &mut answers).await {
            Ok(connection) => {
                backoff.connected(Instant::now());
                // What has rung was meant for a connection that is gone.
                forget(&shared.replace_line).await;
                let line = Line::new(&shared, connection, heard, number);
                line.serve(&mut answers).await
            }
            Err(fault) => fault,
        };
        shared
            .health
            .down(Part::Line, &fault.reason, &shared.inbound);
        if concerns_both(&fault) {
            shared.replace_publisher.notify_one();
        }
        let pause = backoff.pause(Instant::now(), shared.random.next());
        while_away(sleep(pause), &mut answers).await;
    }
}

/// Waits while there is no connection. Nothing can arrive, so answers need not wait.
async fn while_away<T>(
    what: impl Future<Output = T>,
    answers: &mut mpsc::UnboundedReceiver<Answer>,
) -> T {
    tokio::pin!(what);
    loop {
        tokio::select! {
            biased;
            done = &mut what => return done,
            Some(answer) = answers.recv() => answer.give(),
        }
    }
}

type Work<T> = Pin<Box<dyn Future<Output = Result<T, Fault>> + Send>>;

/// A connection of the line.
struct Line<'a> {
    shared: &'a Shared,
    connection: Connection,
    ear: Arc<Ear>,
    number: u64,
    /// The command on channels that is under way.
    command: Option<Work<()>>,
    /// The question that is under way, and what is to be given when its answer has come.
    ping: Option<(Work<()>, Vec<Answer>)>,
    /// What is to be given after the next question.
    waiting: Vec<Answer>,
    /// Whether all that was wanted at first has been subscribed.
    is_up: bool,
}

impl<'a> Line<'a> {
    fn new(shared: &'a Shared, connection: Connection, ear: Arc<Ear>, number: u64) -> Self {
        let mut line = Line {
            shared,
            connection,
            ear,
            number,
            command: None,
            ping: None,
            waiting: vec![],
            is_up: false,
        };
        shared.interest.lock().connected();
        // First, for it shows whether the line hears at all.
        line.command = Some(line.subscription(true, vec![shared.names.probe()]));
        line
    }

    /// Serves the connection until it is lost.
    async fn serve(mut self, answers: &mut mpsc::UnboundedReceiver<Answer>) -> Fault {
        let served = caught("line", self.serve_until(answers)).await;
        let fault = served.unwrap_or_else(|fault| fault);
        // In this order: nothing is heard any more when the rest is given.
        drop(self.connection);
        self.shared.line.store(0, Ordering::Relaxed);
        self.shared.interest.lock().lost();
        self.shared.inbound.interrupted();
        let under_way = self.ping.into_iter().flat_map(|(_, answers)| answers);
        under_way.chain(self.waiting).for_each(Answer::give);
        fault
    }

    async fn serve_until(&mut self, answers: &mut mpsc::UnboundedReceiver<Answer>) -> Fault {
        let mut arrived = Vec::with_capacity(16);
        let mut check = Instant::now() + CHECK;
        loop {
            self.begin();
            tokio::select! {
                biased;
                () = &mut self.connection.driver => return ended(),
                () = self.shared.replace_line.notified() => {
                    return misled();
                }
                done = work(&mut self.command) => match done {
                    Ok(()) => self.commanded(),
                    Err(fault) => return fault,
                },
                done = work_of(&mut self.ping) => match done {
                    Ok(()) => if let Err(fault) = self.answered() {
                        return fault;
                    },
                    Err(fault) => return fault,
                },
                _ = answers.recv_many(&mut arrived, MAX_ANSWERS) => self.take(&mut arrived),
                () = self.shared.interest.changed.notified() => {}
                () = sleep_until(check) => {
                    check += CHECK;
                    // A server that has become a replica still passes on what its primary says.
                    if self.ping.is_none() {
                        self.ping = Some((self.check(), mem::take(&mut self.waiting)));
                    }
                }
            }
        }
    }

    /// Begins what can begin.
    fn begin(&mut self) {
        while self.command.is_none() {
            let mut interest = self.shared.interest.lock();
            // Not only when nothing is left to do: where rooms come and go without a pause, that is
            // never (`a_server_whose_rooms_come_and_go_without_a_pause_is_up`).
            let was_behind = interest.is_behind();
            let next = interest.next();
            drop(interest);
            if !was_behind || next.is_none() {
                self.up();
            }
            let Some(next) = next else {
                break;
            };
            let names = &self.shared.names;
            let channels =
                |rooms: Vec<Arc<str>>| rooms.iter().map(|room| names.channel(room)).collect();
            self.command = match next {
                Command::Subscribe(rooms) => Some(self.subscription(true, channels(rooms))),
                Command::Unsubscribe(rooms) => Some(self.subscription(false, channels(rooms))),
                Command::Following(rooms) => {
                    rooms
                        .iter()
                        .for_each(|room| self.shared.inbound.following(room));
                    None
                }
            };
        }
        if self.ping.is_none() && !self.waiting.is_empty() {
            self.ping = Some((self.ping(), mem::take(&mut self.waiting)));
        }
    }

    fn up(&mut self) {
        if !self.is_up {
            self.is_up = true;
            self.shared.health.up(Part::Line, &self.shared.inbound);
        }
    }

    /// A command on channels has been confirmed.
    fn commanded(&mut self) {
        if self.shared.line.swap(self.number, Ordering::Relaxed) != self.number {
            self.shared.probe.notify_one();
        }
    }

    /// A question has been answered: all that was said before it has been heard.
    fn answered(&mut self) -> Result<(), Fault> {
        let Some((_, answers)) = self.ping.take() else {
            return Ok(());
        };
        let mut outcome = Ok(());
        for answer in answers {
            match answer {
                Answer::Probe(probe) => {
                    let is_deaf = self.ear.heard.load(Ordering::Relaxed) < probe.number;
                    if probe.line == Some(self.number) && is_deaf {
                        self.shared.replace_publisher.notify_one();
                        outcome = Err(Fault::lost("the two connections lead to different servers"));
                    }
                }
                other => other.give(),
            }
        }
        outcome
    }

    /// Takes answers from the publisher. Those of rooms of which nothing can arrive are given.
    fn take(&mut self, arrived: &mut Vec<Answer>) {
        let interest = self.shared.interest.lock();
        let (wait, give): (Vec<_>, Vec<_>) = arrived
            .drain(..)
            .partition(|answer| answer.room().is_none_or(|room| interest.may_arrive(room)));
        drop(interest);
        self.waiting.extend(wait);
        give.into_iter().for_each(Answer::give);
    }

    fn subscription(&self, subscribes: bool, channels: Vec<String>) -> Work<()> {
        let mut handle = self.connection.handle.clone();
        within(ANSWER, async move {
            if subscribes {
                handle.subscribe(channels).await?;
            } else {
                handle.unsubscribe(channels).await?;
            }
            Ok(())
        })
    }

    fn ping(&self) -> Work<()> {
        let mut ping = Pipeline::new();
        ping.add_command(cmd("PING"));
        self.question(ping)
    }

    fn check(&self) -> Work<()> {
        let mut check = Pipeline::new();
        check.add_command(self.connection.scripts.probe(None));
        self.question(check)
    }

    fn question(&self, question: Pipeline) -> Work<()> {
        let mut handle = self.connection.handle.clone();
        within(ANSWER, async move {
            match handle.send_packed_commands(&question, 0, 1).await?.first() {
                Some(Value::ServerError(error)) => match Fault::from(error) {
                    // It is an answer all the same. The next one will be to a script that is there.
                    fault if concerns_both(&fault) => Err(fault),
                    _ => Ok(()),
                },
                _ => Ok(()),
            }
        })
    }
}

fn within(
    limit: Duration,
    what: impl Future<Output = Result<(), Fault>> + Send + 'static,
) -> Work<()> {
    Box::pin(async move {
        match timeout(limit, what).await {
            Ok(done) => done,
            Err(_) => Err(late(limit)),
        }
    })
}

/// The end of what is under way; never if nothing is.
async fn work(what: &mut Option<Work<()>>) -> Result<(), Fault> {
    match what {
        Some(under_way) => {
            let done = under_way.await;
            *what = None;
            done
        }
        None => pending().await,
    }
}

async fn work_of(what: &mut Option<(Work<()>, Vec<Answer>)>) -> Result<(), Fault> {
    match what {
        Some((under_way, _)) => under_way.await,
        None => pending().await,
    }
}

/// What hears the line. It is called while the driver is polled, so by the task of the line.
struct Ear {
    shared: Arc<Shared>,
    /// The greatest number of a probe that was heard.
    heard: AtomicU64,
}

impl Ear {
    fn new(shared: Arc<Shared>) -> Self {
        Ear {
            shared,
            heard: AtomicU64::new(0),
        }
    }

    fn hear(&self, info: PushInfo) {
        let mut data = info.data.into_iter();
        let Some(Value::BulkString(channel)) = data.next() else {
            return;
        };
        let names = &self.shared.names;
        match (info.kind, names.room_of(&channel)) {
            (PushKind::Message, Some(room)) => {
                if let Some(Value::BulkString(payload)) = data.next() {
                    self.arrived(&room, payload.into());
                }
            }
            (PushKind::Message, None) => {
                if let Some(Value::BulkString(number)) = data.next() {
                    let number = std::str::from_utf8(&number)
                        .ok()
                        .and_then(|text| text.parse().ok());
                    self.heard.fetch_max(number.unwrap_or(0), Ordering::Relaxed);
                }
            }
            (PushKind::Subscribe, Some(room)) => {
                // The lock is not held while the hub is told.
                let is_followed = self.shared.interest.lock().subscribed(&room);
                if is_followed {
                    self.shared.inbound.following(&room);
                }
            }
            (PushKind::Unsubscribe, Some(room)) => self.shared.interest.lock().unsubscribed(&room),
            _ => {}
        }
    }

    fn arrived(&self, room: &str, payload: Bytes) {
        let inbound = &self.shared.inbound;
        let kind = payload.first().copied();
        let names = &self.shared.names;
        match wire::parse(payload, names.server(), names.versions()) {
            Some(Payload::Messages(arrivals)) => {
                for arrival in arrivals {
                    inbound.arrived(room, arrival);
                }
            }
            Some(Payload::Relayed(envelope)) => inbound.relayed(room, envelope),
            Some(Payload::Roster(changes)) => {
                for change in changes {
                    inbound.presence(room, change);
                }
            }
            Some(Payload::Own) => {}
            None => {
                self.shared.unreadable();
                // A message has been appended, or a roster has changed, in any case: both are read.
                if let Some(b'm' | b'p') = kind {
                    inbound.following(room);
                }
            }
        }
    }
}
