//! The client over HTTP/1.1, against this crate's own server and against servers
//! written by hand, byte by byte.

use std::collections::HashSet;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use hyper_ws::client::connect_over;
use hyper_ws::close::CloseFrame;
use hyper_ws::error::{CloseCause, Violation};
use hyper_ws::handshake::accept_key;
use hyper_ws::{CloseCode, Config, Message, Upgrade, WebSocket, WebSocketService, connect};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, timeout};

use crate::support::{echo, listen};

async fn app(request: Request<Incoming>) -> Result<Response<String>, Infallible> {
    let mut response = Response::new(format!("{} is not a socket\n", request.uri()));
    *response.status_mut() = StatusCode::NOT_FOUND;
    Ok(response)
}

/// A server of this crate with `/echo`, and with `/seen`, which sends the request
/// as it arrived.
async fn server() -> SocketAddr {
    let seen = |upgrade: Upgrade, request: Request<()>| async move {
        let upgrade = upgrade.protocols(["chat.v1", "chat.v2"]);
        upgrade.on_upgrade(|mut socket: WebSocket| async move {
            let lines = request
                .headers()
                .iter()
                .map(|(name, value)| format!("{name}: {}\n", value.to_str().unwrap()));
            let text = format!("{}\n{}", request.uri(), lines.collect::<String>());
            socket.send(text).await
        })
    };
    let service = WebSocketService::new(service_fn(app))
        .route("/echo", echo)
        .route("/seen", seen);
    listen(service).await
}

async fn text(socket: &mut WebSocket) -> String {
    match socket.recv().await.unwrap() {
        Some(Message::Text(text)) => text.to_string(),
        other => panic!("{other:?} is not a text"),
    }
}

#[tokio::test]
async fn a_url_is_enough() {
    let address = server().await;
    let mut socket = connect(format!("ws://{address}/echo")).await.unwrap();
    socket.send("hello").await.unwrap();
    assert_eq!(text(&mut socket).await, "hello");
    let large = vec![7; 300_000];
    socket.send(large.clone()).await.unwrap();
    assert_eq!(socket.recv().await.unwrap(), Some(Message::from(large)));
    socket.close(CloseCode::NORMAL, "bye").await;
    assert_eq!(socket.recv().await.unwrap(), None);
    assert_eq!(
        socket.close_cause(),
        Some(CloseCause::Local(CloseCode::NORMAL))
    );
}

#[tokio::test]
async fn a_name_is_resolved() {
    let port = server().await.port();
    let mut socket = connect(format!("ws://localhost:{port}/echo"))
        .await
        .unwrap();
    socket.send("hello").await.unwrap();
    assert_eq!(text(&mut socket).await, "hello");
}

#[tokio::test]
async fn a_client_works_over_any_stream() {
    let stream = TcpStream::connect(server().await).await.unwrap();
    let mut socket = connect_over(stream, "ws://example.com/echo").await.unwrap();
    socket.send("hello").await.unwrap();
    assert_eq!(text(&mut socket).await, "hello");
}

#[tokio::test]
async fn the_server_sees_the_request_as_it_was_built() {
    let address = server().await;
    let (mut socket, response) = connect(format!("ws://{address}/seen?q=é"))
        .header("authorization", "Bearer 123")
        .header("cookie", "a=b")
        .header("cookie", "c=d")
        .protocols(["chat.v2", "chat.v1"])
        .with_response()
        .await
        .unwrap();
    assert_eq!(response.status(), 101);
    // The server prefers it.
    assert_eq!(socket.protocol(), Some("chat.v1"));
    assert_eq!(response.headers()["sec-websocket-protocol"], "chat.v1");
    let seen = text(&mut socket).await;
    for line in [
        "/seen?q=%C3%A9",
        &format!("host: {address}"),
        "authorization: Bearer 123",
        "cookie: a=b",
        "cookie: c=d",
        "sec-websocket-protocol: chat.v2, chat.v1",
    ] {
        assert!(
            seen.lines().any(|seen| seen == line),
            "{line} is not in\n{seen}"
        );
    }
    assert_eq!(socket.recv().await.unwrap(), None);
}

#[tokio::test]
async fn a_handshake_may_be_given_as_a_request() {
    let address = server().await;
    let request = Request::get(format!("ws://user:pass@{address}/seen"))
        .header("x-mine", "1")
        .body(())
        .unwrap();
    let seen = text(&mut connect(request).await.unwrap()).await;
    assert!(seen.contains("x-mine: 1\n"), "{seen}");
    assert!(
        seen.contains("authorization: Basic dXNlcjpwYXNz\n"),
        "{seen}"
    );
}

#[tokio::test]
async fn the_error_of_a_refused_client_quotes_the_servers_reason() {
    let address = server().await;
    let error = connect(format!("ws://{address}/elsewhere"))
        .await
        .unwrap_err();
    assert_eq!(error.status().unwrap(), 404);
    let error = connect(format!("ws://{address}/echo"))
        .header("origin", "https://evil.example")
        .await
        .unwrap_err();
    assert_eq!(error.status().unwrap(), 403);
    assert!(error.to_string().contains("evil.example"), "{error}");
}

#[tokio::test]
async fn a_socket_runs_in_a_task_beside_its_sender() {
    let address = server().await;
    let socket = connect(format!("ws://{address}/echo")).await.unwrap();
    let sender = socket.sender();
    let (give, answers) = tokio::sync::oneshot::channel();
    let running = tokio::spawn(socket.run(|mut socket: WebSocket| async move {
        let mut answers = Vec::new();
        while answers.len() < 100 {
            answers.push(text(&mut socket).await);
        }
        give.send(answers).unwrap();
    }));
    for number in 0..100 {
        sender.send(number.to_string()).await.unwrap();
    }
    running.await.unwrap();
    let expected: Vec<_> = (0..100).map(|number| number.to_string()).collect();
    assert_eq!(answers.await.unwrap(), expected);
}

#[tokio::test]
async fn compression_is_used_when_both_sides_want_it() {
    use hyper_ws::config::Compression;

    for compression in [Compression::shared(), Compression::dedicated()] {
        let config = Config::new().compression(compression);
        let service = WebSocketService::new(service_fn(app))
            .route("/", echo)
            .config(config.clone());
        let (stream, peer) = tokio::io::duplex(1 << 16);
        tokio::spawn(async move {
            let connection = http1::Builder::new().serve_connection(TokioIo::new(peer), service);
            connection.with_upgrades().await
        });
        let (mut socket, response) = connect_over(stream, "ws://example.com/")
            .config(config)
            .with_response()
            .await
            .unwrap();
        let answer = response.headers()["sec-websocket-extensions"].to_str();
        assert!(answer.unwrap().starts_with("permessage-deflate"));
        for round in 0..3 {
            let message = Message::from(format!("{round} and again ").repeat(5000));
            socket.send(message.clone()).await.unwrap();
            assert_eq!(socket.recv().await.unwrap(), Some(message));
        }
        socket.close(CloseCode::NORMAL, "").await;
    }
}

/// Answers a handshake.
async fn answer(peer: &mut (impl AsyncRead + AsyncWrite + Unpin)) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(peer.read_u8().await.unwrap());
    }
    let head = String::from_utf8(head).unwrap();
    let key = head
        .lines()
        .find_map(|line| line.strip_prefix("sec-websocket-key: "));
    let accept = accept_key(key.unwrap());
    let answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Accept: {accept}\r\n\r\n"
    );
    peer.write_all(answer.as_bytes()).await.unwrap();
}

/// A client, and the other end of its stream after the handshake.
async fn opened(config: Config) -> (WebSocket, DuplexStream) {
    let (stream, mut peer) = tokio::io::duplex(1 << 16);
    let answered = answer(&mut peer);
    let connecting = connect_over(stream, "ws://example.com/").config(config);
    let (socket, ()) = tokio::join!(async { connecting.await.unwrap() }, answered);
    (socket, peer)
}

/// The key of a frame with a short payload, and the payload unmasked.
async fn frame(peer: &mut DuplexStream) -> (u8, [u8; 4], Vec<u8>) {
    let opcode = peer.read_u8().await.unwrap() & 0x0f;
    let length = peer.read_u8().await.unwrap();
    assert_eq!(length & 0x80, 0x80, "a client masks all of its frames");
    let mut key = [0; 4];
    peer.read_exact(&mut key).await.unwrap();
    let mut payload = vec![0; usize::from(length & 0x7f)];
    peer.read_exact(&mut payload).await.unwrap();
    for (at, byte) in payload.iter_mut().enumerate() {
        *byte ^= key[at % 4];
    }
    (opcode, key, payload)
}

#[tokio::test]
async fn every_frame_has_an_unpredictable_key_of_its_own() {
    let (mut socket, mut peer) = opened(Config::new()).await;
    let mut keys = Vec::new();
    for _ in 0..600 {
        socket.send("the same").await.unwrap();
        let (_, key, payload) = frame(&mut peer).await;
        assert_eq!(payload, b"the same");
        keys.push(u32::from_be_bytes(key));
    }
    // Of 600 random keys, two are equal once in 24,000 runs; three never are.
    let different: HashSet<_> = keys.iter().collect();
    assert!(different.len() >= 599, "{}", different.len());
    // The keys are neither a counter nor periodic.
    let steps: HashSet<_> = keys
        .windows(2)
        .map(|pair| pair[1].wrapping_sub(pair[0]))
        .collect();
    assert!(steps.len() >= 597, "{}", steps.len());

    // Control frames have keys of their own too.
    peer.write_all(b"\x89\x02hi").await.unwrap();
    let receiving = socket.recv();
    tokio::select! {
        _ = receiving => panic!("nothing was sent"),
        (opcode, key, payload) = frame(&mut peer) => {
            assert_eq!((opcode, &payload[..]), (10, &b"hi"[..]));
            assert!(!different.contains(&u32::from_be_bytes(key)));
        }
    }
}

#[tokio::test]
async fn a_server_that_masks_is_answered_with_1002() {
    let (mut socket, mut peer) = opened(Config::new()).await;
    peer.write_all(b"\x81\x82\0\0\0\0hi").await.unwrap();
    let error = socket.recv().await.unwrap_err();
    assert_eq!(error.violation(), Some(Violation::MaskedFrame));
    tokio::spawn(async move { socket.recv().await });
    let (opcode, _, payload) = frame(&mut peer).await;
    assert_eq!((opcode, &payload[..2]), (8, &1002_u16.to_be_bytes()[..]));
}

#[tokio::test]
async fn a_dropped_socket_sends_a_close_frame() {
    let (socket, mut peer) = opened(Config::new()).await;
    drop(socket);
    let (opcode, _, payload) = frame(&mut peer).await;
    assert_eq!((opcode, &payload[..]), (8, &1000_u16.to_be_bytes()[..]));
}

/// RFC 6455, section 7.1.1: a client "SHOULD wait for a TCP Close from the server".
#[tokio::test(start_paused = true)]
async fn a_client_closes_tcp_after_its_server_or_at_the_deadline() {
    const CLOSE: &[u8] = b"\x88\x02\x03\xe8";
    for who_begins in ["client", "server"] {
        for server_leaves in [true, false] {
            let (mut socket, mut peer) = opened(Config::new()).await;
            let start = Instant::now();
            let begins = who_begins == "client";
            let closing = tokio::spawn(async move {
                if !begins {
                    assert_eq!(socket.recv().await.unwrap(), None);
                }
                socket.close(CloseCode::NORMAL, "").await;
            });
            if !begins {
                peer.write_all(CLOSE).await.unwrap();
            }
            assert_eq!(frame(&mut peer).await.0, 8);
            if begins {
                peer.write_all(CLOSE).await.unwrap();
            }
            let fin = timeout(Duration::from_secs(5), peer.read(&mut [0])).await;
            assert!(fin.is_err(), "{who_begins} closed, the client left first");
            if server_leaves {
                peer.shutdown().await.unwrap();
            }
            assert_eq!(peer.read(&mut [0]).await.unwrap(), 0);
            closing.await.unwrap();
            let expected = if server_leaves { 5 } else { 10 };
            assert_eq!(start.elapsed().as_secs(), expected);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_vanishes_is_found_by_its_silence() {
    let (mut socket, peer) = opened(Config::new()).await;
    let start = Instant::now();
    assert!(socket.recv().await.is_err());
    assert_eq!(socket.close_cause(), Some(CloseCause::PingTimeout));
    // 25 s of silence and 20 s for the pong, and some jitter.
    let after = start.elapsed();
    assert!(
        after > Duration::from_secs(40) && after < Duration::from_secs(50),
        "{after:?}"
    );
    drop(peer);
}

#[tokio::test]
async fn a_connect_that_is_dropped_closes_the_stream() {
    let (stream, mut peer) = tokio::io::duplex(4096);
    let connecting = async { connect_over(stream, "ws://example.com/").await };
    tokio::select! {
        biased;
        _ = connecting => panic!("there was no answer yet"),
        _ = peer.read_u8() => {}
    }
    // The rest of the request arrives, and then the end.
    peer.read_to_end(&mut Vec::new()).await.unwrap();
}

/// The same for a server: `all_that_a_peer_sent_before_it_closed_tcp_is_received`.
#[tokio::test]
async fn all_that_a_server_sent_before_it_closed_tcp_is_received() {
    for managed in [true, false] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let serving = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            answer(&mut stream).await;
            let mut bytes = b"\x81\x04text".repeat(1000);
            bytes.extend(b"\x88\x02\x03\xe8");
            stream.write_all(&bytes).await.unwrap();
        });
        let socket = connect(format!("ws://{address}/")).await.unwrap();
        serving.await.unwrap();
        let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
        let handler = async move |mut socket: WebSocket| {
            let mut received = 0;
            while let Ok(Some(message)) = socket.recv().await {
                received += 1;
                let _ = socket.send(message).await;
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            tell.send((received, socket.close_cause())).unwrap();
        };
        match managed {
            true => socket.run(handler).await,
            false => handler(socket).await,
        }
        let expected = CloseCause::Remote(Some(CloseFrame::new(CloseCode::NORMAL, "")));
        let received = told.recv().await.unwrap();
        assert_eq!(received, (1000, Some(expected)), "managed: {managed}");
    }
}
