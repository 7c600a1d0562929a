//! Messages that are received in chunks, from hostile peers: a connection holds
//! some 64 KiB, whatever the peer sends.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use hyper::service::service_fn;
use hyper_ws::config::Compression;
use hyper_ws::tracker::Tracker;
use hyper_ws::{Config, Error, WebSocket, WebSocketService};
use tokio::io::AsyncWriteExt;
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

use crate::support::{ACCEPT, Client, Server, close_frame, frame, handshake, header, page, until};
use crate::{Clock, alone, live};

const KIB: usize = 1024;

/// The counts of all handlers of a server.
#[derive(Default)]
struct Seen {
    bytes: AtomicUsize,
    chunks: AtomicUsize,
    messages: AtomicUsize,
    largest: AtomicUsize,
    /// Slow handlers wait for this after their first chunk.
    go: Notify,
}

impl Seen {
    fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    fn largest(&self) -> usize {
        self.largest.load(Ordering::Relaxed)
    }

    async fn receive(self: Arc<Self>, mut socket: WebSocket, pace: Pace) -> Result<(), Error> {
        while let Some(mut message) = socket.recv_stream().await? {
            while let Some(chunk) = message.chunk().await? {
                self.chunks.fetch_add(1, Ordering::Relaxed);
                self.bytes.fetch_add(chunk.len(), Ordering::Relaxed);
                self.largest.fetch_max(chunk.len(), Ordering::Relaxed);
                if pace == Pace::Slow {
                    self.go.notified().await;
                }
            }
            self.messages.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Pace {
    Eager,
    Slow,
}

/// A server that receives messages of any size in chunks.
async fn serve(pace: Pace) -> (Server, Arc<Seen>) {
    let seen = Arc::new(Seen::default());
    let tracker = Tracker::new();
    let config = Config::new()
        .max_message_size(usize::MAX)
        .compression(Compression::shared());
    let handler = {
        let seen = seen.clone();
        move |socket| seen.clone().receive(socket, pace)
    };
    let service = WebSocketService::new(service_fn(page))
        .route("/ws", handler)
        .config(config)
        .tracker(&tracker);
    (Server::start(service, tracker).await, seen)
}

/// Sends until the server has not read for a while; returns how many bytes it took.
async fn push(client: &mut Client, bytes: &[u8]) -> usize {
    let mut sent = 0;
    let pause = Duration::from_millis(200);
    while sent < bytes.len() {
        match timeout(pause, client.io.write(&bytes[sent..])).await {
            Ok(count) => sent += count.unwrap(),
            Err(_) => break,
        }
    }
    sent
}

#[test]
fn endless_fragments_hold_nothing_of_what_has_been_received() {
    alone(Clock::Real, || async {
        let (server, seen) = serve(Pace::Eager).await;
        let mut client = server.open().await;
        for (at, size) in [1, 100, 5_000, 100_000].into_iter().enumerate() {
            let first = if at == 0 { 0x02 } else { 0x00 };
            client.send(frame(first, b"x")).await;
            let piece = frame(0x00, &vec![7; size]);
            let pieces = piece.repeat((256 * KIB / piece.len()).max(1));
            let before = (live(), seen.bytes());
            let mut most = 0;
            for sent in 1..=12 {
                client.send(&pieces).await;
                let expected = before.1 + sent * pieces.len() / piece.len() * size;
                until("it is received", || {
                    most = most.max(live());
                    seen.bytes() >= expected
                })
                .await;
            }
            let grown = most.saturating_sub(before.0);
            assert!(grown < 400 * KIB, "{grown} bytes, fragments of {size}");
        }
        assert_eq!(seen.messages.load(Ordering::Relaxed), 0);
        // A chunk is the result of a read, not a whole frame.
        let chunks = seen.chunks.load(Ordering::Relaxed);
        assert!(chunks < seen.bytes() / KIB, "{chunks} chunks");
    });
}

#[test]
fn a_frame_without_an_end_holds_64_kib_while_the_handler_is_slow() {
    alone(Clock::Real, || async {
        let (server, seen) = serve(Pace::Slow).await;
        let mut clients = vec![];
        for _ in 0..8 {
            clients.push(server.open().await);
        }
        let payload = vec![7; 16 * 1024 * KIB];
        let before = live();
        for client in &mut clients {
            client.send(header(0x82, 1 << 40)).await;
            let sent = push(client, &payload).await;
            assert!(sent < payload.len(), "all of it was read");
        }
        let each = live().saturating_sub(before) / clients.len();
        assert!(each < 160 * KIB, "{each} bytes a connection");
        assert!(seen.bytes() < 8 * 150 * KIB, "{}", seen.bytes());
        // The handler gets all that was read ahead when it asks for it.
        let had = seen.bytes();
        for _ in 0..200 {
            seen.go.notify_waiters();
            sleep(Duration::from_millis(1)).await;
        }
        assert!(seen.bytes() > had + 8 * 64 * KIB, "{}", seen.bytes());
    });
}

#[test]
fn empty_fragments_end_the_connection_and_pings_between_fragments_do_not() {
    alone(Clock::Real, || async {
        let (server, seen) = serve(Pace::Eager).await;
        let mut client = server.open().await;
        client.send(frame(0x02, b"x")).await;
        client.send(frame(0x00, b"").repeat(1025)).await;
        assert_eq!(client.close_code().await, Some(1008));
        assert_eq!(seen.messages.load(Ordering::Relaxed), 0);
        drop(client);

        let mut client = server.open().await;
        let before = (live(), seen.bytes());
        client.send(frame(0x02, b"")).await;
        let pieces = [frame(0x89, b"?"), frame(0x00, b"x")].concat().repeat(100);
        for sent in 1..=200 {
            client.send(&pieces).await;
            // At least the newest ping of each flood is answered.
            client.expect(0x8a, "?").await;
            until("it is received", || seen.bytes() >= before.1 + sent * 100).await;
        }
        client.send(frame(0x80, b"")).await;
        let grown = live().saturating_sub(before.0);
        assert!(grown < 300 * KIB, "{grown}");
        until("the message has ended", || {
            seen.messages.load(Ordering::Relaxed) == 1
        })
        .await;
        client.send(close_frame(1000, b"")).await;
        assert_eq!(client.close_code().await, Some(1000));
        drop(client);
        server.emptied().await;
    });
}

/// Zeros, compressed by hand: one literal, then matches of 258 bytes at distance
/// 1, in a block with fixed codes (RFC 1951, section 3.2.6), which take 13 bits.
fn bomb(matches: usize) -> Vec<u8> {
    let (mut bytes, mut used) = (vec![], 0);
    let mut bit = |bit: u8| {
        if used % 8 == 0 {
            bytes.push(0);
        }
        *bytes.last_mut().unwrap() |= bit << (used % 8);
        used += 1;
    };
    let mut code = |code: u16, length: u32| {
        for at in (0..length).rev() {
            bit((code >> at & 1) as u8);
        }
    };
    // A block that is not the last, with fixed codes; the literal 0.
    code(0b010, 3);
    code(0b0011_0000, 8);
    for _ in 0..matches {
        code(0b1100_0101, 8);
        code(0, 5);
    }
    // The end of the block, and the header of an empty one that was cut off
    // (RFC 7692, section 7.2.1).
    code(0, 7);
    code(0, 3);
    bytes
}

#[test]
fn a_bomb_is_decompressed_as_far_as_it_is_received() {
    alone(Clock::Real, || async {
        let length = 1 + 258 * 100_000;
        for pace in [Pace::Eager, Pace::Slow] {
            let (server, seen) = serve(pace).await;
            let mut client = server.connect().await;
            let offer = "Sec-WebSocket-Extensions: permessage-deflate\r\n";
            client.send(handshake("/ws", offer)).await;
            let answer = client.answer().await;
            assert_eq!(answer.header("sec-websocket-accept"), Some(ACCEPT));
            assert!(answer.head.contains("permessage-deflate"), "{answer:?}");
            let bomb = frame(0xc2, &bomb(100_000));
            let (before, mut most) = (live(), 0);
            client.send(&bomb[..bomb.len() / 2]).await;
            let rest = tokio::spawn(async move {
                client.send(&bomb[bomb.len() / 2..]).await;
                client
            });
            if pace == Pace::Slow {
                sleep(Duration::from_millis(100)).await;
                assert_eq!(seen.chunks.load(Ordering::Relaxed), 1);
                let grown = live().saturating_sub(before);
                assert!(grown < 1500 * KIB, "{grown}");
            }
            until("it is received", || {
                seen.go.notify_waiters();
                most = most.max(live());
                seen.messages.load(Ordering::Relaxed) == 1
            })
            .await;
            assert_eq!(seen.bytes(), length);
            assert!(seen.largest() < 400 * KIB, "{}", seen.largest());
            let grown = most.saturating_sub(before);
            assert!(grown < 2000 * KIB, "{grown}");
            drop(rest.await.unwrap());
        }
    });
}
