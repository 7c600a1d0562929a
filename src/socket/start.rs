//! The beginning of a connection: from a stream and what was negotiated, to a socket.

use std::fmt;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite};

use super::driver::{BoxedIo, Driver, HandlerOutput, Inline, Outcome, finish_handler};
use super::shared::Shared;
use super::websocket::WebSocket;
use crate::Config;
use crate::protocol::{Codec, Extension, Reader, Role};
use crate::tracker::{self, Tracker};

/// The outcome of an opening handshake, and the settings of this side: everything that a
/// connection over a stream begins with.
///
/// ```
/// use hyper_ws::Config;
/// use hyper_ws::protocol::Role;
/// use hyper_ws::socket::Negotiated;
///
/// let negotiated = Negotiated::new(Role::Server)
///     .config(Config::new().max_message_size(4096))
///     .protocol("chat");
/// # let _ = negotiated;
/// ```
#[must_use = "hand it to `serve` or `WebSocket::from_stream`"]
pub struct Negotiated {
    pub(crate) role: Role,
    pub(crate) config: Arc<Config>,
    pub(crate) protocol: Option<Arc<str>>,
    pub(crate) codec: Option<Box<dyn Codec>>,
    pub(crate) permit: Option<tracker::Permit>,
}

impl Negotiated {
    /// Begins with a role, the default configuration, no subprotocol and no extension.
    pub fn new(role: Role) -> Self {
        Negotiated {
            role,
            config: Arc::default(),
            protocol: None,
            codec: None,
            permit: None,
        }
    }

    /// Sets limits and timeouts. (Origins and hosts are for the handshake to check, for
    /// example with [`Offer::check`](crate::handshake::Offer::check).)
    pub fn config(mut self, config: impl Into<Arc<Config>>) -> Self {
        self.config = config.into();
        self
    }

    /// Sets the negotiated subprotocol (RFC 6455, section 1.9).
    pub fn protocol(mut self, protocol: impl Into<Arc<str>>) -> Self {
        self.protocol = Some(protocol.into());
        self
    }

    /// Sets the negotiated extension (RFC 6455, section 9), for example that of an
    /// [`Agreement`](crate::handshake::Agreement::extension).
    pub fn extension(mut self, extension: Option<Extension>) -> Self {
        self.codec = extension.map(|Extension(agreed)| agreed.codec());
        self
    }

    /// Counts the connection with this tracker, which also drains it. Call this before the
    /// handshake is answered: the tracker may refuse the connection.
    ///
    /// # Errors
    ///
    /// [`Refused`](tracker::Refused) if the tracker is full or draining. Answer with 503.
    pub fn tracker(mut self, tracker: &Tracker) -> Result<Self, tracker::Refused> {
        self.permit = Some(tracker.admit()?);
        Ok(self)
    }
}

impl fmt::Debug for Negotiated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Negotiated")
            .field("role", &self.role)
            .field("protocol", &self.protocol)
            .field("is_encoded", &self.codec.is_some())
            .finish_non_exhaustive()
    }
}

/// Serves a connection over any stream of bytes, and runs `handler` with its managed socket.
/// The opening handshake must be done. Spawn the future, or await it; dropping it aborts the
/// connection.
///
/// A server on a Unix socket, whose clients send frames at once, without a handshake:
///
/// ```no_run
/// # #[cfg(unix)]
/// # async fn run() -> std::io::Result<()> {
/// use hyper_ws::protocol::Role;
/// use hyper_ws::socket::{self, Negotiated};
/// use hyper_ws::{Error, WebSocket};
/// use tokio::net::UnixListener;
///
/// async fn echo(mut socket: WebSocket) -> Result<(), Error> {
///     while let Some(message) = socket.recv().await? {
///         socket.send(message).await?;
///     }
///     Ok(())
/// }
///
/// let listener = UnixListener::bind("/run/echo.sock")?;
/// loop {
///     let (stream, _) = listener.accept().await?;
///     let negotiated = Negotiated::new(Role::Server);
///     tokio::spawn(socket::serve(stream, negotiated, echo));
/// }
/// # }
/// ```
///
/// A hyper server over a Unix socket does not need this: it serves the stream, and
/// [`Upgrade`](crate::Upgrade) takes the connection over as on TCP.
pub fn serve<T, F, Fut>(
    io: T,
    negotiated: Negotiated,
    handler: F,
) -> impl Future<Output = ()> + use<T, F, Fut>
where
    T: AsyncRead + AsyncWrite + Unpin,
    F: FnOnce(WebSocket) -> Fut,
    Fut: Future<Output: HandlerOutput>,
{
    managed(io, negotiated, handler)
}

impl WebSocket {
    /// Makes a bare socket of any stream of bytes on which the opening handshake is done.
    ///
    /// A client and a server over a pipe in memory:
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use hyper_ws::protocol::Role;
    /// use hyper_ws::socket::{self, Negotiated};
    /// use hyper_ws::{CloseCode, Message, WebSocket};
    ///
    /// let (ours, theirs) = tokio::io::duplex(4096);
    /// tokio::spawn(socket::serve(
    ///     theirs,
    ///     Negotiated::new(Role::Server),
    ///     |mut socket: WebSocket| async move {
    ///         while let Some(message) = socket.recv().await? {
    ///             socket.send(message).await?;
    ///         }
    ///         Ok::<(), hyper_ws::Error>(())
    ///     },
    /// ));
    ///
    /// // A predictable key could fool a proxy. In memory there is none.
    /// let client = Role::Client { masking_key: || [1, 2, 3, 4] };
    /// let mut socket = WebSocket::from_stream(ours, Negotiated::new(client));
    /// socket.send("hello").await?;
    /// assert_eq!(socket.recv().await?, Some(Message::from("hello")));
    /// socket.close(CloseCode::NORMAL, "").await;
    /// # Ok(())
    /// # }
    /// ```
    pub fn from_stream<T>(io: T, negotiated: Negotiated) -> Self
    where
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        bare(io, negotiated)
    }
}

/// The future that serves a connection and runs `handler` with it.
pub(crate) fn managed<T, F, Fut>(io: T, negotiated: Negotiated, handler: F) -> Driver<T, Fut>
where
    T: AsyncRead + AsyncWrite + Unpin,
    F: FnOnce(WebSocket) -> Fut,
    Fut: Future,
    Fut::Output: HandlerOutput,
{
    let (reader, shared, permit) = begin(negotiated);
    let socket = WebSocket::new(shared.clone(), Inline::default());
    // A handler may panic before it has returned its future, too.
    let handler = match catch_unwind(AssertUnwindSafe(|| handler(socket))) {
        Ok(handler) => Some(handler),
        Err(panic) => {
            finish_handler(&shared, Outcome::Panicked(panic));
            None
        }
    };
    Driver::new(io, reader, shared, handler, permit)
}

/// Makes a socket that makes progress only while one of its methods is awaited.
pub(crate) fn bare<T>(io: T, negotiated: Negotiated) -> WebSocket
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let io: BoxedIo = Box::new(io);
    let (reader, shared, permit) = begin(negotiated);
    let no_handler = None::<std::future::Ready<()>>;
    let driver = Driver::new(io, reader, shared.clone(), no_handler, permit);
    WebSocket::new(shared, Inline::new(driver))
}

fn begin(negotiated: Negotiated) -> (Reader, Arc<Shared>, Option<tracker::Permit>) {
    let Negotiated {
        role,
        config,
        protocol,
        codec,
        permit,
    } = negotiated;
    let coding = codec.as_ref().map(|codec| codec.coding());
    let reader = Reader::new(role, &config).with_extension(codec);
    let shared = Shared::new(role, config, protocol, coding);
    (reader, shared, permit)
}
