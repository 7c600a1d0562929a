//! One stream of an HTTP/2 connection, as hyper hands it over.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The most bytes that one write passes to hyper.
///
/// hyper copies them, and holds up to four such copies while the peer's window is
/// closed: two on the way to its own task, one in that task and one in the stream.
/// Without this limit a large message would be in memory four times.
const WRITE: usize = 32 * 1024;

/// An HTTP/2 stream that behaves like a TCP connection.
///
/// RFC 8441, section 5, maps one to the other: END_STREAM is FIN, and RST_STREAM
/// is RST.
pub(crate) struct Http2Stream<T> {
    io: T,
}

impl<T> Http2Stream<T> {
    pub(crate) fn new(io: T) -> Self {
        Http2Stream { io }
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Http2Stream<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.io).poll_read(cx, buffer);
        read.map_err(connection_reset)
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Http2Stream<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let bytes = &bytes[..bytes.len().min(WRITE)];
        let written = Pin::new(&mut self.io).poll_write(cx, bytes);
        written.map_err(connection_reset)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io)
            .poll_flush(cx)
            .map_err(connection_reset)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shut = Pin::new(&mut self.io).poll_shutdown(cx);
        shut.map_err(connection_reset)
    }
}

/// Turns an error of HTTP/2 into [`ConnectionReset`](io::ErrorKind::ConnectionReset).
///
/// hyper reports such errors as `Other`, around a type of its own copy of `h2` that
/// cannot be named here. All of them mean the same: RST_STREAM or GOAWAY has ended
/// the stream.
fn connection_reset(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::Other => io::Error::new(io::ErrorKind::ConnectionReset, error),
        _ => error,
    }
}
