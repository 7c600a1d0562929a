//! Byte streams: what a connection reads from and writes to.
//!
//! Nothing in here knows of WebSockets. Adapters of one particular stream stand
//! with their only user (`upgrade::transport`).

#[cfg(feature = "http2")]
mod http2;
mod rewind;
#[cfg(test)]
mod tests;

#[cfg(feature = "http2")]
pub(crate) use http2::Http2Stream;
pub(crate) use rewind::Rewind;

use tokio::io::{AsyncRead, AsyncWrite};

/// A stream whose type has been erased: `Box<dyn Io>`.
pub(crate) trait Io: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Io for T {}
