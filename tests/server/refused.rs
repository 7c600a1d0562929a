//! Handshakes that are refused, and what becomes of their connections.

use hyper::Request;
use hyper_ws::error::ErrorKind;
use hyper_ws::tracker::Tracker;
use hyper_ws::{Config, Upgrade, WebSocket};
use tokio::sync::mpsc;

use crate::support::{Client, echo, handshake};

use super::upgrade::{Log, app, serve};

#[tokio::test]
async fn a_body_that_looks_like_a_request_is_never_read_as_one() {
    let address = serve(app).await;
    let smuggled = "GET /page HTTP/1.1\r\nHost: example.com\r\n\r\n";
    let chunked = format!("{:x}\r\n{smuggled}\r\n0\r\n\r\n", smuggled.len());
    for (header, body) in [
        (format!("Content-Length: {}\r\n", smuggled.len()), smuggled),
        (
            "Transfer-Encoding: chunked\r\n".to_owned(),
            chunked.as_str(),
        ),
        // The announced body is longer than the bytes that follow.
        ("Content-Length: 100000\r\n".to_owned(), smuggled),
    ] {
        let mut client = Client::connect(address).await;
        client.send(handshake("/ws", &header) + body).await;
        let answer = client.answer().await;
        assert_eq!(answer.status, 400, "{answer:?}");
        assert_eq!(answer.header("connection"), Some("close"));
        assert!(answer.body.contains("no body"), "{answer:?}");
        client.end_or_reset().await;
    }
}

#[tokio::test]
async fn a_refused_handshake_leaves_a_connection_that_serves_the_next_request() {
    let mut client = Client::connect(serve(app).await).await;
    let wrong = handshake("/ws", "").replace("Version: 13", "Version: 8");
    client.send(wrong).await;
    let answer = client.answer().await;
    assert_eq!(answer.status, 426);
    assert_eq!(answer.header("sec-websocket-version"), Some("13"));
    assert_eq!(answer.header("upgrade"), Some("websocket"));
    assert_eq!(
        answer.header("content-type"),
        Some("text/plain; charset=utf-8")
    );
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert!(answer.body.contains("`8`"), "{answer:?}");

    let answer = client.get("/page").await;
    assert_eq!((answer.status, answer.body.as_str()), (200, "a page"));

    client.upgrade("/ws").await;
    client.echoes("now it is right").await;
}

#[tokio::test]
async fn a_request_that_is_not_a_handshake_is_told_to_upgrade() {
    let mut client = Client::connect(serve(app).await).await;
    let answer = client.get("/ws").await;
    assert_eq!(answer.status, 426);
    assert_eq!(answer.header("upgrade"), Some("websocket"));
    assert_eq!(answer.header("connection"), Some("Upgrade"));
    assert!(
        answer.body.contains("no `Upgrade: websocket` header"),
        "{answer:?}"
    );
}

#[tokio::test]
async fn a_request_of_http_1_0_is_never_upgraded() {
    let mut client = Client::connect(serve(app).await).await;
    client
        .send(handshake("/ws", "").replace("HTTP/1.1", "HTTP/1.0"))
        .await;
    let answer = client.answer().await;
    assert_eq!(answer.status, 426);
    assert!(answer.body.contains("HTTP/1.0"), "{answer:?}");
}

#[tokio::test]
async fn a_rebuilt_request_is_refused_with_500_and_a_log_line_without_the_query() {
    let (log, _guard) = Log::begin();
    let address = serve(|request| async move {
        let (mut parts, body) = request.into_parts();
        parts.extensions = http::Extensions::new();
        app(Request::from_parts(parts, body)).await
    })
    .await;
    let mut client = Client::connect(address).await;
    let answer = client.ask("/ws?token=secret", "Cookie: secret\r\n").await;
    assert_eq!(answer.status, 500);
    assert!(answer.body.contains("extensions"), "{answer:?}");
    let lines = log.lines();
    let errors: Vec<_> = lines.iter().filter(|line| line.contains("ERROR")).collect();
    assert_eq!(errors.len(), 1, "{lines:?}");
    assert!(errors[0].contains("OnUpgrade"), "{lines:?}");
    assert!(!lines.concat().contains("secret"), "{lines:?}");
}

#[tokio::test]
async fn a_refusal_is_never_logged_with_what_the_client_sent() {
    let (log, _guard) = Log::begin();
    let mut client = Client::connect(serve(app).await).await;
    let answer = client
        .ask("/ws?token=secret", "Origin: https://secret.example\r\n")
        .await;
    assert_eq!(answer.status, 403);
    assert!(
        answer.body.contains("`https://secret.example`"),
        "{answer:?}"
    );
    assert!(
        !log.lines().iter().any(|line| line.contains("secret")),
        "{:?}",
        log.lines()
    );
}

async fn refused(_socket: WebSocket) {
    panic!("a refused client has no socket");
}

#[tokio::test]
async fn a_configuration_that_refuses_is_asked_before_the_handler_runs() {
    let address = serve(|mut request| async move {
        let upgrade = Upgrade::from_request(&mut request).unwrap();
        let config = Config::new().allow_origins(["https://good.example"]);
        let (response, conversation) = upgrade.config(config).accept_with(refused);
        // The future of a refused conversation ends at once.
        if response.status() == 403 {
            conversation.await;
        } else {
            tokio::spawn(conversation);
        }
        Ok(response)
    })
    .await;
    let mut client = Client::connect(address).await;
    let answer = client.ask("/ws", "Origin: https://evil.example\r\n").await;
    assert_eq!(answer.status, 403);
    assert!(answer.body.contains("Config::allow_origins"), "{answer:?}");
}

#[tokio::test]
async fn a_refused_bare_socket_is_closed_from_the_beginning() {
    let (sender, mut results) = mpsc::unbounded_channel();
    let address = serve(move |mut request| {
        let sender = sender.clone();
        async move {
            let upgrade = Upgrade::from_request(&mut request).unwrap();
            let (response, accepted) = upgrade.protocols(["chat"]).require_protocol().accept();
            sender
                .send(accepted.await.map(drop).map_err(|error| error.kind()))
                .unwrap();
            Ok(response)
        }
    })
    .await;
    let mut client = Client::connect(address).await;
    let answer = client.ask("/ws", "Sec-WebSocket-Protocol: talk\r\n").await;
    assert_eq!(answer.status, 400);
    assert!(
        answer
            .body
            .contains("offers `talk`, and the server supports `chat`"),
        "{answer:?}"
    );
    assert_eq!(results.recv().await.unwrap(), Err(ErrorKind::Closed));
}

#[tokio::test]
async fn a_client_over_the_limit_is_told_when_to_come_back() {
    let tracker = Tracker::new().limit(1);
    let address = serve({
        let tracker = tracker.clone();
        move |mut request| {
            let tracker = tracker.clone();
            async move {
                Ok(match Upgrade::from_request(&mut request) {
                    Ok(upgrade) => upgrade.tracker(&tracker).on_upgrade(echo),
                    Err(rejection) => rejection.into(),
                })
            }
        }
    })
    .await;
    let first = Client::open(address, "/ws").await;
    let mut second = Client::connect(address).await;
    second.send(handshake("/ws", "")).await;
    let answer = second.answer().await;
    assert_eq!(answer.status, 503);
    assert!(
        answer
            .header("retry-after")
            .unwrap()
            .parse::<u32>()
            .unwrap()
            > 0
    );

    first.close().await;
    while !tracker.is_empty() {
        tokio::task::yield_now().await;
    }
    assert_eq!(second.ask("/ws", "").await.status, 101);
    second.echoes("room again").await;
}

#[tokio::test]
async fn a_refused_handshake_does_not_count_against_the_limit() {
    let tracker = Tracker::new().limit(1);
    let counted = tracker.clone();
    let address = serve(move |mut request| {
        let tracker = tracker.clone();
        async move {
            let upgrade = Upgrade::from_request(&mut request).unwrap();
            Ok(upgrade.tracker(&tracker).on_upgrade(echo))
        }
    })
    .await;
    for _ in 0..3 {
        let mut client = Client::connect(address).await;
        assert_eq!(client.ask("/ws", "Origin: null\r\n").await.status, 403);
    }
    assert!(counted.is_empty());
}
