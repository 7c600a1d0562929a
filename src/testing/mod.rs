//! Tests of your own handlers: a server in memory, and a client that misbehaves when
//! you ask it to.
//!
//! There is no port and no TCP: hyper serves one end of a pipe, with the real
//! handshake, and the other end is a [`Client`]. So tests are not flaky.
//!
//! Tests of timeouts take no time if tokio's clock is paused: it jumps to the next
//! deadline as soon as all tasks wait. To pause it, use
//! `#[tokio::test(start_paused = true)]`, with tokio's feature `test-util` among
//! *your* dev-dependencies.
//!
//! ```
//! use hyper_ws::{Error, WebSocket, testing};
//!
//! async fn echo(mut socket: WebSocket) -> Result<(), Error> {
//!     while let Some(message) = socket.recv().await? {
//!         socket.send(message).await?;
//!     }
//!     Ok(())
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Error> {
//! let mut client = testing::connect(echo).await;
//! client.send("hi").await?;
//! assert_eq!(client.recv().await?, Some("hi".into()));
//! # Ok(())
//! # }
//! ```
//!
//! A handler with a state: `connect(handler::socket_with(state, chat))`, with
//! [`handler`](crate::middleware::handler), or a closure that clones it. An axum handler takes
//! extractors: test the function that is given the [`WebSocket`](crate::WebSocket) here, and the
//! router with [`serve_tower`].
//!
//! # A bug that takes time to show
//!
//! This handler should send "tick" every ten seconds. It does, until a client sends
//! messages more often than that: each message starts the ten seconds anew. The test
//! finds the bug, so it fails:
//!
//! ```should_panic,test_harness
//! use std::time::Duration;
//! use hyper_ws::{Error, WebSocket, testing};
//! use tokio::time::{sleep, timeout};
//!
//! async fn clock(mut socket: WebSocket) -> Result<(), Error> {
//!     loop {
//!         tokio::select! {
//!             message = socket.recv() => if message?.is_none() { return Ok(()) },
//!             // The bug: this needs one `interval`, made before the loop.
//!             _ = sleep(Duration::from_secs(10)) => socket.send("tick").await?,
//!         }
//!     }
//! }
//!
//! #[tokio::test(start_paused = true)]
//! async fn a_client_that_sends_is_told_the_time_too() {
//!     let mut client = testing::connect(clock).await;
//!     for _ in 0..4 {
//!         sleep(Duration::from_secs(3)).await;
//!         client.send("I am here").await.unwrap();
//!     }
//!     let tick = timeout(Duration::from_secs(1), client.recv()).await;
//!     assert!(tick.is_ok(), "no tick within 13 seconds");
//! }
//! ```
//!
//! # The whole server
//!
//! [`serve`] takes a hyper service. [`serve_tower`] takes a tower service: one with a
//! layer around it, or a `Router` of axum's. A refused handshake is an error that
//! holds the response.
//!
//! ```
//! use http::Request;
//! use hyper_ws::{Upgrade, testing};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let app: axum::Router = axum::Router::new().route(
//!     "/ws",
//!     axum::routing::any(async |upgrade: Upgrade| -> axum::response::Response {
//!         upgrade.protocols(["chat.v1"]).on_upgrade(async |mut socket: hyper_ws::WebSocket| {
//!             socket.send("welcome").await
//!         })
//!     }),
//! );
//! let server = testing::serve_tower(app);
//!
//! let request = Request::get("/ws").header("Sec-WebSocket-Protocol", "chat.v1");
//! let mut client = server.connect(request.body(())?).await?;
//! assert_eq!(client.protocol(), Some("chat.v1"));
//! assert_eq!(client.recv().await?, Some("welcome".into()));
//! assert_eq!(client.closed().await, Some(hyper_ws::CloseCode::NORMAL));
//!
//! let request = Request::get("/ws").header("Origin", "https://elsewhere.example");
//! let refused = server.connect(request.body(())?).await.unwrap_err();
//! assert_eq!(refused.status(), Some(http::StatusCode::FORBIDDEN));
//! # Ok(())
//! # }
//! ```
//!
//! # Several servers
//!
//! With feature `hub` there is an engine in memory, [`Engine`], for tests of rooms over several
//! servers: each server has a link to it, which a test can cut.
//!
//! # Peers that misbehave
//!
//! | the peer | in a test |
//! |---|---|
//! | does not answer pings | [`Client::ignore_pings`] |
//! | stops reading | do not receive; a small [pipe](Server::pipe) is soon full |
//! | disappears without closing | keep the client, and await none of its methods |
//! | ends its process | drop the client |
//! | closes | [`Client::close`] |
//! | sends bytes that are not a frame | [`Client::send_raw`] |
//! | sends bytes that are not a handshake | [`Server::stream`] |

mod client;
mod connect;
#[cfg(feature = "hub")]
pub(crate) mod engine;
mod server;

pub use client::Client;
pub use connect::{Connect, Connecting, connect};
#[cfg(feature = "hub")]
#[cfg_attr(docsrs, doc(cfg(feature = "hub")))]
pub use engine::{Engine, Link, Snapshot};
pub use server::{Server, serve, serve_tower};
