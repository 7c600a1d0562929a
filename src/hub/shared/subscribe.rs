//! Reading a room without a socket: for bots, for a writer to a database, for a dashboard.
//!
//! A subscription is a place in the room's ring, as that of a socket that resumes. It holds no
//! messages, so one that is slow costs nothing, and is told when the ring has moved on.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::interest::WaitGuard;
use super::join::{HubError, Place};
use super::{Registry, RoomShared};
use crate::Message;
use crate::hub::position::Position;

/// What a [`Subscription`] receives.
#[derive(Clone, Debug, PartialEq, Eq)]
// Exhaustive on purpose: a message follows the one before, or something is missing.
pub enum Received {
    /// The message that follows the one before.
    Message {
        /// The position after the message.
        position: Position,
        /// The message as members get it: with its [stamp](crate::hub::Hub::stamp).
        message: Message,
    },
    /// Messages are missing, and the subscription goes on from here: the reader was too slow for
    /// the room, the position that it named is not kept any more, or the engine has lost messages.
    Missed {
        /// The position at which it goes on.
        now: Position,
    },
}

/// A reader of a room without a socket, from [`Room::subscribe`](crate::hub::Room::subscribe).
///
/// It gets every message of the room after its position, once, in order, or is told that some are
/// missing. While it lives, an engine follows the room. It holds no messages of its own: it reads
/// the room's [`History`](crate::hub::History), so that is how far it may fall behind.
pub struct Subscription {
    room: Arc<RoomShared>,
    hub: Arc<Registry>,
    at: Position,
    /// The engine follows the room.
    _waiting: WaitGuard,
}

impl Subscription {
    /// Returns the position after the last message that was received. A reader that keeps it can
    /// go on from there, after a restart or on another server.
    pub fn position(&self) -> Position {
        self.at
    }

    /// Waits for the next message.
    ///
    /// ```
    /// use hyper_ws::hub::{HubError, Received, Room};
    ///
    /// /// Answers `!time` in a room, until the engine cannot be reached.
    /// async fn bot(room: Room) -> Result<(), HubError> {
    ///     let mut subscription = room.subscribe(None).await?;
    ///     loop {
    ///         match subscription.recv().await? {
    ///             Received::Message { message, .. } if message.as_text() == Some("!time") => {
    ///                 room.send("it is late");
    ///             }
    ///             Received::Message { .. } => {}
    ///             // A bot that counts would load its counts anew here.
    ///             Received::Missed { .. } => {}
    ///         }
    ///     }
    /// }
    /// # let _ = bot;
    /// ```
    ///
    /// # Errors
    ///
    /// [`HubError::Unavailable`] if the subscription has fallen behind the room's memory, and the
    /// engine does not answer within five seconds. The subscription is unchanged, so you can call
    /// again. While no message is missing, the call waits for an engine that is away, and for ever for
    /// the engine of a hub that was closed.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future has no effect: no message is lost.
    pub async fn recv(&mut self) -> Result<Received, HubError> {
        let mut asked = None;
        loop {
            // Made before the look, so that no message comes between.
            let grown = self.room.order().answered.notified();
            let place = self.room.place(&self.hub, self.at, asked)?;
            match place {
                Place::Within(index) => {
                    if let Some((position, message)) = self.room.entry(index, self.at) {
                        self.at = position;
                        return Ok(Received::Message { position, message });
                    }
                }
                Place::End => grown.await,
                Place::Ask(want) => {
                    asked = Some(want);
                    self.room.ask(&self.hub, want).await?;
                }
                Place::Missed(now) => {
                    self.at = now;
                    return Ok(Received::Missed { now });
                }
            }
        }
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.room.order().listeners.fetch_sub(1, Ordering::Relaxed);
    }
}

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription")
            .field("room", &self.room.name)
            .field("position", &self.at)
            .finish_non_exhaustive()
    }
}

impl RoomShared {
    pub(in crate::hub) async fn subscribe(
        self: &Arc<Self>,
        hub: &Arc<Registry>,
        from: Option<Position>,
    ) -> Result<Subscription, HubError> {
        hub.needs_history()?;
        let waiting = self.wait(hub);
        self.expect(from);
        self.until_live(hub).await?;
        let at = match from {
            Some(position) => position,
            None => self.last()?,
        };
        self.order().listeners.fetch_add(1, Ordering::Relaxed);
        Ok(Subscription {
            room: self.clone(),
            hub: hub.clone(),
            at,
            _waiting: waiting,
        })
    }

    /// The message at a place of the ring, if the ring has not moved since.
    fn entry(&self, index: usize, at: Position) -> Option<(Position, Message)> {
        let state = self.lock();
        let ring = &state.log.as_deref()?.ring;
        if ring.find(at) != Some(index) {
            return None;
        }
        let entry = ring.from(index).next()?;
        Some((entry.position, entry.message.message().clone()))
    }
}
