//! A handshake, and the ways to answer it.

use std::fmt;
use std::sync::Arc;

use http::{Response, StatusCode, Version};

use super::accepted::Accepted;
use super::conversation::Conversation;
use super::handover::Handover;
use super::pending::{OnFailedUpgrade, PendingUpgrade};
use super::trace::Trace;
use crate::config::Config;
use crate::error::Error;
use crate::handshake::{Offer, Rejection, TextBody, Unavailable};
use crate::protocol::Role;
use crate::socket::{HandlerOutput, Negotiated, WebSocket};
use crate::tracker::{Permit, Refused, Tracker};

/// A valid handshake that has not been answered yet.
///
/// The request itself has been checked. Its origin and host are checked when you
/// accept, since [`config`](Upgrade::config) may still change the rules. So accepting
/// may also produce a refusal. To learn of it before your own code runs, call
/// [`check`](Upgrade::check).
///
/// Dropping an `Upgrade` sends nothing: you can answer with any other response. To have a refusal
/// counted, make it with [`refuse`](Upgrade::refuse).
#[must_use = "answer with `on_upgrade`, `accept_with` or `accept`, or with a response of your own"]
pub struct Upgrade {
    handover: Handover,
    version: Version,
    offer: Offer,
    config: Arc<Config>,
    protocol: Option<Arc<str>>,
    require_protocol: bool,
    /// The answer if a subprotocol is required and client and server share none.
    no_common_protocol: Option<Rejection>,
    tracker: Option<Tracker>,
    on_failed: Option<OnFailedUpgrade>,
    /// The rules about origin and host have been applied.
    is_checked: bool,
    trace: Trace,
}

impl Upgrade {
    pub(super) fn new(offer: Offer, version: Version, handover: Handover, trace: Trace) -> Self {
        Upgrade {
            handover,
            version,
            offer,
            config: Arc::default(),
            protocol: None,
            require_protocol: false,
            no_common_protocol: None,
            tracker: None,
            on_failed: None,
            is_checked: false,
            trace,
        }
    }

    /// Sets limits, timeouts and allowed origins; the defaults of [`Config`] unless set.
    pub fn config(mut self, config: impl Into<Arc<Config>>) -> Self {
        self.config = config.into();
        self.is_checked = false;
        self
    }

    /// Sets the subprotocols that the server speaks, in order of preference.
    ///
    /// The first one that the client offers too is selected. If there is none, the
    /// handshake is accepted without a subprotocol, unless
    /// [`require_protocol`](Upgrade::require_protocol) is called too. (A browser
    /// that offered subprotocols closes such a connection.)
    ///
    /// Each call replaces the choice of an earlier one. An empty list selects no subprotocol. A
    /// name that no client can offer, because it is not a token, is never selected; it does not
    /// panic here, since names may come from the request. (In the [middleware](crate::middleware),
    /// such a name panics when the server starts.)
    pub fn protocols<P: AsRef<str>>(mut self, supported: impl IntoIterator<Item = P>) -> Self {
        let supported = supported.into_iter().collect::<Vec<_>>();
        self.protocol = self.offer.choose(&supported);
        self.no_common_protocol = match self.protocol {
            None => Some(self.offer.no_common_protocol(&supported)),
            Some(_) => None,
        };
        self
    }

    /// Rejects the handshake with 400 if client and server share no subprotocol.
    pub fn require_protocol(mut self) -> Self {
        self.require_protocol = true;
        self
    }

    /// Returns the subprotocols that the client offers, in its order of preference.
    ///
    /// Use it with [`set_protocol`](Upgrade::set_protocol) where a list of names
    /// does not express the choice.
    pub fn offered_protocols(&self) -> impl Iterator<Item = &str> {
        self.offer.protocols()
    }

    /// Selects this subprotocol, which the client must have
    /// [offered](Upgrade::offered_protocols).
    ///
    /// A server must not select a subprotocol that was not offered (RFC 6455,
    /// section 4.2.2). If you select one that was not offered, the handshake is rejected with 400,
    /// and the answer names the subprotocols that were offered.
    ///
    /// This is short for [`protocols`](Upgrade::protocols) with this one name, and
    /// [`require_protocol`](Upgrade::require_protocol).
    ///
    /// ```
    /// use hyper::{Request, Response};
    /// use hyper_ws::{Error, Upgrade, WebSocket};
    ///
    /// /// Speaks the newest `chat.v<number>` that the client knows.
    /// async fn chat(mut upgrade: Upgrade, _request: Request<()>) -> Response<String> {
    ///     let version = |protocol: &str| protocol.strip_prefix("chat.v")?.parse::<u32>().ok();
    ///     let newest = upgrade.offered_protocols().filter_map(version).max();
    ///     if let Some(version) = newest {
    ///         upgrade = upgrade.set_protocol(format!("chat.v{version}"));
    ///     }
    ///     upgrade.on_upgrade(|mut socket: WebSocket| async move {
    ///         let protocol = socket.protocol().unwrap_or("no subprotocol").to_owned();
    ///         socket.send(protocol).await
    ///     })
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use hyper_ws::{WebSocketService, testing};
    ///
    /// let server = testing::serve(WebSocketService::new(hyper::service::service_fn(
    ///     async |_| Ok::<_, Error>(Response::new(String::new())),
    /// )).route("/chat", chat));
    /// let request = Request::get("/chat").header("Sec-WebSocket-Protocol", "chat.v9, chat.v10");
    /// let mut client = server.connect(request.body(())?).await?;
    /// assert_eq!(client.protocol(), Some("chat.v10"));
    /// # Ok(())
    /// # }
    /// ```
    pub fn set_protocol(self, protocol: impl AsRef<str>) -> Self {
        self.protocols([protocol]).require_protocol()
    }

    /// Returns the subprotocol that is selected.
    pub fn protocol(&self) -> Option<&str> {
        self.protocol.as_deref()
    }

    /// Counts the connection with this tracker, and rejects the handshake with 503
    /// above the tracker's limit or while it drains.
    pub fn tracker(mut self, tracker: &Tracker) -> Self {
        self.tracker = Some(tracker.clone());
        self
    }

    /// Checks now what is otherwise checked when you accept: origin and host, a subprotocol that is
    /// required, and the limit of the tracker. Call their setters before this.
    ///
    /// Call this before your own code does anything for the client, such as looking up a user. The
    /// tracker may fill up between the check and the answer, so accepting can still refuse.
    ///
    /// ```
    /// use hyper::{Request, Response, StatusCode};
    /// use hyper_ws::handshake::Rejection;
    /// use hyper_ws::{Config, Upgrade, WebSocket};
    ///
    /// async fn chat(upgrade: Upgrade, request: Request<()>) -> Result<Response<String>, Rejection> {
    ///     let upgrade = upgrade.check()?;
    ///     let Some(user) = user(&request).await else {
    ///         return Err(upgrade.refuse(StatusCode::UNAUTHORIZED, "who are you?"));
    ///     };
    ///     Ok(upgrade.on_upgrade(|mut socket: WebSocket| async move { socket.send(user).await }))
    /// }
    /// # async fn user(_: &Request<()>) -> Option<String> { None }
    /// # let app = ();
    ///
    /// // The configuration of the service is that of its upgrades.
    /// let service = hyper_ws::WebSocketService::new(app)
    ///     .route("/chat", chat)
    ///     .config(Config::new().allow_origins(["https://example.com"]));
    /// ```
    ///
    /// # Errors
    ///
    /// The [`Rejection`] to answer with; the tracker has counted it. In a handler of the second
    /// shape, as above, and in axum, `?` sends the answer.
    pub fn check(mut self) -> Result<Self, Rejection> {
        match self.find_refusal().and_then(|()| self.look_for_room()) {
            Ok(()) => {
                self.is_checked = true;
                Ok(self)
            }
            Err(rejection) => Err(self.refused(rejection)),
        }
    }

    /// Refuses the handshake for a reason of your own, and counts that with the
    /// [tracker](Upgrade::tracker). The text is the body of the response.
    ///
    /// The [`Rejection`] is the answer: return it as an error where a handler may return one, else
    /// convert it into the response with `.into()`.
    ///
    /// ```
    /// use hyper::{Request, Response, StatusCode};
    /// use hyper_ws::{Upgrade, WebSocket};
    ///
    /// async fn private(upgrade: Upgrade, request: Request<()>) -> Response<String> {
    ///     if !request.headers().contains_key("cookie") {
    ///         return upgrade.refuse(StatusCode::UNAUTHORIZED, "who are you?").into();
    ///     }
    ///     upgrade.on_upgrade(|_: WebSocket| async {})
    /// }
    /// ```
    ///
    /// # Panics
    ///
    /// If the status is not that of an error, 400 to 599.
    #[track_caller]
    pub fn refuse(self, status: StatusCode, text: impl Into<String>) -> Rejection {
        let rejection = Rejection::own(status, text.into(), self.version);
        self.refused(rejection)
    }

    /// Calls `callback` if the handshake is accepted and the connection never
    /// becomes a socket.
    ///
    /// The kind of the error says why:
    ///
    /// - [`ErrorKind::Upgrade`]: the connection is served without
    ///   `.with_upgrades()`. This is a mistake in the server, and without the
    ///   callback it is reported in the log only (feature `tracing`).
    /// - [`ErrorKind::Io`]: the client left before the answer was written.
    ///
    /// In both cases the handler is not called. The callback runs in the task of the
    /// [`Conversation`]: the one that [`on_upgrade`](Upgrade::on_upgrade) spawns, or
    /// yours with [`accept_with`](Upgrade::accept_with). It is not called for a
    /// refusal, and not with [`accept`](Upgrade::accept), whose future returns the
    /// error.
    ///
    /// ```
    /// # use hyper::{Request, Response};
    /// # use hyper_ws::{Upgrade, WebSocket};
    /// # async fn echo(_: WebSocket) {}
    /// async fn handler(upgrade: Upgrade, request: Request<()>) -> Response<String> {
    ///     let path = request.uri().path().to_owned();
    ///     upgrade
    ///         .on_failed_upgrade(move |error| eprintln!("no WebSocket on {path}: {error}"))
    ///         .on_upgrade(echo)
    /// }
    /// # let service = hyper_ws::WebSocketService::new(()).route("/ws", handler);
    /// ```
    ///
    /// [`ErrorKind::Upgrade`]: crate::error::ErrorKind::Upgrade
    /// [`ErrorKind::Io`]: crate::error::ErrorKind::Io
    pub fn on_failed_upgrade(mut self, callback: impl FnOnce(Error) + Send + 'static) -> Self {
        self.on_failed = Some(OnFailedUpgrade::new(callback));
        self
    }

    /// Accepts the handshake, and spawns a task that runs the handler once the
    /// connection is handed over.
    ///
    /// With the feature `tracing`, the task has a span of its own, `websocket`,
    /// inside the current one. It costs nothing unless a subscriber wants it.
    ///
    /// The body is made from a `String`, since the answer may be a refusal that
    /// states its reason. If yours cannot be made from one (a `BoxBody`, an
    /// `Empty`), let the body be a `String` here and [`map`](Response::map) the
    /// response: see [`TextBody`].
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub fn on_upgrade<B, F, Fut>(self, handler: F) -> Response<B>
    where
        B: TextBody,
        F: FnOnce(WebSocket) -> Fut + Send + 'static,
        Fut: Future<Output: HandlerOutput> + Send + 'static,
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

    /// Accepts the handshake, and returns the conversation for the caller to spawn,
    /// or to put into a set of tasks.
    ///
    /// The conversation begins when the response has been written. So return the
    /// response first: awaiting the conversation before that never ends. If the
    /// response is a refusal, the conversation ends at once and the handler is
    /// never called.
    ///
    /// The conversation has no span of its own: it runs in that of the task that
    /// polls it.
    pub fn accept_with<B, F, Fut>(self, handler: F) -> (Response<B>, Conversation<F, Fut>)
    where
        B: TextBody,
        F: FnOnce(WebSocket) -> Fut + Send + 'static,
        Fut: Future<Output: HandlerOutput> + Send + 'static,
    {
        match self.answer() {
            Ok((response, pending, _)) => (response, Conversation::new(Some(pending), handler)),
            Err(rejection) => (rejection.into(), Conversation::new(None, handler)),
        }
    }

    /// Accepts the handshake, and returns a future of the bare socket, which makes
    /// progress only while one of its methods is awaited.
    ///
    /// The future is ready when the response has been written. So return the
    /// response first: awaiting the future before that never ends.
    pub fn accept<B: TextBody>(self) -> (Response<B>, Accepted) {
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

    /// Answers the handshake. A refusal drops `OnUpgrade` without polling it, so
    /// hyper keeps the connection.
    fn answer<B: TextBody>(self) -> Result<(Response<B>, PendingUpgrade, Trace), Rejection> {
        let permit = match self.admit() {
            Ok(permit) => permit,
            Err(rejection) => return Err(self.refused(rejection)),
        };
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
            codec: agreement.extension.map(|extension| extension.codec()),
            permit,
        };
        Ok((
            response,
            PendingUpgrade {
                handover: self.handover,
                version: self.version,
                start,
                on_failed: self.on_failed,
            },
            self.trace,
        ))
    }

    /// Counts a refusal, and passes it on.
    fn refused(&self, rejection: Rejection) -> Rejection {
        self.trace.answered(rejection.status());
        if let Some(tracker) = &self.tracker {
            tracker.count_refusal(rejection.status().as_u16());
        }
        rejection
    }

    fn admit(&self) -> Result<Option<Permit>, Rejection> {
        self.find_refusal()?;
        let permit = self.tracker.as_ref().map(Tracker::admit).transpose();
        permit.map_err(unavailable)
    }

    fn look_for_room(&self) -> Result<(), Rejection> {
        let room = self.tracker.as_ref().map(Tracker::look_for_room);
        room.transpose().map(drop).map_err(unavailable)
    }

    fn find_refusal(&self) -> Result<(), Rejection> {
        if !self.is_checked {
            self.offer.check(&self.config)?;
        }
        if self.require_protocol && self.protocol.is_none() {
            return Err(match &self.no_common_protocol {
                Some(rejection) => rejection.clone(),
                None => self.offer.no_common_protocol::<&str>(&[]),
            });
        }
        Ok(())
    }
}

fn unavailable(refused: Refused) -> Rejection {
    let reason = match refused {
        Refused::Full => Unavailable::Full,
        Refused::Draining => Unavailable::Draining,
    };
    Rejection::unavailable(reason, RETRY_AFTER)
}

impl fmt::Debug for Upgrade {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upgrade")
            .field("protocol", &self.protocol)
            .finish_non_exhaustive()
    }
}

/// Seconds after which a client that was refused with 503 may try again.
const RETRY_AFTER: u32 = 5;
