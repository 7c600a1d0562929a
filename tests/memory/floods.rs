//! Floods: whatever a peer sends or does not read, a connection takes no more
//! memory than its limits say.

use std::time::Duration;

use hyper::service::service_fn;
use hyper_ws::config::Overflow;
use hyper_ws::hub::Hub;
use hyper_ws::tracker::Tracker;
use hyper_ws::{CloseCode, Config, WebSocket, WebSocketService};
use stats_alloc::Stats;

use crate::support::{Client, Server, close_frame, frame, handshake, header, page, until};
use crate::{ALLOCATOR, Clock, alone, live};

const KIB: usize = 1024;

/// The memory that a connection may take beyond its messages: queues, timers,
/// wakers.
const SMALL: usize = 16 * KIB;

/// Makes round trips on another connection. The server has this one thread, so
/// afterwards it has read everything that had arrived before.
async fn settle(other: &mut Client) {
    for _ in 0..20 {
        other.send(frame(0x89, b"?")).await;
        other.expect(0x8a, "?").await;
    }
}

/// Measures the allocations from [`Meter::start`] on.
struct Meter {
    before: Stats,
    live: usize,
}

impl Meter {
    fn start() -> Self {
        Meter {
            before: ALLOCATOR.stats(),
            live: live(),
        }
    }

    /// Bytes alive beyond those at the start.
    fn grown(&self) -> usize {
        live().saturating_sub(self.live)
    }

    /// Bytes allocated since, whether freed or not.
    fn allocated(&self) -> usize {
        (ALLOCATOR.stats() - self.before).bytes_allocated
    }

    /// The number of allocations since, reallocations included.
    fn allocations(&self) -> usize {
        let stats = ALLOCATOR.stats() - self.before;
        stats.allocations + stats.reallocations
    }
}

/// A server whose pools are filled, and a connection for [`settle`].
async fn warm(config: Config) -> (Server, Client) {
    let server = Server::echo(config).await;
    let mut clients = vec![];
    for _ in 0..8 {
        let mut client = server.open().await;
        client.send(frame(0x82, &[0; 1000])).await;
        client.expect(0x82, [0; 1000]).await;
        clients.push(client);
    }
    let mut other = clients.remove(0);
    settle(&mut other).await;
    (server, other)
}

#[test]
fn a_length_that_is_announced_allocates_nothing() {
    alone(Clock::Real, || async {
        // Lengths that are refused, and allowed ones whose payload never arrives.
        for (limit, announced) in [
            (1 << 20, 1 << 40),
            (1 << 41, 1 << 40),
            (1 << 41, 1 << 20),
            (1 << 20, 1 << 20),
        ] {
            let (server, mut other) = warm(Config::new().max_message_size(limit)).await;
            for first in [0x82, 0x02, 0x81, 0x01] {
                let mut client = server.open().await;
                settle(&mut other).await;
                let meter = Meter::start();
                client.send(header(first, announced)).await;
                settle(&mut other).await;
                assert!(meter.allocated() < 64 * KIB, "{}", meter.allocated());
            }
        }
    });
}

#[test]
fn a_thousand_messages_that_were_announced_and_do_not_come_hold_little() {
    alone(Clock::Real, || async {
        let (server, mut other) = warm(Config::new()).await;
        let mut clients = vec![];
        for _ in 0..200 {
            clients.push(server.open().await);
        }
        settle(&mut other).await;
        let meter = Meter::start();
        let announced = header(0x82, 1 << 20);
        for client in &mut clients {
            client.send(&announced).await;
        }
        settle(&mut other).await;
        let each = meter.grown() / clients.len();
        assert!(each < KIB, "{each}");
        // The same with the first byte of the payload.
        for client in &mut clients {
            client.send(b"x").await;
        }
        settle(&mut other).await;
        let each = meter.grown() / clients.len();
        assert!(each < 8 * KIB, "{each}");
    });
}

#[test]
fn a_message_of_single_bytes_costs_twice_its_bytes_at_most() {
    alone(Clock::Real, || async {
        let limit = 1024 * KIB;
        let (server, mut other) = warm(Config::new().max_message_size(limit)).await;
        let mut client = server.open().await;
        let pieces = frame(0x00, b"x").repeat(1024);
        settle(&mut other).await;
        let meter = Meter::start();
        client.send(frame(0x01, b"")).await;
        for sent in 1..=KIB {
            client.send(&pieces).await;
            if sent % 32 == 0 {
                settle(&mut other).await;
                let (bytes, grown) = (sent * 1024, meter.grown());
                assert!(grown <= 2 * bytes + SMALL, "{grown} for {bytes}");
            }
        }
        // A million fragments need few allocations, in all a small multiple of
        // the bytes: no work is repeated for every fragment.
        assert!(meter.allocations() < 10_000, "{}", meter.allocations());
        assert!(meter.allocated() < 4 * limit, "{}", meter.allocated());
        client.send(frame(0x00, b"x")).await;
        assert_eq!(client.close_code().await, Some(1009));
        settle(&mut other).await;
        assert!(meter.grown() < SMALL, "{}", meter.grown());
    });
}

#[test]
fn fragments_cost_bytes_on_every_one_of_many_sockets() {
    alone(Clock::Real, || async {
        let (server, mut other) = warm(Config::new()).await;
        let mut clients = vec![];
        for _ in 0..100 {
            clients.push(server.open().await);
        }
        settle(&mut other).await;
        let meter = Meter::start();
        let pieces = [frame(0x02, b"x"), frame(0x00, b"x").repeat(9_999)].concat();
        for client in &mut clients {
            client.send(&pieces).await;
        }
        settle(&mut other).await;
        let each = meter.grown() / clients.len();
        assert!(each <= 20_000 + KIB, "{each}");
        drop(clients);
        until("they are gone", || server.tracker.len() < 10).await;
        assert!(meter.grown() < SMALL, "{}", meter.grown());
    });
}

#[test]
fn a_hundred_thousand_fragments_are_appended_and_not_copied_again_and_again() {
    alone(Clock::Real, || async {
        let (server, mut other) = warm(Config::new().max_message_size(8_000_000)).await;
        let mut client = server.open().await;
        let pieces = frame(0x00, &[b'x'; 80]).repeat(500);
        settle(&mut other).await;
        let meter = Meter::start();
        client.send(frame(0x02, b"")).await;
        for _ in 0..200 {
            client.send(&pieces).await;
        }
        settle(&mut other).await;
        assert!(meter.allocated() < 4 * 8_000_000, "{}", meter.allocated());
        client.send(frame(0x00, b"x")).await;
        assert_eq!(client.close_code().await, Some(1009));
    });
}

#[test]
fn pings_of_a_peer_that_does_not_read_cost_nothing() {
    alone(Clock::Real, || async {
        let (server, mut other) = warm(Config::new()).await;
        let mut client = server.connect_narrow().await;
        client.upgrade("/ws").await;
        settle(&mut other).await;
        let payload = [b'p'; 125];
        let flood = frame(0x89, &payload).repeat(100);
        let meter = Meter::start();
        // 100,000 pings, 13 MB; their pongs would be as large.
        for _ in 0..1_000 {
            client.send(&flood).await;
            assert!(meter.grown() < 64 * KIB, "{}", meter.grown());
        }
        client.send(frame(0x89, b"the newest")).await;
        settle(&mut other).await;
        assert!(meter.grown() < 64 * KIB, "{}", meter.grown());
        // When the peer reads at last, it gets few pongs, each whole, the newest last.
        let mut answers = 0;
        loop {
            let frame = client.frame().await.unwrap();
            assert_eq!(frame.first, 0x8a);
            answers += 1;
            if frame.payload == b"the newest" {
                break;
            }
            assert_eq!(frame.payload, payload);
        }
        assert!(answers < 10_000, "{answers}");
    });
}

#[test]
fn a_million_pings_and_pongs_leave_nothing_behind() {
    alone(Clock::Real, || async {
        let (server, mut other) = warm(Config::new()).await;
        for first in [0x89, 0x8a] {
            let mut client = server.connect_narrow().await;
            client.upgrade("/ws").await;
            settle(&mut other).await;
            let flood = frame(first, b"").repeat(10_000);
            let meter = Meter::start();
            for _ in 0..50 {
                client.send(&flood).await;
                assert!(meter.grown() < 64 * KIB, "{}", meter.grown());
            }
            client.send(frame(0x82, b"still there?")).await;
            while client.frame().await.unwrap().payload != b"still there?" {}
            settle(&mut other).await;
            assert!(meter.grown() < SMALL, "{}", meter.grown());
        }
    });
}

/// Sends until the server stops reading; returns how many bytes it took.
async fn send_until_stuck(
    client: &mut Client,
    bytes: &[u8],
    other: &mut Client,
    meter: &Meter,
    bound: usize,
) -> usize {
    let (mut sent, mut stuck) = (0, 0);
    while stuck < 10 {
        match client.io.try_write(&bytes[sent % bytes.len()..]) {
            Ok(count) => (sent, stuck) = (sent + count, 0),
            Err(error) => {
                assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock);
                stuck += 1;
                settle(other).await;
            }
        }
        assert!(meter.grown() < bound, "{} after {sent}", meter.grown());
        assert!(sent < 50_000_000, "it takes everything");
    }
    sent
}

#[test]
fn echoes_that_are_not_read_stop_the_reading_and_none_is_lost() {
    alone(Clock::Real, || async {
        for size in [30, 20_000, 200_000] {
            let (server, mut other) = warm(Config::new()).await;
            let mut client = server.connect_narrow().await;
            client.upgrade("/ws").await;
            settle(&mut other).await;
            let meter = Meter::start();
            let message = frame(0x82, &vec![b'm'; size]);
            // Two output queues, one inbox, a message on either side and in each
            // queue, and the overhead of small messages.
            let bound = 512 * KIB + 5 * size;
            let sent = send_until_stuck(&mut client, &message, &mut other, &meter, bound).await;
            let rest = sent % message.len();
            let whole = sent / message.len();
            for _ in 0..whole {
                let echo = client.frame().await.unwrap();
                assert_eq!((echo.first, echo.payload.len()), (0x82, size));
            }
            if rest > 0 {
                client.send(&message[rest..]).await;
                client.expect(0x82, vec![b'm'; size]).await;
            }
            settle(&mut other).await;
            drop(client);
            drop(server);
        }
    });
}

#[test]
fn a_handler_that_does_not_receive_lets_nothing_pile_up() {
    alone(Clock::Real, || async {
        let tracker = Tracker::new();
        let service = WebSocketService::new(service_fn(page))
            .route("/ws", |socket: WebSocket| async move {
                let _socket = socket;
                std::future::pending::<()>().await;
            })
            .tracker(&tracker);
        let stuck = Server::start(service, tracker).await;
        for size in [0, 1, 100, 20_000, 200_000] {
            let (_server, mut other) = warm(Config::new()).await;
            let mut client = stuck.open().await;
            settle(&mut other).await;
            let meter = Meter::start();
            let message = frame(0x82, &vec![b'm'; size]);
            let bound = 256 * KIB + 2 * size;
            send_until_stuck(&mut client, &message, &mut other, &meter, bound).await;
        }
    });
}

#[test]
fn bytes_after_the_servers_close_frame_are_discarded_at_once() {
    alone(Clock::Real, || async {
        let (_server, mut other) = warm(Config::new()).await;
        let tracker = Tracker::new();
        let service = WebSocketService::new(service_fn(page))
            .route("/ws", |mut socket: WebSocket| async move {
                let _ = socket.recv().await;
                socket.close(CloseCode::NORMAL, "").await;
            })
            .tracker(&tracker);
        let closing = Server::start(service, tracker).await;
        for size in [0, 1, 100, 20_000] {
            let mut client = closing.open().await;
            client.send(frame(0x82, b"go")).await;
            client.expect_close(1000).await;
            settle(&mut other).await;
            let meter = Meter::start();
            // The peer goes on sending instead of answering the close frame.
            let flood = frame(0x82, &vec![b'm'; size]);
            let flood = flood.repeat(200_000 / flood.len());
            for _ in 0..5 {
                client.send(&flood).await;
                let grown = meter.grown().saturating_sub(flood.len());
                assert!(grown < 64 * KIB + size, "{grown}");
            }
            settle(&mut other).await;
            client.send(close_frame(1000, b"")).await;
            client.end().await;
        }
    });
}

#[test]
fn a_large_message_leaves_nothing_behind_on_an_idle_socket() {
    alone(Clock::Real, || async {
        let (server, mut other) = warm(Config::new().max_message_size(4 << 20)).await;
        let payload = vec![b'x'; 4 << 20];
        let message = frame(0x82, &payload);
        let mut clients = vec![];
        for _ in 0..10 {
            clients.push(server.open().await);
        }
        settle(&mut other).await;
        let meter = Meter::start();
        for client in &mut clients {
            let (mut read, mut write) = client.io.split();
            let sending = tokio::io::AsyncWriteExt::write_all(&mut write, &message);
            let mut echo = vec![0; 10 + payload.len()];
            let receiving = tokio::io::AsyncReadExt::read_exact(&mut read, &mut echo);
            let (sent, received) = tokio::join!(sending, receiving);
            sent.unwrap();
            received.unwrap();
            assert!(echo[10..] == payload);
        }
        settle(&mut other).await;
        // The pools of the thread are shared: they do not count for each connection.
        assert!(meter.grown() < 300 * KIB, "{}", meter.grown());
    });
}

#[test]
fn a_slow_member_of_a_room_costs_its_queue_and_delays_no_other_member() {
    alone(Clock::Real, || async {
        for (overflow, lag) in [
            (Overflow::Close, 0),
            (Overflow::Close, 256 * KIB),
            (Overflow::DropNewest, 0),
            (Overflow::DropOldest, 0),
        ] {
            let (_echo, mut other) = warm(Config::new()).await;
            let hub = Hub::new().overflow(overflow).lag_limit(lag);
            let tracker = Tracker::new();
            let joining = hub.clone();
            let service = WebSocketService::new(service_fn(page))
                .route("/ws", move |mut socket: WebSocket| {
                    let room = joining.room("room");
                    async move {
                        room.join(&socket);
                        while let Ok(Some(_)) = socket.recv().await {}
                    }
                })
                .config(
                    Config::new()
                        .close_timeout(Duration::from_millis(100))
                        .write_timeout(Duration::from_millis(500)),
                )
                .tracker(&tracker);
            let server = Server::start(service, tracker).await;
            let room = hub.room("room");
            let mut stalled = server.connect_narrow().await;
            stalled.upgrade("/ws").await;
            let mut healthy = vec![];
            for _ in 0..3 {
                healthy.push(server.open().await);
            }
            until("all have joined", || room.len() == 4).await;
            for size in [100, 20_000] {
                let message = vec![b'm'; size];
                let meter = Meter::start();
                for _ in 0..1_000 {
                    let sent = room.send(&message[..]);
                    assert!(sent.queued >= healthy.len());
                    for client in &mut healthy {
                        client.expect(0x82, &message).await;
                    }
                    // The queue, the batch that is being written, a message in each,
                    // and the buffers of the healthy clients in this process. What is kept for
                    // a member that lags is a payload and a frame.
                    let bound = 2 * 64 * KIB + 2 * size + 256 * KIB + 2 * lag;
                    assert!(
                        meter.grown() < bound,
                        "{overflow:?} {lag} {}",
                        meter.grown()
                    );
                }
            }
            // The client that does not read was disconnected, by overflow or by its
            // deadline.
            until("the slow one is out", || room.len() == healthy.len()).await;
            until("and gone", || server.tracker.len() == healthy.len()).await;
            settle(&mut other).await;
        }
    });
}

#[test]
fn a_head_of_separators_is_read_in_memory_of_its_size() {
    alone(Clock::Real, || async {
        let (server, mut other) = warm(Config::new()).await;
        let mut before = 0;
        for size in [16 * KIB, 32 * KIB, 64 * KIB] {
            for name in ["Sec-WebSocket-Protocol", "Sec-WebSocket-Extensions"] {
                let request = handshake("/ws", &format!("{name}: a{}\r\n", ", ".repeat(size / 2)));
                let mut client = server.connect().await;
                settle(&mut other).await;
                let meter = Meter::start();
                client.send(&request).await;
                assert_eq!(client.answer().await.status, 101);
                let allocated = meter.allocated();
                assert!(allocated < 8 * size + 64 * KIB, "{allocated}");
                before = allocated.max(before);
            }
        }
        assert!(before > 0);
    });
}

#[test]
fn senders_that_stop_waiting_leave_nothing_behind_on_a_socket() {
    alone(Clock::Real, || async {
        let (server, mut senders) = Server::with_senders().await;
        let mut client = server.connect_narrow().await;
        client.upgrade("/ws").await;
        let sender = senders.recv().await.unwrap();
        // The queue is full, the peer does not read.
        while sender.try_send(vec![0; 10_000]).is_ok() {
            tokio::task::yield_now().await;
        }
        let meter = Meter::start();
        for _ in 0..1_000 {
            // Each in a task of its own, as in a server with a task for each message.
            let waiting = sender.clone();
            let task = tokio::spawn(async move {
                tokio::select! {
                    biased;
                    _ = waiting.closed() => {}
                    _ = waiting.send("more") => {}
                    _ = waiting.reserve() => {}
                    _ = waiting.flush() => {}
                    () = tokio::task::yield_now() => {}
                }
            });
            task.await.unwrap();
        }
        assert!(meter.grown() < SMALL, "{}", meter.grown());
    });
}
