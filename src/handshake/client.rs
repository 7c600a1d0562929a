//! The client's side: what to ask, and whether the answer is one.

use std::fmt;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::{self, HeaderMap, HeaderValue};
use http::uri::PathAndQuery;
use http::{Method, Request, Response, StatusCode, Uri, Version};

use super::headers::{self, Single};
use super::rejection::shown;
use super::target::{Authority, InvalidRequest, Scheme, Target, decoded};
use super::{Agreement, accept_key};
use crate::Config;
use crate::extension::{Agreed, KNOWN};

/// A handshake that was asked for: what its answer must be.
///
/// ```
/// use hyper_ws::Config;
/// use hyper_ws::handshake::Question;
/// use http::{Request, Response};
///
/// let request = Request::get("ws://example.com/chat").body(())?;
/// // For the nonce 16 random bytes, new ones each time.
/// let (request, question) = Question::new(request, Config::new(), *b"the sample nonce")?;
/// assert_eq!(request.uri(), "/chat");
/// assert_eq!(request.headers()["sec-websocket-key"], "dGhlIHNhbXBsZSBub25jZQ==");
///
/// let response = Response::builder()
///     .status(101)
///     .header("connection", "Upgrade")
///     .header("upgrade", "websocket")
///     .header("sec-websocket-accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
///     .body(())?;
/// let agreement = question.conclude(&response)?;
/// assert_eq!(agreement.protocol(), None);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Question {
    /// The value that `Sec-WebSocket-Accept` must have; none on HTTP/2.
    accept: Option<String>,
    /// The value of `Sec-WebSocket-Protocol`, known to be well-formed.
    protocols: Option<HeaderValue>,
    /// Which of [`KNOWN`] were offered.
    extensions: Vec<&'static str>,
    config: Arc<Config>,
}

impl Question {
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
        let question = Question::offer(headers, config.into(), Some(accept_key(&key)))?;
        Ok((request, question))
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
        let question = Question::offer(headers, config.into(), None)?;
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
        Ok((request, question))
    }

    fn offer(
        headers: &mut HeaderMap,
        config: Arc<Config>,
        accept: Option<String>,
    ) -> Result<Self, InvalidRequest> {
        let version = HeaderValue::from_static("13");
        headers.insert(header::SEC_WEBSOCKET_VERSION, version);
        Ok(Question {
            accept,
            extensions: offer(headers, &config)?,
            protocols: protocols(headers)?,
            config,
        })
    }

    /// What both sides have agreed on, if the answer is one to this question.
    ///
    /// # Errors
    ///
    /// [`InvalidResponse`] if it is not what RFC 6455, section 4.1, says it must
    /// be. The connection must not be used then.
    pub fn conclude<B>(&self, response: &Response<B>) -> Result<Agreement, InvalidResponse> {
        let headers = response.headers();
        match &self.accept {
            Some(accept) => check_switch(response.status(), headers, accept)?,
            // RFC 8441, section 5: a 2xx is what the 101 is elsewhere.
            None if response.status().is_success() => {}
            None => return Err(InvalidResponse::Status(response.status())),
        }
        Ok(Agreement {
            extension: self.extension(headers)?,
            ..Agreement::on_protocol(self.protocol(headers)?)
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
            .ok_or_else(|| InvalidResponse::Protocol(quoted(answer)))
    }

    /// RFC 6455, section 9.1: "the client MUST fail the connection" if an
    /// extension is answered that was not offered.
    fn extension(&self, headers: &HeaderMap) -> Result<Option<Agreed>, InvalidResponse> {
        let mut agreed = None;
        for answer in headers
            .get_all(header::SEC_WEBSOCKET_EXTENSIONS)
            .iter()
            .flat_map(headers::extensions)
        {
            let answer = answer.map_err(|wrong| InvalidResponse::Extension(shown(wrong)))?;
            let known = KNOWN
                .iter()
                .find(|known| known.name == answer.name && self.extensions.contains(&known.name))
                .filter(|_| agreed.is_none())
                .ok_or_else(|| InvalidResponse::Extension(shown(answer.name.as_bytes())))?;
            let concluded = (known.conclude)(&self.config, &mut answer.parameters())
                .ok_or(InvalidResponse::ExtensionParameters(known.name))?;
            agreed = Some(concluded);
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
        return Err(InvalidResponse::Upgrade(upgrade.map(quoted)));
    }
    if !headers::has_token(headers, header::CONNECTION, "upgrade") {
        let connection = headers.get(header::CONNECTION);
        return Err(InvalidResponse::Connection(connection.map(quoted)));
    }
    let name = header::SEC_WEBSOCKET_ACCEPT;
    let accept = once(headers, name, "Sec-WebSocket-Accept")?;
    match accept.is_some_and(|it| it.as_bytes() == expected.as_bytes()) {
        true => Ok(()),
        false => Err(InvalidResponse::Accept(accept.map(quoted))),
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

fn quoted(value: &HeaderValue) -> String {
    shown(value.as_bytes())
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handshake::IntoRequest;

    const NONCE: [u8; 16] = *b"the sample nonce";

    fn asked(request: impl IntoRequest) -> (Request<()>, Question) {
        Question::new(request.into_request().unwrap(), Config::new(), NONCE).unwrap()
    }

    fn refused(request: Request<()>) -> String {
        let error = Question::new(request, Config::new(), NONCE).unwrap_err();
        error.to_string()
    }

    fn get(url: &str, headers: &[(&str, &str)]) -> Request<()> {
        headers
            .iter()
            .fold(Request::get(url), |request, &(name, value)| {
                request.header(name, value)
            })
            .body(())
            .unwrap()
    }

    fn text<'a>(request: &'a Request<()>, name: &str) -> Option<&'a str> {
        let mut lines = request.headers().get_all(name).iter();
        let line = lines.next().map(|it| it.to_str().unwrap());
        assert_eq!(lines.next(), None, "{name}");
        line
    }

    /// The answer to `NONCE`, with more and other fields; an empty one is left out.
    fn answer(fields: &[(&'static str, &'static str)]) -> Response<()> {
        let mut response = Response::new(());
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        let good = [
            ("connection", "Upgrade"),
            ("upgrade", "websocket"),
            ("sec-websocket-accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
        ];
        let kept = good
            .iter()
            .filter(|it| fields.iter().all(|own| own.0 != it.0));
        for (name, value) in kept.chain(fields).filter(|it| !it.1.is_empty()) {
            let value = HeaderValue::from_bytes(value.as_bytes()).unwrap();
            response.headers_mut().append(*name, value);
        }
        response
    }

    #[test]
    fn a_url_becomes_the_request_of_the_rfc() {
        let (request, question) = asked("ws://server.example.com/chat?room=1");
        assert_eq!(request.method(), Method::GET);
        assert_eq!(request.version(), Version::HTTP_11);
        assert_eq!(request.uri(), "/chat?room=1");
        for (name, value) in [
            ("host", "server.example.com"),
            ("upgrade", "websocket"),
            ("connection", "Upgrade"),
            ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
            ("sec-websocket-version", "13"),
        ] {
            assert_eq!(text(&request, name), Some(value), "{name}");
        }
        assert_eq!(request.headers().len(), 5);
        assert_eq!(question.accept.unwrap(), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[test]
    fn the_port_is_named_unless_it_is_the_schemes_own() {
        for (url, host) in [
            ("ws://a:80/", "a"),
            ("ws://a:443/", "a:443"),
            ("wss://a:443/", "a"),
            ("wss://a:80/", "a:80"),
            ("ws://[::1]:9001/", "[::1]:9001"),
            ("wss://[::1]/", "[::1]"),
        ] {
            assert_eq!(text(&asked(url).0, "host"), Some(host), "{url}");
        }
    }

    #[test]
    fn an_empty_path_is_a_slash() {
        assert_eq!(asked("ws://a").0.uri(), "/");
        assert_eq!(asked("ws://a?b").0.uri(), "/?b");
    }

    #[test]
    fn user_and_password_go_into_the_authorization_and_nowhere_else() {
        let (request, _) = asked("ws://Aladdin:open%20sesame@a/");
        let authorization = &request.headers()["authorization"];
        assert_eq!(authorization, "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
        assert!(authorization.is_sensitive());
        assert_eq!(text(&request, "host"), Some("a"));
        assert_eq!(request.uri(), "/");
        assert!(!format!("{request:?}").contains("QWxh"));

        let own = [("authorization", "Bearer x")];
        let (request, _) = asked(get("ws://u:p@a/", &own));
        assert_eq!(text(&request, "authorization"), Some("Bearer x"));
    }

    #[test]
    fn what_makes_the_handshake_is_set_whatever_the_request_says() {
        let (request, question) = asked(get(
            "ws://a/",
            &[
                ("host", "b"),
                ("connection", "keep-alive"),
                ("upgrade", "h2c"),
                ("sec-websocket-key", "mine"),
                ("sec-websocket-version", "8"),
                ("sec-websocket-extensions", "foo"),
                ("sec-websocket-protocol", "chat.v2, chat.v1"),
                ("cookie", "a=b"),
            ],
        ));
        for (name, value) in [
            ("host", Some("b")),
            ("connection", Some("Upgrade")),
            ("upgrade", Some("websocket")),
            ("sec-websocket-key", Some("dGhlIHNhbXBsZSBub25jZQ==")),
            ("sec-websocket-version", Some("13")),
            ("sec-websocket-extensions", None),
            ("sec-websocket-protocol", Some("chat.v2, chat.v1")),
            ("cookie", Some("a=b")),
        ] {
            assert_eq!(text(&request, name), value, "{name}");
        }
        assert!(question.extensions.is_empty());
    }

    #[test]
    fn subprotocols_are_offered_in_one_line() {
        let lines = [
            ("sec-websocket-protocol", "a,b"),
            ("sec-websocket-protocol", "c"),
        ];
        let (request, question) = asked(get("ws://a/", &lines));
        let offered = request.headers().get_all("sec-websocket-protocol");
        assert_eq!(offered.iter().collect::<Vec<_>>(), ["a, b, c"]);
        let agreed = question.conclude(&answer(&[("sec-websocket-protocol", "c")]));
        assert_eq!(agreed.unwrap().protocol(), Some("c"));
    }

    #[test]
    fn what_cannot_be_a_handshake_is_refused() {
        let post = Request::post("ws://a/").body(()).unwrap();
        assert!(refused(post).contains("GET"));
        assert!(refused(get("/path", &[])).contains("no host"));
        assert!(refused(get("ws://a", &[("content-length", "1")])).contains("no body"));
        let protocols = |line| get("ws://a", &[("sec-websocket-protocol", line)]);
        assert!(refused(protocols("a b")).contains("`a b`"));
        assert!(refused(protocols("a, b, a")).contains("twice"));
        assert!(refused(protocols("")).contains("subprotocol"));
    }

    #[test]
    fn a_request_with_a_host_needs_no_absolute_uri() {
        let (request, _) = asked(get("/chat", &[("host", "b")]));
        assert_eq!(request.uri(), "/chat");
        assert_eq!(text(&request, "host"), Some("b"));
    }

    #[test]
    fn over_http2_it_is_an_extended_connect_without_a_key() {
        let given = get(
            "wss://me@example.com:443/chat?room=1",
            &[("sec-websocket-protocol", "chat"), ("cookie", "a=b")],
        );
        let (request, question) = Question::over_http2(given, Config::new()).unwrap();
        assert_eq!(request.method(), Method::CONNECT);
        assert_eq!(request.version(), Version::HTTP_2);
        assert_eq!(request.uri(), "https://example.com/chat?room=1");
        for (name, value) in [
            ("sec-websocket-version", Some("13")),
            ("sec-websocket-protocol", Some("chat")),
            ("authorization", Some("Basic bWU6")),
            ("cookie", Some("a=b")),
            ("sec-websocket-key", None),
            ("connection", None),
            ("upgrade", None),
            ("host", None),
        ] {
            assert_eq!(text(&request, name), value, "{name}");
        }

        let mut response = Response::new(());
        assert!(question.conclude(&response).is_ok());
        let chat = HeaderValue::from_static("chat");
        response
            .headers_mut()
            .insert("sec-websocket-protocol", chat);
        let agreement = question.conclude(&response).unwrap();
        assert_eq!(agreement.protocol(), Some("chat"));
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        assert!(question.conclude(&response).is_err());
    }

    #[test]
    fn over_http2_a_host_that_is_named_is_the_authority() {
        let given = get("ws://127.0.0.1:9001/", &[("host", "example.com")]);
        let (request, _) = Question::over_http2(given, Config::new()).unwrap();
        assert_eq!(request.uri(), "http://example.com/");
        let plain = get("/path", &[("host", "example.com")]);
        assert!(Question::over_http2(plain, Config::new()).is_err());
    }

    #[test]
    fn a_good_answer_is_an_agreement() {
        let (_, question) = asked("ws://a/");
        let agreement = question.conclude(&answer(&[
            ("upgrade", "WebSocket"),
            ("connection", "keep-alive, upgrade"),
        ]));
        assert_eq!(agreement, Ok(Agreement::default()));
    }

    #[test]
    fn an_answer_that_is_not_one_is_refused() {
        let (_, question) = asked("ws://a/");
        for (fields, expected) in [
            (&[("upgrade", "")][..], "no `Upgrade`"),
            (&[("upgrade", "h2c")], "`Upgrade` is `h2c`"),
            (&[("upgrade", "websocket, foo")], "`websocket, foo`"),
            (
                &[("upgrade", "websocket"), ("upgrade", "websocket")],
                "several `Upgrade`",
            ),
            (&[("connection", "")], "no `Connection`"),
            (&[("connection", "close")], "`Connection` is `close`"),
            (&[("sec-websocket-accept", "")], "no `Sec-WebSocket-Accept`"),
            (
                &[("sec-websocket-accept", "S3pPLMBiTxaQ9kYGzzhZRbK+xOo=")],
                "our key",
            ),
            (
                &[("sec-websocket-extensions", "permessage-deflate")],
                "not offered",
            ),
            (&[("sec-websocket-extensions", "=")], "`=`"),
            (&[("sec-websocket-protocol", "chat")], "subprotocol `chat`"),
            (&[("sec-websocket-protocol", "\u{9b}31m")], "not offered"),
        ] {
            let error = question.conclude(&answer(fields)).unwrap_err().to_string();
            assert!(error.contains(expected), "{fields:?}: {error}");
            assert!(error.is_ascii(), "{error}");
        }
        let mut found = answer(&[]);
        *found.status_mut() = StatusCode::OK;
        assert_eq!(
            question.conclude(&found),
            Err(InvalidResponse::Status(StatusCode::OK))
        );
    }

    #[test]
    fn one_of_the_subprotocols_that_were_offered_is_agreed_on() {
        let (_, question) = asked(get("ws://a/", &[("sec-websocket-protocol", "a, b")]));
        let agreed = question.conclude(&answer(&[("sec-websocket-protocol", "b")]));
        assert_eq!(agreed.unwrap().protocol(), Some("b"));
        assert_eq!(question.conclude(&answer(&[])).unwrap().protocol(), None);
        for wrong in ["c", "A", "a, b", "a,", "\"a\""] {
            let wrong = answer(&[("sec-websocket-protocol", wrong)]);
            assert!(question.conclude(&wrong).is_err(), "{wrong:?}");
        }
        let twice = [
            ("sec-websocket-protocol", "a"),
            ("sec-websocket-protocol", "b"),
        ];
        assert!(question.conclude(&answer(&twice)).is_err());
    }

    #[cfg(feature = "deflate")]
    #[test]
    fn compression_is_offered_where_it_is_configured_and_concluded_from_the_answer() {
        use crate::config::Compression;

        let config = Config::new().compression(Compression::shared());
        let request = "ws://a/".into_request().unwrap();
        let (request, question) = Question::new(request, config, NONCE).unwrap();
        let offer = text(&request, "sec-websocket-extensions").unwrap();
        assert!(offer.starts_with("permessage-deflate; "), "{offer}");

        let extension = |line| question.conclude(&answer(&[("sec-websocket-extensions", line)]));
        let good = "permessage-deflate; server_no_context_takeover";
        assert!(extension(good).unwrap().extension.is_some());
        assert!(extension("").unwrap().extension.is_none());
        for wrong in [
            "permessage-deflate; server_no_context_takeover; foo",
            "permessage-deflate",
            "permessage-deflate; server_no_context_takeover, permessage-deflate; server_no_context_takeover",
            "permessage-deflate; server_no_context_takeover, foo",
        ] {
            assert!(extension(wrong).is_err(), "{wrong}");
        }
    }
}
