//! The responses to requests that are not acceptable handshakes.

use std::fmt;

use http::header::{self, HeaderName, HeaderValue};
use http::{Method, Response, StatusCode, Version};

use super::body::TextBody;
use super::quote::shown;
#[cfg(feature = "tracing")]
use crate::rate::LogRate;

/// The refusal of a handshake: a reason, and the response to send. The body of the
/// response is the reason in plain text, so curl shows it.
///
/// ```
/// use hyper_ws::handshake::Head;
/// use http::{Request, Response};
///
/// let request = Request::get("/ws").header("host", "example.com").body(())?;
/// let rejection = Head::from(&request).validate().unwrap_err();
/// let response: Response<String> = rejection.into();
///
/// assert_eq!(response.status(), 426);
/// assert_eq!(response.headers()["upgrade"], "websocket");
/// assert!(response.body().contains("no `Upgrade: websocket` header"));
/// # Ok::<(), http::Error>(())
/// ```
///
/// The reason quotes what the client sent, escaped and truncated. It belongs in the
/// response; log it only if header values may be logged.
///
/// It deliberately does not implement [`Error`](std::error::Error). Otherwise `?` on it would
/// compile in a function that returns a `Box<dyn Error>`, and hyper would close the connection
/// without an answer. In a handler of the [second shape](crate::guide::handlers#the-two-shapes) and
/// in axum, `?` on it answers with the response.
///
/// See also the page [check the handshake with curl](crate::guide::curl), which shows
/// the responses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    reason: Reason,
    via: Via,
}

/// The kind of HTTP that carried the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Via {
    /// With an `Upgrade` header (RFC 6455, section 4.1).
    Http1,
    /// With an extended `CONNECT` (RFC 8441, section 4; RFC 9220 for HTTP/3).
    Http2,
}

impl Via {
    pub(super) fn of(version: Version) -> Self {
        match version {
            Version::HTTP_2 | Version::HTTP_3 => Via::Http2,
            _ => Via::Http1,
        }
    }
}

/// THE table of refusals: each is a variant here, with a status, a text and
/// perhaps a header below. A `String` holds what the client sent, already
/// [`shown`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    // Not a handshake.
    NoUpgrade,
    OtherUpgrade(String),
    Http10,
    NoProtocol(Method),
    OtherProtocol(String),
    // A handshake that is not valid, or not allowed.
    Method(String),
    Body(&'static str),
    Host(FieldFault),
    Connection(FieldFault),
    Version(FieldFault),
    Key(FieldFault),
    Protocol(String),
    Extension(String),
    RepeatedOrigin,
    Origin {
        origin: String,
        rule: OriginRule,
    },
    ForeignHost(String),
    #[cfg(feature = "server")]
    NoCommonProtocol {
        offered: String,
        supported: String,
    },
    #[cfg(feature = "server")]
    NotUpgradable,
    #[cfg(feature = "server")]
    Unavailable {
        reason: Unavailable,
        retry_after: u32,
    },
    /// The server's own reason.
    #[cfg(feature = "server")]
    Own {
        status: StatusCode,
        text: String,
    },
}

/// Why a server accepts no more sockets.
#[cfg(feature = "server")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unavailable {
    Full,
    Draining,
}

/// A fault of a field that must come exactly once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum FieldFault {
    Missing,
    Repeated,
    /// A wrong value, quoted or described.
    Wrong(String),
}

/// The rule that an origin broke, and so the method of `Config` that allows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum OriginRule {
    /// The origin must be that of the server, which is this one.
    Same(String),
    List,
    If,
}

impl Rejection {
    pub(super) fn new(reason: Reason, via: Via) -> Self {
        Rejection { reason, via }
    }

    /// Client and server share no subprotocol, and the server requires one.
    #[cfg(feature = "server")]
    pub(super) fn no_common_protocol(offered: String, supported: String, via: Via) -> Self {
        Rejection::new(Reason::NoCommonProtocol { offered, supported }, via)
    }

    /// The request has no connection to take over: something rebuilt it.
    #[cfg(feature = "server")]
    pub(crate) fn not_upgradable(version: Version) -> Self {
        Rejection::new(Reason::NotUpgradable, Via::of(version))
    }

    /// The server accepts no more sockets for now; `retry_after` is in seconds.
    #[cfg(feature = "server")]
    pub(crate) fn unavailable(reason: Unavailable, retry_after: u32) -> Self {
        let reason = Reason::Unavailable {
            reason,
            retry_after,
        };
        // The response is the same over HTTP/1 and HTTP/2, so either will do.
        Rejection::new(reason, Via::Http1)
    }

    /// The server refuses for a reason of its own.
    ///
    /// # Panics
    ///
    /// If the status is not that of an error.
    #[cfg(feature = "server")]
    #[track_caller]
    pub(crate) fn own(status: StatusCode, text: String, version: Version) -> Self {
        assert!(
            status.is_client_error() || status.is_server_error(),
            "{status} does not refuse: expected a status from 400 to 599"
        );
        Rejection::new(Reason::Own { status, text }, Via::of(version))
    }

    /// Returns the status of the response.
    pub fn status(&self) -> StatusCode {
        let status = match &self.reason {
            // RFC 9220, section 3, says so for HTTP/3; no RFC does for HTTP/2.
            Reason::OtherProtocol(_) => StatusCode::NOT_IMPLEMENTED,
            Reason::NoUpgrade
            | Reason::OtherUpgrade(_)
            | Reason::Http10
            | Reason::NoProtocol(_) => StatusCode::UPGRADE_REQUIRED,
            Reason::Method(_) => StatusCode::METHOD_NOT_ALLOWED,
            // RFC 6455, section 4.2.2: "an appropriate HTTP error code (such
            // as 426 Upgrade Required)".
            Reason::Version(_) | Reason::Connection(_) => StatusCode::UPGRADE_REQUIRED,
            Reason::Body(_)
            | Reason::Host(_)
            | Reason::Key(_)
            | Reason::Protocol(_)
            | Reason::Extension(_)
            | Reason::RepeatedOrigin => StatusCode::BAD_REQUEST,
            // RFC 6455, section 4.2.2, on /origin/.
            Reason::Origin { .. } | Reason::ForeignHost(_) => StatusCode::FORBIDDEN,
            #[cfg(feature = "server")]
            Reason::NoCommonProtocol { .. } => StatusCode::BAD_REQUEST,
            #[cfg(feature = "server")]
            Reason::NotUpgradable => StatusCode::INTERNAL_SERVER_ERROR,
            #[cfg(feature = "server")]
            Reason::Unavailable { .. } => StatusCode::SERVICE_UNAVAILABLE,
            #[cfg(feature = "server")]
            Reason::Own { status, .. } => *status,
        };
        match (status, self.via) {
            // HTTP/2 has no `Upgrade` (RFC 9113, section 8.6), which a 426
            // must carry (RFC 9110, section 15.5.22).
            (StatusCode::UPGRADE_REQUIRED, Via::Http2) => StatusCode::BAD_REQUEST,
            (status, _) => status,
        }
    }

    /// Makes the response. Its body is the reason.
    pub fn into_response<B: TextBody>(self) -> Response<B> {
        #[cfg(feature = "tracing")]
        self.log();
        let status = self.status();
        let mut response = Response::new(B::from(format!("{self}\n")));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("text/plain; charset=utf-8"),
        );
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if status == StatusCode::UPGRADE_REQUIRED {
            headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
            // RFC 9110, section 7.8: "A sender of Upgrade MUST also send an
            // 'Upgrade' connection option".
            headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
        }
        if let Some((name, value)) = self.header() {
            headers.insert(name, value);
        }
        response
    }

    /// A page cannot read the response to a refused handshake, so developers look into the log. A
    /// refusal by a setting of the server is told once a second, with its reason and the setting. All
    /// other refusals are the client's mistake: they are logged at level debug, without the reason,
    /// since that quotes header fields.
    #[cfg(feature = "tracing")]
    fn log(&self) {
        static ORIGIN: LogRate = LogRate::new();
        static HOST: LogRate = LogRate::new();
        #[cfg(feature = "server")]
        static FULL: LogRate = LogRate::new();
        #[cfg(feature = "server")]
        static DRAINING: LogRate = LogRate::new();
        let status = self.status().as_u16();
        let (rate, setting) = match &self.reason {
            Reason::Origin { rule, .. } => match rule {
                OriginRule::Same(_) | OriginRule::List => (&ORIGIN, "Config::allow_origins"),
                OriginRule::If => (&ORIGIN, "Config::allow_origins_if"),
            },
            Reason::ForeignHost(_) => (&HOST, "Config::hosts"),
            #[cfg(feature = "server")]
            Reason::Unavailable { reason, .. } => match reason {
                Unavailable::Full => (&FULL, "Tracker::limit"),
                Unavailable::Draining => (&DRAINING, "Tracker::drain"),
            },
            _ => {
                tracing::debug!(status, "refused a WebSocket handshake");
                return;
            }
        };
        if let Some(left_out) = rate.pass() {
            tracing::warn!(
                status,
                setting,
                left_out,
                "refused a WebSocket handshake: {self}"
            );
        }
    }

    /// The header that only this reason has.
    fn header(&self) -> Option<(HeaderName, HeaderValue)> {
        match &self.reason {
            // RFC 9110, section 15.5.6: a 405 MUST say what is allowed.
            Reason::Method(_) => Some((header::ALLOW, HeaderValue::from_static("GET"))),
            // RFC 6455, section 4.4.
            Reason::Version(_) => Some((
                header::SEC_WEBSOCKET_VERSION,
                HeaderValue::from_static("13"),
            )),
            // What follows the head may be frames, a body or another request, so
            // nothing may be read from this connection again.
            Reason::Body(_) if self.via == Via::Http1 => {
                Some((header::CONNECTION, HeaderValue::from_static("close")))
            }
            #[cfg(feature = "server")]
            Reason::Unavailable { retry_after, .. } => {
                Some((header::RETRY_AFTER, HeaderValue::from(*retry_after)))
            }
            _ => None,
        }
    }
}

impl<B: TextBody> From<Rejection> for Response<B> {
    fn from(rejection: Rejection) -> Self {
        rejection.into_response()
    }
}

/// The reason, in one line.
impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.reason {
            Reason::NoUpgrade => write!(
                f,
                "{NOT_A_HANDSHAKE}: the request has no `Upgrade: websocket` header (a proxy may \
                 have removed it)"
            ),
            Reason::OtherUpgrade(upgrade) => write!(
                f,
                "{NOT_A_HANDSHAKE}: the `Upgrade` header is `{upgrade}`, not `websocket`"
            ),
            Reason::Http10 => write!(
                f,
                "{NOT_A_HANDSHAKE}: the request came over HTTP/1.0, which has no `Upgrade` (a \
                 proxy may have downgraded it from HTTP/1.1)"
            ),
            Reason::NoProtocol(Method::CONNECT) => write!(
                f,
                "{NOT_A_HANDSHAKE}: got CONNECT without `:protocol`, expected \
                 `:protocol` = `websocket`{HINT}"
            ),
            Reason::NoProtocol(method) => write!(
                f,
                "{NOT_A_HANDSHAKE}: got {}, expected CONNECT with `:protocol` = `websocket`{HINT}",
                shown(method.as_str())
            ),
            Reason::OtherProtocol(protocol) => write!(
                f,
                "{NOT_A_HANDSHAKE}: `:protocol` is `{protocol}`, not `websocket`"
            ),
            Reason::Method(method) => write!(
                f,
                "invalid method {method}: a WebSocket handshake is a GET request"
            ),
            Reason::Body(field) => {
                write!(f, "unexpected `{field}`: a WebSocket handshake has no body")
            }
            Reason::Host(fault) => fault.describe("Host", "`host` or `host:port`", f),
            Reason::Connection(fault) => {
                fault.describe("Connection", "a list that contains `Upgrade`", f)?;
                f.write_str(" (a proxy may have removed it: configure the proxy to pass it on)")
            }
            Reason::Version(fault) => fault.describe("Sec-WebSocket-Version", "`13`", f),
            Reason::Key(fault) => {
                fault.describe("Sec-WebSocket-Key", "16 bytes in base64 (24 characters)", f)
            }
            Reason::Protocol(wrong) => write!(
                f,
                "invalid `Sec-WebSocket-Protocol`: got `{wrong}`, expected a list of tokens"
            ),
            Reason::Extension(wrong) => write!(
                f,
                "invalid `Sec-WebSocket-Extensions` at `{wrong}`: expected a list of extensions \
                 (RFC 6455, section 9.1)"
            ),
            Reason::RepeatedOrigin => f.write_str("several `Origin` headers: expected at most one"),
            Reason::Origin { origin, rule } => {
                write!(f, "the origin `{origin}` is not allowed: ")?;
                match rule {
                    OriginRule::Same(own) => write!(
                        f,
                        "expected the server's own, `{own}` (`Config::allow_origins` allows others)"
                    ),
                    OriginRule::List => f.write_str("`Config::allow_origins` does not list it"),
                    OriginRule::If => {
                        f.write_str("the function in `Config::allow_origins_if` refused it")
                    }
                }
            }
            Reason::ForeignHost(host) => write!(
                f,
                "the host `{host}` is not this server: `Config::hosts` does not list it"
            ),
            #[cfg(feature = "server")]
            Reason::NoCommonProtocol { offered, supported } => write!(
                f,
                "no common subprotocol: `Sec-WebSocket-Protocol` offers {offered}, and the server \
                 supports {supported}"
            ),
            #[cfg(feature = "server")]
            Reason::NotUpgradable => f.write_str(
                "the server cannot take over this connection: something between hyper and the \
                 WebSocket handler rebuilt the request without its extensions",
            ),
            #[cfg(feature = "server")]
            Reason::Unavailable { reason, .. } => f.write_str(match reason {
                Unavailable::Full => {
                    "the server has reached its limit of WebSockets (try again later)"
                }
                Unavailable::Draining => "the server is shutting down",
            }),
            #[cfg(feature = "server")]
            Reason::Own { text, .. } => f.write_str(text),
        }
    }
}

/// The beginning of each reason for a request that is not a handshake. A person who opens
/// the URL in a browser reads it, and learns what the URL is for.
const NOT_A_HANDSHAKE: &str = "expected a WebSocket handshake";

/// A likely reason for a missing `:protocol`, for the author of the server.
#[cfg(feature = "http2")]
const HINT: &str = " (clients send it only if the server called `enable_connect_protocol()` on its \
                    HTTP/2 builder)";
#[cfg(not(feature = "http2"))]
const HINT: &str = " (reading `:protocol` needs the feature `http2` of hyper-ws)";

impl FieldFault {
    /// Writes what is wrong, then what was got and expected.
    fn describe(&self, field: &str, expected: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FieldFault::Missing => write!(f, "missing `{field}` header: expected {expected}"),
            FieldFault::Repeated => {
                write!(f, "several `{field}` headers: expected one, {expected}")
            }
            FieldFault::Wrong(got) => {
                write!(
                    f,
                    "invalid `{field}` header: got {got}, expected {expected}"
                )
            }
        }
    }
}
