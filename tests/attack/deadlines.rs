//! Peers that are slow, that are silent or that do not read, on a paused clock:
//! each of these has a deadline.

use std::time::Duration;

use hyper::service::service_fn;
use hyper_ws::error::{CloseCause, ErrorKind};
use hyper_ws::tracker::Tracker;
use hyper_ws::{CloseCode, Config, WebSocket, WebSocketService};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};

use crate::support::{Client, close_frame, frame, header, page, pipe, piped};

const BUFFER: usize = 64 * 1024;

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

/// Waits for the end of every socket; returns how long that took.
async fn ended(tracker: &Tracker, since: Instant) -> Duration {
    while !tracker.is_empty() {
        sleep(seconds(1)).await;
        assert!(since.elapsed() < seconds(1_000), "it is held for ever");
    }
    since.elapsed()
}

/// Sends byte after byte, with a pause, until the server has closed.
async fn drip(client: &mut Client<DuplexStream>, bytes: &[u8], pause: Duration) {
    for byte in bytes {
        if client.io.write_all(&[*byte]).await.is_err() {
            return;
        }
        sleep(pause).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_frame_that_drips_does_not_keep_its_connection_alive() {
    let dripping = [
        (frame(0x81, &[b'a'; 100]), 1008),
        // No pong could come within either of these, so no ping is sent first.
        (frame(0x89, &[b'a'; 100]), 1011),
        (close_frame(1000, &[b'a'; 100]), 1011),
        (header(0x82, 1 << 20), 1011),
    ];
    for (bytes, code) in dripping {
        for pause in [1, 20] {
            let (mut client, tracker) = piped(Config::new(), BUFFER);
            client.upgrade("/ws").await;
            let began = Instant::now();
            let endless: Vec<_> = bytes.iter().copied().cycle().take(1_000).collect();
            drip(&mut client, &endless, seconds(pause)).await;
            // A minute for the message, ten seconds for the closing handshake.
            let took = ended(&tracker, began).await;
            assert!(took <= seconds(60 + 10 + 2 * pause), "{took:?}");
        }
        let (mut client, tracker) = piped(Config::new(), BUFFER);
        client.upgrade("/ws").await;
        let began = Instant::now();
        client.send(&bytes[..bytes.len() - 2]).await;
        assert_eq!(client.close_code().await, Some(code), "{bytes:x?}");
        assert!(ended(&tracker, began).await <= seconds(75));
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_whose_fragments_drip_is_cut_off_although_every_frame_is_whole() {
    let (mut client, tracker) = piped(Config::new(), BUFFER);
    client.upgrade("/ws").await;
    let began = Instant::now();
    client.send(frame(0x01, b"a")).await;
    let mut code = None;
    while code.is_none() && began.elapsed() < seconds(1_000) {
        let _ = client.io.write_all(&frame(0x00, b"a")).await;
        let _ = client.io.write_all(&frame(0x89, b"p")).await;
        sleep(seconds(1)).await;
        while let Ok(Some(frame)) = tokio::time::timeout(Duration::ZERO, client.frame()).await {
            code = code.or(frame.close_code());
        }
    }
    assert_eq!(code, Some(1008));
    assert!(ended(&tracker, began).await <= seconds(75));
}

#[tokio::test(start_paused = true)]
async fn a_frame_that_begins_behind_a_full_inbox_has_a_deadline_too() {
    // One segment holds as many messages as are read ahead, and the beginning of
    // one that is never completed.
    let (mut client, tracker) = piped(Config::new(), BUFFER);
    client.upgrade("/ws").await;
    let began = Instant::now();
    let start = &frame(0x82, &[0; 100])[..20];
    client
        .send([&frame(0x82, b"x").repeat(64)[..], start].concat())
        .await;
    for _ in 0..64 {
        client.expect(0x82, "x").await;
    }
    assert_eq!(client.close_code().await, Some(1008));
    assert!(ended(&tracker, began).await <= seconds(75));
}

#[tokio::test(start_paused = true)]
async fn a_pong_behind_a_full_inbox_is_an_answer_too() {
    let (mut client, tracker) = piped(Config::new(), BUFFER);
    client.upgrade("/ws").await;
    for _ in 0..10 {
        let ping = client.frame().await.unwrap();
        assert_eq!(ping.first, 0x89, "{ping:x?}");
        let pong = frame(0x8a, &ping.payload);
        client
            .send([&frame(0x82, b"x").repeat(64)[..], &pong].concat())
            .await;
        for _ in 0..64 {
            client.expect(0x82, "x").await;
        }
    }
    assert_eq!(tracker.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_has_vanished_is_found_by_a_ping() {
    let (mut client, tracker) = piped(Config::new(), BUFFER);
    client.upgrade("/ws").await;
    let began = Instant::now();
    // The peer neither sends nor closes: the pipe stays open.
    let took = ended(&tracker, began).await;
    assert!(took <= seconds(25 + 3 + 20 + 2), "{took:?}");
    assert_eq!(client.frame().await.unwrap().first, 0x89);
    assert_eq!(client.close_code().await, Some(1011));
}

#[tokio::test(start_paused = true)]
async fn any_frame_shows_that_the_peer_is_there() {
    let (mut client, tracker) = piped(Config::new(), BUFFER);
    client.upgrade("/ws").await;
    for _ in 0..100 {
        client.send(frame(0x8a, b"unsolicited")).await;
        sleep(seconds(10)).await;
    }
    assert_eq!(tracker.len(), 1);
}

/// How a conversation ended: its cause, and the result of `recv`.
type Report = (Option<CloseCause>, Option<ErrorKind>);

/// A server that sends without end, and reports how the conversation ended.
fn reporting(
    config: Config,
    buffer: usize,
    size: usize,
) -> (
    Client<DuplexStream>,
    Tracker,
    mpsc::UnboundedReceiver<Report>,
) {
    let (report, reports) = mpsc::unbounded_channel();
    let tracker = Tracker::new();
    let service = WebSocketService::new(service_fn(page))
        .route("/ws", move |mut socket: WebSocket| {
            let report = report.clone();
            async move {
                let kind = loop {
                    if socket.send(vec![7; size]).await.is_err() {
                        break socket.recv().await.err().map(|error| error.kind());
                    }
                };
                let _ = report.send((socket.close_cause(), kind));
            }
        })
        .config(config)
        .tracker(&tracker);
    (pipe(service, buffer), tracker, reports)
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_does_not_read_is_disconnected_when_no_byte_moves() {
    for size in [10, 1_000, 100_000] {
        let (mut client, tracker, mut reports) = reporting(Config::new(), 1024, size);
        client.upgrade("/ws").await;
        let began = Instant::now();
        let took = ended(&tracker, began).await;
        assert!(took <= seconds(32), "{took:?}");
        let report = reports.recv().await.unwrap();
        let expected = (
            Some(CloseCause::WriteTimeout),
            Some(ErrorKind::WriteTimeout),
        );
        assert_eq!(report, expected);
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_sends_and_does_not_read_is_disconnected_however_much_it_sends() {
    for flood in [frame(0x89, &[0; 100]), frame(0x82, &[0; 100])] {
        let (mut client, tracker) = piped(Config::new(), 1024);
        client.upgrade("/ws").await;
        let began = Instant::now();
        // Pings that want answers and messages that want echoes: one a second, as
        // long as there is room.
        while !tracker.is_empty() {
            let sending = client.io.write_all(&flood);
            let _ = tokio::time::timeout(seconds(1), sending).await;
            sleep(seconds(1)).await;
            assert!(began.elapsed() < seconds(200), "it is held for ever");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_violation_whose_answer_is_not_read_has_a_deadline() {
    let (mut client, tracker) = piped(Config::new(), 256);
    client.upgrade("/ws").await;
    let began = Instant::now();
    // The echo fills the pipe, so the close frame does not fit any more.
    client.send(frame(0x82, &[0; 200])).await;
    client.send(frame(0x82, &[0; 120])).await;
    client.send(frame(0x83, b"")).await;
    // The write deadline: it may be a slow reader.
    let took = ended(&tracker, began).await;
    assert!(took <= seconds(32), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_close_frame_that_is_never_answered_is_waited_for_no_longer_than_its_deadline() {
    let tracker = Tracker::new();
    let (tell, mut causes) = mpsc::unbounded_channel();
    let service = WebSocketService::new(service_fn(page))
        .route("/ws", move |mut socket: WebSocket| {
            let tell = tell.clone();
            async move {
                socket.close(CloseCode::GOING_AWAY, "bye").await;
                tell.send(socket.close_cause()).unwrap();
            }
        })
        .tracker(&tracker);
    // The peer is silent, or floods the server with anything but the answer.
    for flood in [&b""[..], &frame(0x81, b"no"), &frame(0x89, b"no")] {
        let mut client = pipe(service.clone(), BUFFER);
        client.upgrade("/ws").await;
        client.expect_close(1001).await;
        let began = Instant::now();
        while !tracker.is_empty() {
            let _ = client.io.write_all(flood).await;
            sleep(seconds(1)).await;
            assert!(began.elapsed() < seconds(15), "it is held for ever");
        }
        let expected = CloseCause::Local(CloseCode::GOING_AWAY);
        assert_eq!(causes.recv().await, Some(Some(expected)));
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_closes_and_keeps_its_tcp_connection_is_disconnected() {
    let (mut client, tracker) = piped(Config::new(), BUFFER);
    client.upgrade("/ws").await;
    client.send(close_frame(1000, b"")).await;
    client.expect_close(1000).await;
    client.end().await;
    let began = Instant::now();
    let took = ended(&tracker, began).await;
    assert!(took <= seconds(12), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_reads_slowly_stays_connected() {
    let (mut client, tracker, mut reports) = reporting(Config::new().no_keep_alive(), 1024, 100);
    client.upgrade("/ws").await;
    let mut some = [0; 512];
    for _ in 0..20 {
        sleep(seconds(25)).await;
        assert!(client.io.read(&mut some).await.unwrap() > 0);
        assert_eq!(tracker.len(), 1);
    }
    assert!(reports.try_recv().is_err());
}

#[tokio::test(start_paused = true)]
async fn the_longest_timeouts_never_come() {
    let day = seconds(24 * 60 * 60);
    let config = Config::new()
        .keep_alive(Duration::MAX, Duration::MAX)
        .message_timeout(Duration::MAX)
        .write_timeout(Duration::MAX)
        .close_timeout(Duration::MAX);
    let (mut client, tracker) = piped(config, 1024);
    client.upgrade("/ws").await;
    // Half a message, output that waits, and a close frame that is not answered.
    let (begin, end) = (&frame(0x01, b"a"), &frame(0x80, b"b"));
    client.send(begin).await;
    sleep(10 * day).await;
    client.send(end).await;
    client.expect(0x81, "ab").await;
    sleep(10 * day).await;
    client.send(frame(0x82, &[0; 10_000])).await;
    sleep(10 * day).await;
    client.expect(0x82, [0; 10_000]).await;
    client.send(frame(0x83, b"")).await;
    client.expect_close(1002).await;
    assert_eq!(tracker.len(), 1);
}

/// The shortest interval that is taken: a thousand pings a second, while they are
/// answered, and no busy loop.
#[tokio::test(start_paused = true)]
async fn the_shortest_keep_alive_pings_a_thousand_times_a_second() {
    let millisecond = Duration::from_millis(1);
    let (mut client, _tracker) = piped(Config::new().keep_alive(millisecond, seconds(1)), 1024);
    client.upgrade("/ws").await;
    let began = Instant::now();
    for _ in 0..100 {
        let ping = client.frame().await.unwrap();
        assert_eq!(ping.first, 0x89);
        client.send(frame(0x8a, &ping.payload)).await;
    }
    // An interval is drawn, up to ten percent shorter or longer, and whole milliseconds.
    assert!(began.elapsed() >= 10 * millisecond, "{:?}", began.elapsed());
}
