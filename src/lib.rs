#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![forbid(unsafe_code)]
// Layers are written for those above them. Where these are left out, what only
// they use is not dead: the lints judge the whole.
#![cfg_attr(
    not(all(feature = "server", feature = "hub")),
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

#[cfg(feature = "server")]
pub mod middleware;
#[cfg(feature = "server")]
pub mod upgrade;

#[cfg(feature = "axum")]
mod axum;
#[cfg(feature = "hub")]
pub mod hub;

#[doc = include_str!("design.md")]
#[cfg(doc)]
pub mod design {}

pub use close::CloseCode;
pub use config::Config;
pub use error::Error;
pub use message::Message;
#[cfg(feature = "server")]
pub use middleware::{WebSocketLayer, WebSocketService};
#[cfg(feature = "socket")]
pub use socket::{Sender, WebSocket};
#[cfg(feature = "server")]
pub use upgrade::Upgrade;
