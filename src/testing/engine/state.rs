//! The state of an engine and of all links to it, behind one lock. What is done here is
//! done at once; what arrives at a server waits in its link, for its task.

use std::collections::{HashSet, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::store::{Attempts, Store};
use crate::hub::backplane::{
    Arrival, EngineError, Enter, Entry, Past, Publish, Published, Read, ReadPeople, Relay,
    RosterChange, Stopped,
};
use crate::hub::{EngineState, EnterError};

/// How long a request waits for a link that is cut.
const PATIENCE: Duration = Duration::from_secs(10);

/// How often a server renews its lease and looks at those of the others.
const BEAT: Duration = Duration::from_secs(5);

/// How long a lease lasts.
const LEASE: Duration = Duration::from_secs(15);

/// What the handles of an engine share.
#[derive(Debug)]
pub(super) struct Shared(Mutex<State>);

impl Shared {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Shared(Mutex::new(State {
            sides: vec![Store::default()],
            links: vec![],
            is_down: false,
            random: RandomState::new(),
            tags: 0,
        })))
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug)]
pub(super) struct State {
    /// One, or two while the engine is forked.
    pub(super) sides: Vec<Store>,
    pub(super) links: Vec<LinkState>,
    pub(super) is_down: bool,
    random: RandomState,
    tags: u64,
}

/// A server's link to the engine.
#[derive(Debug)]
pub(super) struct LinkState {
    pub(super) side: usize,
    pub(super) is_started: bool,
    pub(super) is_cut: bool,
    pub(super) is_deaf: bool,
    pub(super) delay: Duration,
    /// How many of the next messages are lost, and how many come twice.
    pub(super) lose: usize,
    pub(super) repeat: usize,
    /// The rooms that the server follows.
    pub(super) rooms: HashSet<Arc<str>>,
    pub(super) stopping: Option<Stopped>,
    is_gone: bool,
    /// What the server has asked for, and until when it is worth doing.
    requests: VecDeque<(Instant, Request)>,
    /// What is on its way to the server, and when it arrives.
    passed: VecDeque<(Instant, Passed)>,
    publishes: u64,
    lease_until: Instant,
    /// The lease was over, and the entries were removed.
    has_lost_lease: bool,
    next_beat: Instant,
    /// Wakes the task.
    pub(super) wake: Arc<Notify>,
}

/// What a server asks for.
#[derive(Debug)]
pub(super) enum Request {
    Publish(Publish, Attempts),
    Relay(Relay),
    Read(Read),
    Enter(Enter),
    Leave(Arc<str>, Box<str>, u64),
    People(ReadPeople),
}

/// What is on its way to a server. Answers carry the request, which is made again if the link is
/// cut.
#[derive(Debug)]
pub(super) enum Passed {
    State(EngineState),
    Interrupted,
    Following(Arc<str>),
    Arrived(Arc<str>, Arrival),
    Relayed(Arc<str>, Bytes),
    Presence(Arc<str>, RosterChange),
    LeaseLost,
    HasEntries(Arc<str>),
    Published(Publish, Attempts, Option<Published>),
    Past(Read, Past),
    Entered(Enter, Result<(), EnterError>),
    People(ReadPeople, Vec<Entry>),
}

/// What a server asked for, and has not received an answer to.
pub(super) type Unanswered = (VecDeque<(Instant, Request)>, VecDeque<(Instant, Passed)>);

/// What the task of a link does next.
pub(super) enum Next {
    Receive(Passed),
    Refuse(Request),
    Wait(Instant, Arc<Notify>),
    Stop(Stopped),
}

impl State {
    fn tag(&mut self) -> u64 {
        self.tags += 1;
        self.random.hash_one(self.tags)
    }

    pub(super) fn add_link(&mut self) -> usize {
        let now = Instant::now();
        self.links.push(LinkState {
            side: 0,
            is_started: false,
            is_cut: false,
            is_deaf: false,
            delay: Duration::ZERO,
            lose: 0,
            repeat: 0,
            rooms: HashSet::new(),
            stopping: None,
            is_gone: false,
            requests: VecDeque::new(),
            passed: VecDeque::new(),
            publishes: 0,
            lease_until: now + LEASE,
            has_lost_lease: false,
            next_beat: now + BEAT,
            wake: Arc::default(),
        });
        self.links.len() - 1
    }

    pub(super) fn is_connected(&self, link: usize) -> bool {
        !self.is_down && !self.links[link].is_cut
    }

    // ---- What a server asks for.

    /// Notes a request. It is handed back if the server has stopped.
    pub(super) fn request(&mut self, link: usize, request: Request) -> Option<Request> {
        let link = &mut self.links[link];
        if link.is_gone {
            return Some(request);
        }
        let until = Instant::now() + PATIENCE;
        link.requests.push_back((until, request));
        link.wake.notify_one();
        None
    }

    pub(super) fn publish(&mut self, link: usize, publish: Publish) -> Option<Request> {
        self.links[link].publishes += 1;
        let attempts = Attempts {
            server: link as u64,
            publish: self.links[link].publishes,
            tags: vec![],
        };
        self.request(link, Request::Publish(publish, attempts))
    }

    pub(super) fn follow(&mut self, link: usize, room: &Arc<str>) {
        if self.links[link].rooms.insert(room.clone()) && self.is_connected(link) {
            self.pass(link, Passed::Following(room.clone()));
        }
    }

    /// What the task of a link does next.
    pub(super) fn next(&mut self, link: usize) -> Next {
        let now = Instant::now();
        if self.links[link].next_beat <= now {
            self.beat(link, now);
        }
        loop {
            let is_connected = self.is_connected(link);
            let state = &mut self.links[link];
            if let Some((_, passed)) = pop_if(&mut state.passed, |due| due <= now) {
                return Next::Receive(passed);
            }
            let is_over = state.stopping.is_some();
            let due = |until| is_connected || is_over || until <= now;
            match pop_if(&mut state.requests, due) {
                Some((_, request)) if is_connected => self.carry_out(link, request),
                Some((_, request)) => return Next::Refuse(request),
                None => break,
            }
        }
        let state = &mut self.links[link];
        if state.passed.is_empty()
            && let Some(stopped) = state.stopping.take()
        {
            self.remove_people(link);
            // There is nothing left.
            let _ = self.gone(link);
            return Next::Stop(stopped);
        }
        let dues = state.passed.front().map(|(due, _)| *due);
        let refusals = state.requests.front().map(|(until, _)| *until);
        let times = [Some(state.next_beat), dues, refusals];
        let until = times.into_iter().flatten().min().unwrap_or(now + BEAT);
        Next::Wait(until, state.wake.clone())
    }

    fn carry_out(&mut self, link: usize, request: Request) {
        let (root, tag) = (self.tag(), self.tag());
        let side = self.links[link].side;
        let store = &mut self.sides[side];
        let server = link as u64;
        match request {
            Request::Publish(publish, mut attempts) => {
                attempts.tags.push(tag);
                let (arrival, position) = store.publish(&publish, &attempts, root);
                if let Some(arrival) = arrival {
                    let room = publish.room();
                    self.pass_on(side, room, |room| Passed::Arrived(room, arrival.clone()));
                }
                self.pass(link, Passed::Published(publish, attempts, position));
            }
            Request::Relay(relay) => {
                for other in (0..self.links.len()).filter(|other| *other != link) {
                    let is_there =
                        self.links[other].side == side && self.is_following(other, relay.room());
                    if is_there {
                        let room = relay.room().clone();
                        self.pass(other, Passed::Relayed(room, relay.envelope().clone()));
                    }
                }
            }
            Request::Read(read) => {
                let past = store.read(read.room(), read.from(), root);
                // Behind the messages that it contains.
                self.pass(link, Passed::Past(read, past));
            }
            Request::Enter(enter) => {
                let entry = Entry {
                    key: enter.key().into(),
                    info: enter.info().clone(),
                    seat: None,
                };
                let entered = store.enter(&enter, server, root);
                if entered == Some(true) {
                    self.pass_presence(side, enter.room(), |other| {
                        let seat = (other == link).then_some(enter.seat());
                        RosterChange::Entered(Entry {
                            seat,
                            ..entry.clone()
                        })
                    });
                }
                let outcome = entered.map(drop).ok_or(EnterError::Taken);
                self.pass(link, Passed::Entered(enter, outcome));
            }
            Request::Leave(room, key, seat) => {
                if store.leave(&room, &key, (server, seat)) {
                    self.pass_presence(side, &room, |_| RosterChange::Left(key.clone()));
                }
            }
            Request::People(request) => {
                let people = store.people(request.room(), server);
                self.pass(link, Passed::People(request, people));
            }
        }
    }

    // ---- What a server receives.

    fn is_following(&self, link: usize, room: &str) -> bool {
        let state = &self.links[link];
        self.is_connected(link) && !state.is_deaf && state.rooms.contains(room)
    }

    fn pass(&mut self, link: usize, passed: Passed) {
        let link = &mut self.links[link];
        if link.is_gone {
            return;
        }
        // Nothing overtakes what was passed before.
        let due = Instant::now() + link.delay;
        let due = link.passed.back().map_or(due, |(last, _)| due.max(*last));
        link.passed.push_back((due, passed));
        link.wake.notify_one();
    }

    /// Passes something on to all servers of a side that follow a room.
    fn pass_on(&mut self, side: usize, room: &Arc<str>, passed: impl Fn(Arc<str>) -> Passed) {
        for link in 0..self.links.len() {
            if self.links[link].side != side || !self.is_following(link, room) {
                continue;
            }
            let state = &mut self.links[link];
            if state.lose > 0 {
                state.lose -= 1;
                continue;
            }
            let times = if state.repeat > 0 { 2 } else { 1 };
            state.repeat = state.repeat.saturating_sub(1);
            for _ in 0..times {
                self.pass(link, passed(room.clone()));
            }
        }
    }

    fn pass_presence(
        &mut self,
        side: usize,
        room: &Arc<str>,
        change: impl Fn(usize) -> RosterChange,
    ) {
        for link in 0..self.links.len() {
            if self.links[link].side == side && self.is_following(link, room) {
                self.pass(link, Passed::Presence(room.clone(), change(link)));
            }
        }
    }

    // ---- Connections.

    /// The link is cut: what was on its way is lost, and what was not answered is asked again once
    /// it is restored.
    pub(super) fn disconnect(&mut self, link: usize, reason: &'static str) {
        self.break_off(link);
        let down = EngineState::Down {
            since: std::time::Instant::now(),
            reason: EngineError::new(reason),
        };
        self.pass(link, Passed::State(down));
    }

    /// The link is whole again.
    pub(super) fn connect(&mut self, link: usize) {
        if !self.is_connected(link) {
            return;
        }
        let state = &mut self.links[link];
        state.is_deaf = false;
        if state.has_lost_lease {
            state.next_beat = Instant::now();
        }
        self.pass(link, Passed::State(EngineState::Up));
        let rooms: Vec<Arc<str>> = self.links[link].rooms.iter().cloned().collect();
        for room in rooms {
            self.pass(link, Passed::Following(room));
        }
        let side = self.links[link].side;
        for room in self.sides[side].rooms_of(link as u64) {
            self.pass(link, Passed::HasEntries(room));
        }
        self.links[link].wake.notify_one();
    }

    /// The link is cut and restored at once.
    pub(super) fn reconnect(&mut self, link: usize) {
        if self.is_connected(link) {
            self.break_off(link);
            self.connect(link);
        }
    }

    fn break_off(&mut self, link: usize) {
        let until = Instant::now() + PATIENCE;
        let state = &mut self.links[link];
        for (_, passed) in state.passed.drain(..).rev() {
            let request = match passed {
                Passed::Published(publish, attempts, _) => Request::Publish(publish, attempts),
                Passed::Past(read, _) => Request::Read(read),
                Passed::Entered(enter, _) => Request::Enter(enter),
                Passed::People(people, _) => Request::People(people),
                Passed::LeaseLost => {
                    state.has_lost_lease = true;
                    continue;
                }
                _ => continue,
            };
            state.requests.push_front((until, request));
        }
        self.pass(link, Passed::Interrupted);
    }

    /// The server has stopped, or its hub is gone. What is returned is to be dropped without the
    /// lock: requests tell that they are.
    pub(super) fn gone(&mut self, link: usize) -> Unanswered {
        let link = &mut self.links[link];
        link.is_gone = true;
        link.rooms.clear();
        (mem::take(&mut link.requests), mem::take(&mut link.passed))
    }

    // ---- Leases.

    fn beat(&mut self, link: usize, now: Instant) {
        self.links[link].next_beat = now + BEAT;
        if !self.is_connected(link) {
            return;
        }
        for other in 0..self.links.len() {
            let state = &self.links[other];
            if other != link && !state.has_lost_lease && state.lease_until < now {
                self.remove_people(other);
            }
        }
        let state = &mut self.links[link];
        state.lease_until = now + LEASE;
        if mem::take(&mut state.has_lost_lease) {
            self.pass(link, Passed::LeaseLost);
        }
    }

    /// The engine was away, so no server could renew its lease.
    pub(super) fn renew_leases(&mut self) {
        let until = Instant::now() + LEASE;
        for link in &mut self.links {
            link.lease_until = link.lease_until.max(until);
        }
    }

    /// The lease of a server is over.
    pub(super) fn expire_lease(&mut self, link: usize) {
        self.remove_people(link);
        let state = &mut self.links[link];
        state.next_beat = Instant::now();
        state.wake.notify_one();
    }

    fn remove_people(&mut self, link: usize) {
        self.links[link].has_lost_lease = true;
        for side in 0..self.sides.len() {
            for (room, key) in self.sides[side].remove_server(link as u64) {
                self.pass_presence(side, &room, |_| RosterChange::Left(key.clone()));
            }
        }
    }
}

/// Takes the first entry, if its time says so.
fn pop_if<T>(
    queue: &mut VecDeque<(Instant, T)>,
    is_due: impl FnOnce(Instant) -> bool,
) -> Option<(Instant, T)> {
    queue
        .front()
        .is_some_and(|(time, _)| is_due(*time))
        .then(|| queue.pop_front())?
}
