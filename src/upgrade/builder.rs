//! A handshake, and the ways of answering it.

use std::fmt;
use std::sync::Arc;

use http::{Extensions, Request, Response, Version, request};
use hyper::upgrade::OnUpgrade;

use super::accepted::Accepted;
use super::conversation::Conversation;
use super::pending::PendingUpgrade;
use super::trace::Trace;
use crate::config::Config;
use crate::handshake::{Head, Offer, Rejection};
use crate::protocol::Role;
use crate::socket::{Outcome, Start, WebSocket};
use crate::tracker::{Permit, Refused, Tracker};

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
    require_protocol: bool,
    /// The answer where a subprotocol is required and there is none in common.
    no_common_protocol: Option<Rejection>,
    tracker: Option<Tracker>,
    trace: Trace,
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
        let offer = with_protocol(Head::from(&*request), request.extensions()).validate();
        let version = request.version();
        Upgrade::from_offer(offer, version, request.extensions_mut(), trace)
    }

    /// Whether this is a WebSocket handshake, be it a good or a bad one: on
    /// HTTP/1.1 a request whose `Upgrade` names `websocket`, on HTTP/2 (feature
    /// `http2`) a `CONNECT` whose `:protocol` is it.
    pub fn is_handshake<B>(request: &Request<B>) -> bool {
        with_protocol(Head::from(request), request.extensions()).is_handshake()
    }

    /// [`from_request`](Upgrade::from_request) for a request without its body.
    ///
    /// # Errors
    ///
    /// The [`Rejection`] to answer with, if this is no good handshake.
    pub fn from_parts(parts: &mut request::Parts) -> Result<Self, Rejection> {
        let trace = Trace::begin(&parts.uri);
        let offer = with_protocol(Head::from(&*parts), &parts.extensions).validate();
        Upgrade::from_offer(offer, parts.version, &mut parts.extensions, trace)
    }

    /// Looked for before the answer: hyper's own function would return a
    /// future that fails only after the 101.
    fn from_offer(
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
            require_protocol: false,
            no_common_protocol: None,
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
        self.no_common_protocol = match self.protocol {
            None => Some(self.offer.no_common_protocol(&supported)),
            Some(_) => None,
        };
        self
    }

    /// Refuse with 400 if no subprotocol is common.
    pub fn require_protocol(mut self) -> Self {
        self.require_protocol = true;
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
        Fut: Future<Output: Outcome> + Send + 'static,
    {
        match self.answer() {
            Ok((response, pending, trace)) => {
                let span = trace.connection(&pending.start);
                span.spawn(Conversation::new(Some(pending), handler));
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
        Fut: Future<Output: Outcome> + Send + 'static,
    {
        match self.answer() {
            Ok((response, pending, _)) => (response, Conversation::new(Some(pending), handler)),
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
            Ok((response, pending, _)) => (
                response,
                Accepted {
                    pending: Some(pending),
                },
            ),
            Err(rejection) => (rejection.into(), Accepted { pending: None }),
        }
    }

    /// On refusal everything else is dropped, `OnUpgrade` without having been
    /// polled.
    fn answer<B: From<String>>(self) -> Result<(Response<B>, PendingUpgrade, Trace), Rejection> {
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
        let start = Start {
            role: Role::Server,
            config: self.config,
            protocol: agreement.protocol,
            codec: agreement.extension.map(|it| it.codec()),
            permit,
        };
        Ok((
            response,
            PendingUpgrade {
                on_upgrade: self.on_upgrade,
                version: self.version,
                start,
            },
            self.trace,
        ))
    }

    fn admit(&self) -> Result<Option<Permit>, Rejection> {
        self.offer.check(&self.config)?;
        if self.require_protocol && self.protocol.is_none() {
            return Err(match &self.no_common_protocol {
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
fn with_protocol<'a>(head: Head<'a>, extensions: &'a Extensions) -> Head<'a> {
    let protocol = extensions.get::<hyper::ext::Protocol>();
    head.protocol(protocol.map(|protocol| protocol.as_str()))
}

#[cfg(not(feature = "http2"))]
fn with_protocol<'a>(head: Head<'a>, _: &'a Extensions) -> Head<'a> {
    head
}

/// Seconds after which a client that found no room may try again.
const RETRY_AFTER: u32 = 5;
