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

mod connect;
mod deadline;
mod dial;
mod error;
mod handshake;
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
/// The rustls whose `ClientConfig` [`Connect::tls`] takes.
#[cfg(feature = "rustls")]
#[cfg_attr(docsrs, doc(cfg(feature = "rustls")))]
pub use tokio_rustls::rustls;
