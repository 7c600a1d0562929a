//! The handle that receives and sends.

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use pin_project_lite::pin_project;

use super::driver::{BoxedIo, Driver, HandlerOnly, HandlerOutput, Inline};
use super::sender::Sender;
use super::shared::{Flush, Inbox, Shared, WaiterId};
use crate::CloseCode;
use crate::error::{CloseCause, Error};

/// One end of a WebSocket connection.
///
/// ```
/// use hyper_ws::WebSocket;
///
/// async fn echo(mut socket: WebSocket) -> Result<(), hyper_ws::Error> {
///     while let Some(message) = socket.recv().await? {
///         socket.send(message).await?;
///     }
///     Ok(())
/// }
/// ```
///
/// Dropping it begins the closing handshake (code 1000), which goes on in the background within its
/// deadlines. Queued messages are still written, as long as the peer reads. A
/// [bare](super#managed-or-bare) socket writes its queue and the close frame during the drop, as
/// far as the transport takes them at once. So a program may send and end at once. To give the peer
/// the time to receive everything, await [`close`](Self::close). The [module documentation](super)
/// has the other guarantees.
#[must_use = "dropping a WebSocket closes it"]
pub struct WebSocket {
    pub(super) shared: Arc<Shared>,
    /// Messages taken from the inbox and not returned yet.
    pub(super) batch: Option<Box<Inbox>>,
    /// The driver of a bare socket, and a flush of the `Sink`.
    pub(super) driver: Inline,
}

impl WebSocket {
    pub(super) fn new(shared: Arc<Shared>, driver: Inline) -> Self {
        WebSocket {
            shared,
            batch: None,
            driver,
        }
    }

    /// Closes the connection: sends what is queued and a close frame, and waits until the peer has
    /// answered and closed the connection too. The wait ends at the latest when
    /// [`Config::close_timeout`](crate::Config::close_timeout) has passed since the close frame was
    /// written. Before that, a slow peer may take its time to read what is queued; for a peer that
    /// reads nothing, [`Config::write_timeout`](crate::Config::write_timeout) is the limit.
    /// Messages that still arrive are discarded. Returns how the connection ended:
    /// [`CloseCause::Local`] with this code if this call began the end, otherwise the cause that
    /// came before it.
    ///
    /// Returns at once if the connection has ended or is ending for another reason: the peer has
    /// closed, a deadline has passed, the server is drained. The rest is done in the background;
    /// [`Sender::closed`] waits for it. If this side is closing already, by an earlier call or by
    /// [`Sender::close`], this call waits for that to complete.
    ///
    /// The cause does not say whether the peer has received everything: it may have left before, or
    /// not have answered within [`Config::close_timeout`](crate::Config::close_timeout). If that
    /// matters, let the peer confirm by a message. An error of `flush` before this call says that
    /// something was certainly lost.
    ///
    /// # Cancel safety
    ///
    /// The first poll begins the closing handshake. If the future is dropped, the handshake
    /// of a managed socket goes on in the background. That of a bare socket goes on once the
    /// socket is dropped, or while one of its methods is awaited.
    pub async fn close(&mut self, code: CloseCode, reason: &str) -> CloseCause {
        self.batch = None;
        let mut reason = Some(reason);
        poll_fn(|cx| {
            if let Some(reason) = reason.take() {
                self.shared.close(CloseCause::Local(code), code, reason);
                self.shared.discard_received();
            }
            self.poll_close_begun(cx)
        })
        .await
    }

    /// Closes with 1000, otherwise like [`close`](Self::close). An error if what this `flush` waits
    /// for was lost. An end that began otherwise is not waited for, but what is still to be written
    /// is: `Ready(Ok(()))` says that all of it was.
    pub(super) fn poll_close_normal(
        &mut self,
        flush: &mut Flush,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Error>> {
        // Before the close frame is queued, which may be lost without a loss.
        let _ = self.poll_flushed(flush, cx);
        let code = CloseCode::NORMAL;
        self.shared.close(CloseCause::Local(code), code, "");
        let _ = ready!(self.poll_close_begun(cx));
        self.poll_flushed(flush, cx)
    }

    fn poll_close_begun(&mut self, cx: &mut Context<'_>) -> Poll<CloseCause> {
        self.drive(cx);
        let cause = ready!(self.shared.poll_close(WaiterId::SOCKET, cx));
        self.close_in_background();
        Poll::Ready(cause)
    }

    /// Discards the messages that have arrived, and all that arrive later: for a handler that only
    /// sends. Pings are still answered, limits hold, and the end is noticed, however many messages
    /// the peer has sent.
    ///
    /// ```
    /// # use hyper_ws::{Error, WebSocket};
    /// async fn clock(mut socket: WebSocket) -> Result<(), Error> {
    ///     socket.discard_incoming();
    ///     loop {
    ///         socket.send("tick").await?;
    ///         tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    ///     }
    /// }
    /// ```
    ///
    /// Without this call, messages wait to be received. When 1,024 messages or 80 KiB wait, the
    /// library stops reading, and does not see what follows, not even a close frame. Such a
    /// connection ends only when a write fails or blocks. For a peer that is gone, that takes one
    /// or two intervals of [`Config::keep_alive`](crate::Config::keep_alive), or some minutes if
    /// the network loses everything without a sign.
    ///
    /// Afterwards [`recv`](Self::recv) returns at the end of the connection: `Ok(None)`, or the
    /// error that ended it. [`closed`](Self::closed) does this and waits, in one.
    pub fn discard_incoming(&mut self) {
        self.batch = None;
        self.shared.discard_incoming();
    }

    /// Waits until the connection is closed, and returns how it ended. Messages are discarded
    /// from the first poll on, as by [`discard_incoming`](Self::discard_incoming).
    ///
    /// It is for a handler that has nothing to do itself, because other tasks send by its
    /// [`sender`](Self::sender), or a room does. A bare socket makes progress meanwhile: one that
    /// only sends can await this between two messages, to answer pings and to notice the end:
    ///
    /// ```
    /// # use hyper_ws::{Error, WebSocket};
    /// # use std::time::Duration;
    /// async fn clock(mut socket: WebSocket) -> Result<(), Error> {
    ///     loop {
    ///         socket.send("tick").await?;
    ///         // `Err` is the timeout: it is still open.
    ///         let second = Duration::from_secs(1);
    ///         if let Ok(cause) = tokio::time::timeout(second, socket.closed()).await {
    ///             println!("{cause}");
    ///             return Ok(());
    ///         }
    ///     }
    /// }
    /// ```
    ///
    /// # Cancel safety
    ///
    /// Dropping the future has no effect, except that messages stay discarded.
    pub async fn closed(&mut self) -> CloseCause {
        self.discard_incoming();
        poll_fn(|cx| {
            self.drive(cx);
            self.shared.poll_closed(WaiterId::SOCKET, cx)
        })
        .await
    }

    /// Aborts the connection, without a closing handshake. The handler is not polled again.
    pub fn abort(self) {
        self.shared.abort(CloseCause::Aborted);
    }

    /// Returns a handle that sends from any task.
    ///
    /// The first call makes a [bare](super#managed-or-bare) socket a managed one, as
    /// [`into_managed`](Self::into_managed) does: what the sender queues is written at once,
    /// whatever the task that has the socket awaits.
    pub fn sender(&self) -> Sender {
        self.driver.spawn();
        Sender::new(self.shared.clone())
    }

    /// Turns a bare socket into a managed one, and returns it: a task of its own runs the
    /// connection. So pings are answered, deadlines kept and messages written while the caller
    /// awaits something else.
    ///
    /// ```no_run
    /// # use hyper_ws::Error;
    /// # async fn news() {}
    /// # async fn client() -> Result<(), Error> {
    /// let mut socket = hyper_ws::connect("ws://127.0.0.1:9001/").await?.into_managed();
    /// loop {
    ///     // However long this takes, the server sees a client that is alive.
    ///     news().await;
    ///     socket.send("news").await?;
    /// }
    /// # }
    /// ```
    ///
    /// From then on [`send`](Self::send) queues, as in a handler, and no longer waits until the
    /// transport has the message: [`flush`](Self::flush) does. If a program sends, drops the socket
    /// and ends, the messages are still written, as with a bare socket.
    ///
    /// The task belongs to the runtime of the caller, else to that in which the socket was made.
    /// If there is neither, the socket stays bare. Managed sockets are returned as they are.
    pub fn into_managed(self) -> Self {
        self.driver.spawn();
        self
    }

    /// Returns the negotiated subprotocol (RFC 6455, section 1.9).
    pub fn protocol(&self) -> Option<&str> {
        self.shared.protocol()
    }

    /// Returns how the connection ended, once it has ended or is ending. Returns `None` while
    /// messages can still be received, even if sending has failed: the peer's close frame may be
    /// among them.
    pub fn close_cause(&self) -> Option<CloseCause> {
        self.shared.close_cause()
    }

    /// Returns the round-trip time of the last keep-alive ping that was answered.
    pub fn latency(&self) -> Option<Duration> {
        self.shared.latency()
    }

    /// Turns a bare socket into a managed one: the future runs the connection and `handler`
    /// together. Spawn it. For a socket that is already managed, it runs the handler only.
    ///
    /// One task for both is less work than the two of [`into_managed`](Self::into_managed), and
    /// what the handler sends before it waits leaves in one write.
    pub fn run<F, Fut>(mut self, handler: F) -> impl Future<Output = ()> + Send + 'static
    where
        F: FnOnce(WebSocket) -> Fut,
        Fut: Future + Send + 'static,
        Fut::Output: HandlerOutput,
    {
        let driver = self.driver.take_driver();
        let shared = self.shared.clone();
        let handler = handler(self);
        match driver {
            Some(driver) => Run::Both {
                driver: driver.with_handler(handler),
            },
            None => Run::HandlerOnly {
                handler: HandlerOnly::new(shared, handler),
            },
        }
    }

    /// For rooms. Other tasks send to their members, so a bare socket gets a task, as with
    /// [`sender`](Self::sender).
    #[cfg(feature = "hub")]
    pub(crate) fn shared(&self) -> &Arc<Shared> {
        self.driver.spawn();
        &self.shared
    }

    /// Polls the driver of a bare socket.
    #[inline]
    pub(super) fn drive(&mut self, cx: &mut Context<'_>) {
        self.driver.drive(cx);
    }

    /// Completes the closing handshake of a bare socket in a task: nothing awaits the socket
    /// any more. (That of a managed one goes on in the task that it has.)
    pub(super) fn close_in_background(&mut self) {
        if self.driver.has_driver()
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
            && let Some(driver) = self.driver.take_driver()
        {
            runtime.spawn(driver);
        }
    }
}

impl Drop for WebSocket {
    fn drop(&mut self) {
        self.shared.socket_dropped();
        if !self.driver.is_empty() {
            self.driver.write_the_last();
            self.close_in_background();
        }
    }
}

impl fmt::Debug for WebSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebSocket")
            .field("protocol", &self.protocol())
            .field("close_cause", &self.close_cause())
            .finish_non_exhaustive()
    }
}

pin_project! {
    /// The future that [`WebSocket::run`] returns.
    #[project = RunProjection]
    enum Run<H> {
        Both { #[pin] driver: Driver<BoxedIo, H> },
        HandlerOnly { #[pin] handler: HandlerOnly<H> },
    }
}

impl<H> Future for Run<H>
where
    H: Future,
    H::Output: HandlerOutput,
{
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        match self.project() {
            RunProjection::Both { driver } => driver.poll(cx),
            RunProjection::HandlerOnly { handler } => handler.poll(cx),
        }
    }
}
