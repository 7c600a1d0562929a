use http::header::HeaderValue;
use http::{Method, Request, Response, StatusCode, Version};

use crate::Config;
use crate::handshake::{Agreement, ClientHandshake, IntoRequest, InvalidResponse};

const NONCE: [u8; 16] = *b"the sample nonce";

fn asked(request: impl IntoRequest) -> (Request<()>, ClientHandshake) {
    ClientHandshake::new(request.into_request().unwrap(), Config::new(), NONCE).unwrap()
}

fn refused(request: Request<()>) -> String {
    let error = ClientHandshake::new(request, Config::new(), NONCE).unwrap_err();
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
    let line = lines.next().map(|value| value.to_str().unwrap());
    assert_eq!(lines.next(), None, "{name}");
    line
}

/// The response to `NONCE`, with more and other fields; empty ones are left out.
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
        .filter(|(name, _)| fields.iter().all(|(other, _)| other != name));
    for (name, value) in kept.chain(fields).filter(|(_, value)| !value.is_empty()) {
        let value = HeaderValue::from_bytes(value.as_bytes()).unwrap();
        response.headers_mut().append(*name, value);
    }
    response
}

#[test]
fn a_url_becomes_the_request_of_the_rfc() {
    let (request, handshake) = asked("ws://server.example.com/chat?room=1");
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
    assert!(handshake.verify(&answer(&[])).is_ok());
}

#[test]
fn host_has_the_port_unless_it_is_the_default() {
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
fn fields_of_the_handshake_replace_those_of_the_request() {
    let (request, handshake) = asked(get(
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
    let foo = answer(&[("sec-websocket-extensions", "foo")]);
    assert!(handshake.verify(&foo).is_err());
}

#[test]
fn subprotocols_are_offered_in_one_line() {
    let lines = [
        ("sec-websocket-protocol", "a,b"),
        ("sec-websocket-protocol", "c"),
    ];
    let (request, handshake) = asked(get("ws://a/", &lines));
    let offered = request.headers().get_all("sec-websocket-protocol");
    assert_eq!(offered.iter().collect::<Vec<_>>(), ["a, b, c"]);
    let agreed = handshake.verify(&answer(&[("sec-websocket-protocol", "c")]));
    assert_eq!(agreed.unwrap().protocol(), Some("c"));
}

#[test]
fn a_request_that_cannot_be_a_handshake_is_refused() {
    let post = Request::post("ws://a/").body(()).unwrap();
    assert!(refused(post).contains("GET"));
    assert!(refused(get("/path", &[])).contains("missing host"));
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
    let (request, handshake) = ClientHandshake::over_http2(given, Config::new()).unwrap();
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
    assert!(handshake.verify(&response).is_ok());
    let chat = HeaderValue::from_static("chat");
    response
        .headers_mut()
        .insert("sec-websocket-protocol", chat);
    let agreement = handshake.verify(&response).unwrap();
    assert_eq!(agreement.protocol(), Some("chat"));
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    assert!(handshake.verify(&response).is_err());
}

#[test]
fn over_http2_the_host_field_becomes_the_authority() {
    let given = get("ws://127.0.0.1:9001/", &[("host", "example.com")]);
    let (request, _) = ClientHandshake::over_http2(given, Config::new()).unwrap();
    assert_eq!(request.uri(), "http://example.com/");
    let plain = get("/path", &[("host", "example.com")]);
    assert!(ClientHandshake::over_http2(plain, Config::new()).is_err());
}

#[test]
fn a_valid_response_is_an_agreement() {
    let (_, handshake) = asked("ws://a/");
    let agreement = handshake.verify(&answer(&[
        ("upgrade", "WebSocket"),
        ("connection", "keep-alive, upgrade"),
    ]));
    assert_eq!(agreement, Ok(Agreement::default()));
}

#[test]
fn an_invalid_response_is_refused() {
    let (_, handshake) = asked("ws://a/");
    for (fields, expected) in [
        (&[("upgrade", "")][..], "missing `Upgrade`"),
        (
            &[("upgrade", "h2c")],
            "`Upgrade` in the response: got `h2c`",
        ),
        (&[("upgrade", "websocket, foo")], "`websocket, foo`"),
        (
            &[("upgrade", "websocket"), ("upgrade", "websocket")],
            "several `Upgrade`",
        ),
        (&[("connection", "")], "missing `Connection`"),
        (
            &[("connection", "close")],
            "`Connection` in the response: got `close`",
        ),
        (
            &[("sec-websocket-accept", "")],
            "missing `Sec-WebSocket-Accept`",
        ),
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
        let error = handshake.verify(&answer(fields)).unwrap_err().to_string();
        assert!(error.contains(expected), "{fields:?}: {error}");
        assert!(error.is_ascii(), "{error}");
    }
    let mut found = answer(&[]);
    *found.status_mut() = StatusCode::OK;
    assert_eq!(
        handshake.verify(&found),
        Err(InvalidResponse::Status(StatusCode::OK))
    );
}

#[test]
fn one_of_the_subprotocols_that_were_offered_is_agreed_on() {
    let (_, handshake) = asked(get("ws://a/", &[("sec-websocket-protocol", "a, b")]));
    let agreed = handshake.verify(&answer(&[("sec-websocket-protocol", "b")]));
    assert_eq!(agreed.unwrap().protocol(), Some("b"));
    assert_eq!(handshake.verify(&answer(&[])).unwrap().protocol(), None);
    for wrong in ["c", "A", "a, b", "a,", "\"a\""] {
        let wrong = answer(&[("sec-websocket-protocol", wrong)]);
        assert!(handshake.verify(&wrong).is_err(), "{wrong:?}");
    }
    let twice = [
        ("sec-websocket-protocol", "a"),
        ("sec-websocket-protocol", "b"),
    ];
    assert!(handshake.verify(&answer(&twice)).is_err());
}

#[cfg(feature = "deflate")]
#[test]
fn compression_is_offered_if_configured_and_agreed_on_by_the_response() {
    use crate::config::Compression;

    let config = Config::new().compression(Compression::shared());
    let request = "ws://a/".into_request().unwrap();
    let (request, handshake) = ClientHandshake::new(request, config, NONCE).unwrap();
    let offer = text(&request, "sec-websocket-extensions").unwrap();
    assert!(offer.starts_with("permessage-deflate; "), "{offer}");

    let extension = |line| handshake.verify(&answer(&[("sec-websocket-extensions", line)]));
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

#[test]
fn an_authority_alone_is_asked_for_its_root() {
    let (request, _) = asked(Request::get("example.com:9001").body(()).unwrap());
    assert_eq!(request.uri(), "/");
    assert_eq!(text(&request, "host"), Some("example.com:9001"));
}

#[test]
fn a_refusal_is_shown_with_its_status() {
    let (_, handshake) = asked("ws://a/");
    let mut response = answer(&[]);
    *response.status_mut() = StatusCode::FORBIDDEN;
    let error = handshake.verify(&response).unwrap_err().to_string();
    assert_eq!(error, "the server refused with 403 Forbidden");
    let error = InvalidResponse::ExtensionParameters("permessage-deflate").to_string();
    assert!(error.contains("`permessage-deflate`"), "{error}");
}
