//! A client of one handler, in one line.

use std::convert::Infallible;
use std::fmt;
use std::future::{IntoFuture, Ready, ready};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Request, Response, StatusCode};

use super::client::Client;
use super::server::serve;
use crate::Config;
use crate::middleware::{Handler, WebSocketService};

/// Connects a client to a handler of either [shape](crate::middleware#handlers). Await
/// the returned value for the client.
pub fn connect<Shape, H: Handler<Shape>>(handler: H) -> Connect {
    Connect {
        service: WebSocketService::new(NotFound).any_path(handler),
    }
}

/// A connection attempt to a handler. Await it for the [`Client`].
///
/// # Panics
///
/// When it is awaited, if the handler refuses. To look at a refusal, use
/// [`serve`].
#[derive(Debug)]
#[must_use = "nothing is connected unless it is awaited"]
pub struct Connect {
    service: WebSocketService<NotFound>,
}

impl Connect {
    /// Sets limits and timeouts of the server; the defaults of [`Config`] unless set.
    pub fn config(mut self, config: impl Into<Arc<Config>>) -> Self {
        self.service = self.service.config(config);
        self
    }
}

impl IntoFuture for Connect {
    type Output = Client;
    type IntoFuture = Connecting;

    fn into_future(self) -> Connecting {
        Connecting(Box::pin(async {
            let connected = serve(self.service).connect("/").await;
            connected.unwrap_or_else(|error| panic!("failed to connect to the handler: {error}"))
        }))
    }
}

/// The future that a [`Connect`] becomes when it is awaited.
#[must_use = "futures do nothing unless they are polled"]
pub struct Connecting(Pin<Box<dyn Future<Output = Client> + Send>>);

impl Future for Connecting {
    type Output = Client;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Client> {
        self.0.as_mut().poll(cx)
    }
}

impl fmt::Debug for Connecting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connecting").finish_non_exhaustive()
    }
}

/// The inner service: it answers 404.
#[derive(Clone, Debug)]
struct NotFound;

impl<A> hyper::service::Service<Request<A>> for NotFound {
    type Response = Response<String>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn call(&self, _: Request<A>) -> Self::Future {
        let mut response = Response::default();
        *response.status_mut() = StatusCode::NOT_FOUND;
        ready(Ok(response))
    }
}
