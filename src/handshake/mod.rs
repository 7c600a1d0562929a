//! The opening handshake (RFC 6455, section 4; RFC 8441 for HTTP/2) as pure
//! functions over the types of the `http` crate, without IO.
//!
//! For a hyper server, [`Upgrade`](crate::Upgrade) and the
//! [middleware](crate::middleware) do all of this; for a client,
//! [`connect`](crate::connect) does. This module is for all other
//! streams: those of another HTTP server, a Unix socket, a simulation.
//!
//! # A server
//!
//! 1. [`Head::validate`] checks the request and returns the [`Offer`] in it.
//! 2. [`Offer::check`] applies the configured rules about hosts and origins.
//!    Without it, any page on the web can connect.
//! 3. [`Offer::choose`] picks a subprotocol. [`Offer::agree`] adds the extension,
//!    and so makes the [`Agreement`].
//! 4. [`Offer::respond`] makes the response that accepts the handshake.
//!
//! Steps 1 and 2 fail with a [`Rejection`], which converts into the response to
//! send instead.
//!
//! ```
//! use http::{Request, Response};
//! use hyper_ws::Config;
//! use hyper_ws::handshake::{Agreement, Head, Rejection};
//!
//! /// Returns the response to send, and what both sides speak after it.
//! fn accept<B>(
//!     request: &Request<B>,
//!     config: &Config,
//! ) -> Result<(Response<String>, Agreement), Rejection> {
//!     let offer = Head::from(request).validate()?;
//!     offer.check(config)?;
//!     let protocol = offer.choose(["chat.v2", "chat.v1"]);
//!     let agreement = offer.agree(config, protocol);
//!     Ok((offer.respond(&agreement), agreement))
//! }
//!
//! let config = Config::new();
//! let request = Request::get("/ws")
//!     .header("host", "example.com")
//!     .header("connection", "keep-alive, Upgrade")
//!     .header("upgrade", "websocket")
//!     .header("sec-websocket-version", "13")
//!     .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
//!     .header("sec-websocket-protocol", "chat.v1")
//!     .body(())?;
//! let (response, agreement) = accept(&request, &config).expect("it is valid");
//! assert_eq!(response.status(), 101);
//! assert_eq!(response.headers()["sec-websocket-accept"], "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
//! assert_eq!(agreement.protocol(), Some("chat.v1"));
//!
//! let request = Request::get("/ws").header("host", "example.com").body(())?;
//! let response: Response<String> = accept(&request, &config).unwrap_err().into();
//! assert_eq!(response.status(), 426);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! After the response, both sides send frames on the stream. The HTTP server may have
//! read the first of them together with the request: begin with those bytes. The code
//! that reads and writes frames needs the [extension](Agreement::extension) of the
//! agreement, and the application its [protocol](Agreement::protocol).
//!
//! An HTTP/2 handshake differs in two points: the caller passes the
//! pseudo-header [`:protocol`](Head::protocol), and the response has status 200.
//!
//! # A client
//!
//! [`ClientHandshake::new`] turns a request into a handshake.
//! [`ClientHandshake::verify`] checks the response and returns the
//! [`Agreement`]. [`Target`] says which server a URL leads to.

mod accept;
mod agreement;
mod body;
mod client;
mod extensions;
mod headers;
mod origin;
mod quote;
mod rejection;
mod server;
mod target;
#[cfg(test)]
mod tests;

pub use accept::accept_key;
pub use agreement::Agreement;
pub use body::TextBody;
pub use client::{ClientHandshake, InvalidResponse};
#[cfg(feature = "server")]
pub(crate) use headers::assert_subprotocol;
#[cfg(feature = "client")]
pub(crate) use quote::excerpt;
pub use rejection::Rejection;
#[cfg(feature = "server")]
pub(crate) use rejection::Unavailable;
pub use server::{Head, Offer};
#[cfg(feature = "server")]
pub(crate) use target::encoded_path;
pub use target::{IntoRequest, InvalidRequest, Scheme, Target};
