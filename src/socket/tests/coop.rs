//! A connection with much to do lets other connections of its thread have their turn.

use std::future::poll_fn;

use tokio::io::{AsyncRead, ReadBuf};
use tokio::net::{TcpListener, TcpStream};

use super::*;

/// A peer that floods: there are always pings to be read, and it takes some time.
/// Counts the reads, and the polls of its driver.
#[derive(Clone, Default)]
struct Flood(Arc<Mutex<Counts>>);

#[derive(Default)]
struct Counts {
    reads: usize,
    polls: usize,
}

impl AsyncRead for Flood {
    fn poll_read(
        self: std::pin::Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        self.0.lock().unwrap().reads += 1;
        std::thread::sleep(Duration::from_millis(2));
        buffer.put_slice(&[0x89, 0x80, 1, 2, 3, 4]);
        Poll::Ready(Ok(()))
    }
}

impl Flood {
    /// The future of a socket that is flooded, which counts its polls.
    fn serve(&self) -> impl Future<Output = ()> + use<> {
        let io = tokio::io::join(self.clone(), tokio::io::sink());
        let mut driver = Box::pin(managed(io, start(Config::new()), echo));
        let flood = self.clone();
        poll_fn(move |cx| {
            flood.0.lock().unwrap().polls += 1;
            driver.as_mut().poll(cx)
        })
    }
}

// The clock of these is the real one; it is not asked how long something takes.

#[tokio::test]
async fn a_flood_does_not_keep_the_thread() {
    let flood = Flood::default();
    let task = tokio::spawn(flood.serve());
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
    task.abort();
    let counts = flood.0.lock().unwrap();
    assert!(counts.polls >= 20, "{} polls", counts.polls);
    assert!(
        counts.reads <= 2 * counts.polls,
        "{} reads in {} polls",
        counts.reads,
        counts.polls
    );
}

#[tokio::test]
async fn what_the_runtime_has_to_wake_comes_before_a_flood_goes_on() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let one = TcpStream::connect(address).await.unwrap();
    let (other, _) = listener.accept().await.unwrap();
    let [(mut from, mut back), (mut read, mut write)] = [one, other].map(TcpStream::into_split);
    // The next to answer is never woken but by the runtime's IO.
    tokio::spawn(async move { tokio::io::copy(&mut read, &mut write).await });
    let flood = Flood::default();
    let task = tokio::spawn(flood.serve());
    for _ in 0..10 {
        back.write_all(b"x").await.unwrap();
        from.read_exact(&mut [0]).await.unwrap();
    }
    task.abort();
    // Sixty for each wake-up, if it woke itself.
    let polls = flood.0.lock().unwrap().polls;
    assert!(polls < 100, "{polls} polls");
}

/// A peer that sends empty messages and nothing else, until the test has seen enough.
#[derive(Clone, Default)]
struct Empties(Arc<std::sync::atomic::AtomicUsize>);

const MANY: usize = 20_000;

impl AsyncRead for Empties {
    fn poll_read(
        self: std::pin::Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        if self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed) < MANY {
            buffer.put_slice(&[0x82, 0x80, 1, 2, 3, 4]);
        }
        Poll::Ready(Ok(()))
    }
}

#[tokio::test]
async fn empty_messages_do_not_keep_the_thread_of_a_bare_stream_of_bytes() {
    let empties = Empties::default();
    let io = tokio::io::join(empties.clone(), tokio::io::sink());
    let mut stream = bare(io, start(Config::new())).into_byte_stream();
    let mut buffer = [0; 8];
    let mut read = std::pin::pin!(stream.read(&mut buffer));
    let mut polls = 0;
    let end = poll_fn(|cx| {
        polls += 1;
        read.as_mut().poll(cx)
    });
    assert_eq!(
        end.await.unwrap_err().kind(),
        std::io::ErrorKind::UnexpectedEof
    );
    assert!(polls > 10, "{polls} polls");
}

/// A transport that takes everything at once, while another thread queues as fast: each
/// write is followed by another message.
#[derive(Clone, Default)]
struct Chased {
    sender: Arc<std::sync::OnceLock<Sender>>,
    writes: Arc<std::sync::atomic::AtomicUsize>,
}

impl AsyncRead for Chased {
    fn poll_read(
        self: std::pin::Pin<&mut Self>,
        _: &mut Context<'_>,
        _: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        Poll::Pending
    }
}

impl AsyncWrite for Chased {
    fn poll_write(
        self: std::pin::Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        let writes = &self.writes;
        // So that the test ends even where the driver does not yield.
        if writes.fetch_add(1, std::sync::atomic::Ordering::Relaxed) < 1_000_000 {
            let _ = self.sender.get().unwrap().try_send("another");
        }
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(
        self: std::pin::Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(
        self: std::pin::Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[tokio::test]
async fn senders_that_never_stop_do_not_keep_the_thread() {
    let io = Chased::default();
    let place = io.sender.clone();
    let handler = move |socket: WebSocket| async move {
        let sender = socket.sender();
        let _ = place.set(sender.clone());
        sender.send("first").await.unwrap();
        let _socket = socket;
        std::future::pending::<()>().await
    };
    let task = tokio::spawn(managed(io.clone(), start(Config::new()), handler));
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
    let writes = io.writes.load(std::sync::atomic::Ordering::Relaxed);
    assert!(writes > 0 && writes < 1_000_000, "{writes} writes");
    task.abort();
}

/// A handler that uses up the budget of its task in every poll, like one that drains a
/// channel with a backlog. tokio lets no IO and no timer of the task make progress
/// then.
async fn drain_for_ever(socket: WebSocket) {
    let _socket = socket;
    loop {
        tokio::task::consume_budget().await;
    }
}

#[tokio::test]
async fn a_handler_that_uses_up_its_budget_does_not_starve_its_connection() {
    let (tell, sender) = tokio::sync::oneshot::channel();
    let (mut peer, task) = serve(Config::new(), move |socket: WebSocket| {
        let _ = tell.send(socket.sender());
        drain_for_ever(socket)
    });
    let sender = sender.await.unwrap();
    let exchange = async {
        peer.connection.ping(b"there?").unwrap();
        peer.flush().await;
        assert_eq!(peer.event().await, Some(Event::Pong("there?".into())));
        sender.send("from another task").await.unwrap();
        assert_eq!(peer.message().await, "from another task".into());
        sender.send("again").await.unwrap();
        sender.flush().await.unwrap();
        assert_eq!(peer.message().await, "again".into());
        sender.close(CloseCode::NORMAL, "");
        assert_eq!(peer.close_frame().await, Some(1000));
        drop(peer);
        assert_eq!(sender.closed().await, CloseCause::Local(CloseCode::NORMAL));
    };
    timeout(Duration::from_secs(20), exchange).await.unwrap();
    task.abort();
}

#[tokio::test]
async fn deadlines_are_kept_beside_a_handler_that_uses_up_its_budget() {
    let ms = Duration::from_millis;
    let silent = Config::new().keep_alive(ms(20), ms(40));
    let stuck = Config::new().no_keep_alive().write_timeout(ms(60));
    // 200,000 bytes are more than the pipe takes.
    for (config, length, cause) in [
        (silent, 1, CloseCause::PingTimeout),
        (stuck, 200_000, CloseCause::WriteTimeout),
    ] {
        let (tell, sender) = tokio::sync::oneshot::channel();
        let (_peer, task) = serve(config, move |socket: WebSocket| {
            let _ = tell.send(socket.sender());
            drain_for_ever(socket)
        });
        let sender = sender.await.unwrap();
        sender.send(vec![0; length]).await.unwrap();
        let ended = timeout(Duration::from_secs(20), sender.closed()).await;
        assert_eq!(ended.unwrap(), cause);
        task.abort();
    }
}

#[tokio::test]
async fn a_bare_socket_is_not_starved_by_the_task_that_awaits_it() {
    let (ours, theirs) = tokio::io::duplex(1 << 16);
    let mut peer = Peer::new(theirs);
    let mut socket = WebSocket::from_stream(ours, start(Config::new()));
    let task = tokio::spawn(async move {
        poll_fn(|cx| {
            // A branch that is polled before, and takes all that the task may use.
            let drained = std::pin::pin!(async {
                loop {
                    tokio::task::consume_budget().await;
                }
            });
            let _: Poll<()> = drained.poll(cx);
            socket.poll_recv(cx).map(drop)
        })
        .await;
    });
    let exchange = async {
        peer.connection.ping(b"there?").unwrap();
        peer.flush().await;
        assert_eq!(peer.event().await, Some(Event::Pong("there?".into())));
    };
    timeout(Duration::from_secs(20), exchange).await.unwrap();
    task.abort();
}
