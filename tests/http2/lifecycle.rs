//! The end of a WebSocket on a stream of HTTP/2: the same as on TCP, with
//! END_STREAM for FIN and RST_STREAM for RST (RFC 8441, section 5).

use std::future::pending;
use std::pin::pin;
use std::time::Duration;

use hyper::Request;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use hyper_ws::close::CloseFrame;
use hyper_ws::error::{CloseCause, ErrorKind};
use hyper_ws::tracker::{self, Tracker};
use hyper_ws::{CloseCode, Config, Upgrade, WebSocket, WebSocketService};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

use crate::support::http2::{page, server};
use crate::support::http2_wire::{self, DATA, GOAWAY, HEADERS, INITIAL_WINDOW, RST_STREAM, Wire};
use crate::support::{CLOSE, PING, PONG, TEXT, frame};

/// The end of a conversation as its handler sees it: the result of `recv`, and the
/// cause.
pub(crate) type End = (Result<(), ErrorKind>, CloseCause);

type Ends = mpsc::UnboundedSender<End>;

/// Echoes until the peer closes or is lost.
async fn receive(socket: &mut WebSocket) -> Result<(), ErrorKind> {
    while let Some(message) = socket.recv().await.map_err(|error| error.kind())? {
        // If sending fails, `recv` returns the reason.
        let _ = socket.send(message).await;
    }
    Ok(())
}

async fn echo(mut socket: WebSocket, ends: Ends) {
    let end = receive(&mut socket).await;
    let _ = ends.send((end, socket.close_cause().expect("it has ended")));
}

/// Closes first.
async fn close(mut socket: WebSocket, ends: Ends) {
    socket.close(enough(), "enough").await;
    echo(socket, ends).await;
}

/// Sends without end, whether the peer reads or not.
async fn talk(mut socket: WebSocket, ends: Ends) {
    while socket.send(vec![b'.'; 1000]).await.is_ok() {}
    echo(socket, ends).await;
}

/// Only sends, and never receives.
async fn tick(mut socket: WebSocket, ends: Ends) {
    let sender = socket.sender();
    while socket.send("tick").await.is_ok() {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    let _ = ends.send((Ok(()), sender.closed().await));
}

/// Waits for the end only.
async fn wait(mut socket: WebSocket, ends: Ends) {
    let _ = ends.send((Ok(()), socket.closed().await));
}

/// Neither sends nor receives.
async fn idle(socket: WebSocket, ends: Ends) {
    let _ = ends.send((Ok(()), socket.sender().closed().await));
}

/// One connection in memory.
pub(crate) struct Connection {
    pub(crate) wire: Wire,
    serving: JoinHandle<hyper::Result<()>>,
    tracker: Tracker,
    ends: mpsc::UnboundedReceiver<End>,
}

impl Connection {
    async fn new() -> Self {
        Connection::with(Config::new(), &[]).await
    }

    pub(crate) async fn with(config: Config, settings: &[(u16, u32)]) -> Self {
        let tracker = Tracker::new();
        let (sender, ends) = mpsc::unbounded_channel();
        let (first, second, third) = (sender.clone(), sender.clone(), sender.clone());
        let (fourth, fifth, sixth) = (sender.clone(), sender.clone(), sender);
        let service = WebSocketService::new(service_fn(page))
            .route("/echo", move |socket| echo(socket, first.clone()))
            .route("/close", move |socket| close(socket, second.clone()))
            .route("/talk", move |socket| talk(socket, third.clone()))
            .route("/tick", move |socket| tick(socket, fourth.clone()))
            .route("/wait", move |socket| wait(socket, fifth.clone()))
            .route("/idle", move |socket| idle(socket, sixth.clone()))
            .route("/never", async |_: Upgrade, _: Request<()>| {
                pending::<hyper::Response<String>>().await
            })
            .config(config)
            .tracker(&tracker);
        let (wire, serving) = http2_wire::pair(&server(), service, settings).await;
        Connection {
            wire,
            serving,
            tracker,
            ends,
        }
    }

    /// The end of the next conversation that ends.
    pub(crate) async fn end(&mut self) -> End {
        self.ends.recv().await.expect("the handler tells")
    }

    /// Waits until no socket is left.
    pub(crate) async fn gone(&mut self) {
        until_empty(&self.tracker).await;
    }
}

pub(crate) fn closed(code: u16) -> Vec<u8> {
    frame(CLOSE, &code.to_be_bytes())
}

/// A frame of the server: unmasked.
pub(crate) fn unmasked(opcode: u8, payload: &[u8]) -> Vec<u8> {
    [&[0x80 | opcode, payload.len() as u8], payload].concat()
}

/// A close code of the application.
fn enough() -> CloseCode {
    CloseCode::new(4000).expect("an application may send it")
}

const LOST: End = (Ok(()), CloseCause::Lost);

#[tokio::test(start_paused = true)]
async fn a_close_by_the_client_is_answered_and_the_stream_ended() {
    let mut connection = Connection::new().await;
    let wire = &mut connection.wire;
    wire.open(1, "/echo").await;
    wire.data(1, &closed(1000)).await;
    assert_eq!(wire.bytes(1, 4).await, unmasked(CLOSE, &[3, 232]));
    wire.ended(1).await;
    wire.end(1).await;
    wire.settle().await;
    let frame = CloseFrame::new(CloseCode::NORMAL, "");
    let cause = CloseCause::Remote(Some(frame));
    assert_eq!(connection.end().await, (Ok(()), cause));
    connection.gone().await;
}

#[tokio::test(start_paused = true)]
async fn a_ping_and_a_close_are_answered_behind_messages_that_nobody_receives() {
    // By a handler that discards, behind any number: 260 KB of them.
    for (path, count) in [("/tick", 100), ("/wait", 10_000)] {
        let began = Instant::now();
        let mut connection = Connection::new().await;
        let wire = &mut connection.wire;
        wire.open(1, path).await;
        if path == "/tick" {
            assert_eq!(wire.bytes(1, 6).await, unmasked(TEXT, b"tick"));
        }
        for _ in 0..count / 100 {
            wire.data(1, &frame(TEXT, b"twenty bytes of text").repeat(100))
                .await;
            wire.settle().await;
        }
        wire.data(1, &frame(PING, b"there?")).await;
        assert_eq!(wire.bytes(1, 8).await, unmasked(PONG, b"there?"));
        wire.data(1, &closed(1000)).await;
        assert_eq!(wire.bytes(1, 4).await, unmasked(CLOSE, &[3, 232]));
        wire.ended(1).await;
        wire.end(1).await;
        let cause = connection.end().await.1;
        assert!(matches!(cause, CloseCause::Remote(Some(_))), "{cause}");
        assert!(began.elapsed() < Duration::from_secs(3));
        connection.gone().await;
    }
}

/// The client resets the stream behind pings that it has read and could not answer. The next
/// ping fails.
#[tokio::test(start_paused = true)]
async fn a_stream_that_was_reset_is_noticed_behind_any_number_of_unread_messages() {
    let mut connection = Connection::new().await;
    let wire = &mut connection.wire;
    wire.open(1, "/idle").await;
    // Almost as much as a stream may send before its window is opened.
    for _ in 0..25 {
        let texts = frame(TEXT, b"twenty bytes of text").repeat(100);
        wire.data(1, &texts).await;
    }
    for _ in 0..3 {
        let ping = wire.bytes(1, 10).await;
        assert_eq!(ping[..2], [PING, 8]);
    }
    wire.reset(1, 8).await;
    // After the failed write the handler may still receive, for ten seconds a message.
    let ended = timeout(Duration::from_secs(28 + 640), connection.end());
    assert_eq!(ended.await.map(|end| end.1), Ok(CloseCause::Lost));
    connection.gone().await;
}

#[tokio::test(start_paused = true)]
async fn a_close_frame_that_ends_the_stream_is_answered_too() {
    let mut connection = Connection::new().await;
    let wire = &mut connection.wire;
    wire.open(1, "/echo").await;
    wire.send(DATA, http2_wire::END_STREAM, 1, &closed(1000))
        .await;
    assert_eq!(wire.bytes(1, 4).await, unmasked(CLOSE, &[3, 232]));
    wire.ended(1).await;
    assert!(matches!(
        connection.end().await,
        (Ok(()), CloseCause::Remote(Some(_)))
    ));
    connection.gone().await;
}

#[tokio::test(start_paused = true)]
async fn a_close_by_the_server_waits_for_the_clients_and_then_ends_the_stream() {
    let mut connection = Connection::new().await;
    let wire = &mut connection.wire;
    wire.open(1, "/close").await;
    let expected = unmasked(CLOSE, &[&4000_u16.to_be_bytes(), &b"enough"[..]].concat());
    assert_eq!(wire.bytes(1, expected.len()).await, expected);
    wire.settle().await;
    wire.data(1, &closed(4000)).await;
    wire.ended(1).await;
    wire.end(1).await;
    let cause = CloseCause::Local(enough());
    assert_eq!(connection.end().await, (Ok(()), cause));
    connection.gone().await;
}

#[tokio::test(start_paused = true)]
async fn a_stream_is_reset_when_its_client_does_not_answer_a_close() {
    let mut connection = Connection::new().await;
    let wire = &mut connection.wire;
    wire.open(1, "/close").await;
    wire.bytes(1, 10).await;
    wire.ended(1).await;
    // The client has not ended its half: RFC 9113, section 8.1, allows a reset then.
    let frame = wire.next().await;
    assert_eq!((frame.kind, frame.stream), (RST_STREAM, 1));
    let cause = CloseCause::Local(enough());
    assert_eq!(connection.end().await.1, cause);
    connection.gone().await;
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_the_client_never_ends_after_the_close_is_reset() {
    let mut connection = Connection::new().await;
    let wire = &mut connection.wire;
    wire.open(1, "/echo").await;
    wire.data(1, &closed(1000)).await;
    wire.bytes(1, 4).await;
    wire.ended(1).await;
    let frame = wire.next().await;
    assert_eq!((frame.kind, frame.stream), (RST_STREAM, 1));
    assert!(matches!(connection.end().await.1, CloseCause::Remote(_)));
    connection.gone().await;
}

#[tokio::test(start_paused = true)]
async fn the_end_of_the_stream_without_a_close_frame_is_a_loss() {
    let mut connection = Connection::new().await;
    let wire = &mut connection.wire;
    wire.open(1, "/echo").await;
    wire.end(1).await;
    wire.ended(1).await;
    assert_eq!(connection.end().await, LOST);
    connection.gone().await;
}

#[tokio::test(start_paused = true)]
async fn the_end_of_the_stream_in_the_middle_of_a_frame_is_a_loss() {
    let whole = frame(TEXT, b"hello");
    for length in 1..whole.len() {
        let mut connection = Connection::new().await;
        let wire = &mut connection.wire;
        wire.open(1, "/echo").await;
        wire.send(DATA, http2_wire::END_STREAM, 1, &whole[..length])
            .await;
        wire.ended(1).await;
        assert_eq!(connection.end().await, LOST, "{length}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_that_ends_the_stream_is_answered() {
    let mut connection = Connection::new().await;
    let wire = &mut connection.wire;
    wire.open(1, "/echo").await;
    let message = frame(TEXT, b"hello");
    wire.send(DATA, http2_wire::END_STREAM, 1, &message).await;
    assert_eq!(wire.bytes(1, 7).await, unmasked(TEXT, b"hello"));
    wire.ended(1).await;
    assert_eq!(connection.end().await, LOST);
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_is_reset_is_a_loss_whatever_the_code() {
    // NO_ERROR to HTTP_1_1_REQUIRED (RFC 9113, section 7), and unknown ones.
    for code in (0..=13).chain([14, 0xdead_beef]) {
        let mut connection = Connection::new().await;
        let wire = &mut connection.wire;
        wire.open(1, "/echo").await;
        wire.data(1, &frame(TEXT, b"hello")).await;
        wire.bytes(1, 7).await;
        wire.reset(1, code).await;
        assert_eq!(connection.end().await, LOST, "{code}");
        connection.gone().await;
        // The connection itself goes on.
        connection.wire.open(3, "/echo").await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_may_be_reset_at_any_stage() {
    let mut connection = Connection::with(Config::new(), &[(INITIAL_WINDOW, 2000)]).await;
    let wire = &mut connection.wire;

    // A reset before the handler has answered.
    wire.ask(1, "/never").await;
    wire.settle().await;
    wire.reset(1, 8).await;

    // Together with the request.
    wire.ask(3, "/echo").await;
    wire.reset(3, 8).await;
    wire.settle().await;

    // In the middle of a frame, and of its header.
    wire.open(5, "/echo").await;
    wire.data(5, &frame(TEXT, b"hello")[..8]).await;
    wire.settle().await;
    wire.reset(5, 8).await;
    wire.open(7, "/echo").await;
    wire.data(7, &[0x81]).await;
    wire.settle().await;
    wire.reset(7, 8).await;

    // While the server waits for the window.
    wire.open(9, "/talk").await;
    wire.bytes(9, 2000).await;
    wire.settle().await;
    wire.reset(9, 8).await;

    // While the server waits for the answer to its close frame, and after that.
    wire.open(11, "/close").await;
    wire.bytes(11, 10).await;
    wire.reset(11, 8).await;
    wire.open(13, "/echo").await;
    wire.data(13, &closed(1000)).await;
    wire.bytes(13, 4).await;
    wire.ended(13).await;
    wire.reset(13, 8).await;

    connection.gone().await;
    let wire = &mut connection.wire;
    wire.open(15, "/echo").await;
    wire.data(15, &frame(TEXT, b"hello")).await;
    assert_eq!(wire.bytes(15, 7).await, unmasked(TEXT, b"hello"));
    wire.reset(15, 8).await;
    let mut causes = vec![];
    for _ in 0..6 {
        causes.push(connection.end().await);
    }
    // Stream 3 may be answered, or be dropped before that.
    assert!(causes.iter().all(|(result, _)| *result == Ok(())));
    let lost = causes.iter().filter(|end| **end == LOST).count();
    assert!(lost >= 4, "{causes:?}");
}

#[tokio::test(start_paused = true)]
async fn sockets_are_lost_with_their_connection() {
    // The client disappears at once, or after GOAWAY with INTERNAL_ERROR.
    for last_words in [None, Some([0, 0, 0, 0, 0, 0, 0, 2])] {
        let mut connection = Connection::new().await;
        for stream in [1, 3, 5] {
            connection.wire.open(stream, "/echo").await;
        }
        if let Some(payload) = last_words {
            connection.wire.send(GOAWAY, 0, 0, &payload).await;
            connection.wire.settle().await;
        }
        drop(connection.wire.io);
        for _ in 0..3 {
            assert_eq!(connection.ends.recv().await, Some(LOST));
        }
        while !connection.tracker.is_empty() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let _ = connection.serving.await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_goes_away_keeps_its_sockets_until_they_end() {
    let mut connection = Connection::new().await;
    let wire = &mut connection.wire;
    wire.open(1, "/echo").await;
    // GOAWAY with NO_ERROR: the server may open no more streams, and never does.
    wire.send(GOAWAY, 0, 0, &[0; 8]).await;
    wire.settle().await;
    wire.data(1, &frame(TEXT, b"hello")).await;
    assert_eq!(wire.bytes(1, 7).await, unmasked(TEXT, b"hello"));
    wire.data(1, &closed(1000)).await;
    wire.bytes(1, 4).await;
    wire.ended(1).await;
    wire.end(1).await;
    connection.gone().await;
    assert!(matches!(connection.end().await.1, CloseCause::Remote(_)));
}

#[tokio::test(start_paused = true)]
async fn a_silent_client_is_closed_with_1011_and_its_stream_reset() {
    let mut connection = Connection::new().await;
    let wire = &mut connection.wire;
    wire.open(1, "/echo").await;
    let ping = wire.bytes(1, 10).await;
    assert_eq!(ping[..2], [0x89, 8]);
    // Code 1011, then the end of the server's half and of the stream.
    let close = wire.next().await;
    assert_eq!((close.kind, close.payload[0]), (DATA, 0x88));
    wire.ended(1).await;
    let frame = wire.next().await;
    assert_eq!((frame.kind, frame.stream), (RST_STREAM, 1));
    let end = (Err(ErrorKind::PingTimeout), CloseCause::PingTimeout);
    assert_eq!(connection.end().await, end);
    connection.gone().await;
}

/// A connection to a server that shuts down as README shows it, the sender that
/// asks for the shutdown, and the outcome of the drain.
async fn drained(
    settings: &[(u16, u32)],
) -> (
    Wire,
    Tracker,
    oneshot::Sender<()>,
    JoinHandle<tracker::Drained>,
) {
    let tracker = Tracker::new();
    let service = WebSocketService::new(service_fn(page))
        .route(
            "/receive",
            async |mut socket: WebSocket| {
                while let Ok(Some(_)) = socket.recv().await {}
            },
        )
        .route("/talk", async |mut socket: WebSocket| {
            while socket.send(vec![b'.'; 1000]).await.is_ok() {}
        })
        .tracker(&tracker);
    let (client, stream) = tokio::io::duplex(64 * 1024);
    let (stop, stopped) = oneshot::channel();
    let server = server();
    let drain = tracker.clone();
    let serving = tokio::spawn(async move {
        let mut connection = pin!(server.serve_connection(TokioIo::new(stream), service));
        tokio::select! {
            result = connection.as_mut() => panic!("{result:?}"),
            _ = stopped => {}
        }
        let closing = drain.drain(CloseCode::GOING_AWAY, Duration::from_secs(10));
        let drained = tokio::select! {
            result = connection.as_mut() => panic!("{result:?}"),
            drained = closing => drained,
        };
        connection.as_mut().graceful_shutdown();
        let _ = timeout(Duration::from_secs(10), connection).await;
        drained
    });
    (Wire::begin(client, settings).await, tracker, stop, serving)
}

#[tokio::test(start_paused = true)]
async fn the_drain_closes_all_sockets_of_a_connection_and_then_it_ends() {
    let (mut wire, tracker, stop, serving) = drained(&[]).await;
    let began = Instant::now();
    for number in 0..50 {
        wire.open(2 * number + 1, "/receive").await;
    }
    stop.send(()).unwrap();
    let (mut closes, mut refusal) = (0, String::new());
    while closes < 50 || refusal.is_empty() {
        let frame = wire.next().await;
        match (frame.kind, frame.stream, &frame.payload[..]) {
            (HEADERS | RST_STREAM, 101, _) | (DATA, _, []) => {}
            (DATA, 101, text) => refusal += str::from_utf8(text).unwrap(),
            (DATA, stream, [0x88, 2, 3, 0xe9]) => {
                if closes == 0 {
                    // No other socket is opened meanwhile.
                    wire.ask(101, "/receive").await;
                }
                closes += 1;
                let end = http2_wire::END_STREAM;
                wire.send(DATA, end, stream, &closed(1001)).await;
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(refusal.contains("the server is shutting down"));
    wire.expect_goaway().await;
    let drained = serving.await.unwrap();
    assert_eq!((drained.closed, drained.aborted), (50, 0));
    assert!(tracker.is_empty());
    assert!(began.elapsed() < Duration::from_secs(10));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_takes_nothing_holds_the_end_up_for_the_deadlines_and_no_longer() {
    let (mut wire, tracker, stop, serving) = drained(&[(INITIAL_WINDOW, 0)]).await;
    for stream in [1, 3, 5] {
        wire.open(stream, "/talk").await;
    }
    let began = Instant::now();
    stop.send(()).unwrap();
    wire.expect_goaway().await;
    let drained = serving.await.unwrap();
    assert_eq!((drained.closed, drained.aborted), (0, 3));
    assert!(tracker.is_empty());
    assert!(began.elapsed() < Duration::from_secs(21));
}

/// The client says all it has to say and resets the stream at once, with whatever code.
#[tokio::test(start_paused = true)]
async fn all_that_a_client_sent_before_it_reset_the_stream_is_received() {
    // NO_ERROR, INTERNAL_ERROR and CANCEL.
    for code in [0, 2, 8] {
        let (tell, mut told) = mpsc::unbounded_channel();
        let service = WebSocketService::new(service_fn(page)).route("/slow", {
            move |mut socket: WebSocket| {
                let tell = tell.clone();
                async move {
                    let mut received = 0;
                    while let Ok(Some(message)) = socket.recv().await {
                        received += 1;
                        let _ = socket.send(message).await;
                        tokio::time::sleep(Duration::from_millis(1)).await;
                    }
                    tell.send((received, socket.close_cause())).unwrap();
                }
            }
        });
        let (mut wire, _serving) = http2_wire::pair(&server(), service, &[]).await;
        wire.open(1, "/slow").await;
        let mut bytes = frame(TEXT, b"text").repeat(1000);
        bytes.extend(closed(1000));
        wire.data(1, &bytes).await;
        wire.reset(1, code).await;
        let expected = CloseCause::Remote(Some(CloseFrame::new(CloseCode::NORMAL, "")));
        assert_eq!(told.recv().await.unwrap(), (1000, Some(expected)), "{code}");
    }
}

pub(crate) async fn until_empty(tracker: &Tracker) {
    while !tracker.is_empty() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}
