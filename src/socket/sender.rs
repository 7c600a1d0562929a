//! The handle that sends from any task.

use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Poll, ready};
use std::time::Duration;

use super::shared::{Flush, Full, IfFull, Item, Pushed, Shared, WaiterGuard};
use crate::error::{CloseCause, Error, ErrorKind};
use crate::protocol::Prepared;
use crate::{CloseCode, Message};

/// Sends to a socket from any task. Clones are cheap.
///
/// Senders and the socket itself share one bounded queue, so the messages of one task leave
/// in the order of its calls, whichever handle it used. A sender does not keep the
/// connection open; the [`WebSocket`](crate::WebSocket) does.
///
/// The connection's own task writes what is queued, so you need not await anything for that. A
/// socket with a sender is always [managed](crate::socket#managed-or-bare), also in a client.
///
/// ```
/// # use hyper_ws::{WebSocket, Error};
/// async fn clock(mut socket: WebSocket) -> Result<(), Error> {
///     let sender = socket.sender();
///     tokio::spawn(async move {
///         while sender.send("tick").await.is_ok() {
///             tokio::time::sleep(std::time::Duration::from_secs(1)).await;
///         }
///     });
///     while socket.recv().await?.is_some() {}
///     Ok(())
/// }
/// ```
#[derive(Clone)]
pub struct Sender(Arc<Shared>);

impl Sender {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Sender(shared)
    }

    pub(super) fn shared(&self) -> &Shared {
        &self.0
    }

    /// Queues a message. If the queue is full, waits for room, unless
    /// [`Config::overflow`](crate::Config::overflow) says otherwise.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Closed`] if the connection has ended or is closing.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped before it is ready, the message is lost unless it was queued
    /// already; it is never queued in part. To keep it, use [`reserve`](Self::reserve).
    pub async fn send(&self, message: impl Into<Message>) -> Result<(), Error> {
        let message = message.into();
        self.queue(Item::Message(&message)).await
    }

    /// Queues a message that must not be compressed: one that holds a secret together with
    /// data that an attacker can choose (RFC 7692, section 8). Otherwise like
    /// [`send`](Self::send).
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Closed`] if the connection has ended or is closing.
    ///
    /// # Cancel safety
    ///
    /// As for [`send`](Self::send).
    #[cfg(feature = "deflate")]
    #[cfg_attr(docsrs, doc(cfg(feature = "deflate")))]
    pub async fn send_uncompressed(&self, message: impl Into<Message>) -> Result<(), Error> {
        let message = message.into();
        self.queue(Item::AsIs(&message)).await
    }

    async fn queue(&self, item: Item<'_>) -> Result<(), Error> {
        let mut waiter = WaiterGuard::new(&self.0);
        poll_fn(|cx| {
            let pushed = waiter.poll(|id| self.0.poll_push(item, id, cx));
            sent(ready!(pushed)).into()
        })
        .await
    }

    /// Queues a message if there is room for it now.
    ///
    /// # Errors
    ///
    /// [`TrySendError`], which returns the message.
    pub fn try_send(&self, message: impl Into<Message>) -> Result<(), TrySendError> {
        try_send(&self.0, message.into())
    }

    /// Queues a message without waiting. If the queue is full,
    /// [`Config::overflow`](crate::Config::overflow) says what happens:
    ///
    /// | policy | a full queue | returns |
    /// |---|---|---|
    /// | [`DropNewest`](crate::config::Overflow::DropNewest) | the message is dropped | [`Pushed::Dropped`] |
    /// | [`DropOldest`](crate::config::Overflow::DropOldest) | the oldest that were sent by this policy are dropped for it | [`Pushed::Queued`]; [`Pushed::Dropped`] if there are none |
    /// | [`Close`](crate::config::Overflow::Close), and [`Wait`](crate::config::Overflow::Wait), since it cannot wait | the connection is closed with 1013 | [`Pushed::Closed`] |
    ///
    /// So with the default policy no message is lost without a sign: a peer that reads too slowly is
    /// closed, and may come back. The queue is full at
    /// [`Config::output_limit`](crate::Config::output_limit); with `usize::MAX` it is never full, and
    /// grows as long as the peer does not read.
    ///
    /// It is for code that is not async, or must not wait for this peer: a callback, a lock that is
    /// held, a loop over many senders.
    ///
    /// ```
    /// use std::collections::HashMap;
    ///
    /// use hyper_ws::{Sender, socket::Pushed};
    ///
    /// /// Tells everybody, and forgets those that are gone.
    /// fn announce(people: &mut HashMap<String, Sender>, news: &str) {
    ///     people.retain(|_, person| person.push(news) != Pushed::Closed);
    /// }
    /// ```
    pub fn push(&self, message: impl Into<Message>) -> Pushed {
        push(&self.0, &message.into())
    }

    /// Queues a [prepared](Prepared) message if there is room for it now.
    ///
    /// # Errors
    ///
    /// [`TrySendError`], which returns the message.
    pub fn try_send_prepared(&self, prepared: &Prepared) -> Result<(), TrySendError> {
        tried(
            self.0.push(Item::Prepared(prepared), IfFull::Refuse),
            || prepared.message().clone(),
        )
    }

    /// Queues a prepared message. If the queue is full, waits for room, whatever the policy of the
    /// configuration is.
    #[cfg(feature = "hub")]
    pub(crate) async fn send_prepared(&self, prepared: &Prepared) -> Result<(), Error> {
        let mut waiter = WaiterGuard::new(&self.0);
        poll_fn(|cx| {
            let pushed = waiter.poll(|id| {
                let if_full = IfFull::Wait(id, cx.waker());
                match self.0.push(Item::Prepared(prepared), if_full) {
                    Ok(pushed) => Poll::Ready(pushed),
                    Err(Full) => Poll::Pending,
                }
            });
            sent(ready!(pushed)).into()
        })
        .await
    }

    /// Waits for room in the send queue. The permit then queues one message without waiting.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Closed`] if the connection has ended or is closing.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future has no effect.
    pub async fn reserve(&self) -> Result<Permit<'_>, Error> {
        let mut waiter = WaiterGuard::new(&self.0);
        poll_fn(|cx| waiter.poll(|id| self.0.poll_room(id, cx))).await?;
        Ok(Permit::new(&self.0))
    }

    /// Waits until everything that was queued before has been handed to the transport.
    ///
    /// While a message is sent [in chunks](Self::send_stream), those of other senders and of
    /// rooms wait for its end, and so does a flush. So do not await one between the chunks: it would
    /// wait for itself as soon as a room has sent something.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Closed`] if the connection ended first.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future has no effect on what was sent.
    pub async fn flush(&self) -> Result<(), Error> {
        let mut waiter = WaiterGuard::new(&self.0);
        let mut flush = Flush::default();
        poll_fn(|cx| waiter.poll(|id| flush.poll(&self.0, id, cx))).await
    }

    /// Returns an identifier of this connection.
    ///
    /// Two connections never have the same id at the same time. When every handle of this
    /// connection is dropped, a later connection may get its id. So keep a sender beside the id.
    pub fn id(&self) -> SocketId {
        SocketId(Arc::as_ptr(&self.0).addr())
    }

    /// Begins the closing handshake, after what is queued, and returns at once. The
    /// handler's `recv` returns `Ok(None)`. Does nothing if the connection has ended or is
    /// closing.
    pub fn close(&self, code: CloseCode, reason: &str) {
        self.0.close(CloseCause::Local(code), code, reason);
    }

    /// Closes this connection, by [`close`](Self::close), in the way in which another connection
    /// ended. It is for a proxy, whose two sides end together.
    ///
    /// | `cause` of the other connection | what is sent here |
    /// |---|---|
    /// | [`Remote`](CloseCause::Remote) with a close frame | its code and reason |
    /// | `Remote` with an empty one, which browsers call 1005 | an empty close frame |
    /// | [`Local`](CloseCause::Local), [`Drained`](CloseCause::Drained) | the code that was sent there |
    /// | [`HandlerFailed`](CloseCause::HandlerFailed), [`HandlerPanicked`](CloseCause::HandlerPanicked) | 1011 |
    /// | [`Overflow`](CloseCause::Overflow) | 1013 |
    /// | all others: that connection was lost or ended by an error (1006 in many browsers) | 1014 to a client, 1001 to a server, with the cause in words |
    ///
    /// 1005, 1006 and 1015 are never sent (RFC 6455, section 7.4.1).
    ///
    /// ```
    /// use hyper_ws::{Error, Sender, WebSocket};
    ///
    /// /// Forwards messages until one side ends, and ends the other in the same way.
    /// async fn forward(from: &mut WebSocket, to: Sender) -> Result<(), Error> {
    ///     while let Ok(Some(message)) = from.recv().await {
    ///         to.send(message).await?;
    ///     }
    ///     if let Some(cause) = from.close_cause() {
    ///         to.close_as(&cause);
    ///     }
    ///     Ok(())
    /// }
    /// ```
    pub fn close_as(&self, cause: &CloseCause) {
        match cause {
            CloseCause::Remote(None) => self.0.close_empty(),
            CloseCause::Remote(Some(frame)) => self.close(frame.code, &frame.reason),
            CloseCause::Local(code) | CloseCause::Drained(code) => self.close(*code, ""),
            CloseCause::HandlerFailed | CloseCause::HandlerPanicked => {
                self.close(CloseCode::INTERNAL_ERROR, "");
            }
            CloseCause::Overflow => self.close(CloseCode::TRY_AGAIN_LATER, &cause.to_string()),
            CloseCause::Lost
            | CloseCause::Violation(_)
            | CloseCause::PingTimeout
            | CloseCause::MessageTimeout
            | CloseCause::WriteTimeout
            | CloseCause::Unfinished
            | CloseCause::Io(_)
            | CloseCause::Aborted => {
                // RFC 6455 has no code of a gateway. 1014 is registered for a server behind
                // one; that a client is gone is 1001.
                let code = if self.0.is_client() {
                    CloseCode::GOING_AWAY
                } else {
                    CloseCode::BAD_GATEWAY
                };
                self.close(code, &cause.to_string());
            }
        }
    }

    /// Aborts the connection, without a closing handshake. The handler is dropped.
    pub fn abort(&self) {
        self.0.abort(CloseCause::Aborted);
    }

    /// Waits until the connection is closed, and returns how it ended.
    ///
    /// It does not receive messages. If no task receives them, they fill the read-ahead, and a
    /// close frame behind them is not seen. So a handler that only waits for the end should await
    /// [`WebSocket::closed`](crate::WebSocket::closed), which discards messages.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future has no effect.
    pub async fn closed(&self) -> CloseCause {
        let mut waiter = WaiterGuard::new(&self.0);
        poll_fn(|cx| waiter.poll(|id| self.0.poll_closed(id, cx))).await
    }

    /// Returns how the connection ended, once it has ended or is ending. Returns `None` while
    /// messages can still be received, even if sending has failed: the peer's close frame may be
    /// among them.
    pub fn close_cause(&self) -> Option<CloseCause> {
        self.0.close_cause()
    }

    /// Returns the round-trip time of the last keep-alive ping that was answered.
    pub fn latency(&self) -> Option<Duration> {
        self.0.latency()
    }
}

/// Two senders are equal if they belong to the same connection. As the key of a map, use
/// [`Sender::id`].
impl PartialEq for Sender {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Sender {}

/// The identifier of a connection, for example as the key of a map. [`Sender::id`] returns it.
///
/// ```
/// use std::collections::HashMap;
///
/// use hyper_ws::Sender;
/// use hyper_ws::socket::SocketId;
///
/// #[derive(Default)]
/// struct People(HashMap<SocketId, (Sender, String)>);
///
/// impl People {
///     fn enter(&mut self, sender: Sender, name: String) {
///         self.0.insert(sender.id(), (sender, name));
///     }
///
///     fn name(&self, id: SocketId) -> Option<&str> {
///         self.0.get(&id).map(|(_, name)| name.as_str())
///     }
/// }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SocketId(usize);

impl SocketId {
    /// The address of what the handles of a connection share.
    #[cfg(feature = "hub")]
    pub(crate) fn address(self) -> usize {
        self.0
    }
}

impl fmt::Debug for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender")
            .field("close_cause", &self.close_cause())
            .finish_non_exhaustive()
    }
}

/// The right to queue one message without waiting. For each outstanding permit, the queue
/// may exceed its limit by one message.
#[must_use = "a permit that is not used sends nothing"]
pub struct Permit<'a>(&'a Shared);

impl<'a> Permit<'a> {
    pub(super) fn new(shared: &'a Shared) -> Self {
        Permit(shared)
    }

    /// Queues a message.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Closed`] if the connection has ended meanwhile.
    pub fn send(self, message: impl Into<Message>) -> Result<(), Error> {
        with_permit(self.0, &message.into())
    }
}

impl fmt::Debug for Permit<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Permit")
    }
}

/// A message that could not be queued without waiting.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TrySendError {
    /// The send queue is full: the peer does not read as fast as this side sends.
    Full(Message),
    /// The connection has ended or is closing.
    Closed(Message),
}

impl TrySendError {
    /// Returns the message.
    pub fn into_message(self) -> Message {
        match self {
            TrySendError::Full(message) | TrySendError::Closed(message) => message,
        }
    }
}

impl fmt::Display for TrySendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TrySendError::Full(_) => "the send queue is full",
            TrySendError::Closed(_) => "the WebSocket is closed",
        })
    }
}

impl std::error::Error for TrySendError {}

pub(super) fn try_send(shared: &Shared, message: Message) -> Result<(), TrySendError> {
    let pushed = shared.push(Item::Message(&message), IfFull::Refuse);
    tried(pushed, || message)
}

fn tried(
    pushed: Result<Pushed, Full>,
    message: impl FnOnce() -> Message,
) -> Result<(), TrySendError> {
    match pushed {
        Ok(Pushed::Queued | Pushed::Dropped) => Ok(()),
        Err(Full) => Err(TrySendError::Full(message())),
        Ok(Pushed::Closed) => Err(TrySendError::Closed(message())),
    }
}

pub(super) fn push(shared: &Shared, message: &Message) -> Pushed {
    shared.deliver(Item::Message(message), shared.config().overflow)
}

/// Queues a message whose sender has the right to do so, whether the queue is full or not.
pub(super) fn with_permit(shared: &Shared, message: &Message) -> Result<(), Error> {
    match shared.push(Item::Message(message), IfFull::Push) {
        Ok(pushed) => sent(pushed),
        // Not with this action.
        Err(Full) => Ok(()),
    }
}

/// A message dropped by the overflow policy counts as sent: the configuration asks for that.
pub(super) fn sent(pushed: Pushed) -> Result<(), Error> {
    match pushed {
        Pushed::Queued | Pushed::Dropped => Ok(()),
        Pushed::Closed => Err(Error::from_kind(ErrorKind::Closed)),
    }
}
