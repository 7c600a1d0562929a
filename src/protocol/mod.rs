//! The protocol without IO: bytes in, events out; messages in, bytes out.
//!
//! A [`Connection`] reads no clock, opens no socket and spawns no task. So it
//! runs anywhere: under another runtime, in a simulation, in a fuzzer. With
//! `default-features = false` the crate consists of this module and its types, and
//! depends on `bytes` alone. Servers and clients use a [`WebSocket`](crate::WebSocket)
//! instead, which is built on this module.
//!
//! The contract:
//!
//! 1. Pass the bytes that arrive to [`receive`](Connection::receive), again and again
//!    until it has taken all of them. If the peer ends the stream, call
//!    [`receive_end`](Connection::receive_end).
//! 2. After any call, write the [`transmit`](Connection::transmit) queue until it is
//!    empty.
//! 3. Once [`is_finished`](Connection::is_finished) returns `true`, end the stream.
//!
//! ```
//! use hyper_ws::protocol::{Connection, Event, Role};
//! use hyper_ws::{Config, Message};
//!
//! let mut server = Connection::new(Role::Server, &Config::new());
//! let mut client = Connection::new(Role::Client { masking_key: || [1, 2, 3, 4] }, &Config::new());
//!
//! client.send("hello")?;
//! let mut wire = client.take_output();
//! let (taken, event) = server.receive(&mut wire)?;
//! assert_eq!(taken, wire.len());
//! assert_eq!(event, Some(Event::Message(Message::from("hello"))));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod assembly;
mod check;
mod close;
mod connection;
mod encode;
mod event;
mod outbox;
mod pong;
mod prepared;
mod read;
mod role;
mod state;
#[cfg(test)]
mod tests;
mod whole;
mod write;

pub use crate::extension::Extension;
pub(crate) use crate::extension::{Codec, Coding};
pub(crate) use crate::frame::utf8::Validator;
pub use connection::Connection;
pub(crate) use encode::encode_queued;
pub use event::Event;
#[cfg(feature = "socket")]
pub(crate) use event::EventSink;
#[cfg(feature = "socket")]
pub(crate) use outbox::Encoded;
pub use outbox::Outbox;
#[cfg(feature = "socket")]
pub(crate) use outbox::{LARGE, Mark};
pub(crate) use pong::Pongs;
pub use prepared::Prepared;
pub use role::Role;
pub use write::Closed;

#[cfg(feature = "socket")]
pub(crate) use whole::{are_whole_messages, whole_message};

// The halves are for `socket`, which owns one in the driver and one under the
// lock, and for the benchmarks. They may change in any release.
#[doc(hidden)]
pub use {event::Part, read::Reader, write::Writer};
