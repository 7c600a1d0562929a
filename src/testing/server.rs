//! A hyper server at one end of a pipe.

use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use http::uri::{Authority, Scheme};
use http::{Request, Response, Uri};
use http_body::Body;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::DuplexStream;

use super::client::Client;
use crate::Config;
use crate::client::{ConnectError, exchange};
use crate::error::BoxError;
use crate::handshake::{ClientHandshake, IntoRequest};

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

/// A server without a port, returned by [`serve`] and [`serve_tower`].
pub struct Server {
    serve: Box<dyn Fn(DuplexStream) + Send + Sync>,
    pipe: usize,
    config: Arc<Config>,
}

impl Server {
    /// Sets the capacity of the pipe in each direction, in bytes; 64 KiB unless set.
    pub fn pipe(mut self, bytes: usize) -> Self {
        self.pipe = bytes;
        self
    }

    /// Sets the limits of the clients, and the compression that they offer. Unless
    /// set, they are the defaults of [`Config`]. Timeouts have no effect: a [`Client`] has
    /// none.
    pub fn client_config(mut self, config: impl Into<Arc<Config>>) -> Self {
        self.config = config.into();
        self
    }

    /// Connects with a path, a URL or a whole request. If it names no host, the host is
    /// `localhost`.
    ///
    /// # Errors
    ///
    /// [`ConnectError`]. If the server refused, [`response`](ConnectError::response)
    /// returns its answer.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime whose timer is enabled.
    pub async fn connect(&self, request: impl IntoRequest) -> Result<Client, ConnectError> {
        let mut request = request.into_request()?;
        default_to_localhost(request.uri_mut());
        // The nonce need not be random: it is for caches between client and server.
        let (request, question) = ClientHandshake::new(request, self.config.clone(), [7; 16])?;
        let (response, io) = exchange(self.stream(), request, false, HANDSHAKE_TIMEOUT).await?;
        let agreement = question.verify(&response)?;
        Ok(Client::new(io, &self.config, &agreement, response))
    }

    /// Opens a connection to the server, on which nothing has been sent yet.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub fn stream(&self) -> DuplexStream {
        let (client, server) = tokio::io::duplex(self.pipe);
        (self.serve)(server);
        client
    }
}

/// The time a handler has to answer a handshake. A paused clock jumps there as soon
/// as all tasks wait.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(60 * 60);

fn default_to_localhost(uri: &mut Uri) {
    if uri.authority().is_none() {
        let mut parts = std::mem::take(uri).into_parts();
        parts.scheme = Some(Scheme::HTTP);
        parts.authority = Some(Authority::from_static("localhost"));
        // This fails for a URI without a path, and the handshake then says so.
        *uri = Uri::from_parts(parts).unwrap_or_default();
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").finish_non_exhaustive()
    }
}
