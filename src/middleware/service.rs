//! The routes as a hyper service, a tower service and a tower layer.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use super::route::{Answer, Handler, Routes};
use crate::config::Config;
use crate::error::Error;
use crate::tracker::Tracker;

/// A service with WebSocket routes in front of an inner service.
///
/// It is a hyper [`Service`](hyper::service::Service) or a tower
/// [`Service`](tower_service::Service) if the inner service is.
/// Clones share the routes. See the [module](super) for an example.
#[derive(Clone, Debug)]
pub struct WebSocketService<S> {
    inner: S,
    routes: Arc<Routes>,
}

impl<S> WebSocketService<S> {
    /// Makes a service without routes: every request goes to `inner`.
    pub fn new(inner: S) -> Self {
        WebSocketService {
            inner,
            routes: Arc::default(),
        }
    }

    /// Sends the handshakes on this path to the handler, which has one of the
    /// [two shapes](super#handlers).
    ///
    /// The path must match exactly, byte by byte: `/ws/` is another path than `/ws`, and goes to the
    /// inner service unless it has a route of its own. The query is ignored. A later handler on the
    /// same path replaces an earlier one.
    ///
    /// # Panics
    ///
    /// If no request could match: the path does not begin with `/`, contains `?` or `#`,
    /// is not percent-encoded as clients encode it (`/a b` is `/a%20b`), or has a
    /// parameter such as `{id}`.
    #[track_caller]
    pub fn route<Shape, H: Handler<Shape>>(mut self, path: &str, handler: H) -> Self {
        self.routes_mut().route(path, handler);
        self
    }

    /// Sends the handshakes on all paths that begin with this prefix to the handler, except those of
    /// a [`route`](Self::route) or of a longer prefix. The prefix ends with `/`: `/rooms/` matches
    /// `/rooms/lobby`, `/rooms/a/b` and `/rooms/`, but not `/rooms`.
    ///
    /// [`PathRest::of`](super::PathRest::of) returns what follows the prefix, percent-decoded, to a
    /// handler of the second shape. A path that could be read in two ways, for example with `..` or
    /// an encoded slash, is refused with 400.
    ///
    /// # Panics
    ///
    /// If it does not end with `/`, and as [`route`](Self::route) does.
    #[track_caller]
    pub fn route_prefix<Shape, H: Handler<Shape>>(mut self, prefix: &str, handler: H) -> Self {
        self.routes_mut().route_prefix(prefix, handler);
        self
    }

    /// Sends the handshakes on all other paths, those without a route, to the handler.
    pub fn any_path<Shape, H: Handler<Shape>>(mut self, handler: H) -> Self {
        self.routes_mut().any_path(handler);
        self
    }

    /// Sets limits, timeouts and allowed origins for all routes; the defaults of
    /// [`Config`] unless set.
    pub fn config(mut self, config: impl Into<Arc<Config>>) -> Self {
        self.routes_mut().config(config.into());
        self
    }

    /// Sets the subprotocols that all routes speak, in order of preference. See
    /// [`Upgrade::protocols`](crate::Upgrade::protocols).
    ///
    /// # Panics
    ///
    /// If a name is not a token (RFC 9110, section 5.6.2): no client could offer it.
    #[track_caller]
    pub fn protocols<P: Into<String>>(mut self, supported: impl IntoIterator<Item = P>) -> Self {
        self.routes_mut().protocols(supported);
        self
    }

    /// Counts the sockets of all routes with this tracker, and rejects handshakes
    /// with 503 above its limit or while it drains.
    pub fn tracker(mut self, tracker: &Tracker) -> Self {
        self.routes_mut().tracker(tracker);
        self
    }

    /// Calls `callback` for each accepted handshake whose connection never becomes a
    /// socket, usually because the connection is served without `.with_upgrades()`.
    /// See [`Upgrade::on_failed_upgrade`](crate::Upgrade::on_failed_upgrade).
    ///
    /// ```
    /// # async fn echo(_: hyper_ws::WebSocket) {}
    /// let service = hyper_ws::WebSocketService::new(())
    ///     .route("/ws", echo)
    ///     .on_failed_upgrade(|error| eprintln!("no WebSocket: {error}"));
    /// ```
    pub fn on_failed_upgrade(mut self, callback: impl Fn(Error) + Send + Sync + 'static) -> Self {
        self.routes_mut().on_failed_upgrade(callback);
        self
    }

    /// Copies the routes if a clone shares them: a clone keeps those it was made with.
    fn routes_mut(&mut self) -> &mut Routes {
        Arc::make_mut(&mut self.routes)
    }
}

impl<S, A, B> hyper::service::Service<Request<A>> for WebSocketService<S>
where
    S: hyper::service::Service<Request<A>, Response = Response<B>>,
{
    type Response = Response<ResponseBody<B>>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future>;

    fn call(&self, request: Request<A>) -> Self::Future {
        match self.routes.find(&request) {
            Some(found) => ResponseFuture::own(self.routes.answer(found, request)),
            None => ResponseFuture::inner(self.inner.call(request)),
        }
    }
}

impl<S, A, B> tower_service::Service<Request<A>> for WebSocketService<S>
where
    S: tower_service::Service<Request<A>, Response = Response<B>>,
{
    type Response = Response<ResponseBody<B>>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future>;

    /// Waits for the inner service. A handshake does not need it, but which kind of
    /// request comes is not known yet.
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<A>) -> Self::Future {
        match self.routes.find(&request) {
            Some(found) => ResponseFuture::own(self.routes.answer(found, request)),
            None => ResponseFuture::inner(self.inner.call(request)),
        }
    }
}

/// The tower layer that puts WebSocket routes in front of a service.
///
/// ```
/// use std::convert::Infallible;
///
/// use bytes::Bytes;
/// use http_body_util::Full;
/// use hyper::body::Incoming;
/// use hyper::{Request, Response};
/// use hyper_util::service::TowerToHyperService;
/// use hyper_ws::{WebSocket, WebSocketLayer};
/// use tower::{ServiceBuilder, service_fn};
///
/// async fn app(_request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
///     Ok(Response::new(Full::from("hello")))
/// }
///
/// let service = ServiceBuilder::new()
///     .layer(WebSocketLayer::new().route("/ws", |mut socket: WebSocket| async move {
///         socket.send("hello").await
///     }))
///     .service(service_fn(app));
/// // What hyper's `serve_connection` takes:
/// let service = TowerToHyperService::new(service);
/// ```
#[derive(Clone, Debug, Default)]
pub struct WebSocketLayer {
    routes: Arc<Routes>,
}

impl WebSocketLayer {
    /// Makes a layer without routes.
    pub fn new() -> Self {
        Self::default()
    }

    /// See [`WebSocketService::route`].
    ///
    /// # Panics
    ///
    /// As [`WebSocketService::route`] does.
    #[track_caller]
    pub fn route<Shape, H: Handler<Shape>>(mut self, path: &str, handler: H) -> Self {
        self.routes_mut().route(path, handler);
        self
    }

    /// See [`WebSocketService::route_prefix`].
    ///
    /// # Panics
    ///
    /// As [`WebSocketService::route_prefix`] does.
    #[track_caller]
    pub fn route_prefix<Shape, H: Handler<Shape>>(mut self, prefix: &str, handler: H) -> Self {
        self.routes_mut().route_prefix(prefix, handler);
        self
    }

    /// See [`WebSocketService::any_path`].
    pub fn any_path<Shape, H: Handler<Shape>>(mut self, handler: H) -> Self {
        self.routes_mut().any_path(handler);
        self
    }

    /// See [`WebSocketService::config`].
    pub fn config(mut self, config: impl Into<Arc<Config>>) -> Self {
        self.routes_mut().config(config.into());
        self
    }

    /// See [`WebSocketService::protocols`].
    ///
    /// # Panics
    ///
    /// If a name is not a token.
    #[track_caller]
    pub fn protocols<P: Into<String>>(mut self, supported: impl IntoIterator<Item = P>) -> Self {
        self.routes_mut().protocols(supported);
        self
    }

    /// See [`WebSocketService::tracker`].
    pub fn tracker(mut self, tracker: &Tracker) -> Self {
        self.routes_mut().tracker(tracker);
        self
    }

    /// See [`WebSocketService::on_failed_upgrade`].
    pub fn on_failed_upgrade(mut self, callback: impl Fn(Error) + Send + Sync + 'static) -> Self {
        self.routes_mut().on_failed_upgrade(callback);
        self
    }

    fn routes_mut(&mut self) -> &mut Routes {
        Arc::make_mut(&mut self.routes)
    }
}

impl<S> tower_layer::Layer<S> for WebSocketLayer {
    type Service = WebSocketService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        WebSocketService {
            inner,
            routes: Arc::clone(&self.routes),
        }
    }
}

pin_project! {
    /// The future of a [`WebSocketService`]'s response.
    #[derive(Debug)]
    #[must_use = "futures do nothing unless they are polled"]
    pub struct ResponseFuture<F> {
        #[pin]
        state: State<F>,
    }
}

pin_project! {
    #[derive(Debug)]
    #[project = StateProjection]
    enum State<F> {
        Inner { #[pin] future: F },
        Own { answer: Option<Answer> },
    }
}

impl<F> ResponseFuture<F> {
    fn inner(future: F) -> Self {
        ResponseFuture {
            state: State::Inner { future },
        }
    }

    fn own(answer: Answer) -> Self {
        ResponseFuture {
            state: State::Own {
                answer: Some(answer),
            },
        }
    }
}

impl<F, B, E> Future for ResponseFuture<F>
where
    F: Future<Output = Result<Response<B>, E>>,
{
    type Output = Result<Response<ResponseBody<B>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().state.project() {
            StateProjection::Inner { future } => future
                .poll(cx)
                .map_ok(|response| response.map(ResponseBody::inner)),
            StateProjection::Own { answer } => {
                let response = match answer.take().expect("polled after completion") {
                    Answer::Now(response) => response,
                    Answer::Later(mut future) => match future.as_mut().poll(cx) {
                        Poll::Ready(response) => response,
                        Poll::Pending => {
                            *answer = Some(Answer::Later(future));
                            return Poll::Pending;
                        }
                    },
                };
                Poll::Ready(Ok(response.map(ResponseBody::own)))
            }
        }
    }
}

pin_project! {
    /// The body of a [`WebSocketService`]'s response: that of the inner service, or the
    /// text of the answer to a handshake (often empty).
    #[derive(Debug)]
    pub struct ResponseBody<B> {
        #[pin]
        kind: Kind<B>,
    }
}

pin_project! {
    #[derive(Debug)]
    #[project = KindProjection]
    enum Kind<B> {
        Inner { #[pin] body: B },
        Own { text: Option<Bytes> },
    }
}

impl<B> ResponseBody<B> {
    pub(super) fn inner(body: B) -> Self {
        ResponseBody {
            kind: Kind::Inner { body },
        }
    }

    pub(super) fn own(text: String) -> Self {
        let text = Some(Bytes::from(text)).filter(|text| !text.is_empty());
        ResponseBody {
            kind: Kind::Own { text },
        }
    }
}

impl<B: Body<Data = Bytes>> Body for ResponseBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        match self.project().kind.project() {
            KindProjection::Inner { body } => body.poll_frame(cx),
            KindProjection::Own { text } => Poll::Ready(text.take().map(Frame::data).map(Ok)),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Inner { body } => body.is_end_stream(),
            Kind::Own { text } => text.is_none(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Inner { body } => body.size_hint(),
            Kind::Own { text } => {
                SizeHint::with_exact(text.as_ref().map_or(0, |text| text.len() as u64))
            }
        }
    }
}
