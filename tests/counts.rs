//! A program of its own, because it counts allocations by an allocator of its own.
//!
//! It checks the promises that are numbers: allocations, reads and writes for each
//! message, memory after many connections, and how a drain ends. Allocations are
//! counted for the current thread, so the server and its client run on two. With
//! 200,000 connections instead of 5,000:
//!
//!     cargo test --test counts -- --ignored

mod support;

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::io::{self, IoSlice, Read, Write};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::task::{Context, Poll};
use std::thread;
use std::time::Duration;

use allocation_counter::measure;
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::Service;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_ws::hub::Hub;
use hyper_ws::tracker::Tracker;
use hyper_ws::{CloseCode, WebSocket, WebSocketService};
use support::{BINARY, CLOSE, echo, frame, handshake};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::mpsc::unbounded_channel;
use tokio::sync::oneshot;
use tokio::task::{JoinSet, yield_now};
use tokio::time::Instant;

#[test]
fn an_echo_allocates_nothing_but_the_payload_and_not_even_that_if_it_is_small() {
    for (size, each) in [(20, 0), (1024, 1)] {
        for in_flight in [1, 16] {
            let load = Load::echo(in_flight, size);
            let most = each * ROUNDS * in_flight as u64 + CONSTANT;
            let plain = converse(&load, echo, |stream, _| stream);
            // Behind an IO that is not TCP, such as TLS.
            let other = converse(&load, echo, Counting::new);
            for measured in [plain, other] {
                assert!(
                    measured.allocations <= most,
                    "{size} bytes, {in_flight} in flight: {measured:?}"
                );
            }
        }
    }
}

#[test]
fn a_message_costs_one_read_and_one_write_and_sixteen_cost_no_more() {
    for size in [20, 1024] {
        for in_flight in [1, 16] {
            let measured = converse(&Load::echo(in_flight, size), echo, Counting::new);
            let messages = (ROUNDS * in_flight as u64) as f64;
            let most = if in_flight == 1 { 1.02 } else { 0.07 };
            for (what, count) in [("reads", measured.reads), ("writes", measured.writes)] {
                let each = count as f64 / messages;
                assert!(
                    each <= most,
                    "{each} {what} for a message of {size} bytes, {in_flight} in flight: {measured:?}"
                );
            }
            // A second read would be no system call (tokio remembers a read that
            // did not fill the buffer), but it is not free either.
            let looks = measured.empty_reads as f64 / messages;
            assert!(looks <= most, "{looks} reads without a byte: {measured:?}");
            assert_eq!(measured.blocked_writes, 0);
        }
    }
}

#[test]
fn messages_sent_within_one_poll_leave_in_one_write() {
    let answers = 10;
    let load = Load {
        request: frame(BINARY, b"go"),
        reply: [0x82, 3, b'a', b'b', b'c'].repeat(answers),
    };
    let handler = move |mut socket: WebSocket| async move {
        while socket.recv().await?.is_some() {
            for _ in 0..answers {
                socket.send(b"abc".to_vec()).await?;
            }
        }
        Ok(())
    };
    let measured = converse(&load, handler, Counting::new);
    assert_eq!(measured.writes, ROUNDS as usize, "{measured:?}");
}

#[test]
fn memory_returns_to_where_it_was_after_many_connections() {
    memory_returns_after(5_000);
}

#[test]
#[ignore = "takes a minute; the short form is not ignored"]
fn memory_returns_to_where_it_was_after_200_000_connections() {
    memory_returns_after(200_000);
}

#[test]
fn a_room_of_15_000_members_takes_little_and_gives_it_back_when_10_are_left() {
    const LEFT: usize = 10;
    let runtime = runtime();
    let (give, mut given) = unbounded_channel();
    let service = service(move |socket| {
        let _ = give.send(socket);
        ready(Ok(()))
    });
    let (mut clients, mut sockets) = (Vec::new(), Vec::new());
    runtime.block_on(async {
        for _ in 0..15_000 {
            let (mut client, server) = tokio::io::duplex(256);
            serve(server, &service);
            upgrade(&mut client).await;
            sockets.push(given.recv().await.unwrap());
            clients.push(client);
        }
    });
    let hub = Hub::new();
    let room = hub.room("crowded");
    let joined = measure(|| sockets.iter().for_each(|socket| room.join(socket)));
    // The members share the frame until they write it.
    let sent = measure(|| assert_eq!(room.send(vec![7; 10_000]).queued, 15_000));
    assert!(
        sent.count_total < 64 && sent.bytes_max < 64 * 1024,
        "{sent:?}"
    );
    let left = measure(|| sockets[LEFT..].iter().for_each(|socket| room.leave(socket)));
    assert_eq!(room.len(), LEFT);
    let kept = joined.bytes_current + left.bytes_current;
    assert!(kept < 2048, "{joined:?} {left:?}");
    drop(clients);
}

#[test]
fn a_hub_of_15_000_rooms_that_falls_to_10_gives_its_memory_back() {
    let hub = Hub::new();
    let mut rooms = Vec::with_capacity(15_000);
    let used = measure(|| {
        rooms.extend((0..15_000).map(|number| hub.room(&number.to_string())));
        rooms.truncate(10);
    });
    assert_eq!(hub.len(), 10);
    assert!(used.bytes_max > 64 * 15_000, "{used:?}");
    assert!(used.bytes_current < 4096, "{used:?}");
}

#[tokio::test(start_paused = true)]
async fn a_drain_ends_every_socket_at_its_deadline_though_half_never_answer() {
    const SOCKETS: usize = 5_000;
    let timeout = Duration::from_secs(10);
    let tracker = Tracker::new();
    let running = Arc::new(AtomicUsize::new(0));
    let handler = {
        let running = running.clone();
        move |mut socket: WebSocket| {
            let guard = Running::new(&running);
            async move {
                while socket.recv().await?.is_some() {}
                drop(guard);
                Ok::<_, hyper_ws::Error>(())
            }
        }
    };
    let service = service(handler).tracker(&tracker);
    let mut silent = Vec::new();
    let mut polite = JoinSet::new();
    for at in 0..SOCKETS {
        let (mut client, server) = tokio::io::duplex(1024);
        serve(server, &service);
        upgrade(&mut client).await;
        match at % 2 {
            0 => silent.push(client),
            _ => _ = polite.spawn(answer_close(client)),
        }
    }
    while running.load(Ordering::Relaxed) < SOCKETS {
        yield_now().await;
    }
    assert_eq!(tracker.len(), SOCKETS);

    let began = Instant::now();
    let drained = tracker.drain(CloseCode::GOING_AWAY, timeout).await;
    let took = began.elapsed();
    assert!(
        took >= timeout && took < timeout + Duration::from_millis(100),
        "{took:?}"
    );
    assert_eq!(
        (drained.closed, drained.aborted),
        (SOCKETS / 2, SOCKETS / 2)
    );
    assert_eq!(tracker.len(), 0);
    assert_eq!(running.load(Ordering::Relaxed), 0, "handlers are left");
    while let Some(code) = polite.join_next().await {
        assert_eq!(code.unwrap(), CloseCode::GOING_AWAY.value());
    }
}

/// Exchanges that are counted; as many before them warm up.
const ROUNDS: u64 = 1_000;

/// The allocations that counting itself and the runtime may make.
const CONSTANT: u64 = 16;

/// The bytes that the client sends at once, and the bytes that must come back.
struct Load {
    request: Vec<u8>,
    reply: Vec<u8>,
}

impl Load {
    fn echo(in_flight: usize, size: usize) -> Self {
        let payload = vec![0x5a; size];
        // The server's frame is not masked.
        let mut answer = vec![0x82];
        match u8::try_from(size) {
            Ok(size @ ..=125) => answer.push(size),
            _ => {
                answer.push(126);
                answer.extend(u16::try_from(size).unwrap().to_be_bytes());
            }
        }
        answer.extend(&payload);
        Load {
            request: frame(BINARY, &payload).repeat(in_flight),
            reply: answer.repeat(in_flight),
        }
    }
}

#[derive(Debug)]
struct Measured {
    allocations: u64,
    reads: usize,
    empty_reads: usize,
    writes: usize,
    blocked_writes: usize,
}

/// Counts the cost of `ROUNDS` exchanges for the server, on one connection over TCP
/// with the server in this thread and the client in another.
fn converse<T, F, Fut>(
    load: &Load,
    handler: F,
    wrap: impl FnOnce(TcpStream, Arc<Counts>) -> T,
) -> Measured
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    F: Fn(WebSocket) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<(), hyper_ws::Error>> + Send + 'static,
{
    let runtime = runtime();
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let address = listener.local_addr().unwrap();
    let service = service(handler);
    let (warm, warmed) = oneshot::channel();
    let (done, finished) = oneshot::channel();
    let (go, start) = mpsc::channel();
    thread::scope(|scope| {
        scope.spawn(move || {
            let mut client = Client::connect(address);
            client.exchange(load, ROUNDS);
            let _ = warm.send(());
            start.recv().unwrap();
            client.exchange(load, ROUNDS);
            let _ = done.send(());
            // The close is not counted.
            let _ = start.recv();
        });
        let counts = Arc::new(Counts::default());
        runtime.block_on(async {
            let (stream, _) = listener.accept().await.unwrap();
            serve(wrap(stream, counts.clone()), &service);
            warmed.await.unwrap();
        });
        let before = counts.read();
        go.send(()).unwrap();
        let allocations = measure(|| runtime.block_on(finished).unwrap()).count_total;
        let after = counts.read();
        drop(go);
        let [reads, empty_reads, writes, blocked_writes] =
            std::array::from_fn(|at| after[at] - before[at]);
        Measured {
            allocations,
            reads,
            empty_reads,
            writes,
            blocked_writes,
        }
    })
}

/// A blocking client, for a thread of its own.
struct Client(std::net::TcpStream);

impl Client {
    fn connect(address: SocketAddr) -> Self {
        let mut stream = std::net::TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        // A server that does not answer fails the test instead of hanging it.
        stream
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        stream.write_all(handshake("/", "").as_bytes()).unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            head.extend(byte);
        }
        assert!(head.starts_with(b"HTTP/1.1 101 "));
        Client(stream)
    }

    fn exchange(&mut self, load: &Load, rounds: u64) {
        let mut reply = vec![0; load.reply.len()];
        for _ in 0..rounds {
            self.0.write_all(&load.request).unwrap();
            self.0.read_exact(&mut reply).unwrap();
            assert_eq!(reply, load.reply);
        }
    }
}

/// Many conversations over pipes: every second one ends by a close, the others when
/// the client disappears. All their memory must be freed. The pools that threads
/// keep for the next connection are filled before.
fn memory_returns_after(connections: usize) {
    let runtime = runtime();
    let tracker = Tracker::new();
    let service = service(echo).tracker(&tracker);
    let at_once = 50;
    let converse = |connections: usize| {
        runtime.block_on(async {
            for _ in 0..connections / at_once {
                let mut clients = JoinSet::new();
                for at in 0..at_once {
                    let (client, server) = tokio::io::duplex(4096);
                    serve(server, &service);
                    clients.spawn(talk(client, at % 2 == 0));
                }
                while let Some(result) = clients.join_next().await {
                    result.unwrap();
                }
                while !tracker.is_empty() {
                    yield_now().await;
                }
            }
            // The last tasks are freed after their last poll.
            for _ in 0..at_once {
                yield_now().await;
            }
        });
    };
    converse(20 * at_once);
    let used = measure(|| converse(connections));
    assert!(used.count_total as usize > 10 * connections, "{used:?}");
    // Less than a byte for each connection, and no allocation for every tenth.
    assert!(used.bytes_current < 4096, "{used:?}");
    assert!(used.count_current < 16, "{used:?}");
}

async fn talk(mut client: DuplexStream, closes: bool) {
    upgrade(&mut client).await;
    let load = Load::echo(1, 1024);
    client.write_all(&load.request).await.unwrap();
    let mut reply = vec![0; load.reply.len()];
    client.read_exact(&mut reply).await.unwrap();
    assert_eq!(reply, load.reply);
    if closes {
        client.write_all(&frame(CLOSE, &[3, 232])).await.unwrap();
        let mut close = Vec::new();
        client.read_to_end(&mut close).await.unwrap();
        assert_eq!(close, [0x88, 2, 3, 232]);
    }
}

async fn upgrade(client: &mut DuplexStream) {
    client
        .write_all(handshake("/", "").as_bytes())
        .await
        .unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        assert!(client.read_buf(&mut head).await.unwrap() > 0);
    }
    assert!(head.starts_with(b"HTTP/1.1 101 "));
}

/// Waits for a close frame, answers it, and returns its code.
async fn answer_close(mut client: DuplexStream) -> u16 {
    let mut close = [0; 4];
    client.read_exact(&mut close).await.unwrap();
    assert_eq!(close[..2], [0x88, 2]);
    client.write_all(&frame(CLOSE, &close[2..])).await.unwrap();
    u16::from_be_bytes([close[2], close[3]])
}

/// The answer to a request that is not a handshake.
#[derive(Clone)]
struct Page;

impl Service<Request<Incoming>> for Page {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn call(&self, _: Request<Incoming>) -> Self::Future {
        ready(Ok(Response::new(Full::from("a page"))))
    }
}

fn service<F, Fut>(handler: F) -> WebSocketService<Page>
where
    F: Fn(WebSocket) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<(), hyper_ws::Error>> + Send + 'static,
{
    WebSocketService::new(Page).any_path(handler)
}

fn serve<T>(io: T, service: &WebSocketService<Page>)
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .serve_connection(TokioIo::new(io), service.clone())
        .with_upgrades();
    tokio::spawn(connection);
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}

/// Counts a handler for as long as it runs.
struct Running(Arc<AtomicUsize>);

impl Running {
    fn new(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Running(count.clone())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Counts of the calls that reach the IO below.
#[derive(Default)]
struct Counts {
    reads: AtomicUsize,
    empty_reads: AtomicUsize,
    writes: AtomicUsize,
    blocked_writes: AtomicUsize,
}

impl Counts {
    fn read(&self) -> [usize; 4] {
        [
            &self.reads,
            &self.empty_reads,
            &self.writes,
            &self.blocked_writes,
        ]
        .map(|count| count.load(Ordering::Relaxed))
    }
}

struct Counting<T> {
    io: T,
    counts: Arc<Counts>,
}

impl<T> Counting<T> {
    fn new(io: T, counts: Arc<Counts>) -> Self {
        Counting { io, counts }
    }
}

fn count<R>(poll: Poll<R>, ready: &AtomicUsize, pending: &AtomicUsize) -> Poll<R> {
    let count = if poll.is_ready() { ready } else { pending };
    count.fetch_add(1, Ordering::Relaxed);
    poll
}

impl<T: AsyncRead + Unpin> AsyncRead for Counting<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let poll = Pin::new(&mut self.io).poll_read(cx, buffer);
        count(poll, &self.counts.reads, &self.counts.empty_reads)
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Counting<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let poll = Pin::new(&mut self.io).poll_write(cx, bytes);
        count(poll, &self.counts.writes, &self.counts.blocked_writes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let poll = Pin::new(&mut self.io).poll_write_vectored(cx, slices);
        count(poll, &self.counts.writes, &self.counts.blocked_writes)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
