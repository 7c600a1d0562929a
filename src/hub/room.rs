//! The public handle on one room: its members, and sending to them.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use super::backplane::{EnterError, PublishError, Published};
use super::people::Person;
use super::position::Position;
use super::shared::join::{HubError, Joined, Recent};
use super::shared::presence::{IfTaken, Seat};
use super::shared::subscribe::Subscription;
use super::shared::{MemberId, Registry, RoomShared, Sent};
use crate::config::Overflow;
use crate::error::CloseCause;
use crate::protocol::Prepared;
use crate::socket::SocketId;
use crate::socket::shared::Shared;
use crate::{CloseCode, Message, WebSocket};

/// A handle to a room, from [`Hub::room`](super::Hub::room). Clones are handles to the
/// same room.
#[derive(Clone)]
pub struct Room {
    room: Arc<RoomShared>,
    hub: Arc<Registry>,
    overflow: Overflow,
}

impl Room {
    pub(super) fn new(room: Arc<RoomShared>, hub: Arc<Registry>, overflow: Overflow) -> Self {
        Room {
            room,
            hub,
            overflow,
        }
    }

    /// Returns the name of the room.
    pub fn name(&self) -> &str {
        &self.room.name
    }

    /// Makes a socket a member: it gets every message that is sent to the room from now
    /// on. With an engine, the first member on a server gets messages only from a round trip later,
    /// when the engine has begun to pass them on. To miss nothing, use
    /// [`join_from`](Self::join_from).
    ///
    /// Membership ends with the connection, or with [`leave`](Self::leave). Joining
    /// again has no effect.
    pub fn join(&self, socket: &WebSocket) {
        let socket = socket.shared();
        let mut state = self.room.lock();
        let is_new = state.add(socket);
        drop(state);
        // A connection that has begun to end does not accept observers, and would
        // never be taken out.
        if is_new && !socket.observe(self.room.clone()) {
            self.room.remove(socket);
        }
        self.room.wanted(&self.hub);
    }

    /// Sends a socket what it has missed since a position, and makes it a member: it gets every
    /// message of the room after that position, once, in order.
    ///
    /// It returns [`Joined::Missed`] if some of these messages are no longer kept, if the engine
    /// has lost some, or if there is no position. The socket is then not a member. So handle a
    /// first visit and a failed resume in the same way: send the state, then join from its
    /// position.
    ///
    /// [`join_recent`](Self::join_recent) does this with the last messages as the state. With
    /// another kind of state, such as a document from a database:
    ///
    /// ```
    /// use hyper_ws::WebSocket;
    /// use hyper_ws::error::BoxError;
    /// use hyper_ws::hub::{Joined, Position, Room};
    ///
    /// # async fn document() -> Result<String, BoxError> { Ok(String::new()) }
    /// async fn enter(
    ///     socket: &mut WebSocket,
    ///     room: &Room,
    ///     mut from: Option<Position>,
    /// ) -> Result<(), BoxError> {
    ///     // A client that reads too slowly may lose its place again.
    ///     for _ in 0..4 {
    ///         match room.join_from(socket, from).await? {
    ///             Joined::Resumed { .. } => return Ok(()),
    ///             Joined::Missed { now } => {
    ///                 socket.send(document().await?).await?;
    ///                 from = Some(now);
    ///             }
    ///         }
    ///     }
    ///     Err("the client reads too slowly".into())
    /// }
    /// ```
    ///
    /// The messages are taken out of the room's memory as fast as the socket takes them, whatever
    /// its [`Config::overflow`](crate::Config::overflow) says; the call waits for a slow peer, as
    /// `send` does. A socket that is a member already is taken out first.
    ///
    /// # Errors
    ///
    /// - [`HubError::NoHistory`] if the hub has none.
    /// - [`HubError::Unavailable`] if the engine does not answer within five seconds.
    /// - [`HubError::Closed`] if the connection has ended or is closing. A handler may return this
    ///   error: it is not logged, and does not count as a failure.
    ///
    /// A handler that uses `?` on these returns `Result<(), BoxError>`, with
    /// [`BoxError`](crate::error::BoxError): they do not convert into [`Error`](crate::Error).
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped before it is ready, the socket is not a member. Some messages may
    /// have been sent, and the client knows its position by the last of them.
    pub async fn join_from(
        &self,
        socket: &WebSocket,
        position: Option<Position>,
    ) -> Result<Joined, HubError> {
        self.room.join_from(&self.hub, socket, position).await
    }

    /// Sends a socket what it has missed since a position, or else the last messages of the room,
    /// and makes it a member. It is [`join_from`](Self::join_from) for clients whose state is the
    /// messages themselves.
    ///
    /// If the client has no position, or if messages after its position are missing, it gets three
    /// things. First comes a message that `begin` makes, which tells the client to forget what it
    /// shows. Then come at most `last` messages of those that the room keeps, and then all that
    /// follow, once and in order. `begin` is given the position before the first of these messages.
    /// Put it into the message: with it, a client can resume even if no other message has followed.
    /// The call returns the position at which the socket became a member.
    ///
    /// ```
    /// use hyper_ws::WebSocket;
    /// use hyper_ws::error::BoxError;
    /// use hyper_ws::hub::{Hub, Position};
    ///
    /// async fn chat(
    ///     mut socket: WebSocket,
    ///     hub: Hub,
    ///     from: Option<Position>,
    /// ) -> Result<(), BoxError> {
    ///     let room = hub.room("lobby");
    ///     room.join_recent(&socket, from, 50, |start| format!("clear {start}")).await?;
    ///     while let Some(message) = socket.recv().await? {
    ///         room.publish(message).await?;
    ///     }
    ///     Ok(())
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`join_from`](Self::join_from), and [`HubError::TooSlow`] if the client has lost
    /// its place three times while it read the last messages. A place is lost when the room no
    /// longer keeps the message after it. So the room's [history](super::Hub::history) is too short
    /// for `last` messages and a client as slow as this one. The socket is not closed.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped before it is ready, the socket is not a member. Some messages may
    /// have been sent, and the client knows its position by the last of them.
    pub async fn join_recent<M: Into<Message>>(
        &self,
        socket: &WebSocket,
        from: Option<Position>,
        last: usize,
        begin: impl Fn(Position) -> M,
    ) -> Result<Position, HubError> {
        let (room, hub) = (&self.room, &self.hub);
        let begin = |start| begin(start).into();
        room.join_recent(hub, socket, from, last, begin).await
    }

    /// Ends the membership of a socket. It has no effect on a socket that is not a member.
    pub fn leave(&self, socket: &WebSocket) {
        self.room.take_out(socket);
    }

    /// Queues a message for every member, and returns at once.
    ///
    /// The messages of one task arrive in the order of its calls. All members get the
    /// messages of all tasks in the same order.
    ///
    /// With an engine and a history, the message goes to the engine, which gives it its place
    /// among those of other servers; members get it when it comes back. If the engine cannot be
    /// reached for long, it is lost, and [counted](super::Hub::counters). To know, use
    /// [`publish`](Self::publish).
    pub fn send(&self, message: impl Into<Prepared>) -> Sent {
        self.room
            .send(&self.hub, message.into(), None, self.overflow)
    }

    /// Queues a message for every member except `socket`.
    ///
    /// The message is in the history like any other. A socket that resumes from a position before
    /// the message gets it, even if it is the socket that was left out.
    pub fn send_to_others(&self, socket: &WebSocket, message: impl Into<Prepared>) -> Sent {
        let except = Some(socket.shared());
        self.room
            .send(&self.hub, message.into(), except, self.overflow)
    }

    /// Appends a message to the log of the room, and waits until it is there. Returns the position
    /// after it.
    ///
    /// Members get it as with [`send`](Self::send): the publisher too, if it is a member. So its
    /// own message, when it comes back with its position, is the acknowledgement that a client
    /// needs.
    ///
    /// # Errors
    ///
    /// [`PublishError`] says whether the message may be in the log. A server that cannot reach its
    /// engine should tell the client, and not close the socket.
    ///
    /// # Cancel safety
    ///
    /// Once the future has been polled, dropping it does not take the message back.
    pub async fn publish(&self, message: impl Into<Prepared>) -> Result<Position, PublishError> {
        let published = self.room.publish(&self.hub, message.into(), None).await?;
        Ok(published.position)
    }

    /// Like [`publish`](Self::publish), for a message that may have been published already. If one
    /// with the same `key` was published to this room within the last five minutes, on any server,
    /// nothing happens. The position is then that of the earlier message. [`Published::repeated`]
    /// tells whether that is so. If it is, tell the client that its message is in the log: the room
    /// does not send the message again, and the client may not have seen it.
    ///
    /// A client makes up a key for each message, and sends the message again after a broken
    /// connection. Put the user before a key that a client makes up, as in
    /// `format!("{user} {id}")`: otherwise a user who guesses another user's key can suppress that
    /// user's message. A key has at most 256 bytes. In one process, a room remembers its last 1,024
    /// keys.
    ///
    /// # Errors
    ///
    /// As for [`publish`](Self::publish).
    ///
    /// # Cancel safety
    ///
    /// As for [`publish`](Self::publish).
    pub async fn publish_once(
        &self,
        key: &str,
        message: impl Into<Prepared>,
    ) -> Result<Published, PublishError> {
        self.room
            .publish(&self.hub, message.into(), Some(key))
            .await
    }

    /// Reads the room without a socket: for a bot, a writer to a database, a dashboard.
    ///
    /// The [`Subscription`] gets every message after the position `from`, once, in order, or is
    /// told that some are missing. With `None` it begins at the end of the log. While it lives, the
    /// engine follows the room; a subscription counts neither as a member nor as present.
    /// [`Subscription::recv`] has an example.
    ///
    /// # Errors
    ///
    /// [`HubError::NoHistory`], or [`HubError::Unavailable`] after five seconds.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future has no effect.
    pub async fn subscribe(&self, from: Option<Position>) -> Result<Subscription, HubError> {
        self.room.subscribe(&self.hub, from).await
    }

    /// Returns the position at the end of the log. Read it *before* the state that you send to a
    /// socket, and let the socket join from it. A change that happens in between is then sent
    /// twice, rather than not at all.
    ///
    /// # Errors
    ///
    /// [`HubError::NoHistory`], or [`HubError::Unavailable`] after five seconds.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future has no effect.
    pub async fn position(&self) -> Result<Position, HubError> {
        self.room.position(&self.hub).await
    }

    /// Returns the last messages of the room, at most `last` of those that are kept, and the
    /// position after them.
    ///
    /// # Errors
    ///
    /// [`HubError::NoHistory`], or [`HubError::Unavailable`] after five seconds.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future has no effect.
    pub async fn history(&self, last: usize) -> Result<Recent, HubError> {
        self.room.recent(&self.hub, last).await
    }

    /// Enters the room under a key that is unique in it, over all servers: a name, say. `info` is
    /// what the program wants others to know. The person stays until the [`Seat`] is dropped or the
    /// socket ends.
    ///
    /// To enter is not to join: presence and membership know nothing of each other. Others are told
    /// by [`Hub::on_presence`](super::Hub::on_presence), and [`people`](Self::people) lists who is
    /// there.
    ///
    /// ```
    /// use hyper_ws::hub::{EnterError, Room};
    /// use hyper_ws::{Error, WebSocket};
    ///
    /// async fn visit(mut socket: WebSocket, room: Room, name: String) -> Result<(), Error> {
    ///     let _seat = match room.enter(&socket, &name, "").await {
    ///         Ok(seat) => seat,
    ///         Err(EnterError::Taken) => return socket.send("that name is taken").await,
    ///         Err(_) => return socket.send("try again later").await,
    ///     };
    ///     while socket.recv().await?.is_some() {}
    ///     Ok(()) // leaves
    /// }
    /// ```
    ///
    /// If a user may have several windows, use a key for each window, such as `"ann 2"`, and put
    /// the name into the info. Clients keep a map by key, and show each name once.
    ///
    /// With an engine, a server that is killed holds its keys for 10 to 20 seconds more: until the
    /// next server looks at its lease. If no other server was there, that begins with the next one that
    /// starts. If a server is cut off for longer than that, another server may give the same keys to other
    /// sockets. Both servers then treat the key as theirs, until the connection is back. From then
    /// on [`Seat::is_held`] is false on the server that was cut off.
    ///
    /// # Errors
    ///
    /// - [`EnterError::Taken`] if the key is in the room. See [`take_over`](Self::take_over).
    /// - [`EnterError::TooLarge`] if the key has more than 256 bytes, or the info more than 1,024.
    /// - [`EnterError::Closed`] if the connection has ended or is closing. A handler that returns it has
    ///   not failed.
    /// - [`EnterError::Unavailable`] if the engine does not answer within ten seconds, or keeps no
    ///   roster.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped before it is ready, the person has not entered, or leaves again.
    pub async fn enter(
        &self,
        socket: &WebSocket,
        key: &str,
        info: impl Into<Bytes>,
    ) -> Result<Seat, EnterError> {
        self.room
            .enter(&self.hub, socket, key, info.into(), IfTaken::Refuse)
            .await
    }

    /// Like [`enter`](Self::enter), but takes the key even if another seat has it. That seat is
    /// then no longer held, which [`Seat::ended`] tells its handler.
    ///
    /// Use it for a person who comes back before the server has noticed that the old connection is
    /// dead. Your program must make sure that it is the same person, for example by a secret that
    /// only the client has. If the info is the same, members are not told of a change.
    ///
    /// Two windows of one person would take the seat from each other for ever. So wait for
    /// [`Seat::ended`] beside `recv` in a `select!`, and close the loser with a code of your own, such
    /// as 4000, on which its page does not come back.
    ///
    /// # Errors
    ///
    /// As for [`enter`](Self::enter), except that the key is never taken.
    ///
    /// # Cancel safety
    ///
    /// As for [`enter`](Self::enter).
    pub async fn take_over(
        &self,
        socket: &WebSocket,
        key: &str,
        info: impl Into<Bytes>,
    ) -> Result<Seat, EnterError> {
        self.room
            .enter(&self.hub, socket, key, info.into(), IfTaken::TakeOver)
            .await
    }

    /// Returns who has [entered](Self::enter) the room, on all servers, in no order.
    ///
    /// # Errors
    ///
    /// [`HubError::Unavailable`] if the engine does not answer within five seconds, or keeps no
    /// roster.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future has no effect.
    pub async fn people(&self) -> Result<Vec<Person>, HubError> {
        self.room.people(&self.hub).await
    }

    /// Begins the closing handshake with every member on this server, after what is queued for it, and
    /// returns at once. Returns how many members are being closed.
    ///
    /// Messages that the room keeps for a member that [lags](super::Hub::lag_limit) are not sent.
    /// The room stays, and other sockets may join it meanwhile. To close one member, use
    /// [`close_member`](Self::close_member), or its [`Sender`](crate::Sender::close).
    ///
    /// ```
    /// use hyper_ws::{CloseCode, hub::Hub};
    ///
    /// let room = Hub::new().room("lobby");
    /// assert_eq!(room.close(CloseCode::GOING_AWAY, "the game is over"), 0);
    /// ```
    pub fn close(&self, code: CloseCode, reason: &str) -> usize {
        self.close_some(None, code, reason)
    }

    /// Closes one member like [`close`](Self::close), by the [id](crate::Sender::id) of its
    /// connection. Returns whether there was such a member on this server, and its connection was
    /// open.
    pub fn close_member(&self, id: SocketId, code: CloseCode, reason: &str) -> bool {
        self.close_some(Some(MemberId::with(id)), code, reason) > 0
    }

    fn close_some(&self, only: Option<MemberId>, code: CloseCode, reason: &str) -> usize {
        let members = self.room.lock().members(only);
        // Without the lock: each call wakes tasks.
        let begins = |socket: &Arc<Shared>| socket.close(CloseCause::Local(code), code, reason);
        members.iter().filter(|socket| begins(socket)).count()
    }

    /// Returns the number of members on this server.
    pub fn len(&self) -> usize {
        self.room.lock().len()
    }

    /// Returns whether the room has no members on this server.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl fmt::Debug for Room {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Room")
            .field("name", &self.name())
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}
