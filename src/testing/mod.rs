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
//! async fn a_client_that_talks_gets_the_time_too() {
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

use std::convert::Infallible;
use std::fmt;
use std::future::{IntoFuture, Ready, poll_fn, ready};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use http::uri::{Authority, Scheme};
use http::{Request, Response, StatusCode, Uri};
use http_body::Body;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::DuplexStream;

use crate::Config;
use crate::client::{ConnectError, exchange};
use crate::error::BoxError;
use crate::handshake::{IntoRequest, Question};
use crate::middleware::{Handler, WebSocketService};
pub use client::Client;

/// Connects to a handler of either [shape](crate::middleware): await what it
/// returns.
pub fn connect<Shape, H: Handler<Shape>>(handler: H) -> Connect {
    Connect {
        service: WebSocketService::new(Nothing).any_path(handler),
    }
}

/// A connection to a handler that is to be made: await it.
///
/// # Panics
///
/// When it is awaited, if the handler refuses. To see how, use [`serve`].
#[derive(Debug)]
#[must_use = "nothing is connected unless it is awaited"]
pub struct Connect {
    service: WebSocketService<Nothing>,
}

impl Connect {
    /// Limits and timers of the server; the defaults unless set.
    pub fn config(mut self, config: impl Into<Arc<Config>>) -> Self {
        self.service = self.service.config(config);
        self
    }
}

impl IntoFuture for Connect {
    type Output = Client;
    type IntoFuture = Pin<Box<dyn Future<Output = Client> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async {
            let connected = serve(self.service).connect("/").await;
            connected.unwrap_or_else(|error| panic!("the handler was not connected to: {error}"))
        })
    }
}

/// What is not a WebSocket.
#[derive(Clone, Debug)]
struct Nothing;

impl<A> hyper::service::Service<Request<A>> for Nothing {
    type Response = Response<String>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn call(&self, _: Request<A>) -> Self::Future {
        let mut response = Response::default();
        *response.status_mut() = StatusCode::NOT_FOUND;
        ready(Ok(response))
    }
}

/// Serves a hyper service, over HTTP/1.1.
pub fn serve<S, B>(service: S) -> Server
where
    S: hyper::service::Service<Request<Incoming>, Response = Response<B>>,
    S: Clone + Send + Sync + 'static,
    S::Future: Send,
    S::Error: Into<BoxError>,
    B: Body<Data: Send, Error: Into<BoxError>> + Send + 'static,
{
    Server {
        serve: Box::new(move |stream| {
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .serve_connection(TokioIo::new(stream), service.clone());
            tokio::spawn(connection.with_upgrades());
        }),
        pipe: 64 * 1024,
        config: Arc::default(),
    }
}

/// Serves a tower service, over HTTP/1.1: one with a
/// [`WebSocketLayer`](crate::WebSocketLayer), or a `Router` of axum's.
pub fn serve_tower<S, B>(service: S) -> Server
where
    S: tower_service::Service<Request<Incoming>, Response = Response<B>>,
    S: Clone + Send + Sync + 'static,
    S::Future: Send,
    S::Error: Into<BoxError>,
    B: Body<Data: Send, Error: Into<BoxError>> + Send + 'static,
{
    serve(service_fn(move |request| {
        let mut service = service.clone();
        async move {
            poll_fn(|cx| service.poll_ready(cx)).await?;
            service.call(request).await
        }
    }))
}

/// A server that listens nowhere: see [`serve`] and [`serve_tower`].
pub struct Server {
    serve: Box<dyn Fn(DuplexStream) + Send + Sync>,
    pipe: usize,
    config: Arc<Config>,
}

impl Server {
    /// How many bytes are on their way at most, in each direction, before the
    /// sender waits; 64 KiB unless set.
    pub fn pipe(mut self, bytes: usize) -> Self {
        self.pipe = bytes;
        self
    }

    /// The limits of the clients, and the compression that they offer; the
    /// defaults unless set. They have no timers.
    pub fn client_config(mut self, config: impl Into<Arc<Config>>) -> Self {
        self.config = config.into();
        self
    }

    /// Connects, with a path, a URL or a whole request. Where it names no host, that
    /// is `localhost`.
    ///
    /// # Errors
    ///
    /// [`ConnectError`]; if the server refused,
    /// [`response`](ConnectError::response) is what it answered.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime with time.
    pub async fn connect(&self, request: impl IntoRequest) -> Result<Client, ConnectError> {
        let mut request = request.into_request()?;
        name_host(request.uri_mut());
        // The key protects caches between client and server.
        let (request, question) = Question::new(request, self.config.clone(), [7; 16])?;
        let (response, io) = exchange(self.stream(), request, PATIENCE).await?;
        let agreement = question.conclude(&response)?;
        Ok(Client::new(io, &self.config, &agreement, response))
    }

    /// A connection to the server on which nothing has been said yet.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub fn stream(&self) -> DuplexStream {
        let (ours, theirs) = tokio::io::duplex(self.pipe);
        (self.serve)(theirs);
        ours
    }
}

/// How long a handler may think about a handshake. Where the clock is paused, it
/// gets there as soon as nobody does anything.
const PATIENCE: Duration = Duration::from_secs(60 * 60);

fn name_host(uri: &mut Uri) {
    if uri.authority().is_none() {
        let mut parts = std::mem::take(uri).into_parts();
        parts.scheme = Some(Scheme::HTTP);
        parts.authority = Some(Authority::from_static("localhost"));
        // What has no path is no URL: the handshake says so.
        *uri = Uri::from_parts(parts).unwrap_or_default();
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").finish_non_exhaustive()
    }
}
