//! The client's side: makes the request and checks the response.

use std::borrow::Cow;
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
use super::target::{Authority, InvalidRequest, Scheme, Target, decoded, in_ascii};
use crate::Config;
use crate::extension::{Agreed, KNOWN};

/// A client's handshake, made together with its request. It checks the response.
///
/// ```
/// use hyper_ws::Config;
/// use hyper_ws::handshake::ClientHandshake;
/// use http::{Request, Response};
///
/// let request = Request::get("ws://example.com/chat").body(())?;
/// // The nonce must be 16 random bytes, new ones for each connection.
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
    /// The value that `Sec-WebSocket-Accept` must have; `None` on HTTP/2.
    accept: Option<String>,
    /// The value of `Sec-WebSocket-Protocol`, well-formed.
    protocols: Option<HeaderValue>,
    /// The names of those [`KNOWN`] extensions that were offered.
    extensions: Vec<&'static str>,
    config: Arc<Config>,
}

impl ClientHandshake {
    /// Turns a request into a handshake (RFC 6455, section 4.1). Returns the request
    /// to send, and the handshake, which checks the response.
    ///
    /// The request's fields are kept, with these exceptions:
    ///
    /// - The URI becomes its path and query. Its host goes into `Host`, its user
    ///   and password into `Authorization` (RFC 7617), unless the request has
    ///   those fields.
    /// - `Sec-WebSocket-Protocol` lists the subprotocols to offer. Several lines
    ///   become one.
    /// - `Connection`, `Upgrade` and the other `Sec-WebSocket-..` fields are set or
    ///   removed, whatever the request says. The extensions to offer are those of
    ///   the configuration.
    ///
    /// RFC 6455, section 4.1: the nonce "MUST be selected randomly for each
    /// connection".
    ///
    /// # Errors
    ///
    /// [`InvalidRequest`] if the request cannot be sent as a handshake.
    pub fn new(
        mut request: Request<()>,
        config: impl Into<Arc<Config>>,
        nonce: [u8; 16],
    ) -> Result<(Request<()>, Self), InvalidRequest> {
        check_method_and_body(&request)?;
        set_host(&mut request)?;
        let path = path(request.uri())?;
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

    /// Turns a request into a handshake for an HTTP/2 connection (RFC 8441,
    /// section 5): a `CONNECT` without a key. Everything else is as in
    /// [`new`](Self::new).
    ///
    /// The caller must send it with the pseudo-header `:protocol` = `websocket`,
    /// which a request of the `http` crate cannot hold.
    ///
    /// # Errors
    ///
    /// [`InvalidRequest`] if the request cannot be sent as a handshake.
    pub fn over_http2(
        mut request: Request<()>,
        config: impl Into<Arc<Config>>,
    ) -> Result<(Request<()>, Self), InvalidRequest> {
        check_method_and_body(&request)?;
        let target = Target::of(request.uri())?;
        set_host(&mut request)?;
        let path = path(request.uri())?;
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
        *request.uri_mut() = uri
            .build()
            .map_err(|_| InvalidRequest::new("invalid `Host`: expected `host` or `host:port`"))?;
        *request.method_mut() = Method::CONNECT;
        *request.version_mut() = Version::HTTP_2;
        Ok((request, handshake))
    }

    /// Sets the fields that both versions of HTTP have.
    fn offer(
        headers: &mut HeaderMap,
        config: Arc<Config>,
        accept: Option<String>,
    ) -> Result<Self, InvalidRequest> {
        let version = HeaderValue::from_static("13");
        headers.insert(header::SEC_WEBSOCKET_VERSION, version);
        Ok(ClientHandshake {
            accept,
            extensions: offer_extensions(headers, &config)?,
            protocols: offer_protocols(headers)?,
            config,
        })
    }

    /// Checks that the response accepts this handshake, and returns what was
    /// negotiated.
    ///
    /// # Errors
    ///
    /// [`InvalidResponse`] if it is not what RFC 6455, section 4.1, requires. The
    /// connection must not be used then.
    pub fn verify<B>(&self, response: &Response<B>) -> Result<Agreement, InvalidResponse> {
        let headers = response.headers();
        match &self.accept {
            Some(accept) => check_switch(response.status(), headers, accept)?,
            // RFC 8441, section 5: on HTTP/2 a 2xx takes the place of the 101.
            None if response.status().is_success() => {}
            None => return Err(InvalidResponse::Status(response.status())),
        }
        Ok(Agreement {
            extension: self.extension(headers)?,
            ..Agreement::with_protocol(self.protocol(headers)?)
        })
    }

    /// RFC 6455, section 4.1: a subprotocol "that was not present in the client's
    /// handshake" fails the connection. The server may always choose none.
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

    /// RFC 6455, section 9.1: "the client MUST fail the connection" if the
    /// server chose an extension that was not offered.
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

/// Checks what a client "MUST validate" of a 101 (RFC 6455, section 4.1).
fn check_switch(
    status: StatusCode,
    headers: &HeaderMap,
    expected: &str,
) -> Result<(), InvalidResponse> {
    if status != StatusCode::SWITCHING_PROTOCOLS {
        return Err(InvalidResponse::Status(status));
    }
    let upgrade = once(headers, header::UPGRADE, "Upgrade")?;
    if !upgrade.is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"websocket")) {
        return Err(InvalidResponse::Upgrade(upgrade.map(shown)));
    }
    if !headers::has_token(headers, header::CONNECTION, "upgrade") {
        let connection = headers.get(header::CONNECTION);
        return Err(InvalidResponse::Connection(connection.map(shown)));
    }
    let name = header::SEC_WEBSOCKET_ACCEPT;
    let accept = once(headers, name, "Sec-WebSocket-Accept")?;
    if accept.is_some_and(|value| value.as_bytes() == expected.as_bytes()) {
        Ok(())
    } else {
        Err(InvalidResponse::Accept(accept.map(shown)))
    }
}

fn check_method_and_body(request: &Request<()>) -> Result<(), InvalidRequest> {
    if request.method() != Method::GET {
        return Err(InvalidRequest::new(format!(
            "invalid method {}: a WebSocket handshake is a GET request",
            request.method()
        )));
    }
    for (field, name) in [
        (header::CONTENT_LENGTH, "Content-Length"),
        (header::TRANSFER_ENCODING, "Transfer-Encoding"),
    ] {
        if request.headers().contains_key(field) {
            return Err(InvalidRequest::new(format!(
                "unexpected `{name}`: a WebSocket handshake has no body"
            )));
        }
    }
    Ok(())
}

/// Sets `Host` and `Authorization` to what the URI says, unless the request has
/// them.
fn set_host(request: &mut Request<()>) -> Result<(), InvalidRequest> {
    let Some(authority) = Authority::of(request.uri())? else {
        if request.headers().contains_key(header::HOST) {
            return Ok(());
        }
        return Err(InvalidRequest::new(
            "missing host: the request has one neither in its URI nor in `Host`",
        ));
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

/// The value of `Authorization`: `user ":" password` in base64 (RFC 7617,
/// section 2).
fn credentials(mut user: Vec<u8>) -> Result<HeaderValue, InvalidRequest> {
    if !user.contains(&b':') {
        user.push(b':');
    }
    let mut credentials = value(&format!("Basic {}", STANDARD.encode(user)))?;
    credentials.set_sensitive(true);
    Ok(credentials)
}

/// The path and the query to ask a server for (RFC 9112, section 3.2.1).
fn path(uri: &Uri) -> Result<PathAndQuery, InvalidRequest> {
    let Some(path) = uri.path_and_query() else {
        return Ok(PathAndQuery::from_static("/"));
    };
    match in_ascii(path.as_str()) {
        Cow::Borrowed(_) => Ok(path.clone()),
        Cow::Owned(path) => PathAndQuery::from_maybe_shared(path)
            .map_err(|_| InvalidRequest::new("the path cannot be encoded: it becomes too long")),
    }
}

/// Offers the extensions of the configuration; returns their names.
fn offer_extensions(
    headers: &mut HeaderMap,
    config: &Config,
) -> Result<Vec<&'static str>, InvalidRequest> {
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

/// Checks the subprotocols that the request offers. RFC 6455, section 4.1:
/// "elements that comprise this value MUST be non-empty strings" of the
/// characters of a token, "and MUST all be unique strings".
///
/// All are sent in one line, as browsers do. Section 11.3.4 says that several
/// are "logically the same as a single" one, but many servers read the first only.
fn offer_protocols(headers: &mut HeaderMap) -> Result<Option<HeaderValue>, InvalidRequest> {
    let mut all = Vec::new();
    for line in headers.get_all(header::SEC_WEBSOCKET_PROTOCOL) {
        headers::check_protocols(line).map_err(|wrong| {
            let wrong = shown(wrong);
            InvalidRequest::new(format!("invalid subprotocol `{wrong}`: expected a token"))
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
        .map_err(|_| InvalidRequest::new("invalid character: header fields cannot hold it"))
}

/// The field, if it is there; fails if it comes twice.
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

/// The reason why a response does not accept a handshake. Values that the server
/// sent are escaped and truncated.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum InvalidResponse {
    /// The status is not 101 (over HTTP/2: not 2xx). The server refused the
    /// handshake, and may say why in the response's body.
    Status(StatusCode),
    /// A field that may occur only once is repeated.
    Repeated(&'static str),
    /// `Upgrade` is not `websocket`, or is missing.
    Upgrade(Option<String>),
    /// `Connection` does not contain `upgrade`, or is missing.
    Connection(Option<String>),
    /// `Sec-WebSocket-Accept` does not match the key that was sent, or is missing.
    Accept(Option<String>),
    /// The server selected an extension that was not offered, repeated one, or sent a
    /// malformed list.
    Extension(String),
    /// The parameters of an extension do not fit the offer.
    ExtensionParameters(&'static str),
    /// The server selected a subprotocol that was not offered.
    Protocol(String),
}

impl fmt::Display for InvalidResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut field = |name: &str, got: &Option<String>, expected: &str| match got {
            Some(got) => write!(
                f,
                "invalid `{name}` in the response: got `{got}`, expected {expected}"
            ),
            None => write!(f, "missing `{name}` in the response: expected {expected}"),
        };
        match self {
            InvalidResponse::Upgrade(got) => field("Upgrade", got, "`websocket`"),
            InvalidResponse::Connection(got) => {
                field("Connection", got, "a list that contains `Upgrade`")
            }
            InvalidResponse::Accept(got) => field(
                "Sec-WebSocket-Accept",
                got,
                "the answer to our key (a proxy may have answered, or the server does not speak \
                 WebSocket)",
            ),
            InvalidResponse::Status(status) => write!(f, "the server refused with {status}"),
            InvalidResponse::Repeated(name) => {
                write!(f, "several `{name}` in the response: expected one")
            }
            InvalidResponse::Extension(name) => write!(
                f,
                "unexpected extension `{name}` in the response: not offered, repeated or malformed"
            ),
            InvalidResponse::ExtensionParameters(name) => write!(
                f,
                "invalid parameters of the extension `{name}` in the response: they do not fit the \
                 offer"
            ),
            InvalidResponse::Protocol(name) => write!(
                f,
                "unexpected subprotocol `{name}` in the response: not offered"
            ),
        }
    }
}

impl std::error::Error for InvalidResponse {}
