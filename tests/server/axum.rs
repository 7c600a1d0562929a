//! The extractor on axum's own server.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::extract::{ConnectInfo, Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use hyper_ws::handshake::Rejection;
use hyper_ws::tracker::Tracker;
use hyper_ws::{Config, Upgrade, WebSocket};

use crate::support::{Client, TEXT, bind, echo, frame, handshake};

async fn handler(upgrade: Upgrade) -> Response {
    upgrade.protocols(["chat.v1"]).on_upgrade(echo)
}

/// Uses axum's own extractors beside ours, in any order.
async fn greet(
    State(name): State<&'static str>,
    Path(room): Path<String>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    upgrade: Upgrade,
    headers: HeaderMap,
) -> Response {
    let greeting = format!(
        "{name} {room} {} {}",
        peer.ip(),
        headers["host"].to_str().unwrap()
    );
    upgrade.on_upgrade(|mut socket: WebSocket| async move { socket.send(greeting).await })
}

async fn limited(State(tracker): State<Tracker>, upgrade: Upgrade) -> Response {
    upgrade
        .tracker(&tracker)
        .config(Config::new().max_message_size(10))
        .on_upgrade(echo)
}

/// Refuses before anything else runs, and by itself.
async fn guarded(
    State((tracker, config, calls)): State<Guarded>,
    upgrade: Upgrade,
    headers: HeaderMap,
) -> Result<Response, Rejection> {
    let upgrade = upgrade.config(config).tracker(&tracker).check()?;
    calls.fetch_add(1, Ordering::Relaxed);
    if !headers.contains_key("cookie") {
        return Err(upgrade.refuse(StatusCode::UNAUTHORIZED, "who are you?"));
    }
    Ok(upgrade.on_upgrade(echo))
}

type Guarded = (Tracker, Arc<Config>, Arc<AtomicUsize>);

/// Serves both a page and a socket.
async fn either(upgrade: Result<Upgrade, Rejection>) -> Response {
    match upgrade {
        Ok(upgrade) => upgrade.on_upgrade(echo),
        Err(_) => "a page".into_response(),
    }
}

async fn serve(app: Router) -> SocketAddr {
    let (listener, address) = bind().await;
    let app = app.into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, app).await });
    address
}

#[tokio::test]
async fn a_handshake_reaches_the_handler_with_its_subprotocol() {
    let mut client = Client::connect(serve(Router::new().route("/ws", any(handler))).await).await;
    let mut bytes = handshake("/ws", "Sec-WebSocket-Protocol: chat.v1\r\n").into_bytes();
    bytes.extend(frame(TEXT, b"glued to the request"));
    client.send(bytes).await;
    let answer = client.answer().await;
    assert_eq!(answer.status, 101);
    assert_eq!(answer.header("sec-websocket-protocol"), Some("chat.v1"));
    client.expect(TEXT, b"glued to the request").await;
    client.echoes("hello").await;
    client.close().await;
}

#[tokio::test]
async fn other_requests_are_answered_with_the_reason() {
    let mut client = Client::connect(serve(Router::new().route("/ws", any(handler))).await).await;
    let answer = client.get("/ws").await;
    assert_eq!(answer.status, 426);
    assert_eq!(answer.header("upgrade"), Some("websocket"));
    assert!(
        answer.body.contains("no `Upgrade: websocket` header"),
        "{answer:?}"
    );

    let answer = client.ask("/ws", "Origin: https://evil.example\r\n").await;
    assert_eq!(answer.status, 403);
    assert!(answer.body.contains("`https://evil.example`"), "{answer:?}");
}

#[tokio::test]
async fn axums_extractors_work_beside_the_upgrade() {
    let app = Router::new()
        .route("/rooms/{room}", any(greet))
        .with_state("axum");
    let mut client = Client::open(serve(app).await, "/rooms/lobby").await;
    client
        .expect(TEXT, b"axum lobby 127.0.0.1 example.com")
        .await;
    client.expect_close(1000).await;
}

#[tokio::test]
async fn a_handler_may_take_the_rejection_itself() {
    let app = Router::new().route("/", get(either));
    let mut client = Client::connect(serve(app).await).await;
    assert_eq!(client.get("/").await.body, "a page");
    client.upgrade("/").await;
    client.echoes("hello").await;
}

#[tokio::test]
async fn a_check_refuses_before_the_handlers_own_code_and_every_refusal_is_counted() {
    let tracker = Tracker::new().limit(1);
    let config = Arc::new(Config::new().allow_origins(["https://good.example"]));
    let calls = Arc::new(AtomicUsize::new(0));
    let app = Router::new().route("/ws", any(guarded)).with_state((
        tracker.clone(),
        config,
        calls.clone(),
    ));
    let address = serve(app).await;
    let mut client = Client::connect(address).await;
    let evil = "Cookie: a=b\r\nOrigin: https://evil.example\r\n";
    assert_eq!(client.ask("/ws", evil).await.status, 403);
    assert_eq!(calls.load(Ordering::Relaxed), 0);
    let answer = client.ask("/ws", "").await;
    assert_eq!((answer.status, &*answer.body), (401, "who are you?\n"));
    assert_eq!(calls.load(Ordering::Relaxed), 1);
    let good = handshake("/ws", "Cookie: a=b\r\nOrigin: https://good.example\r\n");
    client.send(good.clone()).await;
    assert_eq!(client.answer().await.status, 101);
    client.echoes("hello").await;
    let mut second = Client::connect(address).await;
    second.send(good).await;
    assert_eq!(second.answer().await.status, 503);
    assert_eq!(calls.load(Ordering::Relaxed), 2);
    let stats = tracker.stats();
    assert_eq!(stats.refused, [(401, 1), (403, 1), (503, 1)].into());
    assert_eq!((stats.accepted, stats.open), (1, 1));
}

#[tokio::test]
async fn a_tracker_and_a_configuration_apply_to_the_extractor() {
    let tracker = Tracker::new().limit(1);
    let app = Router::new().route("/ws", any(limited)).with_state(tracker);
    let address = serve(app).await;
    let mut client = Client::open(address, "/ws").await;
    let mut second = Client::connect(address).await;
    assert_eq!(second.ask("/ws", "").await.status, 503);
    client.send(frame(TEXT, b"more than ten bytes")).await;
    client.expect_close(1009).await;
}
