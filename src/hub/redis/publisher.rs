//! The task of the publisher: the connection that asks. What waits for it goes out in batches, one
//! at a time: what comes while one is under way is the next.

use std::sync::Arc;
use std::time::Duration;

use redis::{Pipeline, Value};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until};

use super::call::{Appended, Call, Order, Pending, Probe, Request};
use super::connect::{self, Backoff, Connection, concerns_both, ended, misled};
use super::fault::{Fault, FaultKind};
use super::health::Part;
use super::lease::Lease;
use super::panics::caught;
use super::queue::{self, Queue};
use super::scripts::{self, RoomRead};
use super::shared::{Answer, Shared, forget};
use crate::hub::backplane::{EngineError, EnterError, Past, Read, ReadFrom, Stopped};

/// How often the connections are probed, and the lease is renewed.
const BEAT: Duration = Duration::from_secs(5);

/// The largest number of requests that are taken in at once.
const MAX_REQUESTS: usize = 4096;

/// How often requests are looked for that have waited for too long.
const EXPIRE: Duration = Duration::from_millis(500);

/// Carries out what is asked for, until the engine is stopped or dropped.
///
/// Returns what is to be dropped when everything has ended.
pub(super) async fn run(
    shared: Arc<Shared>,
    orders: mpsc::UnboundedReceiver<Order>,
) -> Vec<Stopped> {
    let mut publisher = Publisher {
        queue: Queue::new(shared.patience),
        shared,
        orders,
        arrived: vec![],
        end: End::Running,
        probes: 0,
        lease: Lease::new(),
        is_probe_due: false,
        are_rooms_due: false,
        beat: Instant::now(),
        expire: Instant::now(),
    };
    publisher.run().await;
    match publisher.end {
        End::Running => vec![],
        End::Stopping(stopped, _) => stopped,
    }
}

struct Publisher {
    shared: Arc<Shared>,
    queue: Queue,
    orders: mpsc::UnboundedReceiver<Order>,
    /// What has been received and is not in the queue yet.
    arrived: Vec<Order>,
    end: End,
    /// The number of the last probe.
    probes: u64,
    lease: Lease,
    is_probe_due: bool,
    /// The rooms in which this server has entries are to be read: Redis may have gone back to an
    /// older state.
    are_rooms_due: bool,
    /// When the connections are next probed, and the lease is renewed.
    beat: Instant,
    expire: Instant,
}

/// Whether the engine is to stop.
enum End {
    Running,
    /// What is queued is carried out before. The sender is dropped when that is done.
    Stopping(Vec<Stopped>, Instant),
}

impl Publisher {
    async fn run(&mut self) {
        let mut backoff = Backoff::new();
        let random = self.shared.random.next();
        // Servers that were started together do not beat together.
        self.beat = Instant::now() + Duration::from_millis(random % BEAT.as_millis() as u64);
        loop {
            let shared = self.shared.clone();
            let opened = connect::open(&shared.address, &shared.names, |_| {});
            let Some(opened) = self.while_away(opened).await else {
                return;
            };
            let fault = match opened {
                Ok(connection) => {
                    backoff.connected(Instant::now());
                    // What has rung was meant for a connection that is gone.
                    forget(&self.shared.replace_publisher).await;
                    self.shared.health.up(Part::Publisher, &self.shared.inbound);
                    self.is_probe_due = true;
                    self.are_rooms_due = self.lease.is_used();
                    // Before anything else is asked: Redis may have lost the lease, and an entry without one
                    // is removed by the next server that reads the roster.
                    self.lease.tick();
                    match caught("publisher", self.serve(connection)).await {
                        Ok(Some(fault)) | Err(fault) => fault,
                        Ok(None) => return,
                    }
                }
                Err(fault) => fault,
            };
            self.shared
                .health
                .down(Part::Publisher, &fault.reason, &self.shared.inbound);
            if concerns_both(&fault) {
                self.shared.replace_line.notify_one();
            }
            self.queue.expire(Instant::now(), &fault.reason);
            let pause = backoff.pause(Instant::now(), self.shared.random.next());
            if self.while_away(sleep(pause)).await.is_none() {
                return;
            }
        }
    }

    /// Waits while there is no connection, and takes in what is asked for meanwhile. `None` if the
    /// engine is to end.
    async fn while_away<T>(&mut self, what: impl Future<Output = T>) -> Option<T> {
        tokio::pin!(what);
        loop {
            let expire = sleep_until(self.expire);
            tokio::select! {
                biased;
                done = &mut what => return Some(done),
                count = self.orders.recv_many(&mut self.arrived, MAX_REQUESTS), if self.is_open() => {
                    self.take(count);
                }
                () = expire => self.expire(),
            }
            if self.is_done() {
                return None;
            }
        }
    }

    /// Whether orders are still taken.
    fn is_open(&self) -> bool {
        matches!(self.end, End::Running)
    }

    /// Whether the engine has nothing to do any more, or may not do it for longer.
    fn is_done(&self) -> bool {
        match self.end {
            End::Running => false,
            End::Stopping(_, until) => {
                let is_idle = self.queue.is_empty() && !self.lease.is_held();
                is_idle || until <= Instant::now()
            }
        }
    }

    /// Takes orders in. 0 of them means that the engine was dropped.
    fn take(&mut self, count: usize) {
        let now = Instant::now();
        if count == 0 {
            self.stop(None, now);
        }
        for order in std::mem::take(&mut self.arrived) {
            match order {
                Order::Publish(publish) => self.queue.publish(publish, now),
                Order::Read(read) => self.queue.read(read, now),
                Order::Other(request) => {
                    if matches!(request, Request::Enter(_) | Request::People(_)) {
                        self.lease.begin();
                    }
                    self.queue.push(request, now);
                }
                Order::Stop(stopped) => self.stop(Some(stopped), now),
            }
        }
    }

    fn stop(&mut self, stopped: Option<Stopped>, now: Instant) {
        if let End::Running = self.end {
            self.end = End::Stopping(vec![], now + self.shared.patience);
        }
        if let End::Stopping(held, _) = &mut self.end {
            held.extend(stopped);
        }
    }

    fn expire(&mut self) {
        let now = Instant::now();
        self.expire = now + EXPIRE;
        if !self.queue.is_empty() {
            let known = self.shared.health.reason();
            let reason = known.unwrap_or_else(|| EngineError::new("redis did not answer in time"));
            self.queue.expire(now, &reason);
        }
    }

    /// Serves a connection until it is lost. `None` if the engine is to end.
    async fn serve(&mut self, mut connection: Connection) -> Option<Fault> {
        loop {
            // Looked at before each batch, and not only where nothing is to be sent: a server that is
            // busy without a pause never comes there, and would lose its lease
            // (`a_server_that_publishes_without_a_pause_renews_its_lease`).
            if forget(&self.shared.replace_publisher).await {
                return Some(misled());
            }
            self.is_probe_due |= forget(&self.shared.probe).await;
            while self.is_open()
                && self.arrived.len() < MAX_REQUESTS
                && let Ok(order) = self.orders.try_recv()
            {
                self.arrived.push(order);
            }
            if !self.arrived.is_empty() {
                self.take(self.arrived.len());
            }
            let now = Instant::now();
            if self.expire <= now {
                self.expire();
            }
            if self.beat <= now {
                self.beat = now + BEAT;
                self.is_probe_due = true;
                self.lease.tick();
            }
            let batch = self.batch(now);
            if !batch.is_empty() {
                if let Err(fault) = self.send(&mut connection, batch).await {
                    return Some(fault);
                }
                continue;
            }
            if let End::Stopping(_, _) = self.end
                && (self.queue.is_empty() || self.is_done())
            {
                self.leave(&mut connection).await;
                return None;
            }
            let mut wake = self.queue.wake().unwrap_or(self.beat).min(self.beat);
            if !self.queue.is_empty() {
                wake = wake.min(self.expire);
            }
            tokio::select! {
                biased;
                () = &mut connection.driver => return Some(ended()),
                () = self.shared.replace_publisher.notified() => {
                    return Some(misled());
                }
                count = self.orders.recv_many(&mut self.arrived, MAX_REQUESTS), if self.is_open() => {
                    self.take(count);
                }
                () = self.shared.probe.notified() => self.is_probe_due = true,
                () = sleep_until(wake) => {}
            }
        }
    }

    /// The next batch.
    fn batch(&mut self, now: Instant) -> Vec<Call> {
        let mut batch = vec![];
        if std::mem::take(&mut self.is_probe_due) {
            self.probes += 1;
            batch.push(Call::Probe(Probe {
                number: self.probes,
                line: self.shared.hearing_line(),
            }));
        }
        batch.extend(self.lease.next().map(Call::Beat));
        if std::mem::take(&mut self.are_rooms_due) {
            batch.push(Call::Rooms);
        }
        batch.extend(self.queue.next(now));
        batch
    }

    /// Sends a batch and takes the answers.
    async fn send(&mut self, connection: &mut Connection, batch: Vec<Call>) -> Result<(), Fault> {
        let mut pipeline = Pipeline::with_capacity(batch.len());
        for call in &batch {
            let root = || self.queue.root();
            pipeline.add_command(connection.scripts.command(call, root));
        }
        let limit = self.shared.response_timeout;
        let answers = match connection.run(&pipeline, limit).await {
            Ok(answers) if answers.len() == batch.len() => answers,
            Ok(_) => {
                self.put_back(batch, true);
                return Err(Fault::lost("redis gave too many or too few answers"));
            }
            Err(fault) => {
                self.put_back(batch, true);
                return Err(fault);
            }
        };
        // What was not carried out, and goes first next time, in its order.
        let mut again = vec![];
        let mut wrong_server = None;
        let mut is_flushed = false;
        for (call, answer) in batch.into_iter().zip(answers) {
            let Value::ServerError(error) = &answer else {
                self.answered(call, answer);
                continue;
            };
            let fault = Fault::from(error);
            match fault.kind {
                FaultKind::NoScript => {
                    is_flushed = true;
                    again.push(call);
                }
                FaultKind::WrongServer | FaultKind::Lost => {
                    wrong_server = Some(fault);
                    again.push(call);
                }
                FaultKind::Refused | FaultKind::Newer | FaultKind::Failed => {
                    self.refused(call, fault);
                }
            }
        }
        self.put_back(again, false);
        if let Some(fault) = wrong_server {
            return Err(fault);
        }
        if is_flushed {
            connection.reload(limit).await?;
        }
        Ok(())
    }

    fn put_back(&mut self, calls: Vec<Call>, is_unknown: bool) {
        for call in &calls {
            match call {
                Call::Probe(_) => self.is_probe_due = true,
                Call::Beat(_) => self.lease.missed(),
                Call::Rooms => self.are_rooms_due = true,
                _ => {}
            }
        }
        self.queue.put_back(calls, is_unknown);
    }

    /// A call has been carried out.
    fn answered(&mut self, call: Call, answer: Value) {
        match call {
            Call::Publish(call) => match scripts::published(answer, call.messages.len()) {
                Some((end, outcomes)) => {
                    for outcome in &outcomes {
                        if *outcome == Appended::Before {
                            self.shared.inbound.repeated();
                        }
                    }
                    self.queue.appended(call, end, outcomes);
                }
                // Dropping them says that the outcome is unknown.
                None => drop(call),
            },
            Call::Find(_, messages) => {
                match scripts::pasts(answer, &[ReadFrom::Start]).as_deref() {
                    Some([RoomRead::Past(Past::Messages { messages: log, .. })]) => {
                        queue::found(messages, log);
                    }
                    _ => queue::found(messages, &[]),
                }
            }
            Call::Read(reads) => self.have_read(reads, answer),
            Call::Probe(probe) => self.shared.answer(Answer::Probe(probe)),
            Call::Beat(_) => {
                let is_lost = self.lease.beaten(scripts::beaten(answer));
                if is_lost {
                    #[cfg(feature = "tracing")]
                    tracing::warn!("the lease of this server was over: its people enter again");
                    self.shared.inbound.lease_lost();
                }
            }
            Call::Rooms => {
                for room in scripts::rooms(answer) {
                    if let Some(room) = self.shared.names.without(&room) {
                        self.shared.inbound.has_entries(&room);
                    }
                }
            }
            Call::Other(pending) => match pending.request {
                Request::People(people) => {
                    match scripts::people(answer, self.shared.names.server()) {
                        Some(entries) => self.shared.answer(Answer::People(people, entries)),
                        None => people.done(Err(Fault::answer("people").reason)),
                    }
                }
                Request::Enter(enter) => enter.done(match answer {
                    Value::Int(1) => Ok(()),
                    _ => Err(EnterError::Taken),
                }),
                Request::Leave { .. } | Request::Relay(_) => {}
            },
        }
    }

    /// The logs of many rooms have been read.
    fn have_read(&mut self, reads: Vec<Pending<Read>>, answer: Value) {
        let from: Vec<_> = reads.iter().map(|read| read.request.from()).collect();
        let Some(outcomes) = scripts::pasts(answer, &from) else {
            for read in reads {
                read.request.done(Err(Fault::answer("read").reason));
            }
            return;
        };
        let mut later = vec![];
        for (read, outcome) in reads.into_iter().zip(outcomes) {
            match outcome {
                RoomRead::Past(past) => self.shared.answer(Answer::Read(read.request, past)),
                // Its position is known, and what stands before it is lost to this server.
                RoomRead::Newer(past) => {
                    self.shared.unreadable();
                    self.shared.answer(Answer::Read(read.request, past));
                }
                RoomRead::Later => later.push(read),
                RoomRead::Failed(fault) => read.request.done(Err(fault.reason)),
            }
        }
        self.put_back(vec![Call::Read(later)], false);
    }

    /// Redis refuses a call, or does not understand it.
    fn refused(&mut self, call: Call, fault: Fault) {
        let reason = fault.reason;
        if fault.kind == FaultKind::Newer {
            self.shared.unreadable();
        }
        match call {
            Call::Publish(call) if fault.kind == FaultKind::Refused => {
                self.queue.refused(call, &reason, Instant::now());
            }
            Call::Publish(call) => {
                for message in call.messages {
                    message.give_up(&reason);
                }
            }
            // Dropping them says that the outcome is unknown.
            Call::Find(..) => {}
            Call::Read(reads) => {
                for read in reads {
                    read.request.done(Err(reason.clone()));
                }
            }
            // If the memory is full, no server's lease is renewed. They are all over at the same time,
            // and then none is ended by another server.
            Call::Beat(_) | Call::Probe(_) | Call::Rooms => {
                #[cfg(feature = "tracing")]
                tracing::warn!(%reason, "redis refuses to be probed");
            }
            Call::Other(leave)
                if fault.kind == FaultKind::Refused
                    && matches!(leave.request, Request::Leave { .. }) =>
            {
                self.queue.refused_leave(leave, Instant::now());
            }
            Call::Other(pending) => match pending.request {
                Request::People(request) => request.done(Err(reason)),
                Request::Enter(request) => request.done(Err(EnterError::Unavailable(reason))),
                Request::Leave { .. } | Request::Relay(_) => {}
            },
        }
    }

    /// Takes everybody of this server out of all rooms.
    async fn leave(&mut self, connection: &mut Connection) {
        if !self.lease.is_held() {
            return;
        }
        // Each call cleans some rooms.
        let mut is_clean = Some(false);
        while is_clean == Some(false) && !self.is_done() {
            let beat = Call::Beat(self.lease.beat(true));
            let mut pipeline = Pipeline::new();
            pipeline.add_command(connection.scripts.command(&beat, || 0));
            let answers = connection
                .run(&pipeline, self.shared.response_timeout)
                .await;
            let answer = answers.ok().and_then(|mut answers| answers.pop());
            if let Some(Value::ServerError(error)) = &answer
                && Fault::from(error).kind == FaultKind::NoScript
                && connection
                    .reload(self.shared.response_timeout)
                    .await
                    .is_ok()
            {
                continue;
            }
            is_clean = answer
                .and_then(scripts::beaten)
                .map(|beaten| beaten.is_clean);
        }
    }
}
