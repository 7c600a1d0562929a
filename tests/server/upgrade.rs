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
use hyper_ws::error::{CloseCause, Violation};
use hyper_ws::{CloseCode, Upgrade, WebSocket};
use tokio::net::TcpStream;
use tokio::sync::{Notify, mpsc};
use tokio::time::timeout;
use tracing::subscriber::DefaultGuard;

use crate::support::log::record;
use crate::support::{ACCEPT, BINARY, Client, TEXT, bind, echo, frame, handshake, listen};

pub(crate) type Page = Response<Full<Bytes>>;

/// Echoes on every path but `/page`.
pub(crate) async fn app(mut request: Request<Incoming>) -> Result<Page, Infallible> {
    if request.uri().path() == "/page" {
        return Ok(Response::new(Full::from("a page")));
    }
    Ok(match Upgrade::from_request(&mut request) {
        Ok(upgrade) => upgrade.on_upgrade(echo),
        Err(rejection) => rejection.into(),
    })
}

/// Serves every connection with upgrades; returns the address.
pub(crate) async fn serve<F, Fut>(app: F) -> SocketAddr
where
    F: Fn(Request<Incoming>) -> Fut + Clone + Send + 'static,
    Fut: Future<Output = Result<Page, Infallible>> + Send + 'static,
{
    listen(service_fn(app)).await
}

/// A client, and the server's side of its connection, which nothing serves yet.
pub(crate) async fn connected() -> (Client, TokioIo<TcpStream>) {
    let (listener, address) = bind().await;
    let (client, server) = tokio::join!(Client::connect(address), listener.accept());
    (client, TokioIo::new(server.unwrap().0))
}

/// The events of this thread, as text, as long as the guard lives.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    pub(crate) fn begin() -> (Self, DefaultGuard) {
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
    pub(crate) fn lines(&self) -> Vec<String> {
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
