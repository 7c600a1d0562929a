//! Backpressure on streams of HTTP/2. A peer that does not read costs no more than
//! the limits say; a handler that does not receive delays its own peer alone; and
//! frames of RFC 6455 may be cut anywhere by DATA frames.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use hyper::service::service_fn;
use hyper_ws::{Config, Error, WebSocket, WebSocketService};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Semaphore;

use crate::support::http2::{Connection, page, serve, server};
use crate::support::http2_wire::{self, DATA, INITIAL_WINDOW, Wire};
use crate::support::{BINARY, TEXT, echo, frame};
use crate::{Clock, alone, live};

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

/// A connection to a server with `/echo`; with `/talk` and `/shout`, which send
/// without end; and with `/busy`, which receives only when `free` has a permit.
async fn begin(settings: &[(u16, u32)], free: &Arc<Semaphore>) -> Wire {
    let free = Arc::clone(free);
    let service = WebSocketService::new(service_fn(page))
        .config(Config::new().no_keep_alive().write_timeout(None))
        .route("/echo", echo)
        .route("/talk", |socket| talk(socket, 1000))
        .route("/shout", |socket| talk(socket, MIB))
        .route("/busy", move |socket| {
            let free = Arc::clone(&free);
            async move {
                let _permit = free.acquire().await;
                echo(socket).await
            }
        });
    http2_wire::pair(&server(), service, settings).await.0
}

async fn talk(mut socket: WebSocket, length: usize) -> Result<(), Error> {
    let message = bytes::Bytes::from(vec![b'.'; length]);
    loop {
        socket.send(message.clone()).await?;
    }
}

fn no_permits() -> Arc<Semaphore> {
    Arc::new(Semaphore::new(0))
}

/// The largest window there is (RFC 9113, section 6.9.1).
const WIDE: u32 = (1 << 31) - 1;

/// The memory of a socket whose peer takes nothing, beyond the message that is
/// being sent: a batch that is being written, one that is queued, and the part
/// that hyper has accepted.
const QUEUED: usize = 2 * 128 * KIB;
const ACCEPTED: usize = 3 * 32 * KIB;
/// The bytes that h2 buffers for a stream whose window is open, as set by [`server`].
const BUFFERED: usize = 64 * KIB + 32 * KIB;
const SMALL: usize = 8 * KIB;

/// The memory, in bytes, of each of ten sockets that send as fast as they may to a
/// client that takes nothing.
fn untaken(path: &'static str, window: u32) -> usize {
    let cost = Arc::new(Mutex::new(0));
    let measured = Arc::clone(&cost);
    alone(Clock::Paused, move || async move {
        let mut wire = begin(&[(INITIAL_WINDOW, window)], &no_permits()).await;
        wire.window(0, WIDE - 65_535).await;
        wire.open(1, "/echo").await;
        wire.settle().await;
        let before = live();
        for stream in 1..=10 {
            wire.ask(2 * stream + 1, path).await;
        }
        // Nothing is read from here on, and the paused clock moves on when every
        // task waits.
        tokio::time::sleep(Duration::from_secs(60)).await;
        *measured.lock().unwrap() = (live() - before) / 10;
    });
    let cost = *cost.lock().unwrap();
    println!("{path}, window of {window}: {} KiB", cost / KIB);
    cost
}

#[test]
fn a_window_that_stays_shut_costs_what_the_limits_say() {
    assert!(untaken("/talk", 0) < QUEUED + ACCEPTED + SMALL);
    assert!(untaken("/shout", 0) < MIB + ACCEPTED + SMALL);
}

#[test]
fn an_open_window_to_a_client_that_does_not_read_costs_what_the_limits_say() {
    assert!(untaken("/talk", WIDE) < QUEUED + ACCEPTED + BUFFERED + SMALL);
    assert!(untaken("/shout", WIDE) < MIB + ACCEPTED + BUFFERED + SMALL);
}

#[test]
fn a_busy_handler_takes_no_more_than_the_window_of_its_stream() {
    alone(Clock::Paused, || async {
        let free = no_permits();
        let mut wire = begin(&[(INITIAL_WINDOW, WIDE)], &free).await;
        wire.open(1, "/busy").await;
        wire.open(3, "/echo").await;
        wire.settle().await;
        let before = live();
        // A stream may send 64 KiB, whatever the window of the connection is.
        let message = frame(BINARY, &[0; 1000]);
        let mut sent = 0;
        while sent + message.len() <= 64 * KIB {
            wire.data(1, &message).await;
            sent += message.len();
        }
        wire.settle().await;
        let mut granted = wire.granted(1);
        // The window reopens by as much as the driver has read ahead.
        while granted >= message.len() {
            wire.data(1, &message).await;
            granted -= message.len();
            wire.settle().await;
            granted += wire.granted(1);
            sent += message.len();
        }
        println!(
            "{} KiB sent, {} KiB held",
            sent / KIB,
            (live() - before) / KIB
        );
        assert!(sent < 64 * KIB + 64 * KIB + 16 * KIB, "{sent}");
        assert!(live() - before < 2 * sent, "{}", live() - before);

        // Other sockets do not wait for it ...
        wire.data(3, &frame(TEXT, b"hello")).await;
        assert_eq!(wire.bytes(3, 7).await[2..], *b"hello");
        // ... and nothing is lost.
        free.add_permits(1);
        wire.window(0, WIDE - 65_535).await;
        let echoed = wire.bytes(1, sent / message.len() * 1004).await;
        assert_eq!(echoed[..4], [0x82, 126, 3, 232]);
    });
}

/// h2 counts the unread small DATA frames of all streams of a connection, and ends
/// the connection when they are too many (its advisory GHSA-q83h-524g-xf6h). The
/// limit follows from the connection's window, so README's window is much wider
/// than a stream's.
#[test]
fn small_messages_to_busy_handlers_do_not_cost_the_connection() {
    alone(Clock::Paused, || async {
        let free = no_permits();
        let mut wire = begin(&[(INITIAL_WINDOW, WIDE)], &free).await;
        wire.window(0, WIDE - 65_535).await;
        let message = frame(TEXT, b"twenty bytes of text");
        let count = 64 * KIB / message.len();
        for stream in [1, 3, 5, 7, 9] {
            wire.open(stream, "/busy").await;
            for _ in 0..count {
                wire.data(stream, &message).await;
            }
            wire.settle().await;
        }
        wire.open(11, "/echo").await;
        wire.data(11, &message).await;
        assert_eq!(wire.bytes(11, 22).await[2..], *b"twenty bytes of text");
        free.add_permits(5);
        let mut echoed = 0;
        while echoed < 5 * count * 22 {
            let frame = wire.next().await;
            assert_eq!(frame.kind, DATA, "{frame:?}");
            echoed += frame.payload.len();
        }
    });
}

#[test]
fn a_frame_may_come_in_as_many_data_frames_as_it_has_bytes() {
    alone(Clock::Paused, || async {
        let mut wire = begin(&[(INITIAL_WINDOW, WIDE)], &no_permits()).await;
        wire.open(1, "/echo").await;
        for payload in [&b""[..], b"h", &[b'.'; 125], &[b'.'; 126], &[b'.'; 3000]] {
            for byte in frame(TEXT, payload) {
                wire.data(1, &[byte]).await;
            }
            let head = match payload.len() {
                0..=125 => 2,
                _ => 4,
            };
            let echoed = wire.bytes(1, head + payload.len()).await;
            assert_eq!(echoed[head..], *payload);
        }
    });
}

#[test]
fn padding_is_not_part_of_a_frame() {
    alone(Clock::Paused, || async {
        const PADDED: u8 = 8;
        let mut wire = begin(&[(INITIAL_WINDOW, WIDE)], &no_permits()).await;
        wire.open(1, "/echo").await;
        for byte in frame(TEXT, b"hello") {
            wire.send(DATA, PADDED, 1, &[3, byte, 0, 0, 0]).await;
        }
        assert_eq!(wire.bytes(1, 7).await[2..], *b"hello");
    });
}

/// Many DATA frames for a frame, both ways at once.
#[test]
fn a_large_message_is_echoed_whole() {
    alone(Clock::Real, || async {
        let config = Config::new().max_message_size(2 * MIB);
        let service = WebSocketService::new(service_fn(page))
            .route("/ws", echo)
            .config(config);
        let mut connection = Connection::open(serve(server(), service).await).await;
        let socket = connection.socket("/ws").await;
        let (mut read, mut write) = tokio::io::split(socket.io);
        for length in [16 * KIB, 64 * KIB, 2 * MIB] {
            let payload: Vec<u8> = (0..length).map(|at| (at % 251) as u8).collect();
            // A mask of zeros leaves the payload as it is.
            let mut message = match u16::try_from(length) {
                Ok(length) => [&[0x82, 0xfe], &length.to_be_bytes()[..]].concat(),
                Err(_) => [&[0x82, 0xff], &(length as u64).to_be_bytes()[..]].concat(),
            };
            let head = message.len();
            message.extend([0; 4]);
            message.extend(&payload);
            let writing = async {
                write.write_all(&message).await.unwrap();
            };
            let reading = async {
                let mut echoed = vec![0; head + length];
                read.read_exact(&mut echoed).await.unwrap();
                assert!(echoed[head..] == payload, "{length}");
            };
            tokio::join!(writing, reading);
        }
    });
}

/// A page with all its sockets and requests on one connection.
#[test]
fn a_hundred_sockets_and_requests_between_them_share_a_connection() {
    alone(Clock::Real, || async {
        let service = WebSocketService::new(service_fn(page)).route("/ws", echo);
        let mut connection = Connection::open(serve(server(), service).await).await;
        let mut sockets = Vec::new();
        for number in 0..100 {
            sockets.push(connection.socket("/ws").await);
            let path = format!("/page/{number}");
            assert_eq!(connection.get(&path).await.1, format!("GET {path}"));
        }
        for round in 0..10 {
            for (number, socket) in sockets.iter_mut().enumerate() {
                let text = format!("{round} {number}");
                socket.send(frame(TEXT, text.as_bytes())).await;
            }
            assert_eq!(connection.get("/between").await.1, "GET /between");
            for (number, socket) in sockets.iter_mut().enumerate() {
                let text = format!("{round} {number}");
                socket.expect(TEXT, text.into_bytes()).await;
            }
        }
        for socket in sockets {
            socket.close().await;
        }
        assert_eq!(connection.get("/after").await.1, "GET /after");
    });
}
