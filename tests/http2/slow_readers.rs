//! Clients that open their window late, little by little, or not at all.

use std::time::Duration;

use hyper::service::service_fn;
use hyper_ws::error::{CloseCause, ErrorKind};
use hyper_ws::tracker::Tracker;
use hyper_ws::{Config, WebSocket, WebSocketService};

use super::lifecycle::{Connection, closed, unmasked, until_empty};
use crate::support::http2::{page, server};
use crate::support::http2_wire::{self, DATA, INITIAL_WINDOW, Wire};
use crate::support::{CLOSE, TEXT, frame};

#[tokio::test(start_paused = true)]
async fn a_window_that_never_opens_ends_in_the_write_timeout() {
    let config = Config::new().no_keep_alive();
    let mut connection = Connection::with(config, &[(INITIAL_WINDOW, 0)]).await;
    connection.wire.open(1, "/talk").await;
    let end = (Err(ErrorKind::WriteTimeout), CloseCause::WriteTimeout);
    assert_eq!(connection.end().await, end);
    connection.gone().await;
    // Other sockets on the same connection are not affected.
    let wire = &mut connection.wire;
    wire.ask(3, "/echo").await;
    wire.accepted(3).await;
    wire.window(3, 100).await;
    wire.data(3, &frame(TEXT, b"hello")).await;
    assert_eq!(wire.bytes(3, 7).await, unmasked(TEXT, b"hello"));
}

#[tokio::test(start_paused = true)]
async fn a_window_that_opens_late_and_little_by_little_is_enough() {
    let mut connection = Connection::with(Config::new(), &[(INITIAL_WINDOW, 0)]).await;
    let wire = &mut connection.wire;
    wire.open(1, "/echo").await;
    let message = vec![b'.'; 120];
    wire.data(1, &frame(TEXT, &message)).await;
    wire.settle().await;
    let mut echoed = Vec::new();
    for _ in 0..122 {
        tokio::time::sleep(Duration::from_millis(100)).await;
        wire.window(1, 1).await;
        let byte = wire.next().await;
        assert_eq!((byte.kind, byte.payload.len()), (DATA, 1));
        echoed.extend(byte.payload);
    }
    assert_eq!(echoed, unmasked(TEXT, &message));
}

/// Reads so many bytes, by `rate` bytes a second, which is also the window of the stream.
async fn read_steadily(wire: &mut Wire, rate: u32, count: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    // Granted at once, not frame by frame: the frames would get smaller and smaller.
    let mut taken = 0;
    while bytes.len() < count {
        let frame = wire.next().await;
        let read = bytes.len();
        assert_eq!((frame.kind, frame.is_end()), (DATA, false), "{read}");
        taken += frame.payload.len() as u32;
        bytes.extend(frame.payload);
        if taken >= rate {
            tokio::time::sleep(Duration::from_secs(1)).await;
            wire.window(0, taken).await;
            wire.window(1, taken).await;
            taken = 0;
        }
    }
    assert_eq!(bytes.len(), count);
    bytes
}

/// A client that opens its window once a second reads all that was queued before the server
/// closed.
#[tokio::test(start_paused = true)]
async fn output_that_was_queued_before_a_close_is_written_as_long_as_the_client_reads() {
    const MESSAGE: usize = 1_000_000;
    const RATE: u32 = 20_000;
    let tracker = Tracker::new();
    let service = WebSocketService::new(service_fn(page))
        .route("/once", async |mut socket: WebSocket| {
            socket.send(vec![7; MESSAGE]).await
        })
        .config(Config::new().no_keep_alive())
        .tracker(&tracker);
    let settings = [(INITIAL_WINDOW, RATE)];
    let (mut wire, _serving) = http2_wire::pair(&server(), service, &settings).await;
    wire.open(1, "/once").await;
    let bytes = read_steadily(&mut wire, RATE, 10 + MESSAGE + 4).await;
    assert!(bytes.ends_with(&unmasked(CLOSE, &[3, 232])));
    wire.data(1, &closed(1000)).await;
    wire.ended(1).await;
    wire.end(1).await;
    wire.settle().await;
    until_empty(&tracker).await;
}

/// Progress is seen with each write that hyper takes. So no write may be so large that a client
/// which reads 1,100 bytes a second, as the docs of `write_timeout` say, needs 30 s for it.
#[tokio::test(start_paused = true)]
async fn a_client_that_reads_slowly_and_steadily_meets_the_write_deadline() {
    const MESSAGE: usize = 300_000;
    const RATE: u32 = 1_100;
    let service = WebSocketService::new(service_fn(page))
        .route("/once", async |mut socket: WebSocket| {
            socket.send(vec![7; MESSAGE]).await?;
            socket.recv().await.map(drop)
        })
        .config(Config::new().no_keep_alive());
    let settings = [(INITIAL_WINDOW, RATE)];
    let (mut wire, _serving) = http2_wire::pair(&server(), service, &settings).await;
    wire.open(1, "/once").await;
    read_steadily(&mut wire, RATE, 10 + MESSAGE).await;
}
