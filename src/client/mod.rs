//! A client: opens WebSockets.
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
//! A program that has nothing more to say closes, and waits until the server has received all:
//!
//! ```no_run
//! # async fn example() -> Result<(), hyper_ws::Error> {
//! use hyper_ws::CloseCode;
//!
//! let mut socket = hyper_ws::connect("ws://127.0.0.1:9001/chat").await?;
//! socket.send("hello").await?;
//! socket.close(CloseCode::NORMAL, "").await;
//! # Ok(())
//! # }
//! ```
//!
//! (If it just returns, the drop of the socket writes what is queued and a close frame, but
//! waits for nothing. Over HTTP/2 another task writes them, so there `close` is needed.)
//!
//! # A client that does other things too
//!
//! `connect` returns a *bare* [`WebSocket`](crate::WebSocket): it makes progress only
//! while one of its methods is awaited, so pings are answered only while you receive.
//! [`into_managed`](crate::WebSocket::into_managed) gives the connection a task of its own. Then
//! it lives as a server's does, whatever you await:
//!
//! ```no_run
//! # async fn measure() -> String { String::new() }
//! # async fn example() -> Result<(), hyper_ws::Error> {
//! let mut socket = hyper_ws::connect("ws://127.0.0.1:9001/").await?.into_managed();
//! loop {
//!     let measured = measure().await; // takes its time
//!     socket.send(measured).await?;
//! }
//! # }
//! ```
//!
//! [`sender`](crate::WebSocket::sender) does the same when it is first called, since its
//! messages come from other tasks. This program reads and writes in two tasks, without a channel
//! between them:
//!
//! ```no_run
//! # async fn example() -> Result<(), hyper_ws::Error> {
//! let mut socket = hyper_ws::connect("ws://127.0.0.1:9001/").await?;
//! let sender = socket.sender();
//! tokio::spawn(async move {
//!     while let Some(message) = socket.recv().await? {
//!         println!("{message:?}");
//!     }
//!     Ok::<(), hyper_ws::Error>(())
//! });
//! sender.send("on its way when nothing else happens").await?;
//! # Ok(())
//! # }
//! ```
//!
//! Or hand it to a handler, as a server does: `tokio::spawn(socket.run(handler))`. See
//! [managed or bare](crate::socket#managed-or-bare).
//!
//! # More than a URL
//!
//! [`connect()`] returns a [`Connect`]. Set what you need before you await it:
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
//! `connect` takes a URL or an [`http::Request`]. A URL is read as browsers read it: see
//! [`IntoRequest`](crate::handshake::IntoRequest).
//!
//! A few devices and gateways compare header names by case, and answer 400 to names in
//! lower case: [`Connect::title_case_headers`] is for them.
//!
//! # What is checked
//!
//! The response is checked as RFC 6455, section 4.1, requires: the status, `Upgrade`,
//! `Connection`, the answer to the key, and that the server selected nothing that was
//! not offered.
//!
//! Any status other than 101 is a refusal: an error that holds the
//! [response](ConnectError::response) with up to 64 KiB of its body. Redirects are
//! not followed; the error says where they lead to.
//!
//! ```no_run
//! # async fn example() -> Result<(), hyper_ws::Error> {
//! match hyper_ws::connect("ws://127.0.0.1:9001/chat").await {
//!     Ok(socket) => drop(socket),
//!     Err(error) => match error.response() {
//!         Some(refused) => println!(
//!             "{} {:?} {}",
//!             refused.status(),
//!             refused.headers(),
//!             String::from_utf8_lossy(refused.body()),
//!         ),
//!         None => println!("{:?}: {error}", error.kind()),
//!     },
//! }
//! # Ok(())
//! # }
//! ```
//!
//! [`ConnectError::find`] finds it in other errors, such as a box that `?` made.
//!
//! # TLS
//!
//! `wss://` needs the feature `rustls`, and a *crypto provider* for it:
//!
//! | your program | in Cargo.toml | in `main` |
//! |---|---|---|
//! | has nothing to do with TLS otherwise | feature `rustls-ring`, or `rustls-aws-lc-rs` | |
//! | has rustls, and installs a provider | feature `rustls` | |
//! | has rustls, and calls `ClientConfig::builder()` | feature `rustls` | `rustls::crypto::aws_lc_rs::default_provider().install_default()`, or that of ring |
//! | configures TLS for this client | feature `rustls` | `connect(url).tls(config)` |
//! | has another TLS library | | `connect(url).tls_connector(..)` |
//!
//! The feature `rustls` brings no provider, since a second one in a program makes
//! `ClientConfig::builder()` panic wherever it is called. The first connection uses the provider
//! that the program has installed. If there is none, it uses the provider of a feature, for
//! connections of this crate only. If no feature names one either, the error says so.
//!
//! The system's trusted certificates are used. To trust different ones, pass a configuration to
//! `Connect::tls`.
//!
//! # Other streams
//!
//! | the stream | |
//! |---|---|
//! | a TCP connection to the host of the URL | [`connect()`] |
//! | one of yours, through a proxy for instance; TLS on top if the URL says `wss` | [`Connect::connector`]; if the stream exists already, [`Connect::via`] |
//! | encrypted by a TLS library of yours | [`Connect::tls_connector`] |
//! | one of yours, as it is: a Unix socket, a pipe | [`connect_over`] |
//! | a stream of an HTTP/2 connection (feature `http2`) | `connect_over_http2` |
//!
//! A connector is a function that returns a future of a stream. Its errors become a
//! [`ConnectError`], and it has the timeouts and the other settings of [`Connect`]. A function of
//! your own that returns a `ConnectError` can use `?` on an [`io::Error`](std::io::Error).
//!
//! This connector goes through a SOCKS5 proxy that asks for no password (RFC 1928), without another
//! crate:
//!
//! ```no_run
//! use std::io;
//!
//! use hyper_ws::handshake::Target;
//! use tokio::io::{AsyncReadExt, AsyncWriteExt};
//! use tokio::net::TcpStream;
//!
//! async fn socks(proxy: &str, target: Target) -> io::Result<TcpStream> {
//!     let mut stream = TcpStream::connect(proxy).await?;
//!     let refused = || io::Error::other("the proxy refused");
//!     let host = target.host().as_bytes();
//!     let length = u8::try_from(host.len()).map_err(io::Error::other)?;
//!     // Version 5; one method: no password.
//!     stream.write_all(&[5, 1, 0]).await?;
//!     if stream.read_u16().await? != 0x0500 {
//!         return Err(refused());
//!     }
//!     // Connect to a name, which the proxy resolves.
//!     let port = target.port().to_be_bytes();
//!     stream.write_all(&[&[5, 1, 0, 3, length][..], host, &port].concat()).await?;
//!     let mut answer = [0; 4];
//!     stream.read_exact(&mut answer).await?;
//!     // The address that the proxy has bound: IPv4, IPv6 or a name; and a port.
//!     let rest = match answer {
//!         [5, 0, _, 1] => 4,
//!         [5, 0, _, 4] => 16,
//!         [5, 0, _, 3] => stream.read_u8().await?,
//!         _ => return Err(refused()),
//!     };
//!     stream.read_exact(&mut vec![0; usize::from(rest) + 2]).await?;
//!     Ok(stream)
//! }
//!
//! # async fn example() -> Result<(), hyper_ws::Error> {
//! let socket = hyper_ws::connect("wss://example.com/chat")
//!     .connector(|target| socks("127.0.0.1:1080", target))
//!     .await?;
//! # Ok(())
//! # }
//! ```
//!
//! A connector also makes a test double: the code under test calls `connect`, and the test is the
//! server. (With the feature `testing`, `hyper_ws::testing` has servers at one end of a pipe in
//! memory.)
//!
//! ```
//! use hyper::server::conn::http1;
//! use hyper::service::service_fn;
//! use hyper::{Request, Response, body::Incoming};
//! use hyper_util::rt::TokioIo;
//! use hyper_ws::client::Connect;
//! use hyper_ws::{Error, Message, Upgrade, WebSocket};
//!
//! /// The code under test.
//! async fn asks(connect: Connect) -> Result<String, Error> {
//!     let mut socket = connect.await?;
//!     socket.send("how are you?").await?;
//!     let answer = socket.recv().await?;
//!     Ok(answer.and_then(Message::into_text).unwrap_or_default().into())
//! }
//!
//! async fn double(mut request: Request<Incoming>) -> Result<Response<String>, Error> {
//!     Ok(match Upgrade::from_request(&mut request) {
//!         Ok(upgrade) => upgrade.on_upgrade(|mut socket: WebSocket| async move {
//!             socket.recv().await?;
//!             socket.send("fine").await
//!         }),
//!         Err(rejection) => rejection.into(),
//!     })
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Error> {
//! let connect = hyper_ws::connect("ws://example.com/").connector(|_| async {
//!     let (ours, theirs) = tokio::io::duplex(64 * 1024);
//!     let server = http1::Builder::new().serve_connection(TokioIo::new(theirs), service_fn(double));
//!     tokio::spawn(server.with_upgrades());
//!     Ok::<_, std::io::Error>(ours)
//! });
//! assert_eq!(asks(connect).await?, "fine");
//! # Ok(())
//! # }
//! ```
//!
//! # Reconnecting
//!
//! [`Backoff`] says how long to wait, and when to give up. The
//! [guide](crate::guide::reconnecting) has a client that resumes a room at the position where it
//! left.

mod backoff;
mod connect;
mod connector;
mod dial;
mod error;
mod handshake;
mod header_case;
mod http1;
#[cfg(feature = "http2")]
mod http2;
mod random;
#[cfg(test)]
mod tests;
#[cfg(feature = "rustls")]
mod tls;

pub use backoff::Backoff;
#[cfg(feature = "http2")]
#[cfg_attr(docsrs, doc(cfg(feature = "http2")))]
pub use connect::connect_over_http2;
pub use connect::{Connect, Connecting, connect, connect_over};
pub use connector::PlainStream;
pub use error::{ConnectError, ConnectErrorKind};
#[cfg(feature = "testing")]
pub(crate) use http1::exchange;
/// The rustls crate whose `ClientConfig` is passed to [`Connect::tls`].
#[cfg(feature = "rustls")]
#[cfg_attr(docsrs, doc(cfg(feature = "rustls")))]
pub use tokio_rustls::rustls;
