//! Receiving whole messages.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use futures_core::stream::FusedStream;

use super::websocket::WebSocket;
use crate::Message;
use crate::error::Error;

impl WebSocket {
    /// Receives the next message. Returns `Ok(None)` once the connection has ended, whichever
    /// side closed it.
    ///
    /// A peer may send its last messages and a close frame, and disconnect at once. From then on
    /// sending fails ([`ErrorKind::Closed`](crate::error::ErrorKind::Closed)), but `recv` still
    /// returns every message that has arrived. So do not stop receiving when a `send` has failed.
    ///
    /// JSON is one line: `serde_json::from_slice(message.as_bytes())` (see
    /// [JSON](crate::message#json)).
    ///
    /// # Errors
    ///
    /// Returns an error, once, if the peer broke the protocol or a limit, if a deadline
    /// passed, or if the IO failed. Later calls return `Ok(None)`. A peer that disappears
    /// without a close frame is not an error.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    ///
    /// # Blocking
    ///
    /// Await it: never block the thread for it. A handler shares its task with its connection,
    /// and within `block_in_place(|| Handle::current().block_on(socket.recv()))` that task waits
    /// for itself. Nothing arrives, pings are not answered, and no deadline ends the connection,
    /// since this task does all of that. Only a close from another task helps
    /// ([`Sender::close`](crate::Sender::close),
    /// [`Tracker::drain`](crate::tracker::Tracker::drain)). The library cannot tell such a call
    /// from a combinator that polls `recv` with its own waker, so it does not report an error. For
    /// code that blocks, receive in the handler, hand the messages to
    /// [`spawn_blocking`](tokio::task::spawn_blocking) by a channel, and answer from there with a
    /// [`sender`](Self::sender).
    pub fn recv(&mut self) -> impl Future<Output = Result<Option<Message>, Error>> + Unpin + '_ {
        Recv { socket: self }
    }

    #[inline]
    pub(super) fn poll_recv(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<Message>, Error>> {
        if let Some(message) = self.batch.as_mut().and_then(|batch| batch.pop()) {
            return Poll::Ready(Ok(Some(message)));
        }
        match self.shared.poll_desk(cx) {
            Some(Poll::Ready(message)) => return Poll::Ready(Ok(Some(message))),
            Some(Poll::Pending) => {
                // The driver has no use for it, and a socket that waits holds no buffer.
                if let Some(batch) = self.batch.take() {
                    batch.recycle();
                }
                return Poll::Pending;
            }
            None => {}
        }
        self.drive(cx);
        match ready!(self.shared.poll_recv(&mut self.batch, cx)) {
            Ok(true) => Poll::Ready(Ok(self.batch.as_mut().and_then(|batch| batch.pop()))),
            end => {
                self.close_in_background();
                Poll::Ready(end.map(|_| None))
            }
        }
    }
}

/// A struct and not an `async` block: it is polled where it stands, for every message.
struct Recv<'a> {
    socket: &'a mut WebSocket,
}

impl Future for Recv<'_> {
    type Output = Result<Option<Message>, Error>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.get_mut().socket.poll_recv(cx)
    }
}

/// Yields what [`recv`](WebSocket::recv) returns, until that is `Ok(None)`, with the same
/// errors and cancel safety.
impl Stream for WebSocket {
    type Item = Result<Message, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_recv(cx).map(Result::transpose)
    }
}

impl FusedStream for WebSocket {
    fn is_terminated(&self) -> bool {
        self.batch.as_ref().is_none_or(|batch| batch.is_empty()) && self.shared.is_exhausted()
    }
}
