//! One of the streams of an HTTP/2 connection, as hyper hands it over.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// How much one write hands over.
///
/// hyper copies it, and holds up to four such copies while the peer's window is
/// shut: two on the way to a task of its own, one there, one in the stream. A
/// large message must not lie there four times.
const WRITE: usize = 32 * 1024;

/// TCP in the terms of RFC 8441, section 5: the end of the stream is FIN, and a
/// stream that was reset is a connection that was reset.
pub(crate) struct Substream<T> {
    io: T,
}

impl<T> Substream<T> {
    pub(crate) fn new(io: T) -> Self {
        Substream { io }
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Substream<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.io).poll_read(cx, buffer);
        read.map_err(disconnected)
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Substream<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let bytes = &bytes[..bytes.len().min(WRITE)];
        let written = Pin::new(&mut self.io).poll_write(cx, bytes);
        written.map_err(disconnected)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx).map_err(disconnected)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shut = Pin::new(&mut self.io).poll_shutdown(cx);
        shut.map_err(disconnected)
    }
}

/// What HTTP/2 itself has to say about a stream, hyper reports as `Other`, with
/// an error that only its own copy of `h2` can name. All of it means the same
/// here: RST_STREAM or GOAWAY has ended the stream, and nobody read or wrote
/// wrongly.
fn disconnected(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::Other => io::Error::new(io::ErrorKind::ConnectionReset, error),
        _ => error,
    }
}
