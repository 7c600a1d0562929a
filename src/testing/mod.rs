//! Tests of your own handlers: a server in memory, and a client that can be as
//! rude as the world is.
//!
//! There is no port and no socket: one end of a pipe is served by hyper, with the
//! real handshake, the other is a [`Client`]. So nothing is flaky, and where tokio's
//! clock is paused (`#[tokio::test(start_paused = true)]`, with tokio's feature
//! `test-util` among *your* dev-dependencies) it jumps to the next deadline as soon
//! as everybody waits: twenty-five seconds of silence take no time.
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
//! # A bug that only time shows
//!
//! This handler is to say "tick" every ten seconds. It does, until somebody talks to
//! it more often than that, since each message makes the pause begin anew. The test
//! fails, as it should:
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
//!             // Right would be one `interval`, made before the loop.
//!             _ = sleep(Duration::from_secs(10)) => socket.send("tick").await?,
//!         }
//!     }
//! }
//!
//! #[tokio::test(start_paused = true)]
//! async fn whoever_talks_is_told_the_time_too() {
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
//! [`serve`] takes a hyper service, [`serve_tower`] a tower service: one with a layer
//! around it, or a `Router` of axum's. What is refused is an error with the response.
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
//! # What a peer may do to you
//!
//! | | in a test |
//! |---|---|
//! | it answers no pings | [`Client::ignore_pings`] |
//! | it stops reading | receive nothing; a small [pipe](Server::pipe) is soon full |
//! | it is gone, and nobody says so | keep the client and await none of its methods |
//! | its process ends | drop the client |
//! | it says goodbye | [`Client::close`] |
//! | it sends what is no frame | [`Client::send_raw`] |
//! | it sends what is no handshake | [`Server::stream`] |

mod client;
mod connect;
mod server;

pub use client::Client;
pub use connect::{Connect, connect};
pub use server::{Server, serve, serve_tower};
