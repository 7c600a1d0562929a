//! Rooms: one message to many sockets, with a memory, on one server and on many.
//!
//! ```
//! use hyper_ws::{WebSocket, hub::Hub};
//!
//! async fn chat(mut socket: WebSocket, hub: Hub) -> Result<(), hyper_ws::Error> {
//!     let room = hub.room("lobby");
//!     room.join(&socket);
//!     while let Some(message) = socket.recv().await? {
//!         room.send(message);
//!     }
//!     Ok(())
//! }
//! ```
//!
//! A message is encoded once, whatever the size of the room. All messages that a member
//! gets between two polls of its task leave in one write. Sending never waits: what a
//! member cannot take at once, since its output queue is full, is kept for it and sent as fast as it
//! reads. A member that is [too far behind](Hub::lag_limit) its room is closed with 1013; with another
//! [policy](Hub::overflow) it loses messages instead. All members get the messages of a
//! room in the same order.
//!
//! A hub comes in three sizes, with the same calls:
//!
//! | | a member gets | set by |
//! |---|---|---|
//! | plain | each message at most once, while it is connected | [`Hub::new`] |
//! | with history | each message after its position, once, in order, or it is told | [`Hub::history`] |
//! | over several servers | the same, whichever server it is on | [`Hub::backplane`] |
//!
//! # History and resume
//!
//! With a [history](Hub::history), a room is a log, and each message has a [`Position`] in it.
//! A [stamp](Hub::stamp) tells the clients the position of each message, in whatever
//! format they speak. A client that comes back names the last position it has, and
//! [`Room::join_recent`] sends it the messages that it has missed. If the room no longer has all of
//! them, `join_recent` sends a message that says so, and then the last messages, as on a first
//! visit. (If the state is something other than the last messages, use [`Room::join_from`].)
//!
//! ```
//! use hyper_ws::hub::{History, Hub, HubError, Position};
//! use hyper_ws::{CloseCode, WebSocket, error::BoxError};
//!
//! fn hub() -> Hub {
//!     // To a page: the position, a blank, the text.
//!     Hub::new().history(History::last(100)).stamp(|_room, position, message| {
//!         format!("{position} {}", message.as_text().unwrap_or_default())
//!     })
//! }
//!
//! /// `from`: what the page named, as in `/ws?after=42-9c3f1a2b00000017`: a handler that takes
//! /// `(upgrade, request)` calls `.parse().ok()` on that part of `request.uri().query()`.
//! async fn chat(
//!     mut socket: WebSocket,
//!     hub: Hub,
//!     from: Option<Position>,
//! ) -> Result<(), BoxError> {
//!     let room = hub.room("lobby");
//!     match room.join_recent(&socket, from, 50, |start| format!("clear {start}")).await {
//!         // The engine is away, or the page too slow: it comes back later, and loses nothing by it.
//!         Err(HubError::Unavailable(_) | HubError::TooSlow) => {
//!             socket.close(CloseCode::TRY_AGAIN_LATER, "").await;
//!             return Ok(());
//!         }
//!         joined => joined?,
//!     };
//!     while let Some(message) = socket.recv().await? {
//!         // What comes back, with its position, is the acknowledgement. An engine that is away
//!         // is no reason to close the socket. (The error may name hosts, so pages do not get it.)
//!         if room.publish(message).await.is_err() {
//!             socket.send("error the message was not accepted, say it again later").await?;
//!         }
//!     }
//!     Ok(())
//! }
//! # let _ = (hub, chat);
//! ```
//!
//! The page's side:
//!
//! ```js
//! let after = "";
//! function connect() {
//!   const socket = new WebSocket(`ws://${location.host}/ws?after=${after}`);
//!   socket.onmessage = ({ data }) => {
//!     if (data.startsWith("clear ")) return (after = data.slice(6)), clear();
//!     if (data.startsWith("error ")) return complain(data.slice(6));
//!     after = data.split(" ", 1)[0];
//!     show(data.slice(after.length + 1));
//!   };
//!   socket.onclose = () => setTimeout(connect, 500 + 1000 * Math.random());
//! }
//! ```
//!
//! A page that sends a message again after a broken connection should give the message a key, and
//! the handler should call [`Room::publish_once`].
//!
//! # State from a database
//!
//! Where the state comes from a database, order matters on both sides. **A writer
//! changes the database first, and publishes afterwards. A reader takes the position first** (`now` of
//! [`Joined::Missed`]), **and the state afterwards.** Then a change that happens meanwhile comes twice, in
//! the state and as a message; in any other order it may not come at all. So messages should say what is
//! now ("the price is 7"), or have an id.
//!
//! ```
//! use hyper_ws::hub::{Joined, Position, PublishError, Room};
//! use hyper_ws::{WebSocket, error::BoxError};
//! # struct Database;
//! # impl Database {
//! #     async fn store(&self, _: u32) {}
//! #     async fn load(&self) -> u32 { 7 }
//! # }
//!
//! async fn change(database: &Database, room: &Room, price: u32) -> Result<(), PublishError> {
//!     database.store(price).await;
//!     room.publish(format!("price {price}")).await?;
//!     Ok(())
//! }
//!
//! async fn visit(
//!     socket: &mut WebSocket,
//!     database: &Database,
//!     room: &Room,
//!     mut from: Option<Position>,
//! ) -> Result<bool, BoxError> {
//!     for _ in 0..3 {
//!         match room.join_from(socket, from).await? {
//!             Joined::Resumed { .. } => return Ok(true),
//!             Joined::Missed { now } => {
//!                 let price = database.load().await;
//!                 socket.send(format!("{now} price {price}")).await?;
//!                 from = Some(now);
//!             }
//!         }
//!     }
//!     Ok(false)
//! }
//! # let _ = (change, visit);
//! ```
//!
//! # Several servers
//!
//! An engine connects the hubs of several servers: then a room is one log for all of them. Redis
//! is in the crate (feature `redis`), and [`backplane`] is the trait for others. An engine loses
//! messages when it fails over, or restarts with older data. The hub notices that at the next
//! message in the room, if not before. Members are then closed with 1012 and come back, or get a
//! message of yours ([`Hub::gap`]). [Rooms over several servers](crate::guide::rooms) says what
//! happens when something fails, and how many messages a room can carry.
//!
//! # Readers without a socket
//!
//! [`Room::subscribe`] gives a bot, a writer to a database or a dashboard every message of a room,
//! as a member gets it, and tells it when some are missing.
//!
//! # Presence
//!
//! [`Room::enter`] gives a socket a key that is unique in the room, over all servers;
//! [`Room::people`] lists the keys, and [`Hub::on_presence`] tells members who comes and goes.

pub mod backplane;
mod counters;
mod envelope;
mod follow;
#[cfg(fuzzing)]
pub(crate) mod fuzzing;
mod handle;
mod history;
mod keeper;
mod lag;
mod log;
mod people;
mod position;
#[cfg(feature = "redis")]
mod redis;
mod ring;
mod room;
mod seats;
mod settings;
mod shared;
// The fuzz targets run the model too, without its tests.
#[cfg(any(test, fuzzing))]
#[cfg_attr(fuzzing, allow(dead_code, unused_imports))]
mod tests;
mod user_code;

pub use backplane::{EngineError, EngineState, EnterError, PublishError, Published};
pub use counters::Counters;
pub use handle::Hub;
pub use history::{Gap, History};
pub use people::{Change, Person};
pub use position::{ParsePositionError, Position};
#[cfg(feature = "redis")]
pub use redis::Redis;
pub use room::Room;
pub use shared::Sent;
pub use shared::join::{HubError, Joined, Recent};
pub use shared::presence::Seat;
pub use shared::subscribe::{Received, Subscription};
