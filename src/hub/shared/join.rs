//! Joining from a position: the socket gets what it has missed out of the ring, as fast as it
//! takes it, and becomes a member where the ring ends.
//!
//! The lock of the room decides. Under it, the ring ends, nothing is being delivered, and the
//! socket is added: nothing comes between the last message that was replayed and the first that
//! is delivered, and nothing comes twice.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use super::{Registry, RoomShared, lock};
use crate::hub::backplane::{EngineError, EngineState};
use crate::hub::follow::Want;
use crate::hub::log::Log;
use crate::hub::position::Position;
use crate::protocol::Prepared;
use crate::{Message, WebSocket};

/// How long a call waits for an engine.
const PATIENCE: Duration = Duration::from_secs(5);

/// The largest number of messages that are taken out of the ring at a time. Between two of these
/// batches, others may lock the room.
const BATCH: usize = 32;

/// How often a client is sent the last messages of a room, until it has kept its place for once.
const ROUNDS: usize = 3;

/// The outcome of [`Room::join_from`](crate::hub::Room::join_from).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
// Exhaustive on purpose: it is a member, or is not.
pub enum Joined {
    /// The socket has been sent everything since its position, in order, and is a member.
    Resumed {
        /// The number of messages that it had missed.
        replayed: usize,
        /// The position at which it became a member.
        position: Position,
    },
    /// Messages after the position are missing, or may be, or the client had no position. The
    /// socket is *not* a member. Send it the state of the room, then join from the position of that
    /// state.
    Missed {
        /// The position at the end of the room, taken before this was returned: read the state now, send
        /// it, and join from here.
        now: Position,
    },
}

/// The last messages of a room, from [`Room::history`](crate::hub::Room::history).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Recent {
    /// The messages as members got them, oldest first.
    pub messages: Vec<Message>,
    /// The position before the first of them. A client that resumes from it gets all of them.
    pub start: Position,
    /// The position after the last of them: a socket that has been sent the messages joins from
    /// here.
    pub position: Position,
}

/// Why a call about the log of a room failed.
///
/// The text may contain what the engine says, such as the address of a host: it is for logs, not for
/// clients.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HubError {
    /// The hub has no history, so its rooms have no log.
    NoHistory,
    /// The engine did not answer within five seconds.
    Unavailable(EngineError),
    /// The socket is closed or closing.
    Closed,
    /// The client reads more slowly than the room talks:
    /// [`Room::join_recent`](crate::hub::Room::join_recent) has sent it the last messages several
    /// times, and each time the client had lost its place before it had received them all.
    TooSlow,
}

impl fmt::Display for HubError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HubError::NoHistory => {
                f.write_str("the hub has no history (set one with `Hub::history`)")
            }
            HubError::Unavailable(reason) => write!(f, "the engine is unavailable: {reason}"),
            HubError::Closed => f.write_str("the WebSocket is closed"),
            HubError::TooSlow => f.write_str("the client reads more slowly than the room talks"),
        }
    }
}

impl std::error::Error for HubError {}

/// Where a position stands.
pub(super) enum Place {
    /// So many entries of the ring stand before it, and others behind it.
    Within(usize),
    /// At the end of the ring.
    End,
    /// Not in the ring: the log is to be asked.
    Ask(Want),
    /// Not in the log.
    Missed(Position),
}

/// What a joining socket does next.
enum Next {
    /// It is sent these messages.
    Send(Vec<(Position, Prepared)>),
    /// It is a member.
    Member,
    /// Its position is not in the ring: the log is asked.
    Ask(Want),
    /// Its position is not in the log.
    Missed(Position),
}

/// The last messages of a room, as they are sent: see [`Recent`].
struct Kept {
    messages: Vec<Prepared>,
    start: Position,
    position: Position,
}

/// Where a position stands in a log. `asked` tells what has been asked about it already.
fn find(hub: &Registry, log: &mut Log, at: Position, asked: Option<Want>) -> Place {
    if let Some(history) = hub.settings.history {
        super::count_memory(hub, log, |log| log.expire(history.max_age()));
    }
    match log.ring.find(at) {
        Some(index) if index < log.ring.len() => return Place::Within(index),
        Some(_) => return Place::End,
        None => {}
    }
    // A server that is a little behind another must not take its position for a foreign one: the
    // page has seen 20 there, and the ring ends at 15 here. So the room reads on, and it is the ring
    // that says where the position stands.
    let is_older = at.number() < log.ring.start().number();
    // It may read on to beyond the position: then the whole log is asked for as well.
    let want = if is_older { Want::All } else { Want::Newer };
    let is_known = (is_older && log.is_whole) || asked >= Some(want);
    if log.follower.is_none() || is_known {
        Place::Missed(log.ring.last())
    } else {
        Place::Ask(want)
    }
}

impl RoomShared {
    pub(in crate::hub) async fn join_from(
        self: &Arc<Self>,
        hub: &Arc<Registry>,
        socket: &WebSocket,
        position: Option<Position>,
    ) -> Result<Joined, HubError> {
        self.take_out(socket);
        hub.needs_history()?;
        let _waiting = self.wait(hub);
        self.expect(position);
        self.until_live(hub).await?;
        let Some(mut at) = position else {
            return Ok(Joined::Missed { now: self.last()? });
        };
        let sender = socket.sender();
        let mut replayed = 0;
        let mut asked: Option<(Position, Want)> = None;
        loop {
            // If it has not moved when it is lost again, the log does not have it.
            let asked_here = asked.filter(|(asked_at, _)| *asked_at == at);
            match self.next(hub, socket, at, asked_here.map(|(_, want)| want))? {
                Next::Send(messages) => {
                    for (position, message) in messages {
                        let sent = sender.send_prepared(&message).await;
                        sent.map_err(|_| HubError::Closed)?;
                        at = position;
                        replayed += 1;
                    }
                }
                Next::Member => {
                    // A connection that has begun to end does not accept observers.
                    if !socket.shared().observe(self.clone()) {
                        self.remove(socket.shared());
                        return Err(HubError::Closed);
                    }
                    return Ok(Joined::Resumed {
                        replayed,
                        position: at,
                    });
                }
                Next::Ask(want) => {
                    asked = Some((at, want));
                    self.ask(hub, want).await?;
                }
                Next::Missed(now) => return Ok(Joined::Missed { now }),
            }
        }
    }

    pub(in crate::hub) async fn join_recent(
        self: &Arc<Self>,
        hub: &Arc<Registry>,
        socket: &WebSocket,
        mut from: Option<Position>,
        last: usize,
        begin: impl Fn(Position) -> Message,
    ) -> Result<Position, HubError> {
        let sender = socket.sender();
        for _ in 0..ROUNDS {
            if let Joined::Resumed { position, .. } = self.join_from(hub, socket, from).await? {
                return Ok(position);
            }
            let Kept {
                messages,
                start,
                position,
            } = self.kept(hub, last).await?;
            let begin = Prepared::new(begin(start));
            // As in `join_from`: none is dropped, and none is compressed that must not be.
            for message in std::iter::once(begin).chain(messages) {
                let sent = sender.send_prepared(&message).await;
                sent.map_err(|_| HubError::Closed)?;
            }
            from = Some(position);
        }
        match self.join_from(hub, socket, from).await? {
            Joined::Resumed { position, .. } => Ok(position),
            Joined::Missed { .. } => Err(HubError::TooSlow),
        }
    }

    fn next(
        &self,
        hub: &Registry,
        socket: &WebSocket,
        at: Position,
        asked: Option<Want>,
    ) -> Result<Next, HubError> {
        let mut state = self.lock();
        let log = state.log.as_deref_mut().ok_or(HubError::NoHistory)?;
        match find(hub, log, at, asked) {
            Place::Within(index) => {
                let messages = log.ring.from(index).take(BATCH);
                let messages = messages.map(|entry| (entry.position, entry.message.clone()));
                return Ok(Next::Send(messages.collect()));
            }
            Place::End => {}
            Place::Ask(want) => return Ok(Next::Ask(want)),
            Place::Missed(now) => return Ok(Next::Missed(now)),
        }
        state.add(socket.shared());
        Ok(Next::Member)
    }

    /// Where a position stands. `asked` tells what has been asked about it already.
    pub(super) fn place(
        &self,
        hub: &Registry,
        at: Position,
        asked: Option<Want>,
    ) -> Result<Place, HubError> {
        let mut state = self.lock();
        let log = state.log.as_deref_mut().ok_or(HubError::NoHistory)?;
        Ok(find(hub, log, at, asked))
    }

    /// Says which position a client comes with, before the room has been read for the first time.
    pub(super) fn expect(&self, position: Option<Position>) {
        if let Some(position) = position
            && let Some(follower) = self.lock().follower()
        {
            follower.expect(position);
        }
    }

    pub(in crate::hub) async fn position(
        self: &Arc<Self>,
        hub: &Arc<Registry>,
    ) -> Result<Position, HubError> {
        hub.needs_history()?;
        let _waiting = self.wait(hub);
        self.until_live(hub).await?;
        self.last()
    }

    pub(in crate::hub) async fn recent(
        self: &Arc<Self>,
        hub: &Arc<Registry>,
        last: usize,
    ) -> Result<Recent, HubError> {
        let kept = self.kept(hub, last).await?;
        let messages = kept.messages.iter();
        Ok(Recent {
            messages: messages.map(|it| it.message().clone()).collect(),
            start: kept.start,
            position: kept.position,
        })
    }

    /// The last messages of the room, at most so many.
    async fn kept(self: &Arc<Self>, hub: &Arc<Registry>, last: usize) -> Result<Kept, HubError> {
        hub.needs_history()?;
        let _waiting = self.wait(hub);
        self.until_live(hub).await?;
        let is_enough = self.change_log(hub, |log| {
            if let Some(history) = hub.settings.history {
                log.expire(history.max_age());
            }
            log.follower.is_none() || log.is_whole || log.ring.len() >= last
        });
        if is_enough == Some(false) {
            self.ask(hub, Want::All).await?;
        }
        let state = self.lock();
        let log = state.log.as_deref().ok_or(HubError::NoHistory)?;
        let first = log.ring.len().saturating_sub(last);
        let messages = log.ring.from(first);
        let before = first.checked_sub(1);
        let before = before.and_then(|before| log.ring.from(before).next());
        Ok(Kept {
            messages: messages.map(|entry| entry.message.clone()).collect(),
            start: before.map_or(log.ring.start(), |entry| entry.position),
            position: log.ring.last(),
        })
    }

    pub(super) fn last(&self) -> Result<Position, HubError> {
        let state = self.lock();
        let log = state.log.as_deref().ok_or(HubError::NoHistory)?;
        Ok(log.ring.last())
    }

    /// Waits until the room is known to be up to date.
    pub(super) async fn until_live(&self, hub: &Registry) -> Result<(), HubError> {
        self.until(hub, 0).await
    }

    /// Has the log read, and waits for the answer.
    pub(super) async fn ask(
        self: &Arc<Self>,
        hub: &Arc<Registry>,
        want: Want,
    ) -> Result<(), HubError> {
        let mut read = 0;
        self.follow_event(hub, |state, steps| {
            if let Some(follower) = state.follower() {
                read = follower.want(want, steps);
            }
        });
        self.until(hub, read).await
    }

    /// Waits until a read has been answered, and the room is up to date.
    async fn until(&self, hub: &Registry, read: u64) -> Result<(), HubError> {
        let answered = timeout(PATIENCE, async {
            loop {
                // Made before the look, so that no answer comes between.
                let answered = self.order().answered.notified();
                if self.lock().follower().is_none() {
                    return;
                }
                let is_done = {
                    // Not between an answer and what it asks for: the ring would lack what the
                    // follower has accepted.
                    let _turn = lock(&self.order().turn);
                    match self.lock().follower() {
                        None => true,
                        Some(follower) => follower.is_live() && follower.has_answered(read),
                    }
                };
                if is_done {
                    return;
                }
                answered.await;
            }
        });
        answered
            .await
            .map_err(|_| HubError::Unavailable(hub.why_unavailable()))
    }

    /// Ends the membership of a socket.
    pub(in crate::hub) fn take_out(self: &Arc<Self>, socket: &WebSocket) {
        let socket = socket.shared();
        let observer: Arc<dyn crate::socket::shared::Observer> = self.clone();
        socket.stop_observing(&observer);
        self.remove(socket);
    }
}

impl Registry {
    pub(super) fn needs_history(&self) -> Result<(), HubError> {
        match self.settings.history {
            Some(_) => Ok(()),
            None => Err(HubError::NoHistory),
        }
    }

    /// Why the engine did not answer, as far as it is known.
    pub(in crate::hub) fn why_unavailable(&self) -> EngineError {
        match &*self.engine_state.borrow() {
            EngineState::Down { reason, .. } => reason.clone(),
            EngineState::Up => EngineError::new("no answer within five seconds"),
        }
    }
}
