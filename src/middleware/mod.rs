//! WebSocket routes in front of a service.
//!
//! [`WebSocketService`] is a hyper service and a tower service; [`WebSocketLayer`] is the tower
//! layer that makes one. The service answers the handshakes on its routes. Every other request,
//! whatever its method or path, goes on to the inner service. So one path can be both a page and a
//! socket.
//!
//! ```no_run
//! use bytes::Bytes;
//! use http_body_util::Full;
//! use hyper::body::Incoming;
//! use hyper::server::conn::http1;
//! use hyper::service::service_fn;
//! use hyper::{Request, Response};
//! use hyper_util::rt::{TokioIo, TokioTimer};
//! use hyper_ws::{WebSocket, WebSocketService};
//! use tokio::net::TcpListener;
//!
//! async fn app(_request: Request<Incoming>) -> Result<Response<Full<Bytes>>, hyper::Error> {
//!     Ok(Response::new(Full::from("hello")))
//! }
//!
//! async fn echo(mut socket: WebSocket) -> Result<(), hyper_ws::Error> {
//!     while let Some(message) = socket.recv().await? {
//!         socket.send(message).await?;
//!     }
//!     Ok(())
//! }
//!
//! # async fn serve() -> std::io::Result<()> {
//! let listener = TcpListener::bind("127.0.0.1:3000").await?;
//! let service = WebSocketService::new(service_fn(app)).route("/ws", echo);
//! loop {
//!     let (stream, _) = listener.accept().await?;
//!     let connection = http1::Builder::new()
//!         .timer(TokioTimer::new())
//!         .serve_connection(TokioIo::new(stream), service.clone())
//!         .with_upgrades();
//!     tokio::spawn(connection);
//! }
//! # }
//! ```
//!
//! # Handlers
//!
//! A handler has one of two shapes:
//!
//! - `async fn(WebSocket)`, which returns nothing or a `Result<(), E>`. It is called
//!   once the connection is handed over.
//! - `async fn(Upgrade, Request<()>)`, which returns a `Response<String>` or a
//!   `Result<Response<String>, E>`. It is called with the handshake, and may look at the request,
//!   choose a subprotocol or refuse:
//!
//! ```
//! use hyper::{Request, Response, StatusCode};
//! use hyper_ws::handshake::Rejection;
//! use hyper_ws::{Upgrade, WebSocket};
//!
//! async fn private(upgrade: Upgrade, request: Request<()>) -> Result<Response<String>, Rejection> {
//!     // The origin, the host and the limit, before anything of yours runs.
//!     let upgrade = upgrade.check()?;
//!     let cookie = request.headers().get("cookie").map(|cookie| cookie.as_bytes());
//!     if cookie != Some(b"session=1234") {
//!         return Err(upgrade.refuse(StatusCode::UNAUTHORIZED, "who are you?"));
//!     }
//!     Ok(upgrade.on_upgrade(|mut socket: WebSocket| async move { socket.send("welcome").await }))
//! }
//! # let service = hyper_ws::WebSocketService::new(()).route("/private", private);
//! ```
//!
//! To pass state to a handler, use [`handler::socket_with`] and [`handler::upgrade_with`], or capture
//! it in a closure. The rest of a path behind a [prefix](WebSocketService::route_prefix) is a
//! [`PathRest`]. Put the peer's address and the like into the request's extensions; a handler of the
//! second shape reads them there.
//!
//! See also the guide to [routes and handlers](crate::guide::handlers).

pub mod handler;
mod rest;
mod route;
mod service;
#[cfg(test)]
mod tests;

pub use rest::PathRest;
pub use route::Handler;
pub use service::{ResponseBody, ResponseFuture, WebSocketLayer, WebSocketService};
