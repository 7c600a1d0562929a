//! The client against servers that refuse, lie, stop in the middle or never begin.
//!
//! Each server is a few bytes, written by hand. For timeouts, the stream is a pipe
//! and the clock is paused.

use std::error::Error as _;
use std::net::SocketAddr;
use std::time::Duration;

use hyper_ws::client::{ConnectError, ConnectErrorKind, connect_over};
use hyper_ws::error::ErrorKind;
use hyper_ws::handshake::accept_key;
use hyper_ws::{Message, WebSocket, connect};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream};
use tokio::time::{Instant, sleep};

use crate::support::bind;

/// Reads the head of a request; returns the answer to its key.
async fn asked(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    let head = String::from_utf8(head).unwrap();
    let key = head
        .lines()
        .find_map(|line| line.strip_prefix("sec-websocket-key: "));
    accept_key(key.unwrap())
}

/// The head of a valid answer, with more fields.
fn good(accept: &str, more: &str) -> String {
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Accept: {accept}\r\n{more}\r\n"
    )
}

async fn respond(mut stream: impl AsyncRead + AsyncWrite + Unpin, answer: &[u8]) {
    let _accept = asked(&mut stream).await;
    // The client may disconnect before the end.
    let _ = stream.write_all(answer).await;
    let _ = stream.shutdown().await;
}

/// A server that gives this answer to every request, and closes.
async fn server(answer: impl Into<Vec<u8>>) -> SocketAddr {
    let answer = answer.into();
    let (listener, address) = bind().await;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            respond(stream, &answer).await;
        }
    });
    address
}

async fn refused(answer: impl Into<Vec<u8>>) -> ConnectError {
    let address = server(answer).await;
    connect(format!("ws://{address}/")).await.unwrap_err()
}

/// The error and its sources, as programs print them.
fn story(error: &ConnectError) -> String {
    let mut story = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        story += &format!(": {error}");
        source = error.source();
    }
    story
}

#[tokio::test]
async fn a_redirect_is_an_error_that_says_where_to() {
    let error = refused(
        "HTTP/1.1 301 Moved Permanently\r\nLocation: wss://example.com/\x01ws\r\nContent-Length: 0\r\n\r\n",
    )
    .await;
    // With a control character in a field the answer is not HTTP.
    assert_eq!(error.kind(), ConnectErrorKind::Http);
    let error = refused(
        "HTTP/1.1 301 Moved Permanently\r\nLocation: wss://example.com/ws\r\nContent-Length: 0\r\n\r\n",
    )
    .await;
    assert_eq!(error.kind(), ConnectErrorKind::Refused);
    assert_eq!(error.status().unwrap(), 301);
    assert!(
        error.to_string().contains("wss://example.com/ws"),
        "{error}"
    );
}

#[tokio::test]
async fn a_refusal_has_its_status_fields_and_body() {
    let error = refused(
        "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"x\"\r\n\
         Content-Type: text/plain\r\nContent-Length: 13\r\n\r\nwho\x1b are you?",
    )
    .await;
    assert_eq!(error.kind(), ConnectErrorKind::Refused);
    let response = error.response().unwrap();
    assert_eq!(response.status(), 401);
    assert_eq!(response.headers()["www-authenticate"], "Basic realm=\"x\"");
    assert_eq!(&response.body()[..], b"who\x1b are you?");
    // The text for the log has no escape sequences.
    assert_eq!(
        error.to_string(),
        "the server refused with 401 Unauthorized: who  are you?"
    );
}

#[tokio::test]
async fn a_200_with_a_page_is_a_refusal() {
    let error = refused(
        "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nTransfer-Encoding: chunked\r\n\r\n\
         4\r\n<htm\r\n2\r\nl>\r\n0\r\n\r\n",
    )
    .await;
    assert_eq!(error.status().unwrap(), 200);
    assert_eq!(&error.response().unwrap().body()[..], b"<html>");
    assert!(
        error.to_string().ends_with("refused with 200 OK"),
        "{error}"
    );
}

#[tokio::test]
async fn the_beginning_of_a_long_body_is_kept() {
    let mut answer = b"HTTP/1.1 500 Oh\r\nContent-Length: 1000000\r\n\r\n".to_vec();
    answer.resize(1_000_000, b'x');
    let error = refused(answer).await;
    assert_eq!(error.response().unwrap().body().len(), 64 * 1024);
}

#[tokio::test]
async fn a_body_that_ends_too_early_is_kept_as_far_as_it_came() {
    let error = refused("HTTP/1.1 403 Forbidden\r\nContent-Length: 100\r\n\r\nno").await;
    assert_eq!(&error.response().unwrap().body()[..], b"no");
}

#[tokio::test]
async fn garbage_is_not_http() {
    for garbage in [
        &b"hello\r\n\r\n"[..],
        b"\x15\x03\x01\x00\x02\x02\x46",
        b"SSH-2.0-OpenSSH_9.2p1\r\n",
        b"HTTP/1.1 101 \xff\r\n: \r\n\r\n",
        b"HTTP/2.0 101 Switching Protocols\r\n\r\n",
    ] {
        let error = refused(garbage).await;
        assert_eq!(error.kind(), ConnectErrorKind::Http, "{garbage:?}");
        assert!(error.to_string().contains("HTTP/1.1"), "{error}");
    }
}

#[tokio::test]
async fn half_an_answer_and_none_at_all_are_errors() {
    for half in [
        "",
        "HTTP/1.1 1",
        "HTTP/1.1 101 Switching Protocols\r\nUpgra",
    ] {
        let error = refused(half).await;
        assert_eq!(error.kind(), ConnectErrorKind::Http, "{half:?}");
        assert!(error.to_string().contains("ended before"), "{error}");
    }
}

#[tokio::test]
async fn a_head_that_is_too_large_is_an_error() {
    let mut answer = b"HTTP/1.1 101 Switching Protocols\r\nX: ".to_vec();
    answer.resize(1 << 20, b'x');
    let error = refused(answer).await;
    assert_eq!(error.kind(), ConnectErrorKind::Http);
    assert!(story(&error).contains("too large"), "{}", story(&error));
    let many = "X: y\r\n".repeat(10_000);
    let error = refused(format!("HTTP/1.1 200 OK\r\n{many}\r\n")).await;
    assert_eq!(error.kind(), ConnectErrorKind::Http);
}

#[tokio::test]
async fn an_answer_to_another_key_is_refused() {
    let error = refused(good("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", "")).await;
    assert_eq!(error.kind(), ConnectErrorKind::Response);
    assert!(error.to_string().contains("our key"), "{error}");
}

#[tokio::test]
async fn an_answer_must_not_choose_what_was_not_offered() {
    for (more, expected) in [
        ("Sec-WebSocket-Protocol: chat\r\n", "subprotocol `chat`"),
        (
            "Sec-WebSocket-Extensions: permessage-deflate\r\n",
            "extension `permessage-deflate`",
        ),
    ] {
        let (stream, mut peer) = tokio::io::duplex(4096);
        let server = async {
            let accept = asked(&mut peer).await;
            let answer = good(&accept, more);
            peer.write_all(answer.as_bytes()).await.unwrap();
            // The server never answers.
            assert_eq!(peer.read(&mut [0; 1]).await.unwrap(), 0);
        };
        let client = connect_over(stream, "ws://example.com/");
        let (error, ()) = tokio::join!(async { client.await.unwrap_err() }, server);
        assert_eq!(error.kind(), ConnectErrorKind::Response);
        assert!(error.to_string().contains(expected), "{error}");
    }
}

#[tokio::test]
async fn frames_behind_the_answer_are_not_lost_in_whatever_pieces_they_come() {
    let frames = b"\x81\x05hello\x82\x03\x01\x02\x03\x88\x02\x03\xe8";
    for piece in [1, 7, 100, 4096] {
        let (stream, mut peer) = tokio::io::duplex(piece);
        tokio::spawn(async move {
            let mut answer = good(&asked(&mut peer).await, "").into_bytes();
            answer.extend_from_slice(frames);
            peer.write_all(&answer).await.unwrap();
            // Until the client has disconnected.
            let _ = peer.read_to_end(&mut Vec::new()).await;
        });
        let mut socket = connect_over(stream, "ws://example.com/").await.unwrap();
        assert_eq!(
            socket.recv().await.unwrap(),
            Some(Message::from("hello")),
            "{piece}"
        );
        assert_eq!(
            socket.recv().await.unwrap(),
            Some(Message::from(vec![1, 2, 3]))
        );
        assert_eq!(socket.recv().await.unwrap(), None);
    }
}

#[tokio::test]
async fn informational_answers_come_before_the_answer() {
    let (stream, mut peer) = tokio::io::duplex(4096);
    tokio::spawn(async move {
        let answer = good(&asked(&mut peer).await, "");
        let early = "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n";
        peer.write_all(format!("{early}{answer}").as_bytes())
            .await
            .unwrap();
        peer.write_all(b"\x81\x02hi").await.unwrap();
        peer
    });
    let mut socket = connect_over(stream, "ws://example.com/").await.unwrap();
    assert_eq!(socket.recv().await.unwrap(), Some(Message::from("hi")));
}

/// The error of a client of `server` on a paused clock, and the seconds until then.
async fn outcome<F: Future<Output = ()> + Send + 'static>(
    server: impl FnOnce(DuplexStream) -> F,
) -> (Result<WebSocket, ConnectError>, u64) {
    let (stream, peer) = tokio::io::duplex(4096);
    let server = tokio::spawn(server(peer));
    let start = Instant::now();
    let outcome = connect_over(stream, "ws://example.com/").await;
    server.abort();
    (outcome, start.elapsed().as_secs())
}

async fn for_ever() {
    sleep(Duration::from_secs(1_000_000)).await;
}

#[tokio::test(start_paused = true)]
async fn connecting_to_a_silent_server_times_out() {
    let (outcome, after) = outcome(async |mut peer| {
        asked(&mut peer).await;
        for_ever().await;
    })
    .await;
    let error = outcome.unwrap_err();
    assert_eq!(error.kind(), ConnectErrorKind::Timeout);
    assert!(error.to_string().contains("10s"), "{error}");
    assert_eq!(after, 10);
}

#[tokio::test(start_paused = true)]
async fn connecting_to_a_server_that_does_not_read_times_out() {
    let (outcome, after) = outcome(async |peer| {
        for_ever().await;
        drop(peer);
    })
    .await;
    assert_eq!(outcome.unwrap_err().kind(), ConnectErrorKind::Timeout);
    assert_eq!(after, 10);
}

#[tokio::test(start_paused = true)]
async fn a_dripping_answer_does_not_extend_the_timeout() {
    let (outcome, after) = outcome(async |mut peer| {
        let answer = good(&asked(&mut peer).await, "");
        for byte in answer.bytes() {
            peer.write_all(&[byte]).await.unwrap();
            sleep(Duration::from_secs(1)).await;
        }
    })
    .await;
    assert_eq!(outcome.unwrap_err().kind(), ConnectErrorKind::Timeout);
    assert_eq!(after, 10);
}

#[tokio::test(start_paused = true)]
async fn endless_informational_answers_do_not_extend_the_timeout() {
    let (outcome, after) = outcome(async |mut peer| {
        asked(&mut peer).await;
        while peer
            .write_all(b"HTTP/1.1 100 Continue\r\n\r\n")
            .await
            .is_ok()
        {
            sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
    assert_eq!(outcome.unwrap_err().kind(), ConnectErrorKind::Timeout);
    assert_eq!(after, 10);
}

#[tokio::test(start_paused = true)]
async fn a_dripping_body_is_kept_as_far_as_it_came_in_time() {
    let (outcome, after) = outcome(async |mut peer| {
        asked(&mut peer).await;
        let head = b"HTTP/1.1 500 Oh\r\nContent-Length: 100\r\n\r\n";
        peer.write_all(head).await.unwrap();
        sleep(Duration::from_millis(500)).await;
        while peer.write_all(b"x").await.is_ok() {
            sleep(Duration::from_secs(1)).await;
        }
    })
    .await;
    let error = outcome.unwrap_err();
    assert_eq!(error.status().unwrap(), 500);
    assert_eq!(&error.response().unwrap().body()[..], b"xxxxxxxxxx");
    assert_eq!(after, 10);
}

#[tokio::test(start_paused = true)]
async fn the_caller_chooses_the_timeout() {
    let (stream, _peer) = tokio::io::duplex(4096);
    let start = Instant::now();
    let error = connect_over(stream, "ws://example.com/")
        .handshake_timeout(Duration::from_secs(60))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ConnectErrorKind::Timeout);
    assert_eq!(start.elapsed().as_secs(), 60);
}

#[tokio::test(start_paused = true)]
async fn the_longest_timeout_is_accepted() {
    let day = Duration::from_secs(24 * 60 * 60);
    let (stream, _silent) = tokio::io::duplex(4096);
    let connecting = connect_over(stream, "ws://example.com/")
        .connect_timeout(Duration::MAX)
        .handshake_timeout(Duration::MAX);
    assert!(tokio::time::timeout(day, connecting).await.is_err());
}

/// For a caller whose own time is over: it is an error of the timeout, not a panic.
#[tokio::test]
async fn a_timeout_of_zero_times_out_at_once() {
    let (_listener, address) = bind().await;
    let error = connect(format!("ws://{address}/"))
        .connect_timeout(Duration::ZERO)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ConnectErrorKind::Timeout);
    let error = connect(format!("ws://{address}/"))
        .handshake_timeout(Duration::ZERO)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ConnectErrorKind::Timeout);
}

#[tokio::test]
async fn the_error_names_an_address_without_a_listener() {
    let (listener, address) = bind().await;
    drop(listener);
    let error = connect(format!("ws://{address}/")).await.unwrap_err();
    assert_eq!(error.kind(), ConnectErrorKind::Connect);
    assert!(error.to_string().contains(&address.to_string()), "{error}");
    assert!(story(&error).contains("refused"), "{}", story(&error));
}

#[tokio::test]
async fn the_error_names_a_host_that_cannot_exist() {
    // The label is too long, so the error needs no resolver.
    let name = "x".repeat(64);
    let error = connect(format!("ws://{name}/")).await.unwrap_err();
    assert_eq!(error.kind(), ConnectErrorKind::Resolve);
    assert!(error.to_string().contains(&name), "{error}");
}

#[tokio::test]
async fn an_invalid_request_is_an_error_before_anything_is_sent() {
    for (url, expected) in [
        ("example.com", "ws://host/path"),
        ("ftp://example.com/", "scheme"),
        ("ws://example.com/#top", "%23"),
    ] {
        let error = connect(url).await.unwrap_err();
        assert_eq!(error.kind(), ConnectErrorKind::Request, "{url}");
        assert!(error.to_string().contains(expected), "{error}");
    }
    let error = connect("ws://127.0.0.1:1/").header("x y", "z").await;
    assert_eq!(error.unwrap_err().kind(), ConnectErrorKind::Request);
    let error = connect("ws://127.0.0.1:1/").header("x", "a\nb").await;
    assert!(error.unwrap_err().to_string().contains("`x`"));
    let error = connect("ws://127.0.0.1:1/").protocols(["a", "b c"]).await;
    assert!(error.unwrap_err().to_string().contains("`b c`"));
}

#[tokio::test]
async fn a_connect_error_converts_to_the_crates_error_and_stays_its_source() {
    async fn program() -> Result<(), hyper_ws::Error> {
        connect("nonsense")
            .await?
            .close(hyper_ws::CloseCode::NORMAL, "")
            .await;
        Ok(())
    }
    let error = program().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connect);
    let source = error.source().unwrap().downcast_ref::<ConnectError>();
    assert_eq!(source.unwrap().kind(), ConnectErrorKind::Request);
}
