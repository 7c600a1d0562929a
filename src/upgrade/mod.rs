//! Takes a connection over from hyper: from the request to the running conversation.
//!
//! The [middleware](crate::middleware) and the axum extractor give you an
//! [`Upgrade`]. In a service of your own, call [`Upgrade::from_request`]:
//!
//! ```
//! use std::convert::Infallible;
//!
//! use bytes::Bytes;
//! use http_body_util::Full;
//! use hyper::body::Incoming;
//! use hyper::{Request, Response};
//! use hyper_ws::{Upgrade, WebSocket};
//!
//! async fn echo(mut socket: WebSocket) -> Result<(), hyper_ws::Error> {
//!     while let Some(message) = socket.recv().await? {
//!         socket.send(message).await?;
//!     }
//!     Ok(())
//! }
//!
//! async fn app(mut request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
//!     Ok(match Upgrade::from_request(&mut request) {
//!         Ok(upgrade) => upgrade.on_upgrade(echo),
//!         // Not `?`: hyper would close the connection without an answer.
//!         Err(rejection) => rejection.into(),
//!     })
//! }
//! ```
//!
//! # What the server must do
//!
//! - Serve the connection with `.with_upgrades()` (hyper-util's `auto`:
//!   `serve_connection_with_upgrades`). Otherwise the client gets a 101, and then
//!   the connection ends: see [`Upgrade::on_failed_upgrade`].
//! - Leave `pipeline_flush` of hyper's builder off. With it hyper does not write the
//!   answer if the client's first frames came in the same segment as the request.
//! - Send the answer with its status unchanged. If an outer layer changes the status, the client
//!   sees a refusal, but this side has accepted the handshake, and a tracker counts the connection.
//!   Over HTTP/1.1, hyper hands such a connection over after its last request: when the answer has
//!   `connection: close`, or when the client leaves. The handler is called only then. Over HTTP/2,
//!   or after another handshake on the same connection, the [upgrade
//!   fails](Upgrade::on_failed_upgrade).
//!
//! # Over another server's stream
//!
//! [`Upgrade::over`] is for a server such as poem, which does not hand out hyper's upgrade, but a
//! future of its own stream. It takes the head of the request and that future. Everything else is
//! as above:
//!
//! ```
//! use std::io;
//!
//! use hyper::{Request, Response};
//! use hyper_ws::{Error, Upgrade, WebSocket};
//! use tokio::io::{AsyncRead, AsyncWrite};
//!
//! async fn echo(mut socket: WebSocket) -> Result<(), Error> {
//!     while let Some(message) = socket.recv().await? {
//!         socket.send(message).await?;
//!     }
//!     Ok(())
//! }
//!
//! /// `stream` is ready when the server has written the response.
//! fn answer<T: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
//!     request: &Request<()>,
//!     stream: impl Future<Output = io::Result<T>> + Send + 'static,
//! ) -> Response<String> {
//!     match Upgrade::over(request, stream) {
//!         Ok(upgrade) => upgrade.on_upgrade(echo),
//!         Err(rejection) => rejection.into(),
//!     }
//! }
//! ```
//!
//! A stream without a server, such as a Unix socket or a pipe in memory, needs none of this: hyper
//! serves any stream, with [`WebSocketService`](crate::WebSocketService) as on TCP. If there is no
//! HTTP on it at all, [`socket::serve`](crate::socket::serve) begins with the frames.
//!
//! # Three ways to accept
//!
//! | | returns | the socket is |
//! |---|---|---|
//! | [`on_upgrade`](Upgrade::on_upgrade) | the response; a task is spawned | managed |
//! | [`accept_with`](Upgrade::accept_with) | the response and a [`Conversation`] to spawn | managed |
//! | [`accept`](Upgrade::accept) | the response and a future of the socket | bare |
//!
//! See [managed or bare](crate::socket#managed-or-bare).
//!
//! See also the guides to [HTTP/2](crate::guide::http2), to
//! [proxies](crate::guide::deployment) and to
//! [routes and handlers](crate::guide::handlers).

mod accepted;
mod builder;
mod conversation;
mod handover;
mod pending;
mod request;
#[cfg(test)]
mod tests;
mod trace;
mod transport;

pub use accepted::Accepted;
pub use builder::Upgrade;
pub use conversation::Conversation;
