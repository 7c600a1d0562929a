//! The futures of those methods that are awaited for every message: with names,
//! so that they are polled as they are and moved nowhere.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use super::{WebSocket, sender};
use crate::Message;
use crate::error::Error;
use crate::socket::shared::send::Item;
use crate::socket::shared::wait::SOCKET;

/// The future of [`WebSocket::recv`].
#[must_use = "nothing is received unless the future is awaited"]
pub struct Receiving<'a> {
    socket: &'a mut WebSocket,
}

impl<'a> Receiving<'a> {
    pub(super) fn new(socket: &'a mut WebSocket) -> Self {
        Receiving { socket }
    }
}

impl Future for Receiving<'_> {
    type Output = Result<Option<Message>, Error>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.get_mut().socket.poll_recv(cx)
    }
}

impl fmt::Debug for Receiving<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Receiving")
    }
}

/// The future of [`WebSocket::send`].
#[must_use = "a message is not sent unless its future is awaited"]
pub struct Sending<'a> {
    message: Message,
    step: Step,
    socket: &'a mut WebSocket,
}

pub(super) enum Step {
    Queue,
    #[cfg(feature = "deflate")]
    QueueAsIs,
    /// Of a bare socket: until it has been written ...
    Written,
    /// ... which is, until this batch has.
    Flush(u32),
}

impl<'a> Sending<'a> {
    pub(super) fn new(socket: &'a mut WebSocket, message: Message, step: Step) -> Self {
        Sending {
            message,
            step,
            socket,
        }
    }
}

impl Future for Sending<'_> {
    type Output = Result<(), Error>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        // Nearly always; all else goes the long way.
        if let Step::Queue = this.step
            && this.socket.driver.is_none()
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
            Step::Written | Step::Flush(_) => None,
        };
        if let Some(item) = item {
            self.socket.drive(cx);
            let shared = &self.socket.shared;
            sender::sent(ready!(shared.poll_push(item, SOCKET, cx)))?;
            if self.socket.driver.is_none() {
                return Poll::Ready(Ok(()));
            }
            self.step = Step::Written;
        }
        self.socket.drive(cx);
        let shared = &self.socket.shared;
        if let Step::Written = self.step {
            self.step = Step::Flush(ready!(shared.poll_flush_target(SOCKET, cx))?);
        }
        let Step::Flush(target) = self.step else {
            return Poll::Pending;
        };
        shared.poll_flushed(target, SOCKET, cx)
    }
}

impl fmt::Debug for Sending<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sending")
            .field("message", &self.message)
            .finish_non_exhaustive()
    }
}
