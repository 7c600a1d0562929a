//! Rooms: one message to many sockets.
//!
//! A message is encoded once, whatever the size of the room. All messages that a member
//! gets between two polls of its task leave in one write. Sending never waits: if a
//! member reads more slowly than the room sends, a [policy](Hub::overflow) says what
//! happens. By default that member is closed with 1013.
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
//! All members get the messages of a room in the same order. A message is delivered at
//! most once: a socket that is closing gets no more messages.

pub mod backplane;
mod counters;
mod envelope;
mod follow;
mod handle;
mod history;
mod keeper;
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
#[cfg(test)]
mod tests;
mod user_code;

pub use backplane::{EngineError, EngineState, EnterError, PublishError};
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
