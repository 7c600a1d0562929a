//! [`WebSocket`] as a `Stream` and a `Sink`, for those who combine.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use futures_core::stream::FusedStream;
use futures_sink::Sink;

use super::{WebSocket, sender};
use crate::CloseCode;
use crate::Message;
use crate::error::{CloseCause, Error};
use crate::socket::shared::send::{IfFull, Item};
use crate::socket::shared::wait::SOCKET;

/// What [`recv`](WebSocket::recv) returns, until it returns `Ok(None)`: errors and
/// cancel safety are its too.
impl Stream for WebSocket {
    type Item = Result<Message, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_recv(cx).map(Result::transpose)
    }
}

impl FusedStream for WebSocket {
    fn is_terminated(&self) -> bool {
        self.batch.as_ref().is_none_or(|it| it.is_empty()) && self.shared.is_exhausted()
    }
}

/// `feed` queues, `flush` hands to the transport, `close` is the closing
/// handshake with 1000.
///
/// Readiness is room in the queue, so a `Sink` waits where the
/// [`Overflow`](crate::config::Overflow) policy would drop or close.
///
/// # Errors
///
/// [`ErrorKind::Closed`](crate::error::ErrorKind::Closed) if the conversation has
/// ended or is ending.
impl Sink<Message> for WebSocket {
    type Error = Error;

    fn poll_ready(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.drive(cx);
        self.shared.poll_room(SOCKET, cx)
    }

    fn start_send(self: Pin<&mut Self>, message: Message) -> Result<(), Error> {
        sender::sent(self.shared.push(Item::Message(&message), IfFull::Push))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        WebSocket::poll_flushed(&mut self, cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        WebSocket::poll_closed(&mut self, cx).map(Ok)
    }
}

impl WebSocket {
    /// Waits until what is queued has been handed to the transport.
    pub(super) fn poll_flushed(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.drive(cx);
        let target = ready!(self.shared.poll_flush_target(SOCKET, cx))?;
        self.shared.poll_flushed(target, SOCKET, cx)
    }

    /// Closes, and waits for the end.
    pub(super) fn poll_closed(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let code = CloseCode::NORMAL;
        self.shared.close(CloseCause::Local(code), code, "");
        self.drive(cx);
        self.shared.poll_ended(SOCKET, cx).map(drop)
    }
}
