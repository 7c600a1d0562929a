//! A WebSocket: what a handler receives from and sends to.
//!
//! # Managed or bare
//!
//! The ways in that take a handler run it together with the connection, in one
//! task: pings are answered, deadlines kept, and other tasks' messages and
//! broadcasts delivered while the handler waits for something else. Such a
//! socket is *managed*.
//!
//! A socket that was handed out (`accept`) is *bare*: it carries its driver
//! inside and moves only while one of its methods is awaited. When it has
//! reported the end, or is dropped, a task does what is left of the closing
//! handshake.
//! [`WebSocket::run`] turns a bare one into a managed one.
//!
//! # What holds
//!
//! - **Auto-cork.** All that a handler sends within one poll leaves in one
//!   write, as soon as the handler waits for anything. No message waits for the
//!   next one.
//! - **A socket can be given away.** A handler may move its `WebSocket` into
//!   another task and return. The connection lives until the `WebSocket` is
//!   dropped or closed, in whatever task it is.
//! - **Every conversation ends once, with one [cause](CloseCause).**
//! - **An idle connection holds no buffers.**
//! - **Read-ahead is bounded**: 64 messages or 64 KiB. Then reading stops, and
//!   the peer feels it.

mod alarm;
mod arriving;
mod bare;
mod byte_stream;
mod desk;
mod driver;
mod ending;
mod exchange;
mod fair;
mod futures;
mod inbox;
mod incoming;
mod lend;
mod outgoing;
mod output;
mod phase;
mod push;
mod sender;
mod shared;
#[cfg(feature = "tracing")]
mod span;
mod stream;
mod streams;
mod tally;
#[cfg(test)]
pub(crate) mod tests;
mod timers;
mod turn;
mod waiting;
mod wire;

use std::fmt;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};

use bare::{Bare, BareIo, Carried};
pub use byte_stream::ByteStream;
pub use driver::Drive;
use futures::Step;
pub use futures::{Receiving, Sending};
use inbox::Inbox;
pub use incoming::Incoming;
pub use outgoing::Outgoing;
pub(crate) use push::Item;
#[cfg(feature = "hub")]
pub(crate) use push::Pushed;
pub use sender::{Permit, Sender, TrySendError};
pub(crate) use shared::Shared;
#[cfg(feature = "hub")]
pub(crate) use shared::Watcher;
#[cfg(feature = "tracing")]
pub(crate) use span::connection as connection_span;
use waiting::SOCKET;

use crate::error::{BoxError, CloseCause, Error};
use crate::protocol::{Codec, Reader, Role};
use crate::{CloseCode, Config, Message, tracker};

/// What a handler may return: `()`, or a `Result` whose error closes the
/// connection with 1011.
#[diagnostic::on_unimplemented(
    message = "a WebSocket handler cannot return `{Self}`",
    label = "expected `()` or `Result<(), E>` with `E: Into<Box<dyn Error + Send + Sync>>`"
)]
pub trait Outcome: Send + 'static {
    /// As a result.
    fn into_result(self) -> Result<(), BoxError>;
}

impl Outcome for () {
    fn into_result(self) -> Result<(), BoxError> {
        Ok(())
    }
}

impl<E: Into<BoxError> + Send + 'static> Outcome for Result<(), E> {
    fn into_result(self) -> Result<(), BoxError> {
        self.map_err(Into::into)
    }
}

/// What was agreed before the first frame.
pub(crate) struct Start {
    pub(crate) role: Role,
    pub(crate) config: Arc<Config>,
    pub(crate) protocol: Option<Arc<str>>,
    pub(crate) codec: Option<Box<dyn Codec>>,
    pub(crate) permit: Option<tracker::Permit>,
}

/// The future that serves a connection and runs `handler` with it.
pub(crate) fn managed<T, F, Fut>(io: T, start: Start, handler: F) -> Drive<T, Fut>
where
    T: AsyncRead + AsyncWrite + Unpin,
    F: FnOnce(WebSocket) -> Fut,
    Fut: Future,
    Fut::Output: Outcome,
{
    let Start {
        role,
        config,
        protocol,
        codec,
        permit,
    } = start;
    let coding = codec.as_ref().map(|it| it.coding());
    let reader = Reader::new(role, &config).with_extension(codec);
    let shared = Shared::new(role, config, protocol, coding);
    let socket = WebSocket::new(shared.clone());
    // A handler may also panic before it has returned its future.
    let handler = match catch_unwind(AssertUnwindSafe(|| handler(socket))) {
        Ok(handler) => Some(handler),
        Err(panic) => {
            ending::finish_handler(&shared, Err(panic));
            None
        }
    };
    Drive::new(io, reader, shared, handler, permit)
}

/// A socket that moves only while one of its methods is awaited.
pub(crate) fn bare<T>(io: T, start: Start) -> WebSocket
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let io: BareIo = Box::new(io);
    let Start {
        role,
        config,
        protocol,
        codec,
        permit,
    } = start;
    let coding = codec.as_ref().map(|it| it.coding());
    let reader = Reader::new(role, &config).with_extension(codec);
    let shared = Shared::new(role, config, protocol, coding);
    let none = None::<std::future::Ready<()>>;
    let driver = Drive::new(io, reader, shared.clone(), none, permit);
    let mut socket = WebSocket::new(shared);
    socket.driver = Some(Box::new(Mutex::new(Bare::new(driver))));
    socket
}

/// One end of a conversation.
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
/// Dropping it starts the closing handshake (code 1000), which goes on in the
/// background within its deadline. See the [module documentation](self) for
/// what else holds.
#[must_use = "dropping a WebSocket closes it"]
pub struct WebSocket {
    shared: Arc<Shared>,
    /// Messages taken from the inbox and not returned yet.
    batch: Option<Box<Inbox>>,
    /// The driver of a bare socket.
    driver: Carried,
}

impl WebSocket {
    fn new(shared: Arc<Shared>) -> Self {
        WebSocket {
            shared,
            batch: None,
            driver: None,
        }
    }

    /// The next message; `Ok(None)` when the conversation has ended, by
    /// whichever side and in whatever ordinary way.
    ///
    /// # Errors
    ///
    /// Once, if the conversation ended because the peer broke the protocol or a
    /// limit, did not answer in time, or because the IO failed. Then `Ok(None)`.
    /// A peer that is suddenly gone is no error.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    pub fn recv(&mut self) -> Receiving<'_> {
        Receiving::new(self)
    }

    #[inline]
    fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Message>, Error>> {
        if let Some(message) = self.batch.as_mut().and_then(|it| it.pop()) {
            return Poll::Ready(Ok(Some(message)));
        }
        self.drive(cx);
        match ready!(self.shared.poll_receive(&mut self.batch, cx)) {
            Ok(true) => Poll::Ready(Ok(self.batch.as_mut().and_then(|it| it.pop()))),
            end => {
                self.hand_over();
                Poll::Ready(end.map(|_| None))
            }
        }
    }

    /// Sends a message.
    ///
    /// A managed socket queues it; it is written when the handler next waits. It
    /// waits for room if the queue is full, unless
    /// [`Config::overflow`] says otherwise. A bare socket writes it.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Closed`](crate::error::ErrorKind::Closed) if the conversation has ended or is ending.
    ///
    /// # Cancel safety
    ///
    /// A dropped future has queued the whole message or nothing of it; in the
    /// latter case the message is lost. [`reserve`](Self::reserve) keeps it.
    pub fn send(&mut self, message: impl Into<Message>) -> Sending<'_> {
        Sending::new(self, message.into(), Step::Queue)
    }

    /// [`send`](Self::send) for a message that is not to be compressed: one that
    /// holds a secret beside something that others choose (RFC 7692, section 8).
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Closed`](crate::error::ErrorKind::Closed) if the conversation has ended or is ending.
    ///
    /// # Cancel safety
    ///
    /// That of `send`.
    #[cfg(feature = "deflate")]
    #[cfg_attr(docsrs, doc(cfg(feature = "deflate")))]
    pub fn send_uncompressed(&mut self, message: impl Into<Message>) -> Sending<'_> {
        Sending::new(self, message.into(), Step::QueueAsIs)
    }

    /// Sends a message, if that is possible without waiting.
    ///
    /// # Errors
    ///
    /// [`TrySendError`], with the message.
    pub fn try_send(&mut self, message: impl Into<Message>) -> Result<(), TrySendError> {
        sender::try_send(&self.shared, message.into())
    }

    /// Waits for room in the output queue. The permit sends one message, now.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Closed`](crate::error::ErrorKind::Closed) if the conversation has ended or is ending.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future has no effect.
    pub async fn reserve(&mut self) -> Result<Permit<'_>, Error> {
        poll_fn(|cx| {
            self.drive(cx);
            self.shared.poll_room(SOCKET, cx)
        })
        .await?;
        Ok(Permit::new(&self.shared))
    }

    /// Waits until everything that was sent before has been handed to the transport.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Closed`](crate::error::ErrorKind::Closed) if the connection ended before.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future has no effect on what was sent.
    pub async fn flush(&mut self) -> Result<(), Error> {
        let target = poll_fn(|cx| {
            self.drive(cx);
            self.shared.poll_flush_target(SOCKET, cx)
        })
        .await?;
        poll_fn(|cx| {
            self.drive(cx);
            self.shared.poll_flushed(target, SOCKET, cx)
        })
        .await
    }

    /// Says goodbye: sends what is queued and a close frame, and waits until the
    /// peer has answered, or [`Config::close_timeout`] has passed. Messages that
    /// still arrive are discarded. Does nothing if the conversation is over.
    ///
    /// # Cancel safety
    ///
    /// The closing handshake has begun when the future was polled once, and
    /// goes on in the background (of a bare socket: when it is dropped, or `recv` has
    /// reported the end).
    pub async fn close(&mut self, code: CloseCode, reason: &str) {
        self.batch = None;
        let mut reason = Some(reason);
        poll_fn(|cx| {
            if let Some(reason) = reason.take() {
                self.shared.close(CloseCause::Local(code), code, reason);
                self.shared.discard_received();
            }
            self.drive(cx);
            self.shared.poll_ended(SOCKET, cx).map(drop)
        })
        .await;
    }

    /// Cuts the connection off, without a closing handshake. The handler is not
    /// polled again.
    pub fn abort(self) {
        self.shared.abort(CloseCause::Aborted);
    }

    /// A handle that sends from any task.
    pub fn sender(&self) -> Sender {
        Sender::new(self.shared.clone())
    }

    /// The subprotocol that was agreed on (RFC 6455, section 1.9).
    pub fn protocol(&self) -> Option<&str> {
        self.shared.protocol.as_deref()
    }

    /// How the conversation ended, once it has, or is about to.
    pub fn close_cause(&self) -> Option<CloseCause> {
        self.shared.close_cause()
    }

    /// How long the last answered keep-alive ping took to come back.
    pub fn latency(&self) -> Option<Duration> {
        self.shared.latency()
    }

    /// Turns a bare socket into a managed one: the future runs the connection
    /// and `handler` together. Spawn it. (Of a socket that is managed already it
    /// runs the handler.)
    pub fn run<F, Fut>(mut self, handler: F) -> impl Future<Output = ()> + Send + 'static
    where
        F: FnOnce(WebSocket) -> Fut,
        Fut: Future + Send + 'static,
        Fut::Output: Outcome,
    {
        let driver = self.driver.take();
        let shared = self.shared.clone();
        let handler = handler(self);
        let driver = match driver {
            Some(driver) => driver
                .into_inner()
                .unwrap_or_else(PoisonError::into_inner)
                .into_driver(),
            None => Box::pin(Drive::elsewhere(shared)),
        };
        Drive::manage(driver, handler)
    }

    #[cfg(feature = "hub")]
    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Moves a bare socket.
    #[inline]
    fn drive(&mut self, cx: &mut Context<'_>) {
        bare::drive(&mut self.driver, cx);
    }

    /// Nobody has a reason to await a bare socket any more: what is left of the
    /// closing handshake is done by a task.
    #[cold]
    fn hand_over(&mut self) {
        if let Ok(runtime) = tokio::runtime::Handle::try_current()
            && let Some(driver) = self.driver.take()
        {
            let driver = driver.into_inner().unwrap_or_else(PoisonError::into_inner);
            runtime.spawn(driver.into_driver());
        }
    }
}

impl Drop for WebSocket {
    fn drop(&mut self) {
        self.shared.abandon();
        if self.driver.is_some() {
            self.hand_over();
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

/// Unpredictable enough for ping payloads and jitter: the standard library's
/// hash keys come from the system. Masking keys come from elsewhere.
pub(crate) fn random() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(0)
}
