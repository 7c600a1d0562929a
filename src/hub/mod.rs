//! Rooms: one message to many sockets.
//!
//! A message is encoded once, whatever the size of the room, and everything a
//! socket gets between two turns of its task leaves in one write. Sending waits
//! for nobody: what happens to a member that does not read as fast as the room
//! talks is a [policy](Hub::overflow), to close it with 1013 unless you say
//! otherwise.
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
//! Every member gets the messages of a room in the same order. Delivery is at
//! most once: a socket that is closed gets nothing more.

mod handle;
mod registry;
mod room;
#[cfg(test)]
mod tests;

pub use handle::Hub;
pub use room::{Room, Sent};
