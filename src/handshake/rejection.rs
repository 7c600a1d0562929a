//! The answers to requests that are no acceptable handshake.

use std::fmt;

use http::header::{self, HeaderName, HeaderValue};
use http::{Method, Response, StatusCode, Version};

use super::quote::shown;

/// Why a handshake is refused, and the answer that says so: a status, its
/// headers, and a reason in plain text for whoever reads it with curl.
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
/// assert!(response.body().contains("no `Upgrade` header"));
/// # Ok::<(), http::Error>(())
/// ```
///
/// The reason quotes what the client sent, escaped and cut: it belongs into
/// the answer, and into a log only where header values may stand there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    reason: Reason,
    via: Via,
}

/// Which HTTP carried the request.
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

/// THE table of refusals. A `String` is what the client sent, already
/// [`shown`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    // Not a handshake at all.
    NoUpgrade,
    OtherUpgrade(String),
    Http10,
    NoProtocol(Method),
    OtherProtocol(String),
    // A handshake that cannot be accepted.
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
        reason: &'static str,
        retry_after: u32,
    },
}

/// What is wrong with a field of which there must be exactly one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum FieldFault {
    Missing,
    Repeated,
    Wrong(String),
}

/// Which rule an origin broke, and so which switch allows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum OriginRule {
    /// It is not the origin that the request was sent to: this one.
    Same(String),
    List,
    If,
}

impl Rejection {
    pub(super) fn new(reason: Reason, via: Via) -> Self {
        Rejection { reason, via }
    }

    /// No subprotocol is common, and the server requires one.
    #[cfg(feature = "server")]
    pub(super) fn no_common_protocol(offered: String, supported: String, via: Via) -> Self {
        Rejection::new(Reason::NoCommonProtocol { offered, supported }, via)
    }

    /// There is no connection to take over: something rebuilt the request.
    #[cfg(feature = "server")]
    pub(crate) fn not_upgradable(version: Version) -> Self {
        Rejection::new(Reason::NotUpgradable, Via::of(version))
    }

    /// The server takes no more sockets now; try again after that many seconds.
    #[cfg(feature = "server")]
    pub(crate) fn unavailable(reason: &'static str, retry_after: u32) -> Self {
        // The answer is the same over both.
        Rejection::new(
            Reason::Unavailable {
                reason,
                retry_after,
            },
            Via::Http1,
        )
    }

    /// The status of the answer.
    pub fn status(&self) -> StatusCode {
        let status = match &self.reason {
            // RFC 9220, section 3, for HTTP/3; HTTP/2 has nothing better.
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
        };
        match (status, self.via) {
            // HTTP/2 has no `Upgrade` (RFC 9113, section 8.6), which a 426
            // must carry (RFC 9110, section 15.5.22).
            (StatusCode::UPGRADE_REQUIRED, Via::Http2) => StatusCode::BAD_REQUEST,
            (status, _) => status,
        }
    }

    /// The answer. The reason is its body, whatever that is made of.
    pub fn into_response<B: From<String>>(self) -> Response<B> {
        // Pages cannot read the answer to a refused handshake, so the log is
        // where one looks. The status, not the reason: that quotes the request.
        #[cfg(feature = "tracing")]
        tracing::debug!(
            status = self.status().as_u16(),
            "refused a WebSocket handshake"
        );
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

    /// The header that belongs to this refusal alone.
    fn header(&self) -> Option<(HeaderName, HeaderValue)> {
        match &self.reason {
            // RFC 9110, section 15.5.6: a 405 MUST say what is allowed.
            Reason::Method(_) => Some((header::ALLOW, HeaderValue::from_static("GET"))),
            // RFC 6455, section 4.4.
            Reason::Version(_) => Some((
                header::SEC_WEBSOCKET_VERSION,
                HeaderValue::from_static("13"),
            )),
            // What follows the head may be meant as frames, as a body or as
            // another request: nothing may be read from this connection again.
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

impl<B: From<String>> From<Rejection> for Response<B> {
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
                "{NOT_A_HANDSHAKE}it has no `Upgrade` header (`Upgrade: websocket` is expected; a proxy may have \
                 removed it)",
            ),
            Reason::OtherUpgrade(upgrade) => {
                write!(
                    f,
                    "{NOT_A_HANDSHAKE}`websocket` is expected in its `Upgrade` header, which is `{upgrade}`"
                )
            }
            Reason::Http10 => {
                write!(
                    f,
                    "{NOT_A_HANDSHAKE}it came with HTTP/1.0, which has no `Upgrade`; HTTP/1.1 is expected"
                )
            }
            Reason::NoProtocol(method) => write!(
                f,
                "{NOT_A_HANDSHAKE}CONNECT with `:protocol` = `websocket` is expected, and this is {}{HINT}",
                shown(method.as_str())
            ),
            Reason::OtherProtocol(protocol) => {
                write!(
                    f,
                    "{NOT_A_HANDSHAKE}`:protocol` = `websocket` is expected, and it is `{protocol}`"
                )
            }
            Reason::Method(method) => {
                write!(
                    f,
                    "a WebSocket handshake is a GET request, and this is {method}"
                )
            }
            Reason::Body(field) => write!(
                f,
                "a WebSocket handshake has no body, and this request announces one with `{field}`"
            ),
            Reason::Host(fault) => fault.of("Host", "the host that is asked", f),
            Reason::Connection(fault) => {
                fault.of("Connection", "a list that contains `Upgrade`", f)?;
                f.write_str(" (a proxy may have removed it: it must be told to pass it on)")
            }
            Reason::Version(fault) => fault.of("Sec-WebSocket-Version", "`13`", f),
            Reason::Key(fault) => fault.of(
                "Sec-WebSocket-Key",
                "16 bytes in base64, which are 24 characters",
                f,
            ),
            Reason::Protocol(wrong) => write!(
                f,
                "`Sec-WebSocket-Protocol` must be a list of tokens, and contains `{wrong}`"
            ),
            Reason::Extension(wrong) => write!(
                f,
                "`Sec-WebSocket-Extensions` must be a list as RFC 6455, section 9.1, describes it, \
                 and breaks off at `{wrong}`"
            ),
            Reason::RepeatedOrigin => {
                f.write_str("exactly one `Origin` header is expected, and there are several")
            }
            Reason::Origin {
                origin,
                rule: OriginRule::Same(host),
            } => write!(
                f,
                "a page of the origin `{origin}` may not open a WebSocket on `{host}`: the server \
                 accepts its own pages only; `Config::allow_origins` names others"
            ),
            Reason::Origin {
                origin,
                rule: OriginRule::List,
            } => write!(
                f,
                "a page of the origin `{origin}` may not open a WebSocket here: it is none of \
                 those that `Config::allow_origins` names"
            ),
            Reason::Origin {
                origin,
                rule: OriginRule::If,
            } => write!(
                f,
                "a page of the origin `{origin}` may not open a WebSocket here: the function in \
                 `Config::allow_origins_if` refuses it"
            ),
            Reason::ForeignHost(host) => write!(
                f,
                "this server is not `{host}`: that is none of those that `Config::hosts` names"
            ),
            #[cfg(feature = "server")]
            Reason::NoCommonProtocol { offered, supported } => write!(
                f,
                "no common subprotocol: `Sec-WebSocket-Protocol` offers {offered}, and the server \
                 speaks {supported}"
            ),
            #[cfg(feature = "server")]
            Reason::NotUpgradable => f.write_str(
                "the server cannot take this connection over: something between hyper and the \
                 WebSocket handler rebuilt the request without its extensions",
            ),
            #[cfg(feature = "server")]
            Reason::Unavailable { reason, .. } => f.write_str(reason),
        }
    }
}

const NOT_A_HANDSHAKE: &str = "here is a WebSocket, and this request is no WebSocket handshake: ";

/// What the server's author may have forgotten when there is no `:protocol`.
#[cfg(feature = "http2")]
const HINT: &str = " (a client sends that only if the server has called \
                    `enable_connect_protocol()` on its HTTP/2 builder)";
#[cfg(not(feature = "http2"))]
const HINT: &str = " (`:protocol` is read by the feature `http2` of hyper-ws, which is off)";

impl FieldFault {
    fn of(&self, field: &str, expected: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FieldFault::Missing => write!(f, "no `{field}` header; expected is {expected}"),
            FieldFault::Repeated => {
                write!(f, "several `{field}` headers; expected is one: {expected}")
            }
            FieldFault::Wrong(value) => {
                write!(f, "the `{field}` header is {value}; expected is {expected}")
            }
        }
    }
}

impl std::error::Error for Rejection {}
