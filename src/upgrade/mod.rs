//! Taking a connection over: from the request to the running conversation.
//!
//! [`Upgrade`] is what the [middleware](crate::middleware) and the axum
//! extractor hand out, and what one calls on a request of one's own:
//!
//! ```
//! use std::convert::Infallible;
//!
//! use bytes::Bytes;
//! use http_body_util::Full;
//! use hyper::body::Incoming;
//! use hyper::{Request, Response};
//! use hyper_ws::{Upgrade, WebSocket};
//!
//! async fn echo(mut socket: WebSocket) -> Result<(), hyper_ws::Error> {
//!     while let Some(message) = socket.recv().await? {
//!         socket.send(message).await?;
//!     }
//!     Ok(())
//! }
//!
//! async fn app(mut request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
//!     Ok(match Upgrade::from_request(&mut request) {
//!         Ok(upgrade) => upgrade.on_upgrade(echo),
//!         // Never `?`: hyper would close the connection without an answer.
//!         Err(rejection) => rejection.into(),
//!     })
//! }
//! ```
//!
//! The connection must be served with `.with_upgrades()` (hyper-util's `auto`:
//! with `serve_connection_with_upgrades`), and nothing outside may change the
//! status of the answer: hyper hands the connection over all the same, and
//! then two sides read HTTP as frames. Such a conversation ends like that of
//! any other peer that breaks the protocol.

mod accepted;
mod builder;
mod conversation;
mod pending;
#[cfg(test)]
mod tests;
mod trace;
mod transport;

pub use accepted::Accepted;
pub use builder::Upgrade;
pub use conversation::Conversation;
