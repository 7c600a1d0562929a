//! The opening handshake: what a client must ask, and what a server answers
//! (RFC 6455, section 4; RFC 8441 for HTTP/2).
//!
//! Nothing here performs IO: these are pure functions over the types of the
//! `http` crate. [`Head`] looks at a request, [`Offer`] is what a well-formed
//! handshake offers, [`Rejection`] is the answer to any other.
//! [`Upgrade`](crate::Upgrade) does all of this for a hyper server. A client
//! has a [`Target`] and a [`Question`], to which the response is an answer or
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

mod client;
mod headers;
mod rejection;
mod server;
mod target;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest, Sha1};

use crate::extension::{Agreed, Extension};
pub use client::{InvalidResponse, Question};
pub use rejection::Rejection;
pub use server::{Head, Offer};
pub use target::{IntoRequest, InvalidRequest, Scheme, Target};

/// What client and server agreed on beyond the frames themselves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Agreement {
    pub(crate) protocol: Option<Arc<str>>,
    pub(crate) extension: Option<Agreed>,
}

impl Agreement {
    /// Nothing but the subprotocol, which must be one that was
    /// [offered](Offer::choose). What else the configuration allows is agreed on
    /// by [`Offer::agree`].
    pub fn on_protocol(protocol: Option<Arc<str>>) -> Self {
        Agreement {
            protocol,
            extension: None,
        }
    }

    /// The subprotocol, if there is one (RFC 6455, section 1.9).
    pub fn protocol(&self) -> Option<&str> {
        self.protocol.as_deref()
    }

    /// The extension, if there is one (RFC 6455, section 9); for a
    /// [`Connection`](crate::protocol::Connection::with_extension).
    pub fn extension(&self) -> Option<Extension> {
        self.extension.clone().map(Extension)
    }
}

/// The value of `Sec-WebSocket-Accept` that answers a `Sec-WebSocket-Key`
/// (RFC 6455, section 4.2.2): 28 characters.
///
/// ```
/// use hyper_ws::handshake::accept_key;
///
/// assert_eq!(accept_key("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
/// ```
pub fn accept_key(key: impl AsRef<[u8]>) -> String {
    let mut hash = Sha1::new();
    hash.update(key.as_ref());
    hash.update(GUID);
    STANDARD.encode(hash.finalize())
}

/// RFC 6455, section 1.3: a string "which is unlikely to be used by network
/// endpoints that do not understand the WebSocket Protocol".
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
