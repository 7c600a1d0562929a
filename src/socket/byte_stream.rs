//! A socket as a stream of bytes: a tunnel.

use std::fmt;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use tokio::io::{AsyncBufRead, AsyncRead, AsyncWrite, ReadBuf};

use super::driver::yield_now;
use super::shared::{Flush, IfFull, Item, Pushed, WaiterId};
use super::websocket::WebSocket;
use crate::error::{CloseCause, Error, ErrorKind};
use crate::protocol::Part;
use crate::{CloseCode, Message};

/// The largest message that one write becomes.
const MAX_MESSAGE: usize = 64 * 1024;

/// So many empty messages are passed over in one poll. The driver of a bare socket reads for each
/// of them, so a peer that sends nothing else would hold the thread.
const MAX_EMPTY: usize = 32;

impl WebSocket {
    /// Turns the socket into a stream of bytes, for tunnels: the payloads of binary messages
    /// in a row, without their boundaries.
    ///
    /// ```
    /// use hyper_ws::WebSocket;
    /// use tokio::net::TcpStream;
    ///
    /// async fn tunnel(socket: WebSocket) -> std::io::Result<()> {
    ///     let mut stream = socket.into_byte_stream();
    ///     let mut target = TcpStream::connect("127.0.0.1:22").await?;
    ///     tokio::io::copy_bidirectional(&mut stream, &mut target).await?;
    ///     Ok(())
    /// }
    /// ```
    pub fn into_byte_stream(self) -> ByteStream {
        ByteStream {
            socket: self,
            chunk: Bytes::new(),
            position: Position::Between,
            flush: Flush::default(),
        }
    }
}

/// A socket as a stream of bytes. Returned by [`WebSocket::into_byte_stream`].
///
/// - **Reading** returns the payloads of binary messages as they arrive. At most some 64 KiB
///   are read ahead, then backpressure reaches the peer.
///   [`Config::max_message_size`](crate::Config::max_message_size) limits each message. A
///   text message is an error, and closes the connection with 1003.
/// - **The end of the stream** is a close frame with 1000, 1001 or no code, or a shutdown by
///   this side. Reading then returns no bytes. Every other end is an error, including a lost
///   connection ([`UnexpectedEof`](io::ErrorKind::UnexpectedEof)). So a truncated stream is
///   never taken for a whole one.
/// - **Writing** sends a binary message of at most 64 KiB, and waits while
///   [`Config::output_limit`](crate::Config::output_limit) is reached. All that is written
///   within one poll leaves together, as soon as the task waits. `flush` waits until all
///   of it has been handed to the transport.
/// - **Shutdown** is the closing handshake, after what was written. It fails if the connection
///   ended before all of that was handed to the transport. A WebSocket cannot be closed in one
///   direction only: what the peer still sends is discarded, and reading ends.
///   A protocol that marks the end of a request by a half-close does not work over it.
///
/// An error of the connection is an [`io::Error`] with a [`crate::Error`] inside. A call that
/// returned `Pending` has neither read nor written anything, as the traits require.
pub struct ByteStream {
    socket: WebSocket,
    /// Bytes that were received and not read.
    chunk: Bytes,
    position: Position,
    /// The flush that has begun. It waits for what was queued then, and for what is written
    /// here until it is complete.
    flush: Flush,
}

/// The place of the next byte to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Position {
    Between,
    /// In a message that is not complete.
    Within,
}

impl ByteStream {
    /// Returns the socket.
    pub fn get_ref(&self) -> &WebSocket {
        &self.socket
    }

    /// Waits for a chunk; at the end the chunk stays empty.
    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let ByteStream {
            socket,
            chunk,
            position,
            ..
        } = self;
        let mut empty = 0;
        while chunk.is_empty() {
            if empty == MAX_EMPTY {
                yield_now(cx);
                return Poll::Pending;
            }
            empty += 1;
            socket.drive(cx);
            let shared = &socket.shared;
            let received = match position {
                Position::Between => ready!(shared.poll_first_chunk(&mut socket.batch, cx)),
                Position::Within => ready!(shared.poll_next_chunk(cx)).map(Some),
            };
            let (message, part) = match received {
                Ok(Some(received)) => received,
                Ok(None) => {
                    let cause = shared.close_cause();
                    socket.close_in_background();
                    return Poll::Ready(read_end(cause));
                }
                Err(error) => {
                    *position = Position::Between;
                    socket.close_in_background();
                    return Poll::Ready(Err(error.into()));
                }
            };
            let Message::Binary(binary) = message else {
                let code = CloseCode::UNSUPPORTED_DATA;
                let reason = "only binary messages are bytes of this stream";
                shared.close(CloseCause::Local(code), code, reason);
                let text = "the peer sent a text message into a stream of bytes";
                return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, text)));
            };
            *chunk = binary.into_bytes();
            *position = match part {
                Part::More => Position::Within,
                Part::Last => Position::Between,
            };
        }
        Poll::Ready(Ok(()))
    }

    fn poll_push(
        &mut self,
        pieces: &[IoSlice<'_>],
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        let length = pieces
            .iter()
            .map(|piece| piece.len())
            .sum::<usize>()
            .min(MAX_MESSAGE);
        if length == 0 {
            return Poll::Ready(Ok(0));
        }
        let socket = &mut self.socket;
        socket.drive(cx);
        ready!(socket.shared.poll_room(WaiterId::SOCKET, cx))?;
        let pushed = socket
            .shared
            .push(Item::Pieces(pieces, length), IfFull::Push);
        if let Ok(Pushed::Closed) = pushed {
            return Poll::Ready(Err(Error::from_kind(ErrorKind::Closed).into()));
        }
        self.flush = Flush::Begin;
        // A bare socket writes it now.
        socket.drive(cx);
        Poll::Ready(Ok(length))
    }
}

/// Returns what the end of the connection is to a reader of bytes.
fn read_end(cause: Option<CloseCause>) -> io::Result<()> {
    let (kind, cause) = match cause {
        None | Some(CloseCause::Local(CloseCode::NORMAL) | CloseCause::Remote(None)) => {
            return Ok(());
        }
        Some(CloseCause::Remote(Some(frame)))
            if matches!(frame.code, CloseCode::NORMAL | CloseCode::GOING_AWAY) =>
        {
            return Ok(());
        }
        Some(cause @ CloseCause::Lost) => (io::ErrorKind::UnexpectedEof, cause),
        Some(cause) => (io::ErrorKind::ConnectionAborted, cause),
    };
    Err(io::Error::new(kind, cause.to_string()))
}

impl AsyncBufRead for ByteStream {
    fn poll_fill_buf(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        let this = self.get_mut();
        ready!(this.poll_chunk(cx))?;
        Poll::Ready(Ok(&this.chunk))
    }

    fn consume(mut self: Pin<&mut Self>, count: usize) {
        self.chunk.advance(count);
    }
}

impl AsyncRead for ByteStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if buffer.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        ready!(self.poll_chunk(cx))?;
        let count = self.chunk.len().min(buffer.remaining());
        buffer.put_slice(&self.chunk[..count]);
        self.chunk.advance(count);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for ByteStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.get_mut().poll_push(&[IoSlice::new(bytes)], cx)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.get_mut().poll_push(slices, cx)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let flushed = ready!(this.socket.poll_flushed(&mut this.flush, cx));
        this.flush = Flush::Begin;
        Poll::Ready(flushed.map_err(Into::into))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // The close frame leaves behind what was written, for which a slow peer may take its
        // time: the deadline of the closing handshake begins after it.
        let this = self.get_mut();
        let closed = ready!(this.socket.poll_close_normal(&mut this.flush, cx));
        Poll::Ready(closed.map_err(Into::into))
    }
}

impl fmt::Debug for ByteStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ByteStream")
            .field("socket", &self.socket)
            .finish_non_exhaustive()
    }
}
