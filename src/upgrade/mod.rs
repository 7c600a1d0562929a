//! Taking a connection over: from the request to the running conversation.
//!
//! [`Upgrade`] is what the [middleware](crate::middleware) and the axum
//! extractor hand out, and what one calls on a request of one's own:
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
//!         // Never `?`: hyper would close the connection without an answer.
//!         Err(rejection) => rejection.into(),
//!     })
//! }
//! ```
//!
//! The connection must be served with `.with_upgrades()` (hyper-util's `auto`:
//! with `serve_connection_with_upgrades`), and nothing outside may change the
//! status of the answer: hyper hands the connection over all the same, and
//! then two sides read HTTP as frames. Such a conversation ends like that of
//! any other peer that breaks the protocol.

mod trace;
mod transport;

use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use http::{Extensions, Request, Response, Version, request};
use hyper::upgrade::OnUpgrade;
use pin_project_lite::pin_project;

use crate::config::Config;
use crate::error::{Error, ErrorKind};
use crate::handshake::{Head, Offer, Rejection};
use crate::protocol::Role;
use crate::socket::{self, Driver, HandlerOutput, Negotiated, WebSocket};
use crate::tracker::{Permit, Refused, Tracker};
use trace::Trace;
use transport::Transport;

/// A good handshake that waits for its answer.
///
/// What the request itself decides has been checked when this exists; what the
/// [`Config`] decides (the origin, the host) is checked with the answer, so
/// that [`config`](Upgrade::config) may still change it. Whichever way it is
/// answered, the answer may therefore turn out to be a refusal.
///
/// Dropping it refuses nothing and accepts nothing: answer with any other
/// response then.
#[must_use = "answer with `on_upgrade`, `accept_with` or `accept`, or with a response of your own"]
pub struct Upgrade {
    on_upgrade: OnUpgrade,
    version: Version,
    offer: Offer,
    config: Arc<Config>,
    protocol: Option<Arc<str>>,
    demand: Demand,
    /// What a demand is answered that cannot be met.
    no_protocol: Option<Rejection>,
    tracker: Option<Tracker>,
    trace: Trace,
}

/// Whether there must be a subprotocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Demand {
    Any,
    Protocol,
}

impl Upgrade {
    /// Looks at a request, and takes hold of its connection if it is a good
    /// handshake.
    ///
    /// The request stays whole but for hyper's `OnUpgrade` in its extensions.
    /// Do not keep its body: what arrives from now on is frames.
    ///
    /// # Errors
    ///
    /// The [`Rejection`] to answer with, if it is none. Where some requests are
    /// no handshakes and belong to somebody else, ask
    /// [`is_handshake`](Upgrade::is_handshake) first, or use the
    /// [middleware](crate::middleware).
    pub fn from_request<B>(request: &mut Request<B>) -> Result<Self, Rejection> {
        let trace = Trace::begin(request.uri());
        let offer = extended(Head::from(&*request), request.extensions()).validate();
        let version = request.version();
        Upgrade::take_hold(offer, version, request.extensions_mut(), trace)
    }

    /// Whether this is a WebSocket handshake, be it a good or a bad one: on
    /// HTTP/1.1 a request whose `Upgrade` names `websocket`, on HTTP/2 (feature
    /// `http2`) a `CONNECT` whose `:protocol` is it.
    pub fn is_handshake<B>(request: &Request<B>) -> bool {
        extended(Head::from(request), request.extensions()).is_handshake()
    }

    /// [`from_request`](Upgrade::from_request) for a request without its body.
    ///
    /// # Errors
    ///
    /// The [`Rejection`] to answer with, if this is no good handshake.
    pub fn from_parts(parts: &mut request::Parts) -> Result<Self, Rejection> {
        let trace = Trace::begin(&parts.uri);
        let offer = extended(Head::from(&*parts), &parts.extensions).validate();
        Upgrade::take_hold(offer, parts.version, &mut parts.extensions, trace)
    }

    /// Looked for before the answer: hyper's own function would return a
    /// future that fails only after the 101.
    fn take_hold(
        offer: Result<Offer, Rejection>,
        version: Version,
        extensions: &mut Extensions,
        trace: Trace,
    ) -> Result<Self, Rejection> {
        let offer = offer.inspect_err(|rejection| trace.answered(rejection.status()))?;
        let Some(on_upgrade) = extensions.remove::<OnUpgrade>() else {
            #[cfg(feature = "tracing")]
            tracing::error!(
                "a WebSocket handshake came without hyper's `OnUpgrade` in its extensions: \
                 something rebuilt the request, or another handler took it"
            );
            let rejection = Rejection::not_upgradable(version);
            trace.answered(rejection.status());
            return Err(rejection);
        };
        Ok(Upgrade {
            on_upgrade,
            version,
            offer,
            config: Arc::default(),
            protocol: None,
            demand: Demand::Any,
            no_protocol: None,
            tracker: None,
            trace,
        })
    }

    /// Limits, timers and who may connect; the defaults unless set.
    pub fn config(mut self, config: impl Into<Arc<Config>>) -> Self {
        self.config = config.into();
        self
    }

    /// The subprotocols that the server speaks, its favourite first. The first
    /// that the client offers too is agreed on; without a common one the
    /// connection has none (a browser that offered some closes it then).
    pub fn protocols<P: AsRef<str>>(mut self, supported: impl IntoIterator<Item = P>) -> Self {
        let supported = supported.into_iter().collect::<Vec<_>>();
        self.protocol = self.offer.choose(&supported);
        self.no_protocol = match self.protocol {
            None => Some(self.offer.no_common_protocol(&supported)),
            Some(_) => None,
        };
        self
    }

    /// Refuse with 400 if no subprotocol is common.
    pub fn require_protocol(mut self) -> Self {
        self.demand = Demand::Protocol;
        self
    }

    /// Count the connection, and refuse it with 503 when the tracker says so.
    pub fn tracker(mut self, tracker: &Tracker) -> Self {
        self.tracker = Some(tracker.clone());
        self
    }

    /// The subprotocol that was agreed on.
    pub fn protocol(&self) -> Option<&str> {
        self.protocol.as_deref()
    }

    /// Accepts, and runs the handler in a task of its own once the connection
    /// is handed over.
    ///
    /// With the feature `tracing`, the task has a span of its own, `websocket`,
    /// in the current one; nobody pays for it unless somebody subscribes to it.
    ///
    /// The body is made of a `String`, since the answer may be a refusal with
    /// its reason. If yours cannot be (a `BoxBody`, an `Empty`), let it be a
    /// `String` here and [`map`](Response::map) the response.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub fn on_upgrade<B, F, Fut>(self, handler: F) -> Response<B>
    where
        B: From<String>,
        F: FnOnce(WebSocket) -> Fut + Send + 'static,
        Fut: Future<Output: HandlerOutput> + Send + 'static,
    {
        match self.answer() {
            Ok((response, waiting, trace)) => {
                let span = trace.connection(&waiting.start);
                span.spawn(Conversation::new(Some(waiting), handler));
                response
            }
            Err(rejection) => rejection.into(),
        }
    }

    /// Accepts, and returns the conversation for the caller to spawn, or to
    /// put into a set of tasks.
    ///
    /// It begins when the response has been written, so it must not be awaited
    /// before the response is returned. If the response is a refusal, it ends
    /// at once and the handler is never called. It is in the span of whoever
    /// polls it.
    pub fn accept_with<B, F, Fut>(self, handler: F) -> (Response<B>, Conversation<F, Fut>)
    where
        B: From<String>,
        F: FnOnce(WebSocket) -> Fut + Send + 'static,
        Fut: Future<Output: HandlerOutput> + Send + 'static,
    {
        match self.answer() {
            Ok((response, waiting, _)) => (response, Conversation::new(Some(waiting), handler)),
            Err(rejection) => (rejection.into(), Conversation::new(None, handler)),
        }
    }

    /// Accepts, and returns a future of the bare socket, which moves only while
    /// one of its methods is awaited.
    ///
    /// It is ready when the response has been written, so it must not be
    /// awaited before the response is returned.
    pub fn accept<B: From<String>>(self) -> (Response<B>, Accepted) {
        match self.answer() {
            Ok((response, waiting, _)) => (
                response,
                Accepted {
                    waiting: Some(waiting),
                },
            ),
            Err(rejection) => (rejection.into(), Accepted { waiting: None }),
        }
    }

    /// On refusal everything else is dropped, `OnUpgrade` without having been
    /// polled.
    fn answer<B: From<String>>(self) -> Result<(Response<B>, Waiting, Trace), Rejection> {
        let permit = self.admit().inspect_err(|rejection| {
            self.trace.answered(rejection.status());
            if let Some(tracker) = &self.tracker {
                tracker.count_refusal(rejection.status().as_u16());
            }
        })?;
        let agreement = self.offer.agree(&self.config, self.protocol);
        let response = self
            .offer
            .respond::<()>(&agreement)
            .map(|()| B::from(String::new()));
        self.trace.answered(response.status());
        let start = Negotiated {
            role: Role::Server,
            config: self.config,
            protocol: agreement.protocol,
            codec: agreement.extension.map(|it| it.codec()),
            permit,
        };
        Ok((
            response,
            Waiting {
                on_upgrade: self.on_upgrade,
                version: self.version,
                start,
            },
            self.trace,
        ))
    }

    fn admit(&self) -> Result<Option<Permit>, Rejection> {
        self.offer.check(&self.config)?;
        if self.demand == Demand::Protocol && self.protocol.is_none() {
            return Err(match &self.no_protocol {
                Some(rejection) => rejection.clone(),
                None => self.offer.no_common_protocol::<&str>(&[]),
            });
        }
        self.tracker
            .as_ref()
            .map(Tracker::admit)
            .transpose()
            .map_err(|refused| match refused {
                Refused::Full => Rejection::unavailable(
                    "the server holds as many WebSockets as it may",
                    RETRY_AFTER,
                ),
                Refused::Draining => {
                    Rejection::unavailable("the server is shutting down", RETRY_AFTER)
                }
            })
    }
}

impl fmt::Debug for Upgrade {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upgrade")
            .field("protocol", &self.protocol)
            .finish_non_exhaustive()
    }
}

/// The head, and the `:protocol` that hyper keeps beside it (RFC 8441, section 4).
#[cfg(feature = "http2")]
fn extended<'a>(head: Head<'a>, extensions: &'a Extensions) -> Head<'a> {
    let protocol = extensions.get::<hyper::ext::Protocol>();
    head.protocol(protocol.map(|protocol| protocol.as_str()))
}

#[cfg(not(feature = "http2"))]
fn extended<'a>(head: Head<'a>, _: &'a Extensions) -> Head<'a> {
    head
}

/// Seconds after which a client that found no room may try again.
const RETRY_AFTER: u32 = 5;

/// A connection between its answer and its first frame.
struct Waiting {
    on_upgrade: OnUpgrade,
    version: Version,
    start: Negotiated,
}

impl Waiting {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Transport, Error>> {
        Pin::new(&mut self.on_upgrade)
            .poll(cx)
            .map(|result| match result {
                Ok(upgraded) => Ok(Transport::new(upgraded, self.version)),
                // The developer's mistake, the only one hyper reports as such.
                Err(error) if error.is_user() => {
                    let error = Error::upgrade(error);
                    #[cfg(feature = "tracing")]
                    tracing::error!("{error}");
                    Err(error)
                }
                // Nobody's: the client left before the answer was written, or the
                // server closed the connection.
                Err(error) => {
                    #[cfg(feature = "tracing")]
                    tracing::debug!("the connection ended before it was handed over: {error}");
                    Err(io::Error::new(io::ErrorKind::ConnectionAborted, error).into())
                }
            })
    }
}

/// The bare socket of a handshake that [`accept`](Upgrade::accept) answered.
///
/// # Errors
///
/// [`ErrorKind::Upgrade`] if the connection is served without
/// `.with_upgrades()`, [`ErrorKind::Io`] if the client left before the answer
/// was written, [`ErrorKind::Closed`] if the answer is a refusal.
///
/// # Cancel safety
///
/// It may be awaited by reference and again later. Dropping it closes the
/// connection.
#[must_use = "dropping it closes the connection"]
pub struct Accepted {
    waiting: Option<Waiting>,
}

impl Future for Accepted {
    type Output = Result<WebSocket, Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(waiting) = &mut self.waiting else {
            return Poll::Ready(Err(ErrorKind::Closed.into()));
        };
        let transport = ready!(waiting.poll(cx));
        let start = self.waiting.take().map(|waiting| waiting.start);
        Poll::Ready(match start {
            Some(start) => transport.map(|transport| socket::bare(transport, start)),
            None => Err(ErrorKind::Closed.into()),
        })
    }
}

impl fmt::Debug for Accepted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Accepted").finish_non_exhaustive()
    }
}

pin_project! {
    /// The whole life of a connection that [`accept_with`](Upgrade::accept_with)
    /// answered: a future that waits for the connection, runs the handler on
    /// it, and ends when the connection has ended.
    ///
    /// Dropping it cuts the connection off.
    #[must_use = "spawn it: nothing is read or written unless it is polled"]
    pub struct Conversation<F, Fut> {
        #[pin]
        state: State<F, Fut>,
    }
}

pin_project! {
    /// What an idle connection keeps is `Running` alone: what was needed to
    /// get there is gone by then, and not beside it.
    #[project = StateProjection]
    enum State<F, Fut> {
        Upgrading { begin: Option<(Waiting, F)> },
        Running { #[pin] drive: Driver<Transport, Fut> },
    }
}

impl<F, Fut> Conversation<F, Fut> {
    fn new(waiting: Option<Waiting>, handler: F) -> Self {
        let begin = waiting.map(|waiting| (waiting, handler));
        Conversation {
            state: State::Upgrading { begin },
        }
    }
}

impl<F, Fut> Future for Conversation<F, Fut>
where
    F: FnOnce(WebSocket) -> Fut + Send + 'static,
    Fut: Future<Output: HandlerOutput> + Send + 'static,
{
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.project().state;
        if let StateProjection::Upgrading { begin } = state.as_mut().project() {
            let Some((waiting, _)) = begin else {
                return Poll::Ready(());
            };
            let transport = ready!(waiting.poll(cx));
            let (Ok(transport), Some((waiting, handler))) = (transport, begin.take()) else {
                *begin = None;
                return Poll::Ready(());
            };
            let drive = socket::managed(transport, waiting.start, handler);
            state.set(State::Running { drive });
        }
        match state.project() {
            StateProjection::Running { drive } => drive.poll(cx),
            StateProjection::Upgrading { .. } => Poll::Ready(()),
        }
    }
}

impl<F, Fut> fmt::Debug for Conversation<F, Fut> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Conversation").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_that_waits_is_not_bigger_than_one_that_runs() {
        async fn handler(_socket: WebSocket) {}
        fn sizes<F: FnOnce(WebSocket) -> Fut, Fut>(_: F) -> (usize, usize) {
            (
                size_of::<Conversation<F, Fut>>(),
                size_of::<Driver<Transport, Fut>>(),
            )
        }
        let (whole, running) = sizes(handler);
        assert!(whole <= running + 8, "{whole} {running}");
        assert!(size_of::<Transport>() <= 72, "{}", size_of::<Transport>());
    }
}
