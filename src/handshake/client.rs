//! The client's side: what to ask, and whether the answer is one.

use std::fmt;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::{self, HeaderMap, HeaderValue};
use http::uri::PathAndQuery;
use http::{Method, Request, Response, StatusCode, Uri, Version};

use super::accept::accept_key;
use super::agreement::Agreement;
use super::extensions;
use super::headers::{self, Single};
use super::quote::shown;
use super::target::{Authority, InvalidRequest, Scheme, Target, decoded};
use crate::Config;
use crate::extension::{Agreed, KNOWN};

/// A handshake that was asked for: what its answer must be.
///
/// ```
/// use hyper_ws::Config;
/// use hyper_ws::handshake::ClientHandshake;
/// use http::{Request, Response};
///
/// let request = Request::get("ws://example.com/chat").body(())?;
/// // For the nonce 16 random bytes, new ones each time.
/// let (request, handshake) = ClientHandshake::new(request, Config::new(), *b"the sample nonce")?;
/// assert_eq!(request.uri(), "/chat");
/// assert_eq!(request.headers()["sec-websocket-key"], "dGhlIHNhbXBsZSBub25jZQ==");
///
/// let response = Response::builder()
///     .status(101)
///     .header("connection", "Upgrade")
///     .header("upgrade", "websocket")
///     .header("sec-websocket-accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
///     .body(())?;
/// let agreement = handshake.verify(&response)?;
/// assert_eq!(agreement.protocol(), None);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct ClientHandshake {
    /// The value that `Sec-WebSocket-Accept` must have; none on HTTP/2.
    accept: Option<String>,
    /// The value of `Sec-WebSocket-Protocol`, known to be well-formed.
    protocols: Option<HeaderValue>,
    /// Which of [`KNOWN`] were offered.
    extensions: Vec<&'static str>,
    config: Arc<Config>,
}

impl ClientHandshake {
    /// Makes a handshake of a request (RFC 6455, section 4.1).
    ///
    /// Its URI becomes a path, and the field `Host`, unless there is one. User
    /// and password of the URI become `Authorization` (RFC 7617), unless there
    /// is one. `Sec-WebSocket-Protocol` names the subprotocols to offer;
    /// `Connection`, `Upgrade`, and all else whose name begins with
    /// `Sec-WebSocket` are set here, whatever the request says. The extensions
    /// are those of the configuration.
    ///
    /// RFC 6455, section 4.1: the nonce "MUST be selected randomly for each
    /// connection".
    ///
    /// # Errors
    ///
    /// [`InvalidRequest`] if this cannot be made a handshake of.
    pub fn new(
        mut request: Request<()>,
        config: impl Into<Arc<Config>>,
        nonce: [u8; 16],
    ) -> Result<(Request<()>, Self), InvalidRequest> {
        check_method_and_body(&request)?;
        name_host(&mut request)?;
        let path = path(request.uri());
        *request.uri_mut() = Uri::from(path);
        *request.version_mut() = Version::HTTP_11;
        let headers = request.headers_mut();
        let key = STANDARD.encode(nonce);
        headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(header::SEC_WEBSOCKET_KEY, value(&key)?);
        let handshake = ClientHandshake::offer(headers, config.into(), Some(accept_key(&key)))?;
        Ok((request, handshake))
    }

    /// Makes a handshake for a connection that speaks HTTP/2 (RFC 8441, section
    /// 5): a `CONNECT`, without a key. What is beside that is as with
    /// [`new`](Self::new).
    ///
    /// The pseudo-header `:protocol`, for which `http` has no place, must be
    /// `websocket`.
    ///
    /// # Errors
    ///
    /// [`InvalidRequest`] if this cannot be made a handshake of.
    pub fn over_http2(
        mut request: Request<()>,
        config: impl Into<Arc<Config>>,
    ) -> Result<(Request<()>, Self), InvalidRequest> {
        check_method_and_body(&request)?;
        let target = Target::of(request.uri())?;
        name_host(&mut request)?;
        let path = path(request.uri());
        let headers = request.headers_mut();
        headers.remove(header::CONNECTION);
        headers.remove(header::UPGRADE);
        headers.remove(header::SEC_WEBSOCKET_KEY);
        // RFC 9113, section 8.3.1: `:authority` takes the place of `Host`.
        let host = headers.remove(header::HOST);
        let handshake = ClientHandshake::offer(headers, config.into(), None)?;
        let uri = Uri::builder()
            .scheme(match target.scheme() {
                Scheme::Ws => "http",
                Scheme::Wss => "https",
            })
            .authority(host.as_ref().map_or(&[][..], HeaderValue::as_bytes))
            .path_and_query(path);
        *request.uri_mut() = uri.build().map_err(|_| no_path())?;
        *request.method_mut() = Method::CONNECT;
        *request.version_mut() = Version::HTTP_2;
        Ok((request, handshake))
    }

    fn offer(
        headers: &mut HeaderMap,
        config: Arc<Config>,
        accept: Option<String>,
    ) -> Result<Self, InvalidRequest> {
        let version = HeaderValue::from_static("13");
        headers.insert(header::SEC_WEBSOCKET_VERSION, version);
        Ok(ClientHandshake {
            accept,
            extensions: offer(headers, &config)?,
            protocols: protocols(headers)?,
            config,
        })
    }

    /// What both sides have agreed on, if the answer is one to this handshake.
    ///
    /// # Errors
    ///
    /// [`InvalidResponse`] if it is not what RFC 6455, section 4.1, says it must
    /// be. The connection must not be used then.
    pub fn verify<B>(&self, response: &Response<B>) -> Result<Agreement, InvalidResponse> {
        let headers = response.headers();
        match &self.accept {
            Some(accept) => check_switch(response.status(), headers, accept)?,
            // RFC 8441, section 5: a 2xx is what the 101 is elsewhere.
            None if response.status().is_success() => {}
            None => return Err(InvalidResponse::Status(response.status())),
        }
        Ok(Agreement {
            extension: self.extension(headers)?,
            ..Agreement::with_protocol(self.protocol(headers)?)
        })
    }

    /// RFC 6455, section 4.1: a subprotocol "that was not present in the client's
    /// handshake" fails the connection. None may be answered to any offer.
    fn protocol(&self, headers: &HeaderMap) -> Result<Option<Arc<str>>, InvalidResponse> {
        let name = header::SEC_WEBSOCKET_PROTOCOL;
        let Some(answer) = once(headers, name, "Sec-WebSocket-Protocol")? else {
            return Ok(None);
        };
        self.protocols
            .iter()
            .flat_map(headers::protocols)
            .find(|offered| answer.as_bytes() == offered.as_bytes())
            .map(|offered| Some(Arc::from(offered)))
            .ok_or_else(|| InvalidResponse::Protocol(shown(answer)))
    }

    /// RFC 6455, section 9.1: "the client MUST fail the connection" if an
    /// extension is answered that was not offered.
    fn extension(&self, headers: &HeaderMap) -> Result<Option<Agreed>, InvalidResponse> {
        let mut agreed = None;
        for answer in headers
            .get_all(header::SEC_WEBSOCKET_EXTENSIONS)
            .iter()
            .flat_map(extensions::parse)
        {
            let answer = answer.map_err(|wrong| InvalidResponse::Extension(shown(wrong)))?;
            let known = KNOWN
                .iter()
                .find(|known| known.name == answer.name && self.extensions.contains(&known.name))
                .filter(|_| agreed.is_none())
                .ok_or_else(|| InvalidResponse::Extension(shown(answer.name)))?;
            let answered = (known.conclude)(&self.config, &mut answer.parameters())
                .ok_or(InvalidResponse::ExtensionParameters(known.name))?;
            agreed = Some(answered);
        }
        Ok(agreed)
    }
}

/// RFC 6455, section 4.1, what a client "MUST validate" of the response.
fn check_switch(
    status: StatusCode,
    headers: &HeaderMap,
    expected: &str,
) -> Result<(), InvalidResponse> {
    if status != StatusCode::SWITCHING_PROTOCOLS {
        return Err(InvalidResponse::Status(status));
    }
    let upgrade = once(headers, header::UPGRADE, "Upgrade")?;
    if !upgrade.is_some_and(|it| it.as_bytes().eq_ignore_ascii_case(b"websocket")) {
        return Err(InvalidResponse::Upgrade(upgrade.map(shown)));
    }
    if !headers::has_token(headers, header::CONNECTION, "upgrade") {
        let connection = headers.get(header::CONNECTION);
        return Err(InvalidResponse::Connection(connection.map(shown)));
    }
    let name = header::SEC_WEBSOCKET_ACCEPT;
    let accept = once(headers, name, "Sec-WebSocket-Accept")?;
    match accept.is_some_and(|it| it.as_bytes() == expected.as_bytes()) {
        true => Ok(()),
        false => Err(InvalidResponse::Accept(accept.map(shown))),
    }
}

fn check_method_and_body(request: &Request<()>) -> Result<(), InvalidRequest> {
    if request.method() != Method::GET {
        return Err(InvalidRequest::new(
            "a WebSocket handshake is a GET request",
        ));
    }
    let length = request.headers().get(header::CONTENT_LENGTH);
    let encoding = request.headers().get(header::TRANSFER_ENCODING);
    match length.or(encoding) {
        Some(_) => Err(InvalidRequest::new(
            "a WebSocket handshake has no body: no `Content-Length`, no `Transfer-Encoding`",
        )),
        None => Ok(()),
    }
}

fn name_host(request: &mut Request<()>) -> Result<(), InvalidRequest> {
    let Some(authority) = Authority::of(request.uri())? else {
        return match request.headers().contains_key(header::HOST) {
            true => Ok(()),
            false => Err(InvalidRequest::new(
                "the request names no host, neither in its URI nor in `Host`",
            )),
        };
    };
    let host = value(&authority.host_field(request.uri())?)?;
    let user = authority.user.map(decoded).map(credentials).transpose()?;
    let headers = request.headers_mut();
    if let (Some(user), false) = (user, headers.contains_key(header::AUTHORIZATION)) {
        headers.insert(header::AUTHORIZATION, user);
    }
    headers.entry(header::HOST).or_insert(host);
    Ok(())
}

/// RFC 7617, section 2: `user ":" password`, in base64.
fn credentials(mut user: Vec<u8>) -> Result<HeaderValue, InvalidRequest> {
    if !user.contains(&b':') {
        user.push(b':');
    }
    let mut credentials = value(&format!("Basic {}", STANDARD.encode(user)))?;
    credentials.set_sensitive(true);
    Ok(credentials)
}

/// RFC 9112, section 3.2.1: a server is asked for a path and a query.
fn path(uri: &Uri) -> PathAndQuery {
    let path = uri.path_and_query().cloned();
    path.unwrap_or_else(|| PathAndQuery::from_static("/"))
}

fn no_path() -> InvalidRequest {
    InvalidRequest::new("host and path are not those of a URL")
}

fn offer(headers: &mut HeaderMap, config: &Config) -> Result<Vec<&'static str>, InvalidRequest> {
    headers.remove(header::SEC_WEBSOCKET_ACCEPT);
    headers.remove(header::SEC_WEBSOCKET_EXTENSIONS);
    let mut offered = Vec::new();
    for known in KNOWN {
        if let Some(offer) = (known.offer)(config) {
            headers.append(header::SEC_WEBSOCKET_EXTENSIONS, value(&offer)?);
            offered.push(known.name);
        }
    }
    Ok(offered)
}

/// The subprotocols that the request offers: RFC 6455, section 4.1, "elements
/// that comprise this value MUST be non-empty strings" of the characters of a
/// token, "and MUST all be unique strings".
///
/// They go out in one line, as browsers send them. Section 11.3.4: several are
/// "logically the same as a single" one, but many a server reads the first only.
fn protocols(headers: &mut HeaderMap) -> Result<Option<HeaderValue>, InvalidRequest> {
    let mut all = Vec::new();
    for line in headers.get_all(header::SEC_WEBSOCKET_PROTOCOL) {
        headers::check_protocols(line).map_err(|wrong| {
            let wrong = shown(wrong);
            InvalidRequest::new(format!("`{wrong}` is not the name of a subprotocol"))
        })?;
        for protocol in headers::protocols(line) {
            if all.contains(&protocol) {
                let text = format!("the subprotocol `{protocol}` is offered twice");
                return Err(InvalidRequest::new(text));
            }
            all.push(protocol);
        }
    }
    if all.is_empty() {
        return Ok(None);
    }
    let line = value(&all.join(", "))?;
    headers.insert(header::SEC_WEBSOCKET_PROTOCOL, line.clone());
    Ok(Some(line))
}

fn value(text: &str) -> Result<HeaderValue, InvalidRequest> {
    HeaderValue::from_str(text)
        .map_err(|_| InvalidRequest::new("there is a character that no header field can have"))
}

fn once<'a>(
    headers: &'a HeaderMap,
    name: header::HeaderName,
    shown: &'static str,
) -> Result<Option<&'a HeaderValue>, InvalidResponse> {
    match headers::single(headers, name) {
        Single::Missing => Ok(None),
        Single::Once(value) => Ok(Some(value)),
        Single::Repeated => Err(InvalidResponse::Repeated(shown)),
    }
}

/// What is wrong with the answer to a handshake. What the server sent is
/// escaped and cut.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum InvalidResponse {
    /// The status is not 101 (over HTTP/2: not 2xx): a refusal, which may say why in its body.
    Status(StatusCode),
    /// A field that may come once comes twice.
    Repeated(&'static str),
    /// `Upgrade` is not `websocket`, or is missing.
    Upgrade(Option<String>),
    /// `Connection` does not contain `upgrade`, or is missing.
    Connection(Option<String>),
    /// `Sec-WebSocket-Accept` does not answer our key, or is missing.
    Accept(Option<String>),
    /// An extension was not offered, comes twice, or is not well-formed.
    Extension(String),
    /// The parameters of an extension do not answer our offer.
    ExtensionParameters(&'static str),
    /// The subprotocol was not offered.
    Protocol(String),
}

impl fmt::Display for InvalidResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut field = |name: &str, got: &Option<String>, expected: &str| match got {
            Some(got) => write!(f, "the server's `{name}` is `{got}`, not {expected}"),
            None => write!(f, "the server's answer has no `{name}`"),
        };
        match self {
            InvalidResponse::Upgrade(got) => field("Upgrade", got, "`websocket`"),
            InvalidResponse::Connection(got) => field("Connection", got, "`Upgrade`"),
            InvalidResponse::Accept(got) => field(
                "Sec-WebSocket-Accept",
                got,
                "the answer to our key: something between answers for it, or it is no WebSocket server",
            ),
            InvalidResponse::Status(status) => {
                write!(f, "the server refused with {status}")
            }
            InvalidResponse::Repeated(name) => {
                write!(f, "the server's answer has several `{name}`")
            }
            InvalidResponse::Extension(name) => {
                write!(
                    f,
                    "the server chose the extension `{name}`, which was not offered"
                )
            }
            InvalidResponse::ExtensionParameters(name) => {
                write!(
                    f,
                    "the server chose the extension `{name}` with parameters that were not offered"
                )
            }
            InvalidResponse::Protocol(name) => {
                write!(
                    f,
                    "the server chose the subprotocol `{name}`, which was not offered"
                )
            }
        }
    }
}

impl std::error::Error for InvalidResponse {}
