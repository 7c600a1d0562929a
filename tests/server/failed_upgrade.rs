//! Upgrades that fail after the answer, and answers that an outer layer replaces.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioExecutor;
use hyper_util::server::conn::auto;
use hyper_ws::error::{CloseCause, ErrorKind};
use hyper_ws::tracker::Tracker;
use hyper_ws::{Upgrade, WebSocket};
use tokio::sync::{Notify, mpsc, oneshot};

use crate::support::{Client, handshake, until};

use super::upgrade::{Log, Page, app, connected, serve};

#[tokio::test]
async fn a_forgotten_with_upgrades_is_an_error_that_names_the_call() {
    let (log, _guard) = Log::begin();
    let (sender, mut errors) = mpsc::unbounded_channel();
    let service = service_fn(move |mut request: Request<Incoming>| {
        let sender = sender.clone();
        async move {
            let upgrade = Upgrade::from_request(&mut request).unwrap();
            let (response, accepted) = upgrade.accept();
            tokio::spawn(async move { sender.send(accepted.await.err()) });
            Ok::<Page, Infallible>(response)
        }
    });
    let (mut client, io) = connected().await;
    tokio::spawn(http1::Builder::new().serve_connection(io, service));
    client.send(handshake("/ws?token=secret", "")).await;

    let error = errors.recv().await.unwrap().unwrap();
    assert_eq!(error.kind(), ErrorKind::Upgrade);
    assert!(
        error
            .to_string()
            .contains("serve the connection with `.with_upgrades()`")
    );
    let lines = log.lines();
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].contains("ERROR"), "{lines:?}");
    assert!(
        lines[0].contains("serve the connection with `.with_upgrades()`"),
        "{lines:?}"
    );
    assert!(!lines[0].contains("secret"), "{lines:?}");
}

#[tokio::test]
async fn the_log_names_the_auto_builder_without_upgrades() {
    let (log, _guard) = Log::begin();
    let (mut client, io) = connected().await;
    let server = tokio::spawn(async move {
        let _ = auto::Builder::new(TokioExecutor::new())
            .serve_connection(io, service_fn(app))
            .await;
    });
    client.upgrade("/ws").await;
    server.await.unwrap();
    client.end_or_reset().await;
    let lines = log.lines();
    assert!(
        lines
            .iter()
            .any(|line| line.contains("ERROR") && line.contains(".with_upgrades()"))
    );
}

async fn never_called(_socket: WebSocket) {
    panic!("there is no socket");
}

/// Answers one handshake over a connection without upgrades: the errors that
/// `on_failed_upgrade` is called with.
async fn failed_upgrades(handshake: String, accept: fn(Upgrade) -> Page) -> (u16, Vec<ErrorKind>) {
    let (sender, mut errors) = mpsc::unbounded_channel();
    let service = service_fn(move |mut request: Request<Incoming>| {
        let sender = sender.clone();
        let upgrade = Upgrade::from_request(&mut request).unwrap();
        let response = accept(upgrade.on_failed_upgrade(move |error| {
            let _ = sender.send(error.kind());
        }));
        std::future::ready(Ok::<Page, Infallible>(response))
    });
    let (mut client, io) = connected().await;
    tokio::spawn(http1::Builder::new().serve_connection(io, service));
    client.send(handshake).await;
    let status = client.answer().await.status;
    drop(client);
    let mut kinds = Vec::new();
    // Until the connection and its callbacks are gone.
    while let Some(kind) = errors.recv().await {
        kinds.push(kind);
    }
    (status, kinds)
}

#[tokio::test]
async fn a_failed_upgrade_calls_the_callback_once_and_the_handler_never() {
    let spawned = |upgrade: Upgrade| upgrade.on_upgrade(never_called);
    let returned = |upgrade: Upgrade| {
        let (response, conversation) = upgrade.accept_with(never_called);
        tokio::spawn(conversation);
        response
    };
    for accept in [spawned, returned] {
        let (status, errors) = failed_upgrades(handshake("/ws", ""), accept).await;
        assert_eq!((status, &errors[..]), (101, &[ErrorKind::Upgrade][..]));
    }
}

#[tokio::test]
async fn a_refusal_is_not_a_failed_upgrade() {
    let request = handshake("/ws", "Origin: null\r\n");
    let accept = |upgrade: Upgrade| upgrade.on_upgrade(never_called);
    assert_eq!(failed_upgrades(request, accept).await, (403, Vec::new()));
}

#[tokio::test]
async fn a_tracker_has_forgotten_the_connection_when_the_upgrade_has_failed() {
    let tracker = Tracker::new();
    let (sender, mut open) = mpsc::unbounded_channel();
    let service = service_fn(move |mut request: Request<Incoming>| {
        let (sender, counted) = (sender.clone(), tracker.clone());
        let upgrade = Upgrade::from_request(&mut request).unwrap();
        let upgrade = upgrade.tracker(&tracker).on_failed_upgrade(move |_| {
            let _ = sender.send(counted.len());
        });
        std::future::ready(Ok::<Page, Infallible>(upgrade.on_upgrade(never_called)))
    });
    let (mut client, io) = connected().await;
    tokio::spawn(http1::Builder::new().serve_connection(io, service));
    client.send(handshake("/ws", "")).await;
    assert_eq!(open.recv().await, Some(0));
}

#[tokio::test]
async fn a_client_that_leaves_before_its_answer_is_not_logged_as_an_error() {
    let (log, _guard) = Log::begin();
    let (mut client, io) = connected().await;
    let (sender, result) = oneshot::channel();
    let sender = Arc::new(Mutex::new(Some(sender)));
    let asked = Arc::new(Notify::new());
    let service = service_fn({
        let asked = asked.clone();
        move |mut request: Request<Incoming>| {
            let (asked, sender) = (asked.clone(), sender.lock().unwrap().take().unwrap());
            async move {
                let upgrade = Upgrade::from_request(&mut request).unwrap();
                let (_response, accepted) = upgrade.accept::<Full<Bytes>>();
                tokio::spawn(async move { sender.send(accepted.await.map(drop)) });
                asked.notify_one();
                // The response is never written, because the client has left.
                std::future::pending::<Result<Page, Infallible>>().await
            }
        }
    });
    tokio::spawn(
        http1::Builder::new()
            .serve_connection(io, service)
            .with_upgrades(),
    );
    client.send(handshake("/ws", "")).await;
    asked.notified().await;
    drop(client);

    let error = result.await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io);
    let lines = log.lines();
    assert!(
        !lines
            .iter()
            .any(|line| line.contains("ERROR") || line.contains("WARN")),
        "{lines:?}"
    );
}

/// What there is to see on a server whose outer layer replaces the 101: the causes with which
/// conversations end, the errors of upgrades, and the tracker.
struct Replaced {
    address: SocketAddr,
    ended: mpsc::UnboundedReceiver<Option<CloseCause>>,
    failed: mpsc::UnboundedReceiver<ErrorKind>,
    tracker: Tracker,
}

/// Answers 403 instead, and closes the connection if the request says so.
async fn replaced() -> Replaced {
    let (causes, ended) = mpsc::unbounded_channel();
    let (errors, failed) = mpsc::unbounded_channel();
    let tracker = Tracker::new();
    let counted = tracker.clone();
    let address = serve(move |mut request| {
        let (causes, errors, tracker) = (causes.clone(), errors.clone(), counted.clone());
        async move {
            if request.uri().path() == "/page" {
                return Ok(Response::new(Full::from("a page")));
            }
            let upgrade = Upgrade::from_request(&mut request).unwrap();
            let upgrade = upgrade
                .tracker(&tracker)
                .on_failed_upgrade(move |error| errors.send(error.kind()).unwrap());
            let _: Page = upgrade.on_upgrade(move |mut socket: WebSocket| async move {
                while let Ok(Some(_)) = socket.recv().await {}
                causes.send(socket.close_cause()).unwrap();
            });
            let mut response = Response::new(Full::from("no"));
            *response.status_mut() = StatusCode::FORBIDDEN;
            if request.uri().path() == "/close" {
                let close = "close".parse().unwrap();
                response.headers_mut().insert("connection", close);
            }
            Ok(response)
        }
    })
    .await;
    Replaced {
        address,
        ended,
        failed,
        tracker,
    }
}

#[tokio::test]
async fn an_outer_layer_that_replaces_the_101_leaves_a_conversation_that_ends() {
    let mut server = replaced().await;
    let mut client = Client::connect(server.address).await;
    let answer = client.ask("/close", "").await;
    assert_eq!((answer.status, answer.body.as_str()), (403, "no"));
    // It is one of the server's sockets, though the client was refused.
    assert_eq!(server.tracker.len(), 1);
    // The client sends HTTP now, which is not a frame.
    client
        .send("GET / HTTP/1.1\r\nHost: example.com\r\n\r\n")
        .await;
    let cause = server.ended.recv().await.unwrap();
    assert!(
        matches!(cause, Some(CloseCause::Violation(_) | CloseCause::Lost)),
        "{cause:?}"
    );
    drop(client);
    until("the socket is gone", || server.tracker.is_empty()).await;
}

#[tokio::test]
async fn an_outer_layer_that_replaces_the_101_keeps_the_conversation_for_the_end_of_the_connection()
{
    let mut server = replaced().await;
    let mut client = Client::connect(server.address).await;
    assert_eq!(client.ask("/keep", "").await.status, 403);
    // Requests may follow.
    let answer = client.get("/page").await;
    assert_eq!((answer.status, answer.body.as_str()), (200, "a page"));
    assert_eq!(server.tracker.len(), 1);
    assert!(server.ended.try_recv().is_err() && server.failed.try_recv().is_err());
    // Another handshake takes the place of the first.
    assert_eq!(client.ask("/keep", "").await.status, 403);
    assert!(server.failed.recv().await.is_some());
    assert_eq!(server.tracker.len(), 1);
    drop(client);
    assert_eq!(server.ended.recv().await, Some(Some(CloseCause::Lost)));
    until("the socket is gone", || server.tracker.is_empty()).await;
}
