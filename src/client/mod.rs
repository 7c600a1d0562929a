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
//! `connect` returns a *bare* [`WebSocket`](crate::WebSocket): it makes progress only
//! while one of its methods is awaited, so pings are answered only while you receive.
//! If you have other things to await, spawn it with a handler:
//! `tokio::spawn(socket.run(handler))` (see
//! [managed or bare](crate::socket#managed-or-bare)).
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
//! # TLS
//!
//! `wss://` needs the feature `rustls`. The system's trusted certificates are used. To
//! trust different ones, pass a configuration to [`Connect::tls`].
//!
//! # Other streams
//!
//! | the stream | |
//! |---|---|
//! | a TCP connection to the host of the URL | [`connect()`] |
//! | one of yours, through a proxy for instance; TLS on top if the URL says `wss` | [`Connect::via`] |
//! | one of yours, as it is: a Unix socket, a pipe | [`connect_over`] |
//! | a stream of an HTTP/2 connection (feature `http2`) | `connect_over_http2` |
//!
//! # Reconnecting
//!
//! A client that has lost its server should wait before it reconnects. The wait
//! should be random, so that not all clients reconnect at the same moment:
//!
//! ```no_run
//! use std::hash::{BuildHasher, RandomState};
//! use std::time::Duration;
//!
//! use hyper_ws::WebSocket;
//! use hyper_ws::client::ConnectError;
//! use tokio::time::{Instant, sleep};
//!
//! /// Returns when the server refuses us.
//! async fn stay_connected(url: &str) -> ConnectError {
//!     let mut failures = 0;
//!     loop {
//!         let began = Instant::now();
//!         match hyper_ws::connect(url).await {
//!             Ok(socket) => talk(socket).await,
//!             Err(error) => match error.response() {
//!                 // Another attempt would be refused too.
//!                 Some(response) if response.status().is_client_error() => return error,
//!                 _ => {}
//!             },
//!         }
//!         // A connection that held for a minute was not a failure.
//!         let held = began.elapsed() > Duration::from_secs(60);
//!         failures = if held { 0 } else { failures + 1 };
//!         // A random part of 1, 2, 4 .. seconds, at most of a minute.
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

mod connect;
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

#[cfg(feature = "http2")]
#[cfg_attr(docsrs, doc(cfg(feature = "http2")))]
pub use connect::connect_over_http2;
pub use connect::{Connect, Connecting, connect, connect_over};
pub use error::{ConnectError, ConnectErrorKind};
#[cfg(feature = "testing")]
pub(crate) use http1::exchange;
/// The rustls crate whose `ClientConfig` is passed to [`Connect::tls`].
#[cfg(feature = "rustls")]
#[cfg_attr(docsrs, doc(cfg(feature = "rustls")))]
pub use tokio_rustls::rustls;
