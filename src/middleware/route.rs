//! The routes: which handler answers which handshake.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

#[cfg(feature = "tracing")]
use http::header::SEC_WEBSOCKET_KEY;
use http::{Request, Response, StatusCode};

use super::rest::{PathRest, percent_decoded};
use crate::config::Config;
use crate::error::Error;
use crate::handshake::{assert_subprotocol, encoded_path};
use crate::socket::{HandlerOutput, WebSocket};
use crate::tracker::Tracker;
use crate::upgrade::Upgrade;

/// A function for a route: `async fn(WebSocket)`, or `async fn(Upgrade, Request<()>)` that returns a
/// `Response<String>` or a `Result<Response<String>, E>`.
///
/// Functions and closures implement this trait; it is sealed, so other types
/// cannot. `Shape` tells the kinds apart and is always inferred.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a WebSocket handler",
    label = "expected `async fn(WebSocket) -> ()` or `-> Result<(), E>`, or `async fn(Upgrade, \
             Request<()>) -> Response<String>` or `-> Result<Response<String>, E>`",
    note = "to be told what is wrong with it, write `hyper_ws::middleware::handler::socket(..)` around \
            it, or `handler::upgrade(..)` if it takes an `Upgrade`",
    note = "a handler's future must be `Send`, and its error `Into<Box<dyn Error + Send + Sync>>`",
    note = "to pass state, write `handler::socket_with(state, handler)`, or a closure that names the \
            types of its arguments: `move |socket: WebSocket| handler(socket, state.clone())`"
)]
pub trait Handler<Shape>: Call<Shape> + Send + Sync + 'static {}

/// The behaviour of a [`Handler`]. This trait is not exported, which seals `Handler`.
pub trait Call<Shape> {
    /// Answers a valid handshake.
    fn call(self: &Arc<Self>, upgrade: Upgrade, request: Request<()>) -> Answer;
}

/// The answer of a handler.
pub enum Answer {
    /// A response that is known at once.
    Now(Response<String>),
    /// A response that the handler's future returns.
    Later(Pin<Box<dyn Future<Output = Response<String>> + Send>>),
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Answer::Now(response) => f.debug_tuple("Now").field(response).finish(),
            Answer::Later(_) => f.write_str("Later(..)"),
        }
    }
}

impl<F, Fut> Handler<fn(WebSocket)> for F
where
    F: Fn(WebSocket) -> Fut + Send + Sync + 'static,
    Fut: Future<Output: HandlerOutput> + Send + 'static,
{
}

impl<F, Fut> Call<fn(WebSocket)> for F
where
    F: Fn(WebSocket) -> Fut + Send + Sync + 'static,
    Fut: Future<Output: HandlerOutput> + Send + 'static,
{
    fn call(self: &Arc<Self>, upgrade: Upgrade, _request: Request<()>) -> Answer {
        let handler = Arc::clone(self);
        Answer::Now(upgrade.on_upgrade(move |socket| handler(socket)))
    }
}

impl<F, Fut> Handler<fn(Upgrade, Request<()>)> for F
where
    F: Fn(Upgrade, Request<()>) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Response<String>> + Send + 'static,
{
}

impl<F, Fut> Call<fn(Upgrade, Request<()>)> for F
where
    F: Fn(Upgrade, Request<()>) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Response<String>> + Send + 'static,
{
    fn call(self: &Arc<Self>, upgrade: Upgrade, request: Request<()>) -> Answer {
        Answer::Later(Box::pin(self(upgrade, request)))
    }
}

impl<F, Fut, E> Handler<fn(Upgrade, Request<()>) -> Result<(), E>> for F
where
    F: Fn(Upgrade, Request<()>) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<Response<String>, E>> + Send + 'static,
    E: Into<Response<String>>,
{
}

impl<F, Fut, E> Call<fn(Upgrade, Request<()>) -> Result<(), E>> for F
where
    F: Fn(Upgrade, Request<()>) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<Response<String>, E>> + Send + 'static,
    E: Into<Response<String>>,
{
    fn call(self: &Arc<Self>, upgrade: Upgrade, request: Request<()>) -> Answer {
        let answer = self(upgrade, request);
        Answer::Later(Box::pin(async { answer.await.unwrap_or_else(E::into) }))
    }
}

/// A handler of any shape.
#[derive(Clone)]
pub(super) struct Route(Arc<dyn Fn(Upgrade, Request<()>) -> Answer + Send + Sync>);

impl Route {
    fn new<Shape, H: Handler<Shape>>(handler: H) -> Self {
        let handler = Arc::new(handler);
        Route(Arc::new(move |upgrade, request| {
            handler.call(upgrade, request)
        }))
    }
}

/// The route of a handshake.
pub(super) struct Found<'a> {
    route: &'a Route,
    /// The length of the prefix that its path begins with.
    prefix: Option<usize>,
}

/// The routes, and the settings that all of them share.
#[derive(Clone, Default)]
pub(super) struct Routes {
    by_path: HashMap<Box<str>, Route>,
    /// The longest first.
    by_prefix: Vec<(Box<str>, Route)>,
    any_path: Option<Route>,
    config: Arc<Config>,
    protocols: Arc<[String]>,
    tracker: Option<Tracker>,
    on_failed_upgrade: Option<Arc<dyn Fn(Error) + Send + Sync>>,
}

impl Routes {
    #[track_caller]
    pub(super) fn route<Shape, H: Handler<Shape>>(&mut self, path: &str, handler: H) {
        assert_path(path);
        self.by_path.insert(Box::from(path), Route::new(handler));
    }

    #[track_caller]
    pub(super) fn route_prefix<Shape, H: Handler<Shape>>(&mut self, prefix: &str, handler: H) {
        assert_path(prefix);
        assert!(
            prefix.ends_with('/'),
            "a prefix must end with `/`: write {:?}, or `route` for the path alone",
            format!("{prefix}/")
        );
        self.by_prefix.retain(|(known, _)| **known != *prefix);
        let longer = |(known, _): &(Box<str>, Route)| known.len() > prefix.len();
        let at = self.by_prefix.partition_point(longer);
        let route = Route::new(handler);
        self.by_prefix.insert(at, (Box::from(prefix), route));
    }

    pub(super) fn any_path<Shape, H: Handler<Shape>>(&mut self, handler: H) {
        self.any_path = Some(Route::new(handler));
    }

    pub(super) fn config(&mut self, config: Arc<Config>) {
        self.config = config;
    }

    #[track_caller]
    pub(super) fn protocols<P: Into<String>>(&mut self, supported: impl IntoIterator<Item = P>) {
        let supported = supported.into_iter().map(Into::into).collect::<Vec<_>>();
        for protocol in &supported {
            assert_subprotocol(protocol);
        }
        self.protocols = supported.into();
    }

    pub(super) fn tracker(&mut self, tracker: &Tracker) {
        self.tracker = Some(tracker.clone());
    }

    pub(super) fn on_failed_upgrade(&mut self, callback: impl Fn(Error) + Send + Sync + 'static) {
        self.on_failed_upgrade = Some(Arc::new(callback));
    }

    /// Finds the route of a handshake. Returns `None` if the inner service is to answer:
    /// there is no route, or the request is not a handshake.
    pub(super) fn find<A>(&self, request: &Request<A>) -> Option<Found<'_>> {
        if !Upgrade::is_handshake(request) {
            #[cfg(feature = "tracing")]
            if request.headers().contains_key(SEC_WEBSOCKET_KEY) {
                tracing::debug!(
                    version = ?request.version(),
                    "a request with `Sec-WebSocket-Key` is not a handshake, so the inner service answers it \
                     (a proxy must speak HTTP/1.1 and pass `Upgrade` on)"
                );
            }
            return None;
        }
        let path = request.uri().path();
        if let Some(route) = self.by_path.get(path) {
            return Some(Found {
                route,
                prefix: None,
            });
        }
        let mut prefixes = self.by_prefix.iter();
        if let Some((prefix, route)) = prefixes.find(|(prefix, _)| path.starts_with(&**prefix)) {
            let prefix = Some(prefix.len());
            return Some(Found { route, prefix });
        }
        let route = self.any_path.as_ref()?;
        Some(Found {
            route,
            prefix: None,
        })
    }

    /// Whether a path that was found by a prefix of this length is, once decoded, that of another
    /// route: `/rooms/%61dmin` beside a route `/rooms/admin`. A check that stands before that route
    /// must not be passed by.
    fn is_other_spelling(&self, path: &str, prefix: usize) -> bool {
        let decoded = percent_decoded(path);
        let is_path = |route: &str| percent_decoded(route) == decoded;
        let is_below = |route: &str| decoded.starts_with(&percent_decoded(route));
        self.by_path.keys().any(|route| is_path(route))
            || self
                .by_prefix
                .iter()
                .any(|(route, _)| route.len() > prefix && is_below(route))
    }

    pub(super) fn answer<A>(&self, found: Found<'_>, request: Request<A>) -> Answer {
        // Drops the body: while it exists, hyper waits for its end and does not
        // hand the connection over.
        let (mut parts, _) = request.into_parts();
        let mut upgrade = match Upgrade::from_parts(&mut parts) {
            Ok(upgrade) => upgrade.config(Arc::clone(&self.config)),
            Err(rejection) => {
                if let Some(tracker) = &self.tracker {
                    tracker.count_refusal(rejection.status().as_u16());
                }
                return Answer::Now(rejection.into());
            }
        };
        if !self.protocols.is_empty() {
            upgrade = upgrade.protocols(self.protocols.iter());
        }
        if let Some(tracker) = &self.tracker {
            upgrade = upgrade.tracker(tracker);
        }
        if let Some(callback) = self.on_failed_upgrade.clone() {
            upgrade = upgrade.on_failed_upgrade(move |error| callback(error));
        }
        if let Some(prefix) = found.prefix {
            let path = parts.uri.path();
            let rest = match self.is_other_spelling(path, prefix) {
                true => Err("the path is that of another route in another spelling"),
                false => PathRest::decode(&path[prefix..]),
            };
            match rest {
                Ok(rest) => parts.extensions.insert(rest),
                Err(fault) => {
                    return Answer::Now(upgrade.refuse(StatusCode::BAD_REQUEST, fault).into());
                }
            };
        }
        found.route.0(upgrade, Request::from_parts(parts, ()))
    }
}

/// Panics if no request could match.
#[track_caller]
fn assert_path(path: &str) {
    assert!(
        path.starts_with('/'),
        "a path must begin with `/`: {path:?}"
    );
    assert!(
        !path.contains(['?', '#']),
        "a path must not have a query or a fragment: {path:?}"
    );
    assert!(
        !path.contains(['{', '}']),
        "a path has no parameters: {path:?} (`any_path` takes every path, and the handler looks \
         at the request)"
    );
    let encoded = encoded_path(&path.replace('\\', "/"));
    assert!(
        encoded == path,
        "no client asks for the path {path:?}: write {encoded:?}"
    );
}

impl fmt::Debug for Routes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let prefixes: Vec<_> = self.by_prefix.iter().map(|(prefix, _)| prefix).collect();
        f.debug_struct("Routes")
            .field("paths", &self.by_path.keys())
            .field("prefixes", &prefixes)
            .field("any_path", &self.any_path.is_some())
            .field("protocols", &self.protocols)
            .finish_non_exhaustive()
    }
}
