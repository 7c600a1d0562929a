// README links to the files of the repository and to the published documentation.
// Of two definitions of a link the first counts: here it is this version's own.
//! [`chat`]: https://docs.rs/crate/hyper-ws/latest/source/examples/chat.rs
//! [`hello`]: https://docs.rs/crate/hyper-ws/latest/source/examples/hello.rs
//! [`hello_socket`]: https://docs.rs/crate/hyper-ws/latest/source/examples/hello_socket.rs
//! [`echo`]: https://docs.rs/crate/hyper-ws/latest/source/examples/echo.rs
//! [`broadcast`]: https://docs.rs/crate/hyper-ws/latest/source/examples/broadcast.rs
//! [`tower`]: https://docs.rs/crate/hyper-ws/latest/source/examples/tower.rs
//! [`axum`]: https://docs.rs/crate/hyper-ws/latest/source/examples/axum.rs
//! [`graceful_shutdown`]: https://docs.rs/crate/hyper-ws/latest/source/examples/graceful_shutdown.rs
//! [`metrics`]: https://docs.rs/crate/hyper-ws/latest/source/examples/metrics.rs
//! [`proxy`]: https://docs.rs/crate/hyper-ws/latest/source/examples/proxy.rs
//! [`WebSocketLayer`]: crate::WebSocketLayer
//! [`Upgrade`]: crate::Upgrade
//! [`Sender`]: crate::Sender
//! [`Config`]: crate::Config
//! [`testing`]: crate::testing
//! [`migrating`]: crate::migrating
//! [`design`]: crate::design
//! [`protocol`]: crate::protocol
//! [`accept_with`]: crate::Upgrade::accept_with
//! [`accept`]: crate::Upgrade::accept
//! [`recv`]: crate::WebSocket::recv
//! [`send`]: crate::WebSocket::send
//! [`recv_stream`]: crate::WebSocket::recv_stream
//! [`send_stream`]: crate::WebSocket::send_stream
//! [`into_byte_stream`]: crate::WebSocket::into_byte_stream
//! [`close_cause`]: crate::WebSocket::close_cause
//! [`Tracker`]: crate::tracker::Tracker
//! [`Tracker::stats`]: crate::tracker::Tracker::stats
//! [`Tracker::on_end`]: crate::tracker::Tracker::on_end
//! [`Tracker::limit`]: crate::tracker::Tracker::limit
//! [`write_timeout`]: crate::Config::write_timeout
//! [`Hub::overflow`]: crate::hub::Hub::overflow
//!
#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![forbid(unsafe_code)]
// Layers are written for those above them. Where these are left out, what only
// they use is not dead: the lints judge the whole.
#![cfg_attr(
    not(all(
        feature = "server",
        feature = "client",
        feature = "hub",
        feature = "deflate"
    )),
    allow(dead_code, unused_imports)
)]

pub mod close;
pub mod config;
pub mod error;
mod extension;
mod frame;
pub mod message;
pub mod protocol;

#[cfg(feature = "handshake")]
pub mod handshake;
#[cfg(feature = "socket")]
pub mod socket;
#[cfg(feature = "socket")]
pub mod tracker;

#[cfg(feature = "client")]
pub mod client;
#[cfg(feature = "server")]
pub mod middleware;
#[cfg(feature = "server")]
pub mod upgrade;

#[cfg(feature = "axum")]
mod axum;
#[cfg(feature = "hub")]
pub mod hub;
#[cfg(feature = "testing")]
pub mod testing;

#[doc = include_str!("design.md")]
#[cfg(doc)]
pub mod design {}

#[doc = include_str!("migrating.md")]
#[cfg(doc)]
pub mod migrating {}

#[cfg(feature = "client")]
pub use client::connect;
pub use close::CloseCode;
pub use config::Config;
pub use error::Error;
pub use message::Message;
#[cfg(feature = "server")]
pub use middleware::{WebSocketLayer, WebSocketService};
pub use protocol::Prepared;
#[cfg(feature = "socket")]
pub use socket::{Sender, WebSocket};
#[cfg(feature = "server")]
pub use upgrade::Upgrade;
