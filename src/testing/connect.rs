//! A handler, connected to in one line.

use std::convert::Infallible;
use std::future::{IntoFuture, Ready, ready};
use std::pin::Pin;
use std::sync::Arc;

use http::{Request, Response, StatusCode};

use super::client::Client;
use super::server::serve;
use crate::Config;
use crate::middleware::{Handler, WebSocketService};

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
