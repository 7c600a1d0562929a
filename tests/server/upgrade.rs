//! The function `Upgrade::from_request` on a real hyper server, and the usual
//! mistakes with it.

use std::convert::Infallible;
use std::future::Future;
use std::io::Write;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_ws::close::CloseFrame;
use hyper_ws::error::{CloseCause, ErrorKind, Violation};
use hyper_ws::tracker::Tracker;
use hyper_ws::{CloseCode, Config, Upgrade, WebSocket};
use tokio::net::TcpStream;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::timeout;
use tracing::subscriber::DefaultGuard;

use crate::support::log::record;
use crate::support::{ACCEPT, BINARY, Client, TEXT, bind, echo, frame, handshake, listen, until};

type Page = Response<Full<Bytes>>;

/// Echoes on every path but `/page`.
async fn app(mut request: Request<Incoming>) -> Result<Page, Infallible> {
    if request.uri().path() == "/page" {
        return Ok(Response::new(Full::from("a page")));
    }
    Ok(match Upgrade::from_request(&mut request) {
        Ok(upgrade) => upgrade.on_upgrade(echo),
        Err(rejection) => rejection.into(),
    })
}

/// Serves every connection with upgrades; returns the address.
async fn serve<F, Fut>(app: F) -> SocketAddr
where
    F: Fn(Request<Incoming>) -> Fut + Clone + Send + 'static,
    Fut: Future<Output = Result<Page, Infallible>> + Send + 'static,
{
    listen(service_fn(app)).await
}

/// A client, and the server's side of its connection, which nothing serves yet.
async fn connected() -> (Client, TokioIo<TcpStream>) {
    let (listener, address) = bind().await;
    let (client, server) = tokio::join!(Client::connect(address), listener.accept());
    (client, TokioIo::new(server.unwrap().0))
}

/// The events of this thread, as text, as long as the guard lives.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn begin() -> (Self, DefaultGuard) {
        let log = Log::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .with_ansi(false)
            .with_writer(move || writer.clone())
            .finish();
        (log, record(subscriber))
    }

    /// The lines of this crate.
    fn lines(&self) -> Vec<String> {
        let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        text.lines()
            .filter(|line| line.contains("hyper_ws"))
            .map(str::to_owned)
            .collect()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_handshake_is_answered_with_101_and_messages_come_back() {
    let mut client = Client::connect(serve(app).await).await;
    let answer = client
        .ask("/ws?a=b", "Origin: https://example.com\r\n")
        .await;
    assert_eq!(answer.status, 101);
    assert_eq!(answer.header("sec-websocket-accept"), Some(ACCEPT));
    assert_eq!(answer.header("upgrade"), Some("websocket"));
    assert_eq!(answer.header("connection"), Some("Upgrade"));
    for absent in [
        "content-length",
        "transfer-encoding",
        "content-type",
        "sec-websocket-protocol",
    ] {
        assert_eq!(answer.header(absent), None, "{absent}");
    }
    client.echoes("hello").await;
    client.send(frame(BINARY, &[0; 1000])).await;
    client.expect(BINARY, vec![0; 1000]).await;
    client.close().await;
}

#[tokio::test]
async fn a_frame_in_one_segment_with_the_request_is_delivered_once() {
    let mut client = Client::connect(serve(app).await).await;
    client.upgrade_with("/ws", &frame(TEXT, b"first")).await;
    client.expect(TEXT, b"first").await;
    client.echoes("second").await;
    client.close().await;
}

#[tokio::test]
async fn more_frames_behind_the_request_than_hyper_reads_at_once_are_all_delivered() {
    let mut client = Client::connect(serve(app).await).await;
    let frames: Vec<_> = (0..40_u8)
        .flat_map(|number| frame(BINARY, &[number; 1000]))
        .collect();
    client.upgrade_with("/ws", &frames).await;
    for number in 0..40_u8 {
        client.expect(BINARY, vec![number; 1000]).await;
    }
    client.close().await;
}

#[tokio::test]
async fn a_broken_frame_behind_the_request_is_answered_with_a_close_frame() {
    let mut client = Client::connect(serve(app).await).await;
    // The frame has a reserved bit and is not masked.
    client.upgrade_with("/ws", &[0xa1, 0x01, b'x']).await;
    client.expect_close(1002).await;
}

#[tokio::test]
async fn a_client_that_resets_its_connection_harms_no_other() {
    let address = serve(app).await;
    let after_request = async |wait: bool| {
        let mut client = Client::connect(address).await;
        client.send(handshake("/ws", "")).await;
        if wait {
            client.answer().await;
        }
        client.reset();
    };
    for _ in 0..20 {
        after_request(false).await;
        after_request(true).await;
    }
    let mut client = Client::open(address, "/ws").await;
    client.echoes("still here").await;
}

#[tokio::test]
async fn a_shutdown_during_the_handshake_does_not_spoil_it() {
    let (asked, answer) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let service = service_fn({
        let (asked, answer) = (asked.clone(), answer.clone());
        move |request| {
            let (asked, answer) = (asked.clone(), answer.clone());
            async move {
                asked.notify_one();
                answer.notified().await;
                app(request).await
            }
        }
    });
    let (mut client, io) = connected().await;
    tokio::spawn(async move {
        let connection = http1::Builder::new()
            .serve_connection(io, service)
            .with_upgrades();
        let mut connection = pin!(connection);
        tokio::select! {
            _ = connection.as_mut() => panic!("ended before it was answered"),
            () = asked.notified() => connection.as_mut().graceful_shutdown(),
        }
        answer.notify_one();
        connection.await.unwrap();
    });
    let answer = client.ask("/ws", "").await;
    assert_eq!(answer.status, 101);
    assert_eq!(answer.header("upgrade"), Some("websocket"));
    // hyper adds `close`, which must not replace `Upgrade`.
    let connection = answer.headers("connection").join(",");
    assert!(
        connection
            .split(',')
            .any(|option| option.trim() == "Upgrade"),
        "{answer:?}"
    );
    client.echoes("hello").await;
    client.close().await;
}

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
async fn an_outer_layer_that_replaces_the_101_and_keeps_the_connection_fails_the_upgrade() {
    let mut server = replaced().await;
    let mut client = Client::connect(server.address).await;
    assert_eq!(client.ask("/keep", "").await.status, 403);
    assert_eq!(server.tracker.len(), 1);
    // The next request takes the connection, so the upgrade cannot come any more.
    let answer = client.get("/page").await;
    assert_eq!((answer.status, answer.body.as_str()), (200, "a page"));
    assert!(server.failed.recv().await.is_some());
    until("the socket is gone", || server.tracker.is_empty()).await;
    assert!(server.ended.try_recv().is_err());
}

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
async fn an_expectation_on_a_request_without_a_body_does_not_matter() {
    let mut client = Client::connect(serve(app).await).await;
    assert_eq!(
        client.ask("/ws", "Expect: 100-continue\r\n").await.status,
        101
    );
    client.echoes("hello").await;
    client.close().await;
}

#[tokio::test]
async fn the_auto_builder_hands_the_connection_over_with_all_that_was_read() {
    let (mut client, io) = connected().await;
    tokio::spawn(async move {
        auto::Builder::new(TokioExecutor::new())
            .serve_connection_with_upgrades(io, service_fn(app))
            .await
    });
    client.upgrade_with("/ws", &frame(TEXT, b"first")).await;
    client.expect(TEXT, b"first").await;
    client.echoes("second").await;
    client.close().await;
}

#[tokio::test]
async fn a_graceful_shutdown_of_hyper_util_does_not_wait_for_sockets_nor_end_them() {
    let (mut client, io) = connected().await;
    let graceful = GracefulShutdown::new();
    let builder = auto::Builder::new(TokioExecutor::new());
    let connection = builder
        .serve_connection_with_upgrades(io, service_fn(app))
        .into_owned();
    tokio::spawn(graceful.watch(connection));
    client.upgrade("/ws").await;
    client.echoes("before").await;
    graceful.shutdown().await;
    client.echoes("after").await;
    client.close().await;
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

#[tokio::test]
async fn the_rest_of_the_request_stays_in_it() {
    let (sender, mut seen) = mpsc::unbounded_channel();
    let address = serve(move |mut request| {
        let sender = sender.clone();
        async move {
            request.extensions_mut().insert(42_u16);
            let upgrade = Upgrade::from_request(&mut request).unwrap();
            let number = request.extensions().get::<u16>().copied();
            let second = Upgrade::from_request(&mut request).unwrap_err().status();
            sender
                .send((number, request.headers().len(), second))
                .unwrap();
            Ok(upgrade.on_upgrade(echo))
        }
    })
    .await;
    Client::open(address, "/ws").await.close().await;
    assert_eq!(
        seen.recv().await.unwrap(),
        (Some(42), 5, StatusCode::INTERNAL_SERVER_ERROR)
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
async fn a_bare_socket_talks_and_knows_how_it_ended() {
    let (causes, mut ended) = mpsc::unbounded_channel();
    let address = serve(move |mut request| {
        let causes = causes.clone();
        async move {
            let upgrade = Upgrade::from_request(&mut request).unwrap();
            assert_eq!(upgrade.protocol(), None);
            let upgrade = upgrade.protocols(["v2", "v1"]);
            assert_eq!(upgrade.protocol(), Some("v1"));
            let (response, accepted) = upgrade.accept();
            tokio::spawn(async move {
                let mut socket = accepted.await.unwrap();
                assert_eq!(socket.protocol(), Some("v1"));
                while let Some(message) = socket.recv().await.unwrap() {
                    socket.send(message).await.unwrap();
                }
                causes.send(socket.close_cause()).unwrap();
            });
            Ok(response)
        }
    })
    .await;
    let mut client = Client::connect(address).await;
    let answer = client
        .ask("/ws", "Sec-WebSocket-Protocol: v1, v0\r\n")
        .await;
    assert_eq!(answer.status, 101);
    assert_eq!(answer.header("sec-websocket-protocol"), Some("v1"));
    client.echoes("hello").await;
    client.close().await;
    let frame = CloseFrame::new(CloseCode::NORMAL, "");
    assert_eq!(
        ended.recv().await.unwrap(),
        Some(CloseCause::Remote(Some(frame)))
    );
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

#[tokio::test]
async fn a_violation_is_reported_and_closes_the_conversation() {
    let (sender, mut errors) = mpsc::unbounded_channel();
    let address = serve(move |mut request| {
        let sender = sender.clone();
        async move {
            let upgrade = Upgrade::from_request(&mut request).unwrap();
            Ok(upgrade.on_upgrade(move |mut socket: WebSocket| async move {
                sender
                    .send(socket.recv().await.unwrap_err().violation())
                    .unwrap();
            }))
        }
    })
    .await;
    let mut client = Client::open(address, "/ws").await;
    client.send([0x81, 0x01, b'x']).await;
    client.expect_close(1002).await;
    assert_eq!(errors.recv().await.unwrap(), Some(Violation::UnmaskedFrame));
}

#[tokio::test]
async fn the_conversation_belongs_to_the_span_of_its_request() {
    use tracing::Instrument;

    let (log, _guard) = Log::begin();
    let address = serve(|request| {
        let span = tracing::info_span!(target: "hyper_ws_test", "request", id = 7);
        let answer = async move {
            let mut request = request;
            let upgrade = Upgrade::from_request(&mut request).unwrap();
            Ok(upgrade.on_upgrade(|_: WebSocket| async {
                tracing::info!(target: "hyper_ws_test", "in the handler");
            }))
        };
        answer.instrument(span)
    })
    .await;
    let mut client = Client::open(address, "/ws").await;
    client.expect_close(1000).await;
    let lines = log.lines();
    let line = lines
        .iter()
        .find(|line| line.contains("in the handler"))
        .unwrap();
    assert!(line.contains("request{id=7}"), "{line}");
}

/// hyper's doing, of which `guide::troubleshooting` tells. If this fails, hyper writes the
/// answer, and that page need not.
#[tokio::test(start_paused = true)]
async fn a_pipeline_flush_keeps_the_answer_back_if_frames_came_with_the_request() {
    for (pipeline_flush, frames, is_answered) in [
        (false, &b"\x81\x80abcd"[..], true),
        (true, b"", true),
        (true, b"\x81\x80abcd", false),
    ] {
        let (near, far) = tokio::io::duplex(4096);
        tokio::spawn(
            http1::Builder::new()
                .pipeline_flush(pipeline_flush)
                .serve_connection(TokioIo::new(far), service_fn(app))
                .with_upgrades(),
        );
        let mut client = Client::over(near).without_timeout();
        client
            .send([handshake("/ws", "").as_bytes(), frames].concat())
            .await;
        let answer = timeout(Duration::from_secs(5), client.answer_if_any()).await;
        let status = answer.ok().flatten().map(|answer| answer.status);
        assert_eq!(status == Some(101), is_answered, "{status:?}");
    }
}
