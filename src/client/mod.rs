//! Connecting to a server.
//!
//! ```no_run
//! # async fn example() -> Result<(), hyper_ws::Error> {
//! let mut socket = hyper_ws::connect("ws://127.0.0.1:9001/chat").await?;
//! socket.send("hello").await?;
//! while let Some(message) = socket.recv().await? {
//!     println!("{message:?}");
//! }
//! # Ok(())
//! # }
//! ```
//!
//! What comes is a *bare* [`WebSocket`]: it moves while one of its methods is
//! awaited, so its pings are answered while somebody receives. Who has other
//! things to wait for runs it beside them: `tokio::spawn(socket.run(handler))`
//! (see [managed or bare](crate::socket#managed-or-bare)).
//!
//! # More than a URL
//!
//! [`connect`] returns a [`Connect`], which is awaited, or told more before that:
//!
//! ```no_run
//! use std::time::Duration;
//! use hyper_ws::Config;
//!
//! # async fn example() -> Result<(), hyper_ws::Error> {
//! let (socket, response) = hyper_ws::connect("ws://127.0.0.1:9001/chat")
//!     .header("authorization", "Bearer 0123456789")
//!     .protocols(["chat.v2", "chat.v1"])
//!     .config(Config::new().max_message_size(64 * 1024))
//!     .connect_timeout(Duration::from_secs(3))
//!     .with_response()
//!     .await?;
//! println!("{:?} {:?}", socket.protocol(), response.headers());
//! # Ok(())
//! # }
//! ```
//!
//! Instead of a URL it takes an [`http::Request`] too.
//!
//! # What is checked
//!
//! All that RFC 6455, section 4.1, asks for: the status, `Upgrade`,
//! `Connection`, the answer to our key, and that nothing was agreed on that was
//! not offered. Any other status is a refusal: an error that has the
//! [response](ConnectError::response) with up to 64 KiB of its body. Redirects
//! are not followed: the error says where to.
//!
//! # TLS
//!
//! `wss://` needs the feature `rustls`. A certificate is good if the system
//! trusts it; [`Connect::tls`] takes a configuration of yours instead.
//!
//! # Other streams
//!
//! [`connect_over`] makes the handshake over any stream, as it is. Through a
//! proxy goes [`Connect::via`], with TLS on top where the URL says `wss`.
//! `connect_over_http2` (feature `http2`) takes a stream of an HTTP/2 connection.
//!
//! # Coming back
//!
//! A client that lost its server should not come back at once, and not in the
//! same moment as all others that lost it:
//!
//! ```no_run
//! use std::hash::{BuildHasher, RandomState};
//! use std::time::Duration;
//!
//! use hyper_ws::WebSocket;
//! use hyper_ws::client::ConnectError;
//! use tokio::time::{Instant, sleep};
//!
//! /// Returns when the server does not want us.
//! async fn stay_connected(url: &str) -> ConnectError {
//!     let mut failures = 0;
//!     loop {
//!         let began = Instant::now();
//!         match hyper_ws::connect(url).await {
//!             Ok(socket) => talk(socket).await,
//!             Err(error) => match error.response() {
//!                 // To ask again will not help.
//!                 Some(response) if response.status().is_client_error() => return error,
//!                 _ => {}
//!             },
//!         }
//!         // What held for a minute was no failure.
//!         failures = match began.elapsed() {
//!             long if long > Duration::from_secs(60) => 0,
//!             _ => failures + 1,
//!         };
//!         // Up to a second, two, four .. and never more than a minute; how much of
//!         // that, is chance.
//!         let longest = Duration::from_secs(60.min(1 << failures.min(6)));
//!         let chance = RandomState::new().hash_one(failures) as f64 / u64::MAX as f64;
//!         sleep(longest.mul_f64(chance)).await;
//!     }
//! }
//!
//! async fn talk(mut socket: WebSocket) {
//!     while let Ok(Some(message)) = socket.recv().await {
//!         println!("{message:?}");
//!     }
//! }
//! ```

mod dial;
mod error;
mod exchange;
#[cfg(feature = "http2")]
mod http2;
mod random;
#[cfg(test)]
mod tests;
#[cfg(feature = "rustls")]
mod tls;

use std::fmt;
use std::future::IntoFuture;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use http::header::SEC_WEBSOCKET_PROTOCOL;
use http::{HeaderName, HeaderValue, Request, Response};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;

use crate::config::Config;
use crate::handshake::{IntoRequest, InvalidRequest, Question, Scheme, Target};
use crate::protocol::Role;
use crate::socket::{self, Start, WebSocket};
use crate::transport::Io;
pub use error::{ConnectError, ConnectErrorKind};
#[cfg(feature = "testing")]
pub(crate) use exchange::exchange;
#[cfg(feature = "http2")]
#[cfg_attr(docsrs, doc(cfg(feature = "http2")))]
pub use http2::connect_over_http2;
/// The rustls whose `ClientConfig` [`Connect::tls`] takes.
#[cfg(feature = "rustls")]
#[cfg_attr(docsrs, doc(cfg(feature = "rustls")))]
pub use tokio_rustls::rustls;

/// Opens a WebSocket: resolves the name, connects, and makes the handshake.
///
/// See the [module](self) for examples. Nothing happens before it is awaited.
///
/// # Errors
///
/// [`ConnectError`], which says at which step it failed. It converts into an
/// [`Error`](crate::Error).
///
/// # Cancel safety
///
/// Dropping the future closes what has been opened.
pub fn connect(request: impl IntoRequest) -> Connect {
    Connect::new(request, Way::Dial)
}

/// Makes the handshake over a stream that leads to the server: one that others
/// have encrypted, a UNIX socket, a pipe.
///
/// The stream is used as it is, **in the clear, unless it encrypts by itself**,
/// whatever the scheme of the URL.
///
/// ```
/// use hyper_ws::client::connect_over;
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let stream = tokio::net::UnixStream::connect("/run/server.socket").await?;
/// let socket = connect_over(stream, "ws://localhost/events").await?;
/// # Ok(())
/// # }
/// ```
pub fn connect_over<T>(stream: T, request: impl IntoRequest) -> Connect
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    Connect::new(request, Way::Over(Box::new(stream)))
}

/// A WebSocket that is to be opened: await it.
#[must_use = "nothing is opened unless it is awaited"]
pub struct Connect {
    request: Result<Request<()>, InvalidRequest>,
    way: Way,
    config: Arc<Config>,
    #[cfg(feature = "rustls")]
    tls: Option<Arc<rustls::ClientConfig>>,
    connect_timeout: Duration,
    handshake_timeout: Duration,
}

/// How to come to a stream to the server.
enum Way {
    /// By its name, over TCP.
    Dial,
    /// It is there, and TLS comes on top of it if the URL says so.
    Via(Box<dyn Io>),
    /// It is there, and taken as it is.
    Over(Box<dyn Io>),
    /// One of the streams of such a connection.
    #[cfg(feature = "http2")]
    Http2(http2::Ask),
}

impl Connect {
    fn new(request: impl IntoRequest, way: Way) -> Self {
        Connect {
            request: request.into_request(),
            way,
            config: Arc::default(),
            #[cfg(feature = "rustls")]
            tls: None,
            connect_timeout: Duration::from_secs(10),
            handshake_timeout: Duration::from_secs(10),
        }
    }

    /// One more field for the request. (What belongs to the handshake itself is
    /// set in any case: see [`Question::new`].)
    pub fn header<K, V>(mut self, name: K, value: V) -> Self
    where
        K: TryInto<HeaderName>,
        V: TryInto<HeaderValue>,
    {
        if let Ok(request) = &mut self.request {
            match (name.try_into(), value.try_into()) {
                (Ok(name), Ok(value)) => drop(request.headers_mut().append(name, value)),
                (Err(_), _) => self.request = Err(InvalidRequest::new("a field has no valid name")),
                (Ok(name), Err(_)) => {
                    let text = format!("the value of `{name}` has a character that none can have");
                    self.request = Err(InvalidRequest::new(text));
                }
            }
        }
        self
    }

    /// The subprotocols to offer, the favourite first. Which of them the server
    /// chose, if any, [`WebSocket::protocol`] says.
    pub fn protocols<P: AsRef<str>>(mut self, offered: impl IntoIterator<Item = P>) -> Self {
        for protocol in offered {
            self = self.header(SEC_WEBSOCKET_PROTOCOL, protocol.as_ref());
        }
        self
    }

    /// Limits and timers, and the compression to offer; the defaults unless
    /// set. Who may connect is for servers to say: that part has no effect.
    pub fn config(mut self, config: impl Into<Arc<Config>>) -> Self {
        self.config = config.into();
        self
    }

    /// Takes this stream to the server instead of a TCP connection: one through
    /// a proxy. With `wss` it is encrypted from end to end.
    ///
    /// ```no_run
    /// use hyper_util::client::legacy::connect::{HttpConnector, proxy::Tunnel};
    /// use tower::Service;
    ///
    /// # async fn example() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    /// let proxy = "http://127.0.0.1:8888".parse()?;
    /// let tunnel = Tunnel::new(proxy, HttpConnector::new())
    ///     .call("http://example.com:443".parse()?)
    ///     .await?;
    /// let socket = hyper_ws::connect("wss://example.com/chat")
    ///     .via(tunnel.into_inner())
    ///     .await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn via<T>(mut self, stream: T) -> Self
    where
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        self.way = Way::Via(Box::new(stream));
        self
    }

    /// Encrypts with this configuration instead of trusting whom the system
    /// trusts: for certificates of your own, and client certificates.
    ///
    /// What it says about ALPN is replaced by `http/1.1`.
    #[cfg(feature = "rustls")]
    #[cfg_attr(docsrs, doc(cfg(feature = "rustls")))]
    pub fn tls(mut self, config: impl Into<Arc<rustls::ClientConfig>>) -> Self {
        self.tls = Some(config.into());
        self
    }

    /// How long it may take to resolve the name and to connect (TLS counts); 10 s
    /// unless set.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// How long the server may take for its answer from then on; 10 s unless
    /// set.
    pub fn handshake_timeout(mut self, timeout: Duration) -> Self {
        self.handshake_timeout = timeout;
        self
    }

    /// With the server's response: its header fields, say.
    ///
    /// # Errors
    ///
    /// Those of [`connect`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes what has been opened.
    pub async fn with_response(self) -> Result<(WebSocket, Response<()>), ConnectError> {
        let request = self.request?;
        let target = Target::of(request.uri());
        // Whether there are random bytes shows here, and not at the first frame.
        let nonce = random::nonce()?;
        let (request, question) = match &self.way {
            #[cfg(feature = "http2")]
            Way::Http2(_) => Question::over_http2(request, self.config.clone())?,
            _ => Question::new(request, self.config.clone(), nonce)?,
        };
        let asking = Asking {
            request,
            question,
            config: self.config,
            timeout: self.handshake_timeout,
        };
        let deadline = after(self.connect_timeout);
        let tls = Tls {
            #[cfg(feature = "rustls")]
            config: self.tls,
            deadline,
        };
        match self.way {
            Way::Over(stream) => asking.over(stream).await,
            Way::Via(stream) => tls.or_not(stream, &target?, asking).await,
            Way::Dial => {
                let target = target?;
                let stream = dial::dial(&target, deadline).await?;
                tls.or_not(stream, &target, asking).await
            }
            #[cfg(feature = "http2")]
            Way::Http2(ask) => asking.over_http2(ask).await,
        }
    }
}

/// Pins what [`Connect`] becomes when it is awaited.
pub type Connecting = Pin<Box<dyn Future<Output = Result<WebSocket, ConnectError>> + Send>>;

impl IntoFuture for Connect {
    type Output = Result<WebSocket, ConnectError>;
    type IntoFuture = Connecting;

    fn into_future(self) -> Connecting {
        Box::pin(async { Ok(self.with_response().await?.0) })
    }
}

impl fmt::Debug for Connect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The URL may hold secrets.
        f.debug_struct("Connect").finish_non_exhaustive()
    }
}

/// What TLS needs, if it comes to that.
struct Tls {
    #[cfg(feature = "rustls")]
    config: Option<Arc<rustls::ClientConfig>>,
    #[cfg_attr(not(feature = "rustls"), allow(dead_code))]
    deadline: Instant,
}

impl Tls {
    /// Asks over the stream, encrypted or not, as the URL says.
    async fn or_not<T>(self, stream: T, target: &Target, asking: Asking) -> Opened
    where
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        match target.scheme() {
            Scheme::Ws => asking.over(stream).await,
            #[cfg(feature = "rustls")]
            Scheme::Wss => {
                let stream = tls::encrypt(stream, target, self.config, self.deadline).await?;
                asking.over(stream).await
            }
            #[cfg(not(feature = "rustls"))]
            Scheme::Wss => Err(ConnectError::no_tls()),
        }
    }
}

type Opened = Result<(WebSocket, Response<()>), ConnectError>;

/// A handshake that is to be made.
struct Asking {
    request: Request<()>,
    question: Question,
    config: Arc<Config>,
    timeout: Duration,
}

impl Asking {
    async fn over<T>(self, stream: T) -> Opened
    where
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let exchange = exchange::exchange(stream, self.request, self.timeout);
        let (response, stream) = exchange.await?;
        open(self.question, self.config, response, stream)
    }

    #[cfg(feature = "http2")]
    async fn over_http2(self, ask: http2::Ask) -> Opened {
        let exchange = http2::exchange(ask, self.request, self.timeout);
        let (response, stream) = exchange.await?;
        open(self.question, self.config, response, stream)
    }
}

/// When that much time will have passed. Whoever has more patience than an
/// `Instant` can tell (`Duration::MAX`, say) waits for as long as a process lives.
fn after(timeout: Duration) -> Instant {
    const LONGEST: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);
    Instant::now() + timeout.min(LONGEST)
}

/// The socket, if the response is an answer.
fn open<T>(question: Question, config: Arc<Config>, response: Response<()>, stream: T) -> Opened
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let agreement = question.conclude(&response)?;
    let start = Start {
        role: Role::Client {
            masking_key: random::masking_key,
        },
        config,
        protocol: agreement.protocol,
        codec: agreement.extension.map(|it| it.codec()),
        permit: None,
    };
    Ok((socket::bare(stream, start), response))
}
