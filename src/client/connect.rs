//! The builder that users await, and the functions that make one.

use std::fmt;
use std::future::IntoFuture;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
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

use super::connector::{self, Connector, PlainStream};
use super::error::ConnectError;
use super::handshake::{Encryption, Handshake, Tls};
#[cfg(feature = "http2")]
use super::http2;
use super::{dial, random};
use crate::config::Config;
use crate::deadline::after;
use crate::error::BoxError;
use crate::handshake::{ClientHandshake, IntoRequest, InvalidRequest, Target};
use crate::socket::WebSocket;
use crate::transport::Io;

/// Opens a WebSocket: resolves the name, connects, and makes the handshake.
///
/// Nothing happens before the [`Connect`] is awaited. See the [module](super) for
/// examples. Before a program ends, await [`close`](WebSocket::close): it waits until the server
/// has answered the close frame, and so has received what was sent before, or until a deadline.
///
/// # Errors
///
/// [`ConnectError`], which says which step failed. It converts into an
/// [`Error`](crate::Error).
///
/// # Cancel safety
///
/// Dropping the future closes what has been opened.
pub fn connect(request: impl IntoRequest) -> Connect {
    Connect::new(request, StreamSource::Dial)
}

/// Opens a WebSocket over any stream that leads to the server: a Unix socket, a pipe,
/// or a stream that is already encrypted.
///
/// The stream is used as it is. **Nothing is encrypted here**, even if the URL says
/// `wss`. The URL provides only the path and the `Host` header.
///
/// A Unix socket:
///
/// ```no_run
/// use hyper_ws::client::connect_over;
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let stream = tokio::net::UnixStream::connect("/run/server.socket").await?;
/// let socket = connect_over(stream, "ws://localhost/events").await?;
/// # Ok(())
/// # }
/// ```
///
/// A pipe to a hyper server in the same process (for tests, see also
/// `hyper_ws::testing`):
///
/// ```
/// use hyper::server::conn::http1;
/// use hyper::service::service_fn;
/// use hyper::{Request, Response, body::Incoming};
/// use hyper_util::rt::TokioIo;
/// use hyper_ws::client::connect_over;
/// use hyper_ws::{Error, Upgrade, WebSocket};
///
/// async fn echo(mut socket: WebSocket) -> Result<(), Error> {
///     while let Some(message) = socket.recv().await? {
///         socket.send(message).await?;
///     }
///     Ok(())
/// }
///
/// async fn app(mut request: Request<Incoming>) -> Result<Response<String>, Error> {
///     Ok(match Upgrade::from_request(&mut request) {
///         Ok(upgrade) => upgrade.on_upgrade(echo),
///         Err(rejection) => rejection.into(),
///     })
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let (client, server) = tokio::io::duplex(64 * 1024);
/// let connection = http1::Builder::new().serve_connection(TokioIo::new(server), service_fn(app));
/// tokio::spawn(connection.with_upgrades());
///
/// let mut socket = connect_over(client, "ws://localhost/echo").await?;
/// socket.send("hello").await?;
/// assert_eq!(socket.recv().await?, Some("hello".into()));
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
/// Dropping the future closes the stream.
pub fn connect_over<T>(stream: T, request: impl IntoRequest) -> Connect
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    Connect::new(request, StreamSource::Over(Box::new(stream)))
}

/// Opens a WebSocket as a stream of an existing HTTP/2 connection of hyper's (RFC 8441).
///
/// The URL provides only the path and the host, which becomes `:authority`.
///
/// Call this only if the server has announced that it supports extended CONNECT (RFC
/// 8441, section 3). The announcement comes with the server's first frames:
/// see [`Connection::is_extended_connect_protocol_enabled`].
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
/// Dropping the future resets the stream. The connection stays open.
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
    Connect::new(request, StreamSource::Http2(http2::ask(sender)))
}

/// The options of a connection attempt. Await it to connect.
#[must_use = "nothing is opened unless it is awaited"]
pub struct Connect {
    request: Result<Request<()>, InvalidRequest>,
    source: StreamSource,
    config: Arc<Config>,
    encryption: Encryption,
    title_case_headers: bool,
    connect_timeout: Duration,
    handshake_timeout: Duration,
}

/// The origin of the stream to the server.
enum StreamSource {
    /// A TCP connection to the host of the URL.
    Dial,
    /// The stream of the program's connector, encrypted if the URL says `wss`.
    Connector(Connector),
    /// A given stream, encrypted if the URL says `wss`.
    Via(Box<dyn Io>),
    /// A given stream, used as it is.
    Over(Box<dyn Io>),
    /// A new stream of a given HTTP/2 connection.
    #[cfg(feature = "http2")]
    Http2(http2::Ask),
}

impl Connect {
    fn new(request: impl IntoRequest, source: StreamSource) -> Self {
        Connect {
            request: request.into_request(),
            source,
            config: Arc::default(),
            encryption: Encryption::default(),
            title_case_headers: false,
            connect_timeout: Duration::from_secs(10),
            handshake_timeout: Duration::from_secs(10),
        }
    }

    /// Adds a header field to the request.
    ///
    /// The fields of the handshake itself cannot be changed: see
    /// [`ClientHandshake::new`]. If HTTP does not allow the name or the value, the attempt fails.
    pub fn header<K, V>(mut self, name: K, value: V) -> Self
    where
        K: TryInto<HeaderName>,
        V: TryInto<HeaderValue>,
    {
        if let Ok(request) = &mut self.request {
            match (name.try_into(), value.try_into()) {
                (Ok(name), Ok(value)) => drop(request.headers_mut().append(name, value)),
                (Err(_), _) => self.request = Err(InvalidRequest::new("invalid header name")),
                (Ok(name), Err(_)) => {
                    let text = format!("invalid character in the value of the header `{name}`");
                    self.request = Err(InvalidRequest::new(text));
                }
            }
        }
        self
    }

    /// Offers these subprotocols, in order of preference.
    ///
    /// [`WebSocket::protocol`] returns the one that the server selected, if any.
    pub fn protocols<P: AsRef<str>>(mut self, offered: impl IntoIterator<Item = P>) -> Self {
        for protocol in offered {
            self = self.header(SEC_WEBSOCKET_PROTOCOL, protocol.as_ref());
        }
        self
    }

    /// Sets limits and timeouts, and the compression to offer; the defaults of [`Config`]
    /// unless set.
    ///
    /// Allowed origins and hosts are settings for servers and have no effect here.
    pub fn config(mut self, config: impl Into<Arc<Config>>) -> Self {
        self.config = config.into();
        self
    }

    /// Uses this stream to the server instead of a new TCP connection: a stream through a
    /// proxy, for instance. If the URL says `wss`, TLS runs on top of it.
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
        self.source = StreamSource::Via(Box::new(stream));
        self
    }

    /// Sets the configuration of TLS: for certificates of your own, and for client
    /// certificates. The system's trusted certificates are used unless set.
    ///
    /// Its ALPN protocols are replaced by `http/1.1`.
    ///
    /// rustls needs a *crypto provider*, and the feature `rustls` brings none: the program has one
    /// already, or chooses. The configuration that you pass contains its provider. Without this
    /// call, the first connection looks for a provider that the program has
    /// [installed](rustls::crypto::CryptoProvider::install_default). If there is none, it uses that
    /// of the feature `rustls-ring` or `rustls-aws-lc-rs`. This crate installs none.
    #[cfg(feature = "rustls")]
    #[cfg_attr(docsrs, doc(cfg(feature = "rustls")))]
    pub fn tls(mut self, config: impl Into<Arc<rustls::ClientConfig>>) -> Self {
        self.encryption = Encryption::Configured(config.into());
        self
    }

    /// Reaches the server through this function instead of a new TCP connection: through a
    /// proxy, over a Unix socket, or in memory. If the URL says `wss`, TLS runs on top of its
    /// stream.
    ///
    /// It is called once, with the server's name and port.
    /// [`connect_timeout`](Self::connect_timeout) limits the function and TLS together. Its error
    /// becomes a [`ConnectError`] of the kind `Connect`, or is returned as it is if it is a
    /// `ConnectError`.
    ///
    /// A Unix socket:
    ///
    /// ```no_run
    /// # #[cfg(unix)]
    /// # async fn example() -> Result<(), hyper_ws::Error> {
    /// use tokio::net::UnixStream;
    ///
    /// let socket = hyper_ws::connect("ws://localhost/events")
    ///     .connector(|_| UnixStream::connect("/run/server.socket"))
    ///     .await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// Set `TCP_NODELAY` on a TCP connection of your own, as `connect` does on its own.
    ///
    /// The module has more [examples](super#other-streams). For a stream that exists already, use
    /// [`via`](Self::via).
    pub fn connector<F, Fut, T, E>(mut self, connector: F) -> Self
    where
        F: FnOnce(Target) -> Fut + Send + 'static,
        Fut: Future<Output = Result<T, E>> + Send + 'static,
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        E: Into<BoxError>,
    {
        self.source = StreamSource::Connector(connector::connector(connector));
        self
    }

    /// Encrypts with TLS of your own if the URL says `wss`: native-tls or OpenSSL, for
    /// instance. The feature `rustls` is not needed.
    ///
    /// The function is given the stream, and the server's name and port. The name for the
    /// certificate is [`Target::server_name`]. If a protocol is negotiated (ALPN), it must be
    /// `http/1.1`. The error of the function becomes a [`ConnectError`] of the kind `Tls`, or is
    /// returned as it is if it is a `ConnectError`. This has no effect on [`connect_over`], and
    /// replaces `Connect::tls`.
    ///
    /// ```no_run
    /// # #[derive(Clone)]
    /// # struct TlsConnector;
    /// # impl TlsConnector {
    /// #     async fn connect<S>(&self, _name: &str, stream: S) -> std::io::Result<S> { Ok(stream) }
    /// # }
    /// # async fn example(native_tls: TlsConnector) -> Result<(), hyper_ws::Error> {
    /// let socket = hyper_ws::connect("wss://example.com/chat")
    ///     .tls_connector(|stream, server| async move {
    ///         native_tls.connect(server.server_name(), stream).await
    ///     })
    ///     .await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn tls_connector<F, Fut, T, E>(mut self, connector: F) -> Self
    where
        F: FnOnce(PlainStream, Target) -> Fut + Send + 'static,
        Fut: Future<Output = Result<T, E>> + Send + 'static,
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        E: Into<BoxError>,
    {
        self.encryption = Encryption::Own(connector::encryptor(connector));
        self
    }

    /// Writes the header names with capital letters, as RFC 6455 does:
    /// `Sec-WebSocket-Key` instead of `sec-websocket-key`. Over HTTP/2 it has no
    /// effect, since names are lower case there.
    ///
    /// Header names have no case (RFC 9110, section 5.1), and nearly all servers know
    /// that. Use this if a device or a gateway answers 400 to this client, or says that
    /// a header is missing, and accepts browsers.
    pub fn title_case_headers(mut self) -> Self {
        self.title_case_headers = true;
        self
    }

    /// Limits the time to resolve the name and to connect, TLS included. The default
    /// is 10 s, and [`Duration::MAX`] sets no limit. With zero there is no time left:
    /// it times out at once.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// Limits the time from the connection, TLS included, until the server has answered the
    /// handshake. The default is 10 s, and [`Duration::MAX`] sets no limit. With zero there is no
    /// time left: it times out at once.
    pub fn handshake_timeout(mut self, timeout: Duration) -> Self {
        self.handshake_timeout = timeout;
        self
    }

    /// Connects, and returns the server's response too, for its header fields.
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
        // A system without random bytes fails here, and not at the first frame.
        let nonce = random::nonce()?;
        let (request, question) = match &self.source {
            #[cfg(feature = "http2")]
            StreamSource::Http2(_) => ClientHandshake::over_http2(request, self.config.clone())?,
            _ => ClientHandshake::new(request, self.config.clone(), nonce)?,
        };
        let handshake = Handshake {
            request,
            question,
            config: self.config,
            title_case_headers: self.title_case_headers,
            timeout: self.handshake_timeout,
        };
        let deadline = after(self.connect_timeout);
        let tls = Tls {
            encryption: self.encryption,
            deadline,
        };
        match self.source {
            StreamSource::Over(stream) => handshake.over(stream).await,
            StreamSource::Via(stream) => tls.connect_if_wss(stream, &target?, handshake).await,
            StreamSource::Connector(connector) => {
                let target = target?;
                let stream = connector::dial(connector, &target, deadline).await?;
                tls.connect_if_wss(stream, &target, handshake).await
            }
            StreamSource::Dial => {
                let target = target?;
                let stream = dial::dial(&target, deadline).await?;
                tls.connect_if_wss(stream, &target, handshake).await
            }
            #[cfg(feature = "http2")]
            StreamSource::Http2(ask) => handshake.over_http2(ask).await,
        }
    }
}

impl IntoFuture for Connect {
    type Output = Result<WebSocket, ConnectError>;
    type IntoFuture = Connecting;

    fn into_future(self) -> Connecting {
        Connecting(Box::pin(async { Ok(self.with_response().await?.0) }))
    }
}

impl fmt::Debug for Connect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not the URL, which may hold secrets.
        f.debug_struct("Connect").finish_non_exhaustive()
    }
}

/// The future that a [`Connect`] becomes when it is awaited.
#[must_use = "futures do nothing unless they are polled"]
pub struct Connecting(Pin<Box<dyn Future<Output = Result<WebSocket, ConnectError>> + Send>>);

impl Future for Connecting {
    type Output = Result<WebSocket, ConnectError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.as_mut().poll(cx)
    }
}

impl fmt::Debug for Connecting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connecting").finish_non_exhaustive()
    }
}
