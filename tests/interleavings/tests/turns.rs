//! Whatever order the steps of a driver and of other threads take, nothing is lost: no wake, no
//! message, no close. A wake that is lost shows as a deadlock, which loom reports.
//!
//! The driver is the crate's own, with its handler and a stream in memory. Loom runs each test
//! once for each order of steps with at most [`PREEMPTIONS`] switches of threads that nothing
//! forces, and with every older value that a relaxed load may return. `LOOM_MAX_PREEMPTIONS=3
//! cargo test --release` tries more.
//!
//! A test is a [`Stream`], a handler, and what other threads do with its [`Sender`]. To add
//! one, write the three and assert what was written. Keep it small: each step of each thread
//! multiplies the number of orders.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use hyper_ws::protocol::Role;
use hyper_ws::socket::interleaved::Run;
use hyper_ws::socket::{self, Negotiated};
use hyper_ws::{CloseCode, Config, Error, Sender, WebSocket};
use loom::thread;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The bound of loom's search, unless `LOOM_MAX_PREEMPTIONS` says another.
const PREEMPTIONS: usize = 2;

/// What a peer sees and does, in memory.
#[derive(Clone)]
struct Stream(Arc<Mutex<Peer>>);

struct Peer {
    /// The bytes that it has sent.
    input: Vec<u8>,
    /// It ends the stream when this has been written.
    until: Until,
    written: Vec<u8>,
    reader: Option<Waker>,
}

#[derive(Clone, Copy)]
enum Until {
    /// So many bytes.
    Bytes(usize),
    /// A close frame, without a reason.
    Close,
}

impl Stream {
    fn new(input: &[u8], until: Until) -> Self {
        Stream(Arc::new(Mutex::new(Peer {
            input: input.to_vec(),
            until,
            written: Vec::new(),
            reader: None,
        })))
    }

    fn written(&self) -> Vec<u8> {
        self.0.lock().unwrap().written.clone()
    }

    /// Sends bytes, and wakes the driver.
    fn send(&self, bytes: &[u8]) {
        let mut peer = self.0.lock().unwrap();
        peer.input.extend_from_slice(bytes);
        let reader = peer.reader.take();
        drop(peer);
        reader.into_iter().for_each(Waker::wake);
    }
}

impl Peer {
    fn is_satisfied(&self) -> bool {
        match self.until {
            Until::Bytes(count) => self.written.len() >= count,
            Until::Close => self.written.windows(2).any(|frame| frame == [0x88, 2]),
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        // Before and behind the lock: a step of loom's own, with which another thread may go on.
        let mut reader = Some(cx.waker().clone());
        let mut peer = self.0.lock().unwrap();
        if !peer.input.is_empty() {
            buffer.put_slice(&std::mem::take(&mut peer.input));
            return Poll::Ready(Ok(()));
        }
        if peer.is_satisfied() {
            return Poll::Ready(Ok(()));
        }
        std::mem::swap(&mut peer.reader, &mut reader);
        drop(peer);
        Poll::Pending
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let mut peer = self.0.lock().unwrap();
        peer.written.extend_from_slice(bytes);
        let reader = peer.is_satisfied().then(|| peer.reader.take()).flatten();
        drop(peer);
        reader.into_iter().for_each(Waker::wake);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// A masked frame of a client, with a key of zeros.
fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
    [&[first, 0x80 | payload.len() as u8, 0, 0, 0, 0], payload].concat()
}

/// No deadlines: there is no runtime.
fn config() -> Config {
    Config::new()
        .no_keep_alive()
        .message_timeout(None)
        .write_timeout(None)
        .close_timeout(std::time::Duration::MAX)
}

/// Makes a connection that echoes; returns its driver and a sender.
fn echo(stream: Stream, config: Config) -> (impl Future<Output = ()>, Sender) {
    let (give, take) = std::sync::mpsc::channel();
    let negotiated = Negotiated::new(Role::Server).config(config);
    let driver = socket::serve(stream, negotiated, move |mut socket: WebSocket| {
        give.send(socket.sender()).unwrap();
        async move {
            while let Some(message) = socket.recv().await? {
                socket.send(message).await?;
            }
            Ok::<(), Error>(())
        }
    });
    (driver, take.recv().unwrap())
}

/// Runs a future to its end, in a task that its driver knows again.
///
/// The waker that loom makes may have another table of functions than the clones of it, which
/// `Waker::will_wake` compares: that is up to the compiler. Clones of clones have the same. Without
/// that, no turn but the first would be in the same task as the one before, and none a usual one.
fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    loom::future::block_on(poll_fn(|cx| {
        let waker = cx.waker().clone();
        assert!(waker.will_wake(&waker.clone()));
        future.as_mut().poll(&mut Context::from_waker(&waker))
    }))
}

/// Runs `test` in every order of steps.
fn in_every_order(test: impl Fn() + Send + Sync + 'static) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound.get_or_insert(PREEMPTIONS);
    let orders = Arc::new(AtomicUsize::new(0));
    let counted = orders.clone();
    model.check(move || {
        counted.fetch_add(1, Ordering::Relaxed);
        test();
    });
    println!("{} orders", orders.load(Ordering::Relaxed));
}

#[test]
fn a_message_of_another_thread_is_written_whenever_the_driver_parks() {
    in_every_order(|| {
        let stream = Stream::new(b"", Until::Bytes(3));
        let (driver, sender) = echo(stream.clone(), config());
        let other = thread::spawn(move || sender.try_send("x").unwrap());
        block_on(driver);
        other.join().unwrap();
        assert_eq!(stream.written(), [0x81, 1, b'x']);
    });
}

#[test]
fn an_echo_and_a_message_of_another_thread_are_both_written() {
    in_every_order(|| {
        let stream = Stream::new(&masked(0x81, b"a"), Until::Bytes(6));
        let (driver, sender) = echo(stream.clone(), config());
        let other = thread::spawn(move || sender.try_send("x").unwrap());
        block_on(driver);
        other.join().unwrap();
        let written = stream.written();
        let orders = [
            [0x81, 1, b'a', 0x81, 1, b'x'],
            [0x81, 1, b'x', 0x81, 1, b'a'],
        ];
        assert!(
            orders.contains(&written[..].try_into().unwrap()),
            "{written:x?}"
        );
    });
}

#[test]
fn what_arrives_while_another_thread_sends_is_echoed() {
    in_every_order(|| {
        let stream = Stream::new(b"", Until::Bytes(6));
        let (driver, sender) = echo(stream.clone(), config());
        let peer = stream.clone();
        let other = thread::spawn(move || {
            sender.try_send("x").unwrap();
            peer.send(&masked(0x81, b"a"));
        });
        block_on(driver);
        other.join().unwrap();
        assert_eq!(stream.written().len(), 6);
    });
}

#[test]
fn a_message_that_was_sent_before_a_close_is_written_before_it() {
    in_every_order(|| {
        let stream = Stream::new(b"", Until::Close);
        let (driver, sender) = echo(stream.clone(), config());
        let closer = sender.clone();
        let sends = thread::spawn(move || sender.try_send("x").is_ok());
        let closes = thread::spawn(move || closer.close(CloseCode::NORMAL, ""));
        block_on(driver);
        closes.join().unwrap();
        let close = [0x88, 2, 3, 232];
        match sends.join().unwrap() {
            true => assert_eq!(stream.written(), [&[0x81, 1, b'x'], &close[..]].concat()),
            false => assert_eq!(stream.written(), close),
        }
    });
}

#[test]
fn a_flush_of_another_thread_ends_when_its_message_is_written() {
    in_every_order(|| {
        let stream = Stream::new(b"", Until::Close);
        let (driver, sender) = echo(stream.clone(), config());
        let peer = stream.clone();
        let other = thread::spawn(move || {
            sender.try_send("x").unwrap();
            block_on(sender.flush()).unwrap();
            assert_eq!(peer.written(), [0x81, 1, b'x']);
            sender.close(CloseCode::NORMAL, "");
        });
        block_on(driver);
        other.join().unwrap();
    });
}

#[test]
fn a_sender_that_waits_for_room_gets_it() {
    in_every_order(|| {
        let stream = Stream::new(b"", Until::Bytes(6));
        let (driver, sender) = echo(stream.clone(), config().output_limit(1));
        let other = thread::spawn(move || {
            block_on(sender.send("x")).unwrap();
            block_on(sender.send("y")).unwrap();
        });
        block_on(driver);
        other.join().unwrap();
        assert_eq!(stream.written(), [0x81, 1, b'x', 0x81, 1, b'y']);
    });
}

#[test]
fn two_threads_that_reserve_room_for_one_message_each_get_it() {
    in_every_order(|| {
        let stream = Stream::new(b"", Until::Bytes(6));
        let (driver, sender) = echo(stream.clone(), config().output_limit(1));
        let other = sender.clone();
        let threads = [(sender, "x"), (other, "y")].map(|(sender, text)| {
            thread::spawn(move || {
                let permit = block_on(sender.reserve()).unwrap();
                permit.send(text).unwrap();
            })
        });
        block_on(driver);
        for thread in threads {
            thread.join().unwrap();
        }
        assert_eq!(stream.written().len(), 6);
    });
}

#[test]
fn what_is_sent_before_the_handler_drops_the_socket_is_written_before_the_close_frame() {
    in_every_order(|| {
        let stream = Stream::new(&masked(0x81, b"a"), Until::Close);
        let (give, take) = std::sync::mpsc::channel();
        let negotiated = Negotiated::new(Role::Server).config(config());
        let driver = socket::serve(stream.clone(), negotiated, move |mut socket: WebSocket| {
            give.send(socket.sender()).unwrap();
            async move { _ = socket.recv().await }
        });
        let sender = take.recv().unwrap();
        let other = thread::spawn(move || sender.try_send("x").is_ok());
        block_on(driver);
        let close = [0x88, 2, 3, 232];
        match other.join().unwrap() {
            true => assert_eq!(stream.written(), [&[0x81, 1, b'x'], &close[..]].concat()),
            false => assert_eq!(stream.written(), close),
        }
    });
}

#[test]
fn an_abort_ends_the_connection_and_all_that_waits_for_it() {
    in_every_order(|| {
        let stream = Stream::new(b"", Until::Close);
        let (driver, sender) = echo(stream, config());
        let aborts = sender.clone();
        let waits = thread::spawn(move || block_on(sender.closed()));
        let other = thread::spawn(move || aborts.abort());
        block_on(driver);
        other.join().unwrap();
        waits.join().unwrap();
    });
}

#[test]
fn a_driver_that_is_dropped_in_its_turns_tells_all_that_wait() {
    in_every_order(|| {
        let stream = Stream::new(&masked(0x81, b"a"), Until::Close);
        let (driver, sender) = echo(stream, config());
        let other = thread::spawn(move || {
            let sent = sender.try_send("x").is_ok();
            let flushed = block_on(sender.flush()).is_ok();
            block_on(sender.closed());
            assert!(sent || !flushed || sender.try_send("x").is_err());
        });
        let mut driver = Box::pin(driver);
        let polled = driver
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()));
        assert!(polled.is_pending());
        drop(driver);
        other.join().unwrap();
    });
}

#[test]
fn a_socket_that_was_moved_to_another_thread_receives() {
    in_every_order(|| {
        let stream = Stream::new(b"", Until::Bytes(3));
        let (give, take) = std::sync::mpsc::channel();
        let negotiated = Negotiated::new(Role::Server).config(config());
        let driver = socket::serve(stream.clone(), negotiated, move |socket: WebSocket| {
            give.send(socket).unwrap();
            std::future::pending::<()>()
        });
        let mut socket = take.recv().unwrap();
        let peer = stream.clone();
        let other = thread::spawn(move || {
            let message = block_on(socket.recv()).unwrap().unwrap();
            assert_eq!(message, "a".into());
            socket.sender().try_send("x").unwrap();
            socket.sender().abort();
        });
        peer.send(&masked(0x81, b"a"));
        block_on(driver);
        other.join().unwrap();
    });
}

#[test]
fn messages_of_a_room_are_written_whenever_the_driver_parks() {
    in_every_order(|| {
        let stream = Stream::new(b"", Until::Bytes(9));
        let (driver, sender) = echo(stream.clone(), config());
        let room = thread::spawn(move || {
            let mut run = Run::default();
            assert!(["x", "y", "z"].iter().all(|text| run.send(&sender, text)));
        });
        block_on(driver);
        room.join().unwrap();
        let frames = [0x81, 1, b'x', 0x81, 1, b'y', 0x81, 1, b'z'];
        assert_eq!(stream.written(), frames);
    });
}

#[test]
fn an_echo_and_messages_of_a_room_are_all_written() {
    in_every_order(|| {
        let stream = Stream::new(&masked(0x81, b"a"), Until::Bytes(9));
        let (driver, sender) = echo(stream.clone(), config());
        let room = thread::spawn(move || {
            let mut run = Run::default();
            assert!(run.send(&sender, "x") && run.send(&sender, "y"));
        });
        block_on(driver);
        room.join().unwrap();
        let letters: Vec<u8> = stream.written().chunks(3).map(|frame| frame[2]).collect();
        assert!([b"axy", b"xay", b"xya"].contains(&&letters[..].try_into().unwrap()));
    });
}

#[test]
fn messages_of_a_room_and_of_another_thread_are_all_written() {
    in_every_order(|| {
        let stream = Stream::new(b"", Until::Bytes(9));
        let (driver, sender) = echo(stream.clone(), config());
        let member = sender.clone();
        let room = thread::spawn(move || {
            let mut run = Run::default();
            assert!(run.send(&member, "x") && run.send(&member, "y"));
        });
        let other = thread::spawn(move || sender.try_send("a").unwrap());
        block_on(driver);
        room.join().unwrap();
        other.join().unwrap();
        let letters: Vec<u8> = stream.written().chunks(3).map(|frame| frame[2]).collect();
        assert!([b"axy", b"xay", b"xya"].contains(&&letters[..].try_into().unwrap()));
    });
}

#[test]
fn messages_of_a_room_that_were_queued_before_a_close_are_written_before_it() {
    in_every_order(|| {
        let stream = Stream::new(b"", Until::Close);
        let (driver, sender) = echo(stream.clone(), config());
        let member = sender.clone();
        let room = thread::spawn(move || {
            let mut run = Run::default();
            ["x", "y"].map(|text| run.send(&member, text))
        });
        let closes = thread::spawn(move || sender.close(CloseCode::NORMAL, ""));
        block_on(driver);
        closes.join().unwrap();
        let frames: &[u8] = match room.join().unwrap() {
            [true, true] => &[0x81, 1, b'x', 0x81, 1, b'y', 0x88, 2, 3, 232],
            [true, false] => &[0x81, 1, b'x', 0x88, 2, 3, 232],
            [false, false] => &[0x88, 2, 3, 232],
            [false, true] => panic!("it was closed before"),
        };
        assert_eq!(stream.written(), frames);
    });
}

#[test]
fn a_flush_of_another_thread_waits_for_what_a_room_had_queued() {
    in_every_order(|| {
        let stream = Stream::new(b"", Until::Close);
        let (driver, sender) = echo(stream.clone(), config());
        let peer = stream.clone();
        let room = thread::spawn(move || {
            let mut run = Run::default();
            assert!(run.send(&sender, "x") && run.send(&sender, "y"));
            block_on(sender.flush()).unwrap();
            assert_eq!(peer.written(), [0x81, 1, b'x', 0x81, 1, b'y']);
            sender.close(CloseCode::NORMAL, "");
        });
        block_on(driver);
        room.join().unwrap();
    });
}
