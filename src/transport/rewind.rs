//! A stream whose first bytes have been read already.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A stream, preceded by the bytes that were read from it past the handshake.
///
/// hyper reads as much as fits into its buffer, so the first frames may have come
/// with the head of the request or the response.
pub(crate) struct Rewind<T> {
    io: T,
    /// `None` once everything has been read. In a box because it is there for a
    /// moment only, and the stream for as long as the connection.
    leftover: Option<Box<Bytes>>,
}

impl<T> Rewind<T> {
    pub(crate) fn new(io: T, leftover: Bytes) -> Self {
        let leftover = Some(leftover).filter(|bytes| !bytes.is_empty());
        Rewind {
            io,
            leftover: leftover.map(Box::new),
        }
    }

    /// Reads the leftover. Outlined, since this happens once in the life of a connection.
    #[cold]
    #[inline(never)]
    fn read_leftover(&mut self, buffer: &mut ReadBuf<'_>) {
        if let Some(mut bytes) = self.leftover.take() {
            let length = bytes.len().min(buffer.remaining());
            buffer.put_slice(&bytes[..length]);
            bytes.advance(length);
            // These bytes are a slice of a larger buffer and keep all of it alive, so
            // let go of them as soon as they are read.
            self.leftover = Some(bytes).filter(|bytes| !bytes.is_empty());
        }
    }

    #[cfg(test)]
    pub(crate) fn get_ref(&self) -> &T {
        &self.io
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Rewind<T> {
    #[inline]
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.leftover.is_none() {
            return Pin::new(&mut this.io).poll_read(cx, buffer);
        }
        this.read_leftover(buffer);
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Rewind<T> {
    #[inline]
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().io).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().io).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    #[inline]
    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_shutdown(cx)
    }
}
