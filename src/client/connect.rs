//! What is to be opened, and how.

use std::fmt;
use std::future::IntoFuture;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use http::header::SEC_WEBSOCKET_PROTOCOL;
use http::{HeaderName, HeaderValue, Request, Response};
#[cfg(feature = "http2")]
use hyper::body::Body;
#[cfg(feature = "http2")]
use hyper::client::conn::http2::SendRequest;
use tokio::io::{AsyncRead, AsyncWrite};
#[cfg(feature = "rustls")]
use tokio_rustls::rustls;

use super::deadline::after;
use super::error::ConnectError;
use super::handshake::{Asking, Tls};
#[cfg(feature = "http2")]
use super::http2;
use super::{dial, random};
use crate::config::Config;
#[cfg(feature = "http2")]
use crate::error::BoxError;
use crate::handshake::{IntoRequest, InvalidRequest, Question, Target};
use crate::socket::WebSocket;
use crate::transport::Io;

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

/// Makes the handshake over an HTTP/2 connection of hyper's, beside whatever
/// else it is used for (RFC 8441). Of the URL, the host becomes `:authority`;
/// it is not connected to.
///
/// RFC 8441, section 3: it may only be asked of a server that has said that it
/// knows this. Its word comes with its first frames:
/// [`Connection::is_extended_connect_protocol_enabled`] tells.
///
/// ```no_run
/// use http_body_util::Empty;
/// use hyper::body::Bytes;
/// use hyper::client::conn::http2;
/// use hyper_util::rt::{TokioExecutor, TokioIo};
/// use hyper_ws::client::connect_over_http2;
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let stream = TokioIo::new(tokio::net::TcpStream::connect("127.0.0.1:9001").await?);
/// let (sender, connection) = http2::handshake::<_, _, Empty<Bytes>>(TokioExecutor::new(), stream).await?;
/// tokio::spawn(connection);
/// let mut socket = connect_over_http2(sender.clone(), "ws://127.0.0.1:9001/chat").await?;
/// socket.send("hello").await?;
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// Those of [`connect`].
///
/// # Cancel safety
///
/// Dropping the future resets the stream, and leaves the connection as it is.
///
/// [`Connection::is_extended_connect_protocol_enabled`]: hyper::client::conn::http2::Connection::is_extended_connect_protocol_enabled
#[cfg(feature = "http2")]
#[cfg_attr(docsrs, doc(cfg(feature = "http2")))]
pub fn connect_over_http2<B>(sender: SendRequest<B>, request: impl IntoRequest) -> Connect
where
    B: Body + Default + Send + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    Connect::new(request, Way::Http2(http2::ask(sender)))
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
