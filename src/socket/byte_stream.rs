//! A socket as a stream of bytes: a tunnel.

use std::fmt;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use tokio::io::{AsyncBufRead, AsyncRead, AsyncWrite, ReadBuf};

use super::WebSocket;
use super::bare;
use crate::error::{CloseCause, Error, ErrorKind};
use crate::protocol::Part;
use crate::socket::shared::send::{IfFull, Item, Pushed};
use crate::socket::shared::wait::SOCKET;
use crate::{CloseCode, Message};

/// The largest message that a write becomes.
const MOST: usize = 64 * 1024;

impl WebSocket {
    /// Makes the socket a stream of bytes, which a tunnel is: the payloads of
    /// binary messages one after the other, wherever they are cut.
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
            place: Place::Between,
        }
    }
}

/// A socket as a stream of bytes: what [`WebSocket::into_byte_stream`] returns.
///
/// - **Reading** gives the payloads of binary messages as they arrive, some 64
///   KiB ahead at most; the peer feels it when nobody reads.
///   [`Config::max_message_size`](crate::Config::max_message_size) holds for each
///   message. A text message is an error, and closes the connection with 1003.
/// - **The end** is a close frame with 1000 or 1001, or without a code, or a
///   shutdown of this side. Any other is an error, also a connection that is
///   suddenly gone ([`UnexpectedEof`](io::ErrorKind::UnexpectedEof)): nobody can
///   pass off a part of the bytes as all of them.
/// - **Writing** sends a binary message of at most 64 KiB and waits by
///   [`Config::output_limit`](crate::Config::output_limit). All that is written
///   within one poll leaves together, as soon as the task waits; `flush` waits
///   until it has been handed to the transport.
/// - **Shutdown** is the closing handshake, after what was written. A WebSocket
///   has no half that could be closed alone: what the peer still sends then is
///   discarded, and reading ends. A protocol in which one side closes its half to
///   say that it waits for the answer needs another way to say so.
///
/// Errors have a [`crate::Error`] inside where there is one. Polling is as cancel
/// safe as the traits ask for: a call that has not returned has neither read nor
/// written anything.
pub struct ByteStream {
    socket: WebSocket,
    /// What has been received and not read.
    chunk: Bytes,
    place: Place,
}

/// Where reading is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Between,
    /// In a message of which more is to come.
    Within,
}

impl ByteStream {
    /// The socket.
    pub fn get_ref(&self) -> &WebSocket {
        &self.socket
    }

    /// Waits until there is a chunk; there is none at the end.
    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let ByteStream {
            socket,
            chunk,
            place,
        } = self;
        while chunk.is_empty() {
            socket.drive(cx);
            let shared = &socket.shared;
            let received = match place {
                Place::Between => ready!(shared.poll_first_part(&mut socket.batch, cx)),
                Place::Within => ready!(shared.poll_next_part(cx)).map(Some),
            };
            let (message, part) = match received {
                Ok(Some(received)) => received,
                Ok(None) => {
                    let cause = shared.close_cause();
                    socket.close_in_background();
                    return Poll::Ready(end(cause));
                }
                Err(error) => {
                    *place = Place::Between;
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
            *place = match part {
                Part::More => Place::Within,
                Part::Last => Place::Between,
            };
        }
        Poll::Ready(Ok(()))
    }

    fn poll_push(
        &mut self,
        pieces: &[IoSlice<'_>],
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        let length = pieces.iter().map(|it| it.len()).sum::<usize>().min(MOST);
        if length == 0 {
            return Poll::Ready(Ok(0));
        }
        let WebSocket { shared, driver, .. } = &mut self.socket;
        bare::drive(driver, cx);
        ready!(shared.poll_room(SOCKET, cx))?;
        let pushed = shared.push(Item::Pieces(pieces, length), IfFull::Push);
        if pushed == Pushed::Closed {
            return Poll::Ready(Err(Error::from(ErrorKind::Closed).into()));
        }
        // A bare socket writes it.
        bare::drive(driver, cx);
        Poll::Ready(Ok(length))
    }
}

/// What the end of the conversation is to those who read bytes.
fn end(cause: Option<CloseCause>) -> io::Result<()> {
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

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.socket.poll_flushed(cx).map_err(Into::into)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // The deadline of the closing handshake is not for what was written
        // before it, which a slow peer may take its time to read.
        let _ = ready!(self.socket.poll_flushed(cx));
        self.socket.poll_closed(cx).map(Ok)
    }
}

impl fmt::Debug for ByteStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ByteStream")
            .field("socket", &self.socket)
            .finish_non_exhaustive()
    }
}
