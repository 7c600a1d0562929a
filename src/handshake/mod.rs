//! The opening handshake: what a client must ask, and what a server answers
//! (RFC 6455, section 4; RFC 8441 for HTTP/2).
//!
//! Nothing here performs IO: these are pure functions over the types of the
//! `http` crate. [`Head`] looks at a request, [`Offer`] is what a well-formed
//! handshake offers, [`Rejection`] is the answer to any other.
//! [`Upgrade`](crate::Upgrade) does all of this for a hyper server. A client
//! has a [`Target`] and a [`ClientHandshake`], to which the response is an answer or
//! an [`InvalidResponse`].
//!
//! ```
//! use hyper_ws::handshake::{Agreement, Head};
//! use http::{Request, Response};
//!
//! let request = Request::get("/ws")
//!     .header("host", "example.com")
//!     .header("connection", "keep-alive, Upgrade")
//!     .header("upgrade", "websocket")
//!     .header("sec-websocket-version", "13")
//!     .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
//!     .body(())?;
//! let offer = Head::from(&request).validate()?;
//! let response: Response<String> = offer.respond(&Agreement::default());
//!
//! assert_eq!(response.status(), 101);
//! assert_eq!(response.headers()["sec-websocket-accept"], "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod accept;
mod agreement;
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
pub use client::{ClientHandshake, InvalidResponse};
#[cfg(feature = "client")]
pub(crate) use quote::excerpt;
pub use rejection::Rejection;
pub use server::{Head, Offer};
pub use target::{IntoRequest, InvalidRequest, Scheme, Target};
