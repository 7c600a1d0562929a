//! WebSockets for any hyper 1.x server.
//!
//! hyper-ws wraps the service you have. It answers WebSocket handshakes and takes
//! over those connections; every other request reaches your service unchanged. It
//! works with hyper, tower and axum, over HTTP/1.1 and HTTP/2, and has a client too.
//!
//! # A server
//!
//! A handler is an `async fn` that is given a [`WebSocket`]. [`WebSocketService`]
//! puts a route to it in front of a hyper or tower service:
//!
//! ```no_run
//! use std::convert::Infallible;
//!
//! use hyper::body::Incoming;
//! use hyper::server::conn::http1;
//! use hyper::service::service_fn;
//! use hyper::{Request, Response};
//! use hyper_util::rt::{TokioIo, TokioTimer};
//! use hyper_ws::{Error, WebSocket, WebSocketService};
//!
//! async fn page(_: Request<Incoming>) -> Result<Response<String>, Infallible> {
//!     Ok(Response::new("the socket is at /ws\n".to_owned()))
//! }
//!
//! async fn echo(mut socket: WebSocket) -> Result<(), Error> {
//!     while let Some(message) = socket.recv().await? {
//!         socket.send(message).await?;
//!     }
//!     Ok(())
//! }
//!
//! #[tokio::main]
//! async fn main() -> std::io::Result<()> {
//!     let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
//!     let service = WebSocketService::new(service_fn(page)).route("/ws", echo);
//!     loop {
//!         let (stream, _) = listener.accept().await?;
//!         let connection = http1::Builder::new()
//!             .timer(TokioTimer::new())
//!             .serve_connection(TokioIo::new(stream), service.clone());
//!         tokio::spawn(connection.with_upgrades());
//!     }
//! }
//! ```
//!
//! `.with_upgrades()` lets hyper hand the connection over. Without it the handshake
//! succeeds and the connection is closed at once.
//!
//! There are four other ways in:
//!
//! | where | what |
//! |---|---|
//! | tower | [`WebSocketLayer`] has the same routes, as a layer |
//! | axum (feature `axum`) | [`Upgrade`] is an extractor |
//! | a service of your own | [`Upgrade::from_request`] |
//! | any stream, after its handshake | [`socket::serve`], [`WebSocket::from_stream`] |
//!
//! [Routes and handlers](guide::handlers) covers state, authentication and refusals.
//!
//! # A conversation
//!
//! [`recv`](WebSocket::recv) returns messages, and `Ok(None)` at the end, whichever
//! side closed; [`close_cause`](WebSocket::close_cause) returns how the connection
//! ended. Pings, pongs and close frames are handled by the library. `recv` is cancel safe, so it
//! can be a branch of `select!`:
//!
//! ```
//! use std::time::Duration;
//!
//! use hyper_ws::{Error, Message, WebSocket};
//! use tokio::time::interval;
//!
//! async fn clock(mut socket: WebSocket) -> Result<(), Error> {
//!     let mut ticks = interval(Duration::from_secs(10));
//!     loop {
//!         tokio::select! {
//!             message = socket.recv() => match message? {
//!                 Some(Message::Text(text)) => println!("{text:?}"),
//!                 Some(Message::Binary(bytes)) => println!("{} bytes", bytes.len()),
//!                 None => break,
//!             },
//!             _ = ticks.tick() => socket.send("tick").await?,
//!         }
//!     }
//!     println!("ended: {:?}", socket.close_cause());
//!     Ok(())
//! }
//! ```
//!
//! Any task can send through a [`Sender`], which is `Clone`. The `WebSocket` itself
//! can be moved into another task: the connection lives until the `WebSocket` is
//! dropped or closed, not until the handler returns.
//!
//! ```
//! use hyper_ws::{Error, WebSocket};
//!
//! async fn handler(mut socket: WebSocket) -> Result<(), Error> {
//!     let sender = socket.sender();
//!     tokio::spawn(async move { sender.send("from another task").await });
//!     while let Some(message) = socket.recv().await? {
//!         println!("{message:?}");
//!     }
//!     Ok(())
//! }
//! ```
//!
//! `send` waits while the peer does not read: backpressure reaches the handler. To
//! send one message to many sockets without waiting for the slowest, use a
//! [room](hub) (feature `hub`):
//!
//! ```
//! use hyper_ws::{Error, WebSocket, hub::Hub};
//!
//! async fn chat(mut socket: WebSocket, hub: Hub) -> Result<(), Error> {
//!     let room = hub.room("lobby");
//!     room.join(&socket);
//!     while let Some(message) = socket.recv().await? {
//!         room.send(message);
//!     }
//!     Ok(()) // leaves the room
//! }
//! ```
//!
//! # Settings
//!
//! [`Config`] has the limits, the timeouts and the allowed origins. Its defaults are
//! safe on the open internet: pages of other origins are refused, messages are
//! limited to 1 MiB, silent peers are pinged and closed, and slow ones time out.
//!
//! ```
//! use std::time::Duration;
//!
//! use hyper_ws::{Config, WebSocket, WebSocketService};
//!
//! # fn routes<S>(app: S) -> WebSocketService<S> {
//! let config = Config::new()
//!     .max_message_size(64 * 1024)
//!     .keep_alive(Duration::from_secs(15), Duration::from_secs(10))
//!     .allow_origins(["https://example.com"]);
//! WebSocketService::new(app)
//!     .route("/ws", |mut socket: WebSocket| async move { socket.send("hello").await })
//!     .config(config)
//! # }
//! ```
//!
//! # Where to read on
//!
//! | to | read |
//! |---|---|
//! | understand what a socket guarantees | [`socket`] |
//! | add state, authentication, refusals | [routes and handlers](guide::handlers) |
//! | send one message to many sockets | [`hub`] |
//! | handle large messages, or tunnel bytes | [large messages and byte streams](guide::streaming) |
//! | compress | [compression](guide::compression) |
//! | serve HTTP/2 | [HTTP/2](guide::http2) |
//! | shut down, limit, measure, log | [`tracker`], [shutdown, limits, metrics and logs](guide::operations) |
//! | let rooms keep messages, or span several servers | [`hub`] |
//! | run behind nginx, HAProxy or Caddy | [behind a proxy](guide::deployment) |
//! | connect to a server | [`client`] |
//! | connect again, and resume | [a client that comes back](guide::reconnecting) |
//! | test a handler | [`testing`] |
//! | find out why a handshake fails | [check the handshake with curl](guide::curl), [questions](guide::troubleshooting) |
//! | decide whether to trust this | [what is promised, and how it is checked](guide::promises) |
//! | port a program | [`migrating`] |
//! | use the protocol without IO | [`protocol`], [`handshake`] |
//! | change this crate | [`design`], and `CONTRIBUTING.md` in the repository |
//!
//! The runtime is tokio, with time enabled (`enable_all`). Features are listed in
//! the [README](https://docs.rs/crate/hyper-ws/latest/source/README.md).

#![cfg_attr(docsrs, feature(doc_cfg))]
#![forbid(unsafe_code)]
// A function that only a higher layer uses is unused if a feature leaves that layer
// out. It is not dead code. So these lints run only when all layers are there.
#![cfg_attr(
    not(all(
        feature = "server",
        feature = "client",
        feature = "hub",
        feature = "deflate"
    )),
    allow(dead_code, unused_imports)
)]

pub mod close;
pub mod config;
pub mod error;
mod extension;
mod frame;
pub mod message;
pub mod protocol;

#[cfg(feature = "socket")]
mod deadline;
#[cfg(feature = "handshake")]
pub mod handshake;
#[cfg(feature = "tracing")]
mod rate;
#[cfg(feature = "socket")]
mod shrink;
#[cfg(feature = "socket")]
pub mod socket;
#[cfg(any(feature = "rustls", feature = "redis-tls"))]
mod tls;
#[cfg(feature = "socket")]
pub mod tracker;
#[cfg(feature = "socket")]
mod transport;

#[cfg(feature = "client")]
pub mod client;
#[cfg(feature = "server")]
pub mod middleware;
#[cfg(feature = "server")]
pub mod upgrade;

#[cfg(feature = "axum")]
mod axum;
#[cfg(feature = "hub")]
pub mod hub;
#[cfg(feature = "testing")]
pub mod testing;

#[cfg(fuzzing)]
pub mod fuzzing;

#[doc = include_str!("design.md")]
#[cfg(doc)]
pub mod design {}

#[doc = include_str!("migrating.md")]
#[cfg(doc)]
pub mod migrating {}

/// Guides: each page is about one task.
#[cfg(doc)]
pub mod guide {
    #[doc = include_str!("guide/handlers.md")]
    pub mod handlers {}

    #[doc = include_str!("guide/streaming.md")]
    pub mod streaming {}

    #[doc = include_str!("guide/compression.md")]
    pub mod compression {}

    #[cfg(feature = "client")]
    #[doc = include_str!("guide/reconnecting.md")]
    pub mod reconnecting {}

    #[doc = include_str!("guide/http2.md")]
    pub mod http2 {}

    #[doc = include_str!("guide/operations.md")]
    pub mod operations {}

    #[cfg(feature = "hub")]
    #[doc = include_str!("guide/rooms.md")]
    pub mod rooms {}

    #[doc = include_str!("guide/deployment.md")]
    pub mod deployment {}

    #[doc = include_str!("guide/curl.md")]
    pub mod curl {}

    #[doc = include_str!("guide/troubleshooting.md")]
    pub mod troubleshooting {}

    #[doc = include_str!("guide/promises.md")]
    pub mod promises {}
}

/// README's examples are compiled like those of the documentation.
#[doc = include_str!("../README.md")]
#[cfg(doctest)]
struct Readme;

#[cfg(feature = "client")]
pub use client::connect;
pub use close::CloseCode;
pub use config::Config;
pub use error::Error;
pub use message::Message;
#[cfg(feature = "server")]
pub use middleware::{WebSocketLayer, WebSocketService};
pub use protocol::Prepared;
#[cfg(feature = "socket")]
pub use socket::{Sender, WebSocket};
#[cfg(feature = "server")]
pub use upgrade::Upgrade;
