//! A room with a log: the one order of its messages, and what an engine says of it.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::{Deferred, MemberId, Registry, RoomShared, Sent, State, count_memory, lock};
use crate::config::Overflow;
use crate::hub::backplane::{Arrival, EngineError, Past, Published, Read, ReadFrom};
use crate::hub::counters::Counts;
use crate::hub::envelope;
use crate::hub::follow::{Step, Want};
use crate::hub::history::Gap;
use crate::hub::position::Position;
use crate::hub::ring::Entry;
use crate::hub::user_code;
use crate::protocol::Prepared;
use crate::socket::shared::Shared;
use crate::{CloseCode, error::CloseCause};

/// The time over which the members of a broken room are closed.
const SPREAD: Duration = Duration::from_secs(5);

/// The pause before a read that failed is tried again: at first, and at most.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

thread_local! {
    /// What a follower says is to be done. A list in each room would take 288 bytes of each.
    static STEPS: Cell<Vec<Step>> = const { Cell::new(vec![]) };
}

/// The largest list of steps that a thread keeps.
const MAX_STEPS: usize = 64;

impl RoomShared {
    /// Appends a message to the log of this process, and hands it to the members. The position is
    /// `None` if a closure of the user calls this: the message follows when that has returned.
    pub(in crate::hub) fn append(
        self: &Arc<Self>,
        hub: &Arc<Registry>,
        message: Prepared,
        except: Option<MemberId>,
        once: Option<&str>,
    ) -> (Option<Published>, Sent) {
        let order = self.order();
        if user_code::is_running() {
            lock(&order.deferred).push(Deferred {
                message,
                except,
                once: once.map(Into::into),
            });
            self.append_deferred(hub);
            let sent = Sent {
                passed_on: true,
                ..Sent::default()
            };
            return (None, sent);
        }
        let turn = lock(&order.turn);
        // Some may be of this task, and came before.
        self.append_deferred_in_turn(hub);
        let appended = self.append_in_turn(hub, message, except, once);
        drop(turn);
        self.append_deferred(hub);
        appended
    }

    /// Appends what closures of the user have sent. If another task holds the turn, that task
    /// does it.
    pub(in crate::hub) fn append_deferred(self: &Arc<Self>, hub: &Arc<Registry>) {
        let order = self.order();
        while !lock(&order.deferred).is_empty() {
            let Some(_turn) = self.try_turn() else {
                return;
            };
            self.append_deferred_in_turn(hub);
        }
    }

    fn append_deferred_in_turn(self: &Arc<Self>, hub: &Arc<Registry>) {
        loop {
            // Not in the head of a loop, which would hold the lock to its end: a closure that is
            // called for these messages may send more.
            let deferred = std::mem::take(&mut *lock(&self.order().deferred));
            if deferred.is_empty() {
                return;
            }
            for Deferred {
                message,
                except,
                once,
            } in deferred
            {
                self.append_in_turn(hub, message, except, once.as_deref());
            }
        }
    }

    fn append_in_turn(
        self: &Arc<Self>,
        hub: &Arc<Registry>,
        message: Prepared,
        except: Option<MemberId>,
        once: Option<&str>,
    ) -> (Option<Published>, Sent) {
        let mut state = self.lock();
        let Some(log) = state.log.as_deref_mut() else {
            return (None, Sent::default());
        };
        if let Some(known) = once.and_then(|key| log.find_once(key)) {
            return (Some(Published::repeated(known)), Sent::default());
        }
        let position = Position::new(log.ring.last().number() + 1, hub.tags.next());
        if let Some(key) = once {
            log.remember_once(key, position);
        }
        drop(state);
        let sent = self.deliver(hub, position, message, except);
        (Some(Published::appended(position)), sent)
    }

    /// Puts the next message into the ring, and hands it to the members. To be called by who has
    /// the turn.
    fn deliver(
        self: &Arc<Self>,
        hub: &Arc<Registry>,
        position: Position,
        message: Prepared,
        except: Option<MemberId>,
    ) -> Sent {
        let bytes = message.message().len();
        let message = self.stamp(hub, position, message);
        let mut state = self.lock();
        // No member loses a message and stays.
        let sent = self.hand_out(hub, &mut state, &message, except, Overflow::Close);
        if let Some(log) = state.log.as_deref_mut() {
            count_memory(hub, log, |log| log.push(position, message, bytes));
        }
        let is_alone = !state.is_wanted();
        drop(state);
        self.tell_listeners();
        if is_alone {
            self.left(hub);
        }
        hub.bound_memory();
        sent
    }

    /// Wakes those that read the room.
    fn tell_listeners(&self) {
        // Whoever reads has counted itself before it looked at the ring, under the lock under which
        // the ring has grown.
        let order = self.order();
        if order.listeners.load(Ordering::Relaxed) > 0 {
            order.answered.notify_waiters();
        }
    }

    /// The message as the user's closure wants it to be sent.
    fn stamp(&self, hub: &Registry, position: Position, message: Prepared) -> Prepared {
        let Some(stamp) = &hub.settings.stamp else {
            return message;
        };
        let stamped = user_code::call("stamp", || {
            stamp(&self.name, position, message.message().clone())
        });
        match stamped {
            #[cfg(feature = "deflate")]
            Some(stamped) if message.is_as_is() => Prepared::uncompressed(stamped),
            Some(stamped) => Prepared::new(stamped),
            // It is sent without a position, and so perhaps once more to a client that comes
            // back. That is better than to leave it out.
            None => message,
        }
    }

    /// Something has happened that concerns the order of the room: lets the follower say what is
    /// to be done, and does it.
    pub(in crate::hub) fn follow_event(
        self: &Arc<Self>,
        hub: &Arc<Registry>,
        event: impl FnOnce(&mut State, &mut Vec<Step>),
    ) {
        let _turn = lock(&self.order().turn);
        let mut steps = STEPS.take();
        event(&mut self.lock(), &mut steps);
        for step in steps.drain(..) {
            self.carry_out(hub, step);
        }
        if steps.capacity() <= MAX_STEPS {
            STEPS.set(steps);
        }
    }

    pub(in crate::hub) fn arrived(self: &Arc<Self>, hub: &Arc<Registry>, arrival: Arrival) {
        self.follow_event(hub, |state, steps| {
            if let Some(log) = state.log.as_deref_mut()
                && let Some(follower) = &mut log.follower
            {
                follower.arrived(arrival, |known| log.ring.find(known).is_some(), steps);
            }
        });
    }

    /// The answer to a read.
    fn answered(
        self: &Arc<Self>,
        hub: &Arc<Registry>,
        number: u64,
        from: ReadFrom,
        answer: Result<Past, EngineError>,
    ) {
        #[cfg(feature = "tracing")]
        if let Err(error) = &answer {
            tracing::debug!(room = &*self.name, %error, "a room could not be read");
        }
        self.follow_event(hub, |state, steps| {
            let Some(log) = state.log.as_deref_mut() else {
                return;
            };
            let Some(follower) = &mut log.follower else {
                return;
            };
            let was_live = follower.is_live();
            follower.answered(
                number,
                answer,
                |known| log.ring.find(known).is_some(),
                steps,
            );
            let found = |step: &Step| matches!(step, Step::Deliver(_));
            if !was_live
                && steps
                    .first()
                    .is_some_and(|step| !matches!(step, Step::Begin(_)))
                && steps.iter().any(found)
            {
                Counts::add(&hub.counts.gaps_repaired);
            }
            if from == ReadFrom::Start && steps.contains(&Step::Answered) {
                log.is_whole = true;
            }
        });
    }

    fn carry_out(self: &Arc<Self>, hub: &Arc<Registry>, step: Step) {
        match step {
            Step::Begin(at) => {
                self.change_log(hub, |log| log.ring.reset(at));
            }
            Step::Older(messages) => self.take_older(hub, messages),
            Step::Deliver(arrival) => self.take(hub, arrival),
            Step::Broken(at) => self.broken(hub, at),
            Step::Read(number, from) => self.read(hub, number, from),
            Step::Retry(failures) => self.retry_later(hub, failures),
            Step::Answered => self.order().answered.notify_waiters(),
        }
    }

    /// Hands on the next message of the log.
    fn take(self: &Arc<Self>, hub: &Arc<Registry>, arrival: Arrival) {
        match envelope::open(arrival.envelope) {
            Ok(opened) => {
                let except = opened.except.filter(|origin| origin.server == hub.id);
                let except = except.and_then(|origin| self.excepted(origin.socket));
                self.deliver(hub, arrival.position, opened.message, except);
            }
            Err(unreadable) => {
                hub.cannot_read(&self.name, unreadable);
                self.broken(hub, arrival.position);
            }
        }
    }

    /// Puts older messages before the ring.
    fn take_older(self: &Arc<Self>, hub: &Arc<Registry>, mut messages: Vec<Arrival>) {
        let start = match &self.lock().log {
            Some(log) => log.ring.start(),
            None => return,
        };
        let older = messages.iter().rposition(|older| older.position == start);
        messages.truncate(older.map_or(0, |last| last + 1));
        let Some(mut before) = messages.first().map(|first| first.previous) else {
            return;
        };
        let mut entries = Vec::with_capacity(messages.len());
        for arrival in messages {
            let bytes = arrival.envelope.len();
            match envelope::open(arrival.envelope) {
                Ok(opened) => entries.push(Entry {
                    position: arrival.position,
                    message: self.stamp(hub, arrival.position, opened.message),
                    bytes,
                }),
                // Who wants what is before it has missed it.
                Err(_) => {
                    entries.clear();
                    before = arrival.position;
                }
            }
        }
        self.change_log(hub, |log| log.prepend(before, entries));
        hub.bound_memory();
    }

    /// Messages are missing for good. No member gets what comes after the hole before it has been
    /// told: otherwise its position would move past it.
    fn broken(self: &Arc<Self>, hub: &Arc<Registry>, at: Position) {
        Counts::add(&hub.counts.gaps_lost);
        let told = match &hub.settings.gap {
            Gap::Close => None,
            Gap::Tell(tell) => user_code::call("gap", || tell(&self.name, at)),
        };
        let mut state = self.lock();
        if let Some(log) = state.log.as_deref_mut() {
            count_memory(hub, log, |log| {
                log.ring.reset(at);
                log.is_whole = false;
            });
        }
        #[cfg(feature = "tracing")]
        tracing::warn!(
            room = &*self.name,
            members = state.len(),
            %at,
            "the engine has lost messages of a room"
        );
        match told {
            Some(message) => {
                let message = Prepared::new(message);
                self.hand_out(hub, &mut state, &message, None, Overflow::Close);
                drop(state);
            }
            None => {
                let members = state.take_all();
                drop(state);
                self.close_all(hub, members);
            }
        }
        // A subscription that waits at the end learns at once that it has missed something.
        self.tell_listeners();
    }

    /// Closes sockets that have been taken out of the room, not all at once: their clients come
    /// back.
    fn close_all(self: &Arc<Self>, hub: &Arc<Registry>, members: Vec<Arc<Shared>>) {
        let Some((_, keeper)) = hub.engine() else {
            return;
        };
        let observer: Arc<dyn crate::socket::shared::Observer> = self.clone();
        let count = u32::try_from(members.len()).unwrap_or(u32::MAX);
        for (number, socket) in (0_u32..).zip(members) {
            socket.stop_observing(&observer);
            keeper.after(SPREAD / count * number, move || {
                let code = CloseCode::SERVICE_RESTART;
                socket.close(CloseCause::Local(code), code, "messages were lost");
            });
        }
        self.left(hub);
    }

    fn read(self: &Arc<Self>, hub: &Arc<Registry>, number: u64, from: ReadFrom) {
        let Some((engine, _)) = hub.engine() else {
            return;
        };
        Counts::add(&hub.counts.reads);
        let reply = self.reply_in_keeper(hub, Duration::ZERO, move |room, hub, answer| {
            room.answered(hub, number, from, answer);
        });
        engine.read(Read {
            room: self.name.clone(),
            from,
            reply,
        });
    }

    fn retry_later(self: &Arc<Self>, hub: &Arc<Registry>, failures: u32) {
        let Some((_, keeper)) = hub.engine() else {
            return;
        };
        let longest = FIRST_PAUSE * 2_u32.pow(failures.min(8));
        let longest = longest.min(LONGEST_PAUSE);
        // Between half of it and all: rooms that failed together do not come back together.
        let pause = longest / 2 + longest.mul_f64((hub.tags.next() % 1024) as f64 / 2048.0);
        let (room, weak) = (Arc::downgrade(self), Arc::downgrade(hub));
        keeper.after(pause, move || {
            if let (Some(room), Some(hub)) = (room.upgrade(), weak.upgrade()) {
                room.follow_event(&hub, |state, steps| {
                    if let Some(follower) = state.follower() {
                        follower.retry(steps);
                    }
                });
            }
        });
    }

    /// Compares the room with the engine, although nothing seems to be missing.
    pub(in crate::hub) fn look(self: &Arc<Self>, hub: &Arc<Registry>) {
        self.follow_event(hub, |state, steps| {
            if let Some(follower) = state.follower()
                && follower.is_live()
            {
                follower.want(Want::Newer, steps);
            }
        });
        self.read_people(hub);
    }

    /// The socket that does not get the message with this number.
    fn excepted(&self, number: u64) -> Option<MemberId> {
        let mut state = self.lock();
        let socket = state.log.as_deref_mut()?.take_excepted(number)?;
        // While it is known by a `Weak`, no other socket has its address.
        socket.upgrade().map(|socket| MemberId::of(&socket))
    }
}

impl State {
    pub(in crate::hub) fn follower(&mut self) -> Option<&mut crate::hub::follow::Follower> {
        self.log.as_mut()?.follower.as_mut()
    }
}

impl Registry {
    /// Makes rooms forget if all histories together are too large.
    fn bound_memory(&self) {
        if let Some(history) = &self.settings.history {
            let limit = history.max_total_bytes();
            if self.counts.read().history_bytes > limit {
                self.forget_oldest(limit);
            }
        }
    }
}
