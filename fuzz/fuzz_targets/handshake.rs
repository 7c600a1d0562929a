//! The opening handshake: requests and answers as bytes, which `httparse` reads, against
//! tungstenite's `create_response` and its client; and both sides of this crate against each
//! other, over text.
//!
//! Decisions in which the server differs from tungstenite 0.30:
//!
//! - `Upgrade` and `Connection` are lists, which may be spread over several lines (RFC 9110,
//!   section 5.6.1). tungstenite reads the first line of each, takes the whole `Upgrade`, and
//!   divides `Connection` at blanks too.
//! - A body, another number of `Host` fields than one, and repeated fields are refused. So are
//!   subprotocols and extensions that break the grammar. tungstenite looks at none of these.
//! - The last character of a key may hold bits that do not count (RFC 4648, section 3.5), but a
//!   key is one value. tungstenite takes two of 8 bytes, each with its padding.
//!
//! And the client:
//!
//! - `Connection` is a list, too.
//! - The server may choose none of the subprotocols. tungstenite demands one.
//! - Repeated fields are refused, and an extension that was not offered.

#![no_main]

use std::io::{self, Read, Write};

use arbitrary::{Result, Unstructured};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Version};
use hyper_ws::Config;
use hyper_ws::config::Compression;
use hyper_ws::handshake::{ClientHandshake, Head, IntoRequest, Rejection};
use libfuzzer_sys::fuzz_target;
use tungstenite::handshake::client::ClientHandshake as TheirClient;
use tungstenite::handshake::server::create_response;

const NONCE: [u8; 16] = *b"the sample nonce";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

fuzz_target!(|data: &[u8]| {
    let [which, rest @ ..] = data else { return };
    let mut u = Unstructured::new(rest);
    match which % 5 {
        0 => request(rest),
        1 => response(rest),
        2 => drop(written(&mut u, true).map(|head| request(&head))),
        3 => drop(written(&mut u, false).map(|head| response(&head))),
        _ => drop(both(&mut u)),
    }
});

/// Writes a head that is mostly valid.
fn written(u: &mut Unstructured<'_>, is_request: bool) -> Result<Vec<u8>> {
    let mut head = match (is_request, u.ratio(1, 16)?) {
        (true, false) => b"GET /chat HTTP/1.1\r\n".to_vec(),
        (true, true) => u
            .choose(&[&b"POST / HTTP/1.1\r\n"[..], b"GET / HTTP/1.0\r\n"])?
            .to_vec(),
        (false, false) => b"HTTP/1.1 101 Switching Protocols\r\n".to_vec(),
        (false, true) => u
            .choose(&[&b"HTTP/1.1 200 OK\r\n"[..], b"HTTP/1.0 101\r\n"])?
            .to_vec(),
    };
    let mut lines = vec![("Upgrade", &b"websocket"[..]), ("Connection", b"Upgrade")];
    match is_request {
        true => lines.extend([
            ("Host", &b"example.com"[..]),
            ("Sec-WebSocket-Version", b"13"),
            ("Sec-WebSocket-Key", b"dGhlIHNhbXBsZSBub25jZQ=="),
        ]),
        false => lines.push(("Sec-WebSocket-Accept", ACCEPT.as_bytes())),
    }
    let others = [
        ("Sec-WebSocket-Protocol", &b"chat"[..]),
        ("Sec-WebSocket-Protocol", b"chat, superchat,"),
        ("Sec-WebSocket-Protocol", b"a/b"),
        (
            "Sec-WebSocket-Extensions",
            b"permessage-deflate; client_max_window_bits",
        ),
        (
            "Sec-WebSocket-Extensions",
            b"permessage-deflate; server_no_context_takeover; client_no_context_takeover",
        ),
        ("Sec-WebSocket-Extensions", b"x; a=\"\\b\", y"),
        ("Origin", b"https://example.com"),
        ("Content-Length", b"0"),
        ("Content-Length", b"5"),
        ("Transfer-Encoding", b"chunked"),
        ("Upgrade", b"h2c, WebSocket"),
        ("Connection", b"keep-alive, Upgrade"),
        ("Connection", b"close"),
        ("Host", b"[::1]:80"),
        ("Sec-WebSocket-Version", b"8"),
        ("Sec-WebSocket-Key", b"dGhlIHNhbXBsZSBub25jZR=="),
    ];
    for _ in 0..u.int_in_range(0..=3)? {
        lines.push(*u.choose(&others)?);
    }
    for (name, value) in lines {
        let mut value = value.to_vec();
        match u.arbitrary::<u8>()? {
            0 => continue,
            1 => value = u.bytes(u.len().min(30))?.to_vec(),
            2 => value.insert(u.int_in_range(0..=value.len())?, u.arbitrary()?),
            3 => value.extend(b" "),
            4 => value = value.to_ascii_uppercase(),
            5 => drop(value.pop()),
            6 if !value.is_empty() => drop(value.remove(u.int_in_range(0..=value.len() - 1)?)),
            _ => {}
        }
        head.extend(name.as_bytes());
        head.extend(b": ");
        head.extend(value);
        head.extend(b"\r\n");
    }
    head.extend(b"\r\n");
    Ok(head)
}

fn headers(parsed: &[httparse::Header<'_>]) -> Option<HeaderMap> {
    let mut headers = HeaderMap::new();
    for header in parsed {
        let name = HeaderName::from_bytes(header.name.as_bytes()).ok()?;
        headers.append(name, HeaderValue::from_bytes(header.value).ok()?);
    }
    Some(headers)
}

fn parsed_request(head: &[u8]) -> Option<Request<()>> {
    let mut lines = [httparse::EMPTY_HEADER; 32];
    let mut parsed = httparse::Request::new(&mut lines);
    parsed
        .parse(head)
        .ok()
        .filter(|status| status.is_complete())?;
    let mut request = Request::new(());
    *request.method_mut() = Method::from_bytes(parsed.method?.as_bytes()).ok()?;
    *request.uri_mut() = parsed.path?.parse().ok()?;
    *request.version_mut() = match parsed.version? {
        0 => Version::HTTP_10,
        _ => Version::HTTP_11,
    };
    *request.headers_mut() = headers(parsed.headers)?;
    Some(request)
}

fn parsed_response(head: &[u8]) -> Option<Response<()>> {
    let mut lines = [httparse::EMPTY_HEADER; 32];
    let mut parsed = httparse::Response::new(&mut lines);
    parsed
        .parse(head)
        .ok()
        .filter(|status| status.is_complete())?;
    let mut response = Response::new(());
    *response.status_mut() = StatusCode::from_u16(parsed.code?).ok()?;
    *response.version_mut() = match parsed.version? {
        0 => Version::HTTP_10,
        _ => Version::HTTP_11,
    };
    *response.headers_mut() = headers(parsed.headers)?;
    Some(response)
}

/// The server's side.
fn request(head: &[u8]) {
    let Some(request) = parsed_request(head) else {
        return;
    };
    let headers = request.headers();
    let ours = Head::from(&request).validate();
    let theirs = create_response(&request);
    match (&ours, &theirs) {
        (Ok(offer), theirs) => {
            let config = Config::new().compression(Compression::shared());
            let agreement = offer.agree(&config, offer.choose(["chat", "superchat"]));
            let response = offer.respond::<()>(&agreement);
            assert_eq!(response.status(), 101);
            match theirs {
                Ok(theirs) => assert_eq!(
                    response.headers()["sec-websocket-accept"],
                    theirs.headers()["sec-websocket-accept"]
                ),
                Err(error) => assert!(is_list(headers) || has_loose_key(headers), "{error}"),
            }
            // An origin is refused or allowed, whatever it is.
            if let Err(rejection) = offer.check(&config) {
                refusal(rejection);
            }
        }
        (Err(rejection), theirs) => {
            refusal(rejection.clone());
            assert!(theirs.is_err() || is_strict(&request), "{rejection:?}");
        }
    }
}

/// A refusal is a response that can be sent, with a text of one line in ASCII.
fn refusal(rejection: Rejection) {
    let response: Response<String> = rejection.into();
    assert!(response.status().is_client_error(), "{}", response.status());
    let body = response.body();
    assert!(
        body.trim_end()
            .bytes()
            .all(|byte| (b' '..=b'~').contains(&byte)),
        "{body:?}"
    );
    assert!(body.len() < 2000, "{body:?}");
}

/// Lists that tungstenite does not read.
fn is_list(headers: &HeaderMap) -> bool {
    let is = |name: &str, value: &str| {
        let mut lines = headers.get_all(name).iter();
        let first = lines
            .next()
            .is_some_and(|line| line.as_bytes().eq_ignore_ascii_case(value.as_bytes()));
        first && lines.next().is_none()
    };
    !is("upgrade", "websocket") || !is("connection", "upgrade")
}

/// A key whose last character before the padding holds bits that do not count.
fn has_loose_key(headers: &HeaderMap) -> bool {
    let key = headers.get("sec-websocket-key").map(|key| key.as_bytes());
    key.is_some_and(|key| key.len() == 24 && !b"AQgw".contains(&key[21]))
}

/// A key that consists of two values.
fn is_key_of_two(headers: &HeaderMap) -> bool {
    let key = headers.get("sec-websocket-key").map(|key| key.as_bytes());
    key.is_some_and(|key| {
        key.trim_ascii_end()
            .iter()
            .rev()
            .skip(2)
            .any(|byte| *byte == b'=')
    })
}

/// What this crate refuses and tungstenite does not.
fn is_strict(request: &Request<()>) -> bool {
    let headers = request.headers();
    let count = |name: &str| headers.get_all(name).iter().count();
    let lines = |name: &'static str| headers.get_all(name).iter().map(|line| line.as_bytes());
    let is_token = |element: &[u8]| {
        element
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte))
    };
    let has_body = lines("content-length").any(|length| length != b"0");
    let all_tokens = |name| {
        let mut elements = lines(name).flat_map(|line| line.split(|&byte| byte == b','));
        elements.all(|element| is_token(element.trim_ascii()))
    };
    let is_host = |host: &[u8]| {
        !host.is_empty()
            && host
                .iter()
                .all(|byte| byte.is_ascii_alphanumeric() || b".-".contains(byte))
    };
    has_body
        || is_key_of_two(headers)
        || headers.contains_key("transfer-encoding")
        || request.version() != Version::HTTP_11
        || count("host") != 1
        || !lines("host").all(is_host)
        // In absolute form, the authority counts.
        || request.uri().authority().is_some()
        || ["sec-websocket-version", "sec-websocket-key"].map(count) != [1, 1]
        || count("origin") > 1
        || count("sec-websocket-protocol") > 0
            && (!all_tokens("sec-websocket-protocol")
                || lines("sec-websocket-protocol").any(|line| line.iter().all(|byte| b", \t".contains(byte))))
        || !all_tokens("sec-websocket-extensions")
        // It divides `Connection` at blanks.
        || !lines("connection").any(|line| {
            let mut elements = line.split(|&byte| byte == b',');
            elements.any(|element| element.trim_ascii().eq_ignore_ascii_case(b"upgrade"))
        })
}

/// A stream that has an answer for whatever is written.
struct Answering<'a>(&'a [u8]);

impl Read for Answering<'_> {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        self.0.read(room)
    }
}

impl Write for Answering<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The client's side.
fn response(head: &[u8]) {
    let Some(response) = parsed_response(head) else {
        return;
    };
    let with_protocols = head.len() % 2 == 0;
    let mut request = Request::get("ws://example.com/")
        .body(())
        .expect("a request");
    if with_protocols {
        let protocols = HeaderValue::from_static("chat, superchat");
        request
            .headers_mut()
            .insert("sec-websocket-protocol", protocols);
    }
    let config = Config::new().compression(Compression::shared());
    let (mut request, handshake) = ClientHandshake::new(request, config, NONCE).expect("valid");
    let ours = handshake.verify(&response);
    *request.uri_mut() = "ws://example.com/".parse().expect("a URL");
    let theirs = TheirClient::start(Answering(head), request, None)
        .expect("a valid request")
        .handshake();
    let headers = response.headers();
    let count = |name: &str| headers.get_all(name).iter().count();
    match (&ours, &theirs) {
        (Ok(agreement), Ok(_)) => {
            let protocol = headers
                .get("sec-websocket-protocol")
                .map(|it| it.as_bytes());
            assert_eq!(agreement.protocol().map(str::as_bytes), protocol);
        }
        (Ok(agreement), Err(error)) => {
            let none_chosen = with_protocols && agreement.protocol().is_none();
            // A version of HTTP is for the HTTP client to check.
            let is_old = response.version() == Version::HTTP_10;
            assert!(is_list(headers) || none_chosen || is_old, "{error}");
        }
        (Err(error), Ok(_)) => {
            let once = ["upgrade", "sec-websocket-accept", "sec-websocket-protocol"];
            let is_repeated = once.map(count).iter().any(|count| *count > 1);
            assert!(
                is_repeated || count("sec-websocket-extensions") > 0,
                "{error}"
            );
        }
        (Err(_), Err(_)) => {}
    }
    if let Err(error) = ours {
        let text = error.to_string();
        assert!(
            text.bytes().all(|byte| (b' '..=b'~').contains(&byte)),
            "{text:?}"
        );
    }
}

/// Both sides of this crate, with text between them, and tungstenite on what they wrote.
fn both(u: &mut Unstructured<'_>) -> Result<()> {
    let nonce: [u8; 16] = u.arbitrary()?;
    let compressing = |on: bool| match on {
        true => Config::new().compression(Compression::dedicated()),
        false => Config::new(),
    };
    let (server, client) = (compressing(u.arbitrary()?), compressing(u.arbitrary()?));
    let mut protocols: Vec<String> = vec![];
    for _ in 0..u.int_in_range(0..=3)? {
        let protocol = format!("p{}", u.arbitrary::<u8>()? % 6);
        if !protocols.contains(&protocol) {
            protocols.push(protocol);
        }
    }
    let supported = ["p3", "p1", "p5"];
    let Ok(path) = std::str::from_utf8(u.bytes(u.len())?) else {
        return Ok(());
    };
    let Ok(mut request) = format!("ws://example.com/{path}").into_request() else {
        return Ok(());
    };
    if !protocols.is_empty() {
        let list = HeaderValue::from_str(&protocols.join(",")).expect("tokens");
        request.headers_mut().insert("sec-websocket-protocol", list);
    }
    over_http2(&request, &server, &client);
    let Ok((request, handshake)) = ClientHandshake::new(request, client.clone(), nonce) else {
        return Ok(());
    };
    let mut text = format!("GET {} HTTP/1.1\r\n", request.uri()).into_bytes();
    write(request.headers(), &mut text);
    let received = parsed_request(&text).expect("a request as HTTP has it");
    assert_eq!(
        (received.uri(), received.headers()),
        (request.uri(), request.headers())
    );
    let offer = Head::from(&received).validate().expect("valid");
    offer.check(&server).expect("no page");
    let agreement = offer.agree(&server, offer.choose(supported));
    let expected = supported
        .iter()
        .find(|it| protocols.iter().any(|other| other == *it));
    assert_eq!(agreement.protocol(), expected.copied());
    let has_both = server.get_compression().is_some() && client.get_compression().is_some();
    assert_eq!(agreement.extension().is_some(), has_both);
    let response = offer.respond::<()>(&agreement);
    let accept = create_response(&received).expect("valid for others too");
    let accept = &accept.headers()["sec-websocket-accept"];
    assert_eq!(&response.headers()["sec-websocket-accept"], accept);
    let mut text = b"HTTP/1.1 101 Switching Protocols\r\n".to_vec();
    write(response.headers(), &mut text);
    let received = parsed_response(&text).expect("a response as HTTP has it");
    let concluded = handshake.verify(&received).expect("accepted");
    assert_eq!(concluded.protocol(), agreement.protocol());
    assert_eq!(concluded.extension().is_some(), has_both);
    Ok(())
}

/// The same without a key, as RFC 8441 has it.
fn over_http2(request: &Request<()>, server: &Config, client: &Config) {
    let Ok((request, handshake)) = ClientHandshake::over_http2(request.clone(), client.clone())
    else {
        return;
    };
    assert_eq!(request.method(), Method::CONNECT);
    let offer = Head::from(&request).protocol(Some("websocket")).validate();
    let offer = offer.expect("valid");
    let agreement = offer.agree(server, offer.choose(["p3", "p1"]));
    let response = offer.respond::<()>(&agreement);
    assert_eq!(response.status(), 200);
    let concluded = handshake.verify(&response).expect("accepted");
    assert_eq!(concluded.protocol(), agreement.protocol());
}

fn write(headers: &HeaderMap, text: &mut Vec<u8>) {
    for (name, value) in headers {
        text.extend(name.as_str().as_bytes());
        text.extend(b": ");
        text.extend(value.as_bytes());
        text.extend(b"\r\n");
    }
    text.extend(b"\r\n");
}
