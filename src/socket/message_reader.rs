//! A message that is received while it arrives.

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_core::Stream;

use super::websocket::WebSocket;
use crate::Message;
use crate::error::{Error, ErrorKind};
use crate::message::Kind;
use crate::protocol::Part;

impl WebSocket {
    /// Waits until a message begins, and returns a reader for its chunks. Returns `Ok(None)`
    /// once the connection has ended.
    ///
    /// ```
    /// # use hyper_ws::{Error, WebSocket};
    /// async fn count(mut socket: WebSocket) -> Result<(), Error> {
    ///     while let Some(mut message) = socket.recv_stream().await? {
    ///         let mut length = 0;
    ///         while let Some(chunk) = message.chunk().await? {
    ///             length += chunk.len();
    ///         }
    ///         println!("{:?} of {length} bytes", message.kind());
    ///     }
    ///     Ok(())
    /// }
    /// ```
    ///
    /// The reader borrows the socket, so answer through a [`sender`](Self::sender). (In a
    /// `while let` the borrow lasts until the end of the loop's body.)
    ///
    /// Until the next call of [`recv`](Self::recv), messages are not assembled: some 64 KiB
    /// are read ahead, then backpressure reaches the peer. A message has no deadline as long
    /// as the peer answers pings ([`Config::keep_alive`](crate::Config::keep_alive)).
    /// [`Config::max_message_size`](crate::Config::max_message_size) limits the sum of its
    /// chunks; set it to `usize::MAX` for no limit.
    ///
    /// # Errors
    ///
    /// Those of `recv`.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    pub async fn recv_stream(&mut self) -> Result<Option<MessageReader<'_>>, Error> {
        let first = poll_fn(|cx| {
            self.drive(cx);
            self.shared.poll_first_chunk(&mut self.batch, cx)
        })
        .await;
        if !matches!(first, Ok(Some(_))) {
            self.close_in_background();
        }
        Ok(first?.map(|first| MessageReader::new(self, first)))
    }
}

/// A message that is received in chunks, while it arrives. Returned by
/// [`WebSocket::recv_stream`]. It is also a `Stream` of its chunks.
///
/// Dropping it before its end skips the rest of the message: the rest is discarded as it
/// arrives, and the next message can be received.
#[must_use = "dropping a message skips the rest of it"]
pub struct MessageReader<'a> {
    socket: &'a mut WebSocket,
    kind: Kind,
    rest: Rest,
}

/// The part of the message that is yet to be returned.
enum Rest {
    /// This chunk, and perhaps more.
    Next(Message, Part),
    More,
    Nothing,
    /// More, but the connection has ended.
    Lost,
}

impl<'a> MessageReader<'a> {
    pub(super) fn new(socket: &'a mut WebSocket, (message, part): (Message, Part)) -> Self {
        MessageReader {
            socket,
            kind: message.kind(),
            rest: Rest::Next(message, part),
        }
    }

    /// Returns whether the message is text or binary.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Returns whether the last chunk has been returned, so that the next call of
    /// [`chunk`](Self::chunk) would return `None` at once.
    ///
    /// `false` may also mean that the end of the message has not arrived yet.
    pub fn is_finished(&self) -> bool {
        match &self.rest {
            Rest::Next(message, Part::Last) => message.is_empty(),
            Rest::Nothing => true,
            Rest::Next(_, Part::More) | Rest::More | Rest::Lost => false,
        }
    }

    /// Returns the next chunk, a message of the same kind, or `Ok(None)` at the end of the
    /// message. A chunk is never empty. Each chunk of a text message is valid UTF-8: a
    /// character is never split between chunks.
    ///
    /// A chunk is what has arrived by the time of the call. Its bounds are not those of the
    /// peer's frames.
    ///
    /// # Errors
    ///
    /// If the connection ends inside the message: the error that [`recv`](WebSocket::recv)
    /// would return, or else [`ErrorKind::Unfinished`]. The chunks received so far are not a
    /// whole message.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    pub async fn chunk(&mut self) -> Result<Option<Message>, Error> {
        poll_fn(|cx| self.poll_chunk(cx)).await
    }

    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Message>, Error>> {
        loop {
            match std::mem::replace(&mut self.rest, Rest::Nothing) {
                Rest::Nothing => return Poll::Ready(Ok(None)),
                Rest::Next(message, part) => {
                    if part == Part::More {
                        self.rest = Rest::More;
                    }
                    if !message.is_empty() {
                        return Poll::Ready(Ok(Some(message)));
                    }
                }
                Rest::More => {
                    self.rest = Rest::More;
                    self.socket.drive(cx);
                    match ready!(self.socket.shared.poll_next_chunk(cx)) {
                        Ok((message, part)) => self.rest = Rest::Next(message, part),
                        Err(error) => {
                            self.rest = Rest::Lost;
                            return Poll::Ready(Err(error));
                        }
                    }
                }
                Rest::Lost => {
                    self.rest = Rest::Lost;
                    return Poll::Ready(Err(Error::from_kind(ErrorKind::Unfinished)));
                }
            }
        }
    }
}

/// Yields what [`chunk`](MessageReader::chunk) returns, until the end or the first error.
impl Stream for MessageReader<'_> {
    type Item = Result<Message, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Rest::Lost = self.rest {
            return Poll::Ready(None);
        }
        self.poll_chunk(cx).map(Result::transpose)
    }
}

impl Drop for MessageReader<'_> {
    fn drop(&mut self) {
        if let Rest::Next(_, Part::More) | Rest::More = self.rest {
            self.socket.shared.skip_message();
        }
    }
}

impl fmt::Debug for MessageReader<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MessageReader")
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}
