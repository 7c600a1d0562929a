//! Attacks before the first frame: smuggling, floods, forged origins, injected
//! headers.

use std::time::Duration;

use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_ws::tracker::Tracker;
use hyper_ws::{Config, Upgrade, WebSocketService};

use crate::support::{
    Client, Server, close_frame, echo, frame, handshake, header, page, piped, until,
};

/// The answer to a handshake with these header lines.
async fn status(server: &Server, headers: &str) -> u16 {
    let mut client = server.connect().await;
    client.ask("/ws", headers).await.status
}

#[tokio::test]
async fn a_body_on_a_handshake_is_neither_frames_nor_a_request() {
    let server = Server::echo(Config::new()).await;
    let smuggled = "GET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let length = smuggled.len();
    let chunked = format!("{length:x}\r\n{smuggled}\r\n0\r\n\r\n");
    let frames = frame(0x81, b"smuggled");
    let bodies: [(&str, &[u8]); 5] = [
        (
            &format!("Content-Length: {length}\r\n"),
            smuggled.as_bytes(),
        ),
        ("Transfer-Encoding: chunked\r\n", chunked.as_bytes()),
        ("Transfer-Encoding: chunked\r\n", b"0\r\n\r\n"),
        (&format!("Content-Length: {}\r\n", frames.len()), &frames),
        // A body is announced, and a request follows instead.
        ("Content-Length: 1\r\n", smuggled.as_bytes()),
    ];
    for (headers, body) in bodies {
        let mut client = server.connect().await;
        client
            .send([handshake("/ws", headers).as_bytes(), body].concat())
            .await;
        let answer = client.answer().await;
        assert_eq!(answer.status, 400, "{headers}");
        assert_eq!(answer.header("connection"), Some("close"), "{headers}");
        // The connection ends without an answer to the request in the body, and
        // without an echo of its frame.
        client.end().await;
        assert!(server.tracker.is_empty());
    }
}

#[tokio::test]
async fn lengths_that_contradict_each_other_never_open_a_socket() {
    let server = Server::echo(Config::new()).await;
    for headers in [
        "Content-Length: 0\r\nTransfer-Encoding: chunked\r\n",
        "Content-Length: 5\r\nContent-Length: 0\r\n",
        "Content-Length: 0, 5\r\n",
        "Content-Length: -1\r\n",
        "Content-Length: +0\r\n",
        "Content-Length: 99999999999999999999\r\n",
        "Transfer-Encoding: identity\r\n",
        "Transfer-Encoding: chunked, identity\r\n",
        "Transfer-Encoding : chunked\r\n",
    ] {
        let mut client = server.connect().await;
        client.send(handshake("/ws", headers)).await;
        client.send("GET /smuggled HTTP/1.1\r\n\r\n").await;
        let answer = client.answer().await;
        assert_eq!(answer.status, 400, "{headers}");
        client.end().await;
    }
    assert_eq!(status(&server, "Content-Length: 0\r\n").await, 101);
}

#[tokio::test]
async fn after_a_refusal_the_connection_speaks_http_as_before() {
    let server = Server::echo(Config::new()).await;
    let get = "GET /next HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let good = handshake("/ws", "");
    let refused = [
        (good.replace("Version: 13", "Version: 8"), 426),
        (good.replace("Sec-WebSocket-Version: 13\r\n", ""), 426),
        (good.replace("Connection: Upgrade", "Connection: x"), 426),
        (good.replace("dGhlIHNhbXBsZSBub25jZQ==", "c2hvcnQ="), 400),
        (good.replace("GET", "PUT"), 405),
        (handshake("/ws", "Origin: https://evil.example\r\n"), 403),
    ];
    for (request, status) in refused {
        let mut client = server.connect().await;
        // Both at once, as a proxy would pass them on that took the answer for a 101.
        client.send(request.clone() + get).await;
        assert_eq!(client.answer().await.status, status, "{request}");
        assert_eq!(client.answer().await.body, "GET /next\n", "{request}");
        // The connection may still become a socket.
        client.upgrade("/ws").await;
        client.send(frame(0x81, b"hello")).await;
        client.expect(0x81, "hello").await;
    }
}

#[tokio::test]
async fn a_body_of_another_method_is_not_the_next_request() {
    let server = Server::echo(Config::new()).await;
    let smuggled = "GET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let post =
        handshake("/ws", &format!("Content-Length: {}\r\n", smuggled.len())).replace("GET", "POST");
    let mut client = server.connect().await;
    let next = "GET /next HTTP/1.1\r\nHost: localhost\r\n\r\n";
    client.send([&post, smuggled, next].concat()).await;
    assert_eq!(client.answer().await.status, 405);
    if let Some(answer) = client.answer_if_any().await {
        assert_eq!(answer.body, "GET /next\n");
    }
}

#[tokio::test]
async fn a_request_behind_an_accepted_handshake_is_frames_and_reaches_no_service() {
    let server = Server::echo(Config::new()).await;
    for next in [
        "GET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n".to_owned(),
        "POST /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n".to_owned(),
        handshake("/ws", ""),
    ] {
        let mut client = server.connect().await;
        client.send(handshake("/ws", "") + &next).await;
        assert_eq!(client.answer().await.status, 101);
        assert_eq!(client.close_code().await, Some(1002));
    }
}

#[tokio::test]
async fn frames_in_the_segment_of_the_request_are_delivered() {
    let server = Server::echo(Config::new()).await;
    let text = frame(0x81, b"glued");
    for cut in 0..=text.len() {
        let mut client = server.connect().await;
        let (glued, later) = text.split_at(cut);
        client
            .send([handshake("/ws", "").as_bytes(), glued].concat())
            .await;
        assert_eq!(client.answer().await.status, 101);
        client.send(later).await;
        client.expect(0x81, "glued").await;
    }
    // More frames than fit into any buffer at once.
    let mut client = server.connect().await;
    let many: Vec<_> = (0..5_000u32)
        .map(|at| frame(0x82, &at.to_be_bytes()))
        .collect();
    let glued = [handshake("/ws", "").into_bytes(), many.concat()].concat();
    client.send(glued).await;
    assert_eq!(client.answer().await.status, 101);
    for at in 0..5_000u32 {
        client.expect(0x82, at.to_be_bytes()).await;
    }
}

#[tokio::test]
async fn a_broken_frame_in_the_segment_of_the_request_is_answered_with_its_code() {
    let server = Server::echo(Config::new()).await;
    let broken = [
        (frame(0xb1, b"x"), 1002),
        (frame(0xa1, b"x"), 1002),
        (vec![0x81, 1, b'x'], 1002),
        (vec![0xff; 14], 1002),
        (frame(0x81, b"\xff"), 1007),
        (header(0x82, 1 << 40), 1009),
        (close_frame(1000, b""), 1000),
    ];
    for (frame, code) in broken {
        let mut client = server.connect().await;
        client
            .send([handshake("/ws", "").as_bytes(), &frame].concat())
            .await;
        assert_eq!(client.answer().await.status, 101);
        assert_eq!(client.close_code().await, Some(code), "{frame:x?}");
    }
    server.emptied().await;
}

#[tokio::test]
async fn more_headers_than_hyper_takes_are_431_and_never_half_a_handshake() {
    let server = Server::echo(Config::new()).await;
    for (count, expected) in [(90, 101), (101, 431), (1_000, 431)] {
        let headers: String = (0..count).map(|at| format!("X-{at}: y\r\n")).collect();
        assert_eq!(status(&server, &headers).await, expected, "{count}");
        // In the other order, the fields of the handshake exceed the limit.
        let request = handshake("/ws", "").replace(
            "Upgrade: websocket\r\n",
            &format!("{headers}Upgrade: websocket\r\n"),
        );
        let mut client = server.connect().await;
        client.send(request).await;
        assert_eq!(client.answer().await.status, expected, "{count}");
    }
}

#[tokio::test]
async fn a_target_that_is_too_long_is_414_and_a_long_one_matches_no_route() {
    let server = Server::echo(Config::new()).await;
    for (length, expected) in [(60_000, 200), (70_000, 414)] {
        let mut client = server.connect().await;
        let target = format!("GET /{} HTTP", "x".repeat(length));
        client
            .send(handshake("/ws", "").replace("GET /ws HTTP", &target))
            .await;
        assert_eq!(client.answer().await.status, expected, "{length}");
    }
    // A query of that size changes nothing.
    let mut client = server.connect().await;
    let target = format!("GET /ws?{} HTTP", "x".repeat(60_000));
    client
        .send(handshake("/ws", "").replace("GET /ws HTTP", &target))
        .await;
    assert_eq!(client.answer().await.status, 101);
}

#[tokio::test(start_paused = true)]
async fn a_head_that_drips_is_cut_off_by_the_servers_deadline() {
    let (mut client, tracker) = piped(Config::new(), 1024);
    let head = handshake("/ws", &format!("X-Long: {}\r\n", "x".repeat(4096)));
    let started = tokio::time::Instant::now();
    for byte in head.as_bytes() {
        use tokio::io::AsyncWriteExt;
        if client.io.write_all(&[*byte]).await.is_err() {
            break;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    // Ten seconds by this server's setting, on the paused clock.
    assert!(started.elapsed() < Duration::from_secs(20));
    assert!(tracker.is_empty());
}

#[tokio::test]
async fn lists_of_separators_alone_name_neither_a_subprotocol_nor_an_extension() {
    let tracker = Tracker::new();
    let service = WebSocketService::new(service_fn(page))
        .route("/ws", echo)
        .protocols(["chat"])
        .tracker(&tracker);
    let server = Server::start(service, tracker).await;
    let size = 64 * 1024;
    for filling in [" ", ",", ", ", "\t", ",\t ,", " ,, "] {
        let long = filling.repeat(size / filling.len());
        for name in ["Sec-WebSocket-Protocol", "Sec-WebSocket-Extensions"] {
            for value in [
                long.clone(),
                format!("a{long}b"),
                format!("a,{long}b"),
                format!("chat,{long}"),
            ] {
                let mut client = server.connect().await;
                client
                    .send(handshake("/ws", &format!("{name}: {value}\r\n")))
                    .await;
                let answer = client.answer().await;
                // A list without elements is valid for extensions only, and offers
                // none; `a   b` is not a list.
                let elements = value
                    .split(',')
                    .map(str::trim)
                    .filter(|element| !element.is_empty());
                let is_list = (name.ends_with("Extensions") || elements.clone().count() > 0)
                    && elements
                        .clone()
                        .all(|element| !element.contains([' ', '\t']));
                let expected = if is_list { 101 } else { 400 };
                assert_eq!(answer.status, expected, "{name}: {filling:?}");
                let chosen = answer.header("sec-websocket-protocol");
                let offered = name.ends_with("Protocol") && value.starts_with("chat");
                assert_eq!(chosen, offered.then_some("chat"));
                assert_eq!(answer.header("sec-websocket-extensions"), None);
            }
        }
    }
}

#[tokio::test]
async fn names_of_extensions_and_their_parameters_are_data() {
    let server = Server::echo(Config::new()).await;
    for offer in [
        "constructor",
        "__proto__; hasOwnProperty=toString",
        "permessage-deflate; server_max_window_bits=7",
        "permessage-deflate; server_max_window_bits=16",
        "permessage-deflate; server_max_window_bits=0",
        "permessage-deflate; server_max_window_bits=08",
        "permessage-deflate; server_max_window_bits",
        "permessage-deflate; server_max_window_bits=\"10\"",
        "permessage-deflate; server_max_window_bits=99999999999999999999",
        "permessage-deflate; server_max_window_bits=10; server_max_window_bits=10",
        "permessage-deflate, permessage-deflate; client_no_context_takeover",
        "x-webkit-deflate-frame; no_context_takeover",
    ] {
        let mut client = server.connect().await;
        let line = format!("Sec-WebSocket-Extensions: {offer}\r\n");
        let answer = client.ask("/ws", &line).await;
        assert_eq!(answer.status, 101, "{offer}");
        // No extension was negotiated, so a reserved bit is a violation.
        assert_eq!(answer.header("sec-websocket-extensions"), None);
        client.send(frame(0xc1, b"x")).await;
        assert_eq!(client.close_code().await, Some(1002));
    }
    for offer in [
        "a;",
        "a; b=",
        "a; =c",
        "a b",
        "a; b=\"",
        "a; b=\"c\\",
        "\"a\"",
        "a=b",
    ] {
        let line = format!("Sec-WebSocket-Extensions: {offer}\r\n");
        assert_eq!(status(&server, &line).await, 400, "{offer}");
    }
}

#[tokio::test]
async fn drafts_before_the_rfc_are_told_the_version() {
    let server = Server::echo(Config::new()).await;
    let mut client = server.connect().await;
    let hixie = "GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: WebSocket\r\n\
                 Connection: Upgrade\r\nSec-WebSocket-Key1: 4 @1  46546xW%0l 1 5\r\n\
                 Sec-WebSocket-Key2: 12998 5 Y3 1  .P00\r\n\r\n^n:ds[4U";
    client.send(hixie).await;
    let answer = client.answer().await;
    assert_eq!(answer.status, 426);
    assert_eq!(answer.header("sec-websocket-version"), Some("13"));
    for version in ["0", "7", "8", "14", "013", "13, 8", "1 3", "-13", "twelve"] {
        let mut client = server.connect().await;
        let version = format!("Version: {version}");
        client
            .send(handshake("/ws", "").replace("Version: 13", &version))
            .await;
        let answer = client.answer().await;
        assert_eq!(answer.status, 426, "{version}");
        assert_eq!(answer.header("sec-websocket-version"), Some("13"));
    }
}

#[tokio::test]
async fn the_subprotocol_that_is_answered_is_one_that_was_offered_byte_by_byte() {
    async fn whatever_is_asked(upgrade: Upgrade, request: Request<()>) -> Response<String> {
        // A careless handler repeats the client's own bytes, and data from other
        // sources.
        let query = request.uri().query().unwrap_or_default().to_owned();
        let injected = ["chat\r\nSet-Cookie: a=b", "chat\n", "chat ", "", &query];
        upgrade.protocols(injected).on_upgrade(echo)
    }
    let service = WebSocketService::new(service_fn(page)).route("/ws", whatever_is_asked);
    let server = Server::start(service, Tracker::new()).await;
    for (query, offered, answered) in [
        ("admin", "chat", None),
        ("chat", "chat", Some("chat")),
        ("chat", "CHAT", None),
        ("chat", "a, chat", Some("chat")),
        ("chat%0d%0aX-Evil:1", "chat", None),
    ] {
        let mut client = server.connect().await;
        let request = handshake("/ws", &format!("Sec-WebSocket-Protocol: {offered}\r\n"));
        client
            .send(request.replace("/ws", &format!("/ws?{query}")))
            .await;
        let answer = client.answer().await;
        assert_eq!(answer.status, 101);
        assert_eq!(answer.header("sec-websocket-protocol"), answered);
        assert_eq!(answer.header("set-cookie"), None);
        assert_eq!(answer.header("x-evil"), None);
    }
    for offered in [
        "chat\x01",
        "ch at",
        "chat;x",
        "\"chat\"",
        "ch\u{e4}t",
        "(chat)",
    ] {
        let line = format!("Sec-WebSocket-Protocol: {offered}\r\n");
        assert_eq!(status(&server, &line).await, 400, "{offered}");
    }
}

#[tokio::test]
async fn a_refusal_escapes_what_it_repeats_of_the_request() {
    let server = Server::echo(Config::new()).await;
    for line in [
        "Origin: http://a\u{9b}31m\u{e4}\tb\"<script>\r\n",
        "Sec-WebSocket-Protocol: \u{e4}\t\u{9b}31m<script>\r\n",
        "Sec-WebSocket-Extensions: a;\u{9b}31m\r\n",
    ] {
        let mut client = server.connect().await;
        let answer = client.ask("/ws", line).await;
        assert!(matches!(answer.status, 400 | 403), "{answer:?}");
        assert!(
            answer
                .body
                .trim_end_matches('\n')
                .bytes()
                .all(|byte| (0x20..0x7f).contains(&byte))
        );
        let kind = answer.header("content-type");
        assert_eq!(kind, Some("text/plain; charset=utf-8"));
    }
}

#[tokio::test]
async fn a_page_of_another_origin_opens_no_socket() {
    let server = Server::echo(Config::new()).await;
    let host = |host: &str, origin: &str| {
        handshake("/ws", &format!("Origin: {origin}\r\n"))
            .replace("Host: example.com", &format!("Host: {host}"))
    };
    let rows = [
        ("example.com", "http://example.com", 101),
        ("example.com", "https://example.com", 101),
        ("example.com", "https://example.com:443", 101),
        ("example.com:443", "https://example.com", 101),
        ("example.com:8080", "http://example.com:8080", 101),
        ("EXAMPLE.com", "http://example.COM", 101),
        ("[::1]:8080", "http://[::1]:8080", 101),
        ("127.0.0.1:8080", "http://127.0.0.1:8080", 101),
        ("example.com", "https://evil.example", 403),
        ("example.com", "https://sub.example.com", 403),
        ("sub.example.com", "https://example.com", 403),
        ("example.com", "https://example.com.evil", 403),
        ("example.com", "https://evilexample.com", 403),
        ("example.com", "https://example.com@evil", 403),
        ("example.com", "https://evil#example.com", 403),
        ("example.com", "https://evil/example.com", 403),
        ("example.com", "https://example.com:8443", 403),
        ("example.com", "http://example.com:443", 403),
        ("example.com", "http://127.0.0.1", 403),
        ("example.com", "http://[::1]", 403),
        ("127.0.0.1", "http://localhost", 403),
        ("127.0.0.1", "http://127.0.0.2", 403),
        ("example.com", "null", 403),
        ("example.com", "", 403),
        ("example.com", "example.com", 403),
        ("example.com", "*", 403),
        ("example.com", "file://", 403),
        ("example.com", "https://example.com https://evil", 403),
        (
            "example.com",
            "https://example.com\r\nOrigin: https://evil",
            400,
        ),
        (
            "example.com",
            "https://example.com\r\nOrigin: https://example.com",
            400,
        ),
    ];
    for (host_name, origin, expected) in rows {
        let mut client = server.connect().await;
        client.send(host(host_name, origin)).await;
        let answer = client.answer().await;
        assert_eq!(answer.status, expected, "{host_name}, {origin}: {answer:?}");
    }
}

#[tokio::test]
async fn a_handshake_whose_answer_cannot_be_a_101_opens_nothing() {
    // Without `.with_upgrades()` the answer is written, and the connection ends.
    let tracker = Tracker::new();
    let service = WebSocketService::new(service_fn(page))
        .route("/ws", echo)
        .tracker(&tracker);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut server = hyper::server::conn::http1::Builder::new();
        server.timer(TokioTimer::new());
        let _ = server.serve_connection(TokioIo::new(stream), service).await;
    });
    let mut client = Client::connect(address).await;
    client.send(handshake("/ws", "")).await;
    client.send(frame(0x81, b"hello")).await;
    assert_eq!(client.answer().await.status, 101);
    serving.await.unwrap();
    until("the place is free again", || tracker.is_empty()).await;
}
