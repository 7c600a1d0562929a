//! Sending whole messages from the socket itself.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_sink::Sink;

use super::sender::{Permit, TrySendError, push, sent, try_send, with_permit};
use super::shared::{Flush, Item, Pushed, WaiterId};
use super::websocket::WebSocket;
use crate::Message;
use crate::error::Error;

impl WebSocket {
    /// Sends a message.
    ///
    /// A managed socket queues the message; it is written when the handler next waits for
    /// anything. If the queue is full, `send` waits for room, unless
    /// [`Config::overflow`](crate::Config::overflow) says otherwise. A bare socket waits
    /// until the message has been handed to the transport.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Closed`](crate::error::ErrorKind::Closed) if the connection has ended or
    /// is closing.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped before it is ready, the message is lost unless it was queued
    /// already; it is never queued in part. To keep it, use [`reserve`](Self::reserve).
    pub fn send(
        &mut self,
        message: impl Into<Message>,
    ) -> impl Future<Output = Result<(), Error>> + Unpin + '_ {
        Sending {
            message: message.into(),
            step: Step::Queue,
            socket: self,
        }
    }

    /// Sends a message that must not be compressed: one that holds a secret together with
    /// data that an attacker can choose (RFC 7692, section 8). Otherwise like
    /// [`send`](Self::send).
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Closed`](crate::error::ErrorKind::Closed) if the connection has ended or
    /// is closing.
    ///
    /// # Cancel safety
    ///
    /// As for [`send`](Self::send).
    #[cfg(feature = "deflate")]
    #[cfg_attr(docsrs, doc(cfg(feature = "deflate")))]
    pub fn send_uncompressed(
        &mut self,
        message: impl Into<Message>,
    ) -> impl Future<Output = Result<(), Error>> + Unpin + '_ {
        Sending {
            message: message.into(),
            step: Step::QueueAsIs,
            socket: self,
        }
    }

    /// Queues a message if there is room for it now.
    ///
    /// # Errors
    ///
    /// [`TrySendError`], which returns the message.
    pub fn try_send(&mut self, message: impl Into<Message>) -> Result<(), TrySendError> {
        self.begin_to_send();
        try_send(&self.shared, message.into())
    }

    /// Queues a message without waiting. If the queue is full,
    /// [`Config::overflow`](crate::Config::overflow) says what happens: see
    /// [`Sender::push`](crate::Sender::push).
    pub fn push(&mut self, message: impl Into<Message>) -> Pushed {
        self.begin_to_send();
        push(&self.shared, &message.into())
    }

    /// Waits for room in the send queue. The permit then queues one message without waiting.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Closed`](crate::error::ErrorKind::Closed) if the connection has ended or
    /// is closing.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future has no effect.
    pub async fn reserve(&mut self) -> Result<Permit<'_>, Error> {
        self.begin_to_send();
        poll_fn(|cx| {
            self.drive(cx);
            self.shared.poll_room(WaiterId::SOCKET, cx)
        })
        .await?;
        Ok(Permit::new(&self.shared))
    }

    /// Waits until everything that was queued before has been handed to the transport.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Closed`](crate::error::ErrorKind::Closed) if the connection ended first.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future has no effect on what was sent.
    pub async fn flush(&mut self) -> Result<(), Error> {
        let mut flush = Flush::default();
        poll_fn(|cx| self.poll_flushed(&mut flush, cx)).await
    }

    pub(super) fn poll_flushed(
        &mut self,
        flush: &mut Flush,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Error>> {
        self.drive(cx);
        flush.poll(&self.shared, WaiterId::SOCKET, cx)
    }

    /// A message of the socket's own follows. The next flush of the `Sink` waits for it, also
    /// if it goes on with one that had begun before.
    #[inline]
    pub(super) fn begin_to_send(&mut self) {
        if !self.driver.is_empty() {
            self.driver.set_flush(Flush::Begin);
        }
    }
}

/// A struct and not an `async` block: it is polled where it stands, for every message.
struct Sending<'a> {
    message: Message,
    step: Step,
    socket: &'a mut WebSocket,
}

enum Step {
    Queue,
    #[cfg(feature = "deflate")]
    QueueAsIs,
    /// A bare socket waits until the message has been written.
    Flush(Flush),
}

impl Future for Sending<'_> {
    type Output = Result<(), Error>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        // The usual case; everything else takes the lock.
        if let Step::Queue = this.step
            && this.socket.driver.is_empty()
            && this.socket.shared.push_corked(&this.message)
        {
            return Poll::Ready(Ok(()));
        }
        this.poll_slow(cx)
    }
}

impl Sending<'_> {
    #[inline(never)]
    fn poll_slow(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let item = match self.step {
            Step::Queue => Some(Item::Message(&self.message)),
            #[cfg(feature = "deflate")]
            Step::QueueAsIs => Some(Item::AsIs(&self.message)),
            Step::Flush(_) => None,
        };
        if let Some(item) = item {
            self.socket.begin_to_send();
            self.socket.drive(cx);
            let shared = &self.socket.shared;
            sent(ready!(shared.poll_push(item, WaiterId::SOCKET, cx)))?;
            if !self.socket.driver.has_driver() {
                return Poll::Ready(Ok(()));
            }
            self.step = Step::Flush(Flush::default());
        }
        match &mut self.step {
            Step::Flush(flush) => self.socket.poll_flushed(flush, cx),
            _ => Poll::Pending,
        }
    }
}

/// Sends whole messages: `feed` queues a message, `flush` waits until it has been handed to
/// the transport, `close` is the closing handshake with 1000.
///
/// A `Sink` is ready when the queue has room. So it waits where the
/// [`Overflow`](crate::config::Overflow) policy would drop the message or close the
/// connection.
///
/// A flush waits for all that was queued when it began, and for what this socket itself sends
/// until it is complete. What a [`Sender`](crate::Sender) or a room queues meanwhile does not
/// prolong it. A `Sink` does not learn that the future of a flush was dropped, so the next flush
/// continues the one that was dropped. [`WebSocket::flush`] begins anew with each call.
///
/// # Errors
///
/// [`ErrorKind::Closed`](crate::error::ErrorKind::Closed) if the connection has ended or is
/// closing. `close` fails only if the connection ended before all that it had to flush was handed
/// to the transport.
impl Sink<Message> for WebSocket {
    type Error = Error;

    fn poll_ready(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.drive(cx);
        self.shared.poll_room(WaiterId::SOCKET, cx)
    }

    fn start_send(mut self: Pin<&mut Self>, message: Message) -> Result<(), Error> {
        self.begin_to_send();
        with_permit(&self.shared, &message)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let mut flush = self.driver.flush();
        let flushed = self.poll_flushed(&mut flush, cx);
        let rest = if flushed.is_pending() {
            flush
        } else {
            Flush::Begin
        };
        self.driver.set_flush(rest);
        flushed
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let mut flush = self.driver.flush();
        let closed = self.poll_close_normal(&mut flush, cx);
        self.driver.set_flush(flush);
        closed
    }
}
