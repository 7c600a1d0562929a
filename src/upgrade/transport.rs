//! The stream that a conversation runs on.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::Version;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

#[cfg(feature = "http2")]
use crate::transport::Http2Stream;
use crate::transport::{Io, Rewind};

/// A connection that hyper has handed over.
pub(super) enum Transport {
    /// The server's own TCP stream, without hyper's layers around it.
    Tcp { io: Rewind<TcpStream> },
    /// One stream of an HTTP/2 connection.
    #[cfg(feature = "http2")]
    Stream { io: Http2Stream<TokioIo<Upgraded>> },
    /// A stream of any other type: TLS, for instance.
    Upgraded { io: TokioIo<Upgraded> },
    /// A stream that another server handed out.
    Other { io: Box<dyn Io> },
}

impl Transport {
    pub(super) fn new(upgraded: Upgraded, version: Version) -> Self {
        match version {
            #[cfg(feature = "http2")]
            Version::HTTP_2 => Transport::Stream {
                io: Http2Stream::new(TokioIo::new(upgraded)),
            },
            _ => Transport::connection(upgraded),
        }
    }

    fn connection(upgraded: Upgraded) -> Self {
        match tcp(upgraded) {
            Ok((stream, leftover)) => {
                // Messages are written whole, so to wait for more output
                // (Nagle) costs a round trip and gains nothing. If this fails,
                // the peer has left, and the next read reports it.
                let _ = stream.set_nodelay(true);
                Transport::Tcp {
                    io: Rewind::new(stream, leftover),
                }
            }
            Err(upgraded) => Transport::Upgraded {
                io: TokioIo::new(upgraded),
            },
        }
    }
}

/// Takes hyper's layers off, if the server's stream is a TCP stream. Returns it with
/// the bytes that hyper has read past the request.
fn tcp(upgraded: Upgraded) -> Result<(TcpStream, Bytes), Upgraded> {
    let upgraded = match upgraded.downcast::<TokioIo<TcpStream>>() {
        Ok(parts) => return Ok((parts.io.into_inner(), parts.read_buf)),
        Err(upgraded) => upgraded,
    };
    // hyper-util's `auto` reads to find out the version of HTTP. It keeps what it
    // has read in one more layer around the stream. axum and other frameworks serve with it.
    let parts = auto::upgrade::downcast::<TokioIo<TcpStream>>(upgraded)?;
    Ok((parts.io.into_inner(), parts.read_buf))
}

impl AsyncRead for Transport {
    #[inline(always)]
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Transport::Tcp { io } => Pin::new(io).poll_read(cx, buffer),
            #[cfg(feature = "http2")]
            Transport::Stream { io } => Pin::new(io).poll_read(cx, buffer),
            Transport::Upgraded { io } => Pin::new(io).poll_read(cx, buffer),
            Transport::Other { io } => Pin::new(io).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Transport {
    #[inline]
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Transport::Tcp { io } => Pin::new(io).poll_write(cx, bytes),
            #[cfg(feature = "http2")]
            Transport::Stream { io } => Pin::new(io).poll_write(cx, bytes),
            Transport::Upgraded { io } => Pin::new(io).poll_write(cx, bytes),
            Transport::Other { io } => Pin::new(io).poll_write(cx, bytes),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Transport::Tcp { io } => Pin::new(io).poll_write_vectored(cx, slices),
            #[cfg(feature = "http2")]
            Transport::Stream { io } => Pin::new(io).poll_write_vectored(cx, slices),
            Transport::Upgraded { io } => Pin::new(io).poll_write_vectored(cx, slices),
            Transport::Other { io } => Pin::new(io).poll_write_vectored(cx, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Transport::Tcp { io } => io.is_write_vectored(),
            #[cfg(feature = "http2")]
            Transport::Stream { io } => io.is_write_vectored(),
            Transport::Upgraded { io } => io.is_write_vectored(),
            Transport::Other { io } => io.is_write_vectored(),
        }
    }

    #[inline]
    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Transport::Tcp { io } => Pin::new(io).poll_flush(cx),
            #[cfg(feature = "http2")]
            Transport::Stream { io } => Pin::new(io).poll_flush(cx),
            Transport::Upgraded { io } => Pin::new(io).poll_flush(cx),
            Transport::Other { io } => Pin::new(io).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Transport::Tcp { io } => Pin::new(io).poll_shutdown(cx),
            #[cfg(feature = "http2")]
            Transport::Stream { io } => Pin::new(io).poll_shutdown(cx),
            Transport::Upgraded { io } => Pin::new(io).poll_shutdown(cx),
            Transport::Other { io } => Pin::new(io).poll_shutdown(cx),
        }
    }
}
