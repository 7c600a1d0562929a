//! What only a socket can show; the rules of the protocol are tested in
//! `protocol`, without IO. Time is paused: nothing here waits for a clock.

mod byte_stream;
mod cancel;
mod close;
mod close_as;
#[cfg(feature = "deflate")]
mod compress;
mod coop;
mod cork;
mod deadlines;
mod dropped;
mod edge;
mod end;
mod failed_write;
mod flush;
mod incoming;
mod outgoing;
mod pause;
pub(crate) mod peer;
mod push;
mod queue;
mod slow_close;
mod terminated;
mod traffic;
mod unreceived;
mod usual;
mod wakers;

use std::future::{Future, poll_fn};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, timeout};

use super::shared::{Item, Shared};
use super::*;
use crate::error::{CloseCause, Error, Violation};
use crate::protocol::{Event, Role};
use crate::{CloseCode, Config, Message};
use peer::{BUG, Peer, Task, serve, start};

async fn echo(mut socket: WebSocket) -> Result<(), Error> {
    while let Some(message) = socket.recv().await? {
        socket.send(message).await?;
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn an_echo_answers_small_and_large_messages_in_order() {
    let config = Config::new().max_message_size(1 << 22);
    let (mut peer, task) = serve(config, echo);
    for length in [
        0,
        1,
        125,
        126,
        16_383,
        16_384,
        65_535,
        65_536,
        131_072,
        200_000,
        1 << 21,
    ] {
        let message = Message::from(vec![length as u8; length]);
        let connection = &mut peer.connection;
        connection.send(message.clone()).unwrap();
        let output = connection.take_output();
        let (mut read, mut write) = tokio::io::split(peer.io);
        let writing = tokio::spawn(async move {
            write.write_all(&output).await.unwrap();
            write
        });
        let mut answer = None;
        while answer.is_none() {
            let mut buffer = [0; 4096];
            let count = read.read(&mut buffer).await.unwrap();
            peer.input.extend_from_slice(&buffer[..count]);
            let (taken, event) = peer.connection.receive(&mut peer.input).unwrap();
            peer.input.drain(..taken);
            answer = event;
        }
        assert!(answer == Some(Event::Message(message)), "length {length}");
        peer.io = read.unsplit(writing.await.unwrap());
    }
    peer.connection.close(CloseCode::NORMAL, "").unwrap();
    peer.flush().await;
    assert_eq!(peer.close_frame().await, Some(1000));
    drop(peer);
    task.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_socket_moved_into_another_task_lives_until_it_is_dropped_there() {
    let (sent, received) = tokio::sync::oneshot::channel();
    let (mut peer, task) = serve(Config::new(), |socket| async move {
        sent.send(socket).ok();
    });
    let mut socket = received.await.unwrap();
    let elsewhere = tokio::spawn(async move {
        for _ in 0..3 {
            let message = socket.recv().await.unwrap().unwrap();
            tokio::time::sleep(Duration::from_secs(1)).await;
            socket.send(message).await.unwrap();
        }
    });
    for text in ["one", "two", "three"] {
        peer.send(text).await;
        assert_eq!(peer.message().await, Message::from(text));
    }
    elsewhere.await.unwrap();
    assert_eq!(peer.close_frame().await, Some(1000));
    drop(peer);
    task.await.unwrap();
}

/// A future that was polled in one task, by `select!` say, and is awaited in another.
#[tokio::test(start_paused = true)]
async fn the_task_that_has_polled_last_is_woken() {
    let (sent, received) = tokio::sync::oneshot::channel();
    let (mut peer, _task) = serve(Config::new(), |socket| async move {
        sent.send(socket).ok();
    });
    let mut socket = received.await.unwrap();
    let mut first = Context::from_waker(std::task::Waker::noop());
    assert!(std::pin::pin!(socket.recv()).poll(&mut first).is_pending());
    let receiving = tokio::spawn(async move { socket.recv().await.unwrap() });
    tokio::task::yield_now().await;
    let begin = Instant::now();
    peer.send("hello").await;
    assert_eq!(receiving.await.unwrap(), Some("hello".into()));
    assert_eq!(begin.elapsed(), Duration::ZERO);
}

/// The driver stops reading when enough has arrived. The receiver then makes room, and has the driver
/// read on. The time is looked at, since the driver's timers would do that too, much later.
#[tokio::test(start_paused = true)]
async fn a_receiver_in_another_task_has_the_driver_read_on() {
    for in_chunks in [false, true] {
        let (sent, received) = tokio::sync::oneshot::channel();
        let (peer, _task) = serve(Config::new(), |socket| async move {
            sent.send(socket).ok();
        });
        let mut socket = received.await.unwrap();
        let begin = Instant::now();
        let sending = tokio::spawn(async move {
            let mut peer = peer;
            for _ in 0..1000 {
                peer.send(vec![7; 1000]).await;
            }
            peer
        });
        for _ in 0..1000 {
            // The driver reads ahead before each.
            for _ in 0..10 {
                tokio::task::yield_now().await;
            }
            if in_chunks {
                let mut message = socket.recv_stream().await.unwrap().unwrap();
                let mut length = 0;
                while let Some(chunk) = message.chunk().await.unwrap() {
                    length += chunk.len();
                }
                assert_eq!(length, 1000);
            } else {
                let message = socket.recv().await.unwrap().unwrap();
                assert_eq!(message.len(), 1000);
            }
        }
        assert_eq!(begin.elapsed(), Duration::ZERO);
        sending.await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_socket_moved_beside_its_driver_into_the_same_task_is_woken_too() {
    let (sent, received) = tokio::sync::oneshot::channel();
    let (ours, theirs) = tokio::io::duplex(4096);
    let mut peer = Peer::new(theirs);
    let driver = managed(ours, start(Config::new()), |socket| async move {
        sent.send(socket).ok();
    });
    // One waker for all three.
    let all = async {
        tokio::join!(
            driver,
            async {
                let mut socket = received.await.unwrap();
                while let Some(message) = socket.recv().await.unwrap() {
                    socket.send(message).await.unwrap();
                    socket.flush().await.unwrap();
                }
            },
            async {
                for text in ["one", "two", "three"] {
                    peer.send(text).await;
                    assert_eq!(peer.message().await, Message::from(text));
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
                peer.connection.close(CloseCode::NORMAL, "").unwrap();
                peer.flush().await;
                assert_eq!(peer.close_frame().await, Some(1000));
                drop(peer);
            }
        )
    };
    timeout(Duration::from_secs(10), all).await.unwrap();
}

/// The time is looked at, since a clock that is paused jumps to the next deadline,
/// and what polls again by then has not been woken before.
#[tokio::test(start_paused = true)]
async fn who_waits_beside_a_driver_that_comes_into_its_task_is_woken_too() {
    let (sent, received) = tokio::sync::oneshot::channel();
    let (ours, theirs) = tokio::io::duplex(4096);
    let mut peer = Peer::new(theirs);
    let driver = managed(ours, start(Config::new()), |socket| async move {
        sent.send(socket).ok();
    });
    let began = Instant::now();
    // First in a task of its own.
    let mut driver = Some(Box::pin(driver));
    let first = poll_fn(move |cx| {
        let polled = driver.as_mut().map(|it| it.as_mut().poll(cx));
        assert_eq!(polled, Some(Poll::Pending));
        Poll::Ready(driver.take())
    });
    let driver = tokio::spawn(first).await.unwrap().unwrap();
    let mut socket = received.await.unwrap();
    peer.send("one").await;
    let both = tokio::spawn(async move {
        tokio::select! {
            biased;
            message = socket.recv() => message,
            () = driver => panic!("it ends"),
        }
    });
    let message = both.await.unwrap().unwrap();
    assert_eq!(message, Some(Message::from("one")));
    assert_eq!(began.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn who_waits_beside_a_bare_socket_that_is_run_in_another_task_is_woken_too() {
    let (ours, theirs) = tokio::io::duplex(1 << 20);
    let mut socket = bare(ours, start(Config::new()));
    let mut peer = Peer::new(theirs);
    let began = Instant::now();
    let socket = tokio::spawn(async move {
        socket.send("hello").await.unwrap();
        socket
    });
    let socket = socket.await.unwrap();
    assert_eq!(peer.message().await, Message::from("hello"));
    let both = tokio::spawn(async move {
        let sender = socket.sender();
        let run = socket.run(echo);
        let user = async {
            // More than may be queued.
            for _ in 0..200 {
                sender.send("x".repeat(1000)).await.unwrap();
            }
        };
        tokio::select! {
            biased;
            () = user => {}
            () = run => panic!("it ends"),
        }
    });
    both.await.unwrap();
    assert_eq!(began.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn pings_are_answered_while_the_handler_is_busy() {
    let (mut peer, _task) = serve(Config::new(), |_socket: WebSocket| async move {
        let _socket = _socket;
        std::future::pending::<()>().await;
    });
    peer.connection.ping(b"there?").unwrap();
    peer.flush().await;
    assert_eq!(peer.event().await, Some(Event::Pong("there?".into())));
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_fails_or_panics_closes_with_1011() {
    let (mut peer, task) = serve(Config::new(), |_socket| async move {
        Err::<(), _>(std::io::Error::other("no database"))
    });
    assert_eq!(peer.close_frame().await, Some(1011));
    drop(peer);
    task.await.unwrap();

    let (mut peer, task) = serve(Config::new(), |mut socket| async move {
        socket.recv().await.unwrap();
        if true {
            panic!("{BUG}");
        }
    });
    peer.send("go").await;
    assert_eq!(peer.close_frame().await, Some(1011));
    drop(peer);
    task.await.unwrap();

    // Before it has returned its future, too.
    let (mut peer, task) = serve(Config::new(), |_| {
        if true {
            panic!("{BUG}");
        }
        std::future::ready(())
    });
    assert_eq!(peer.close_frame().await, Some(1011));
    drop(peer);
    task.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_silent_peer_is_pinged_and_given_up() {
    let began = Instant::now();
    let (mut peer, task) = serve(Config::new(), |mut socket| async move {
        let error = socket.recv().await.unwrap_err();
        assert_eq!(error.kind(), crate::error::ErrorKind::PingTimeout);
        assert_eq!(socket.recv().await.unwrap(), None);
        assert_eq!(socket.close_cause(), Some(CloseCause::PingTimeout));
    });
    let mut ping = [0; 10];
    peer.io.read_exact(&mut ping).await.unwrap();
    assert_eq!(ping[..2], [0x89, 8]);
    let waited = began.elapsed();
    assert!((22..28).contains(&waited.as_secs()), "{waited:?}");
    task.await.unwrap();
    assert_eq!((began.elapsed() - waited).as_secs(), 20);
}

#[tokio::test(start_paused = true)]
async fn a_violation_is_answered_with_its_code_and_reported_once() {
    let (mut peer, task) = serve(Config::new(), |mut socket| async move {
        let error = socket.recv().await.unwrap_err();
        assert_eq!(error.violation(), Some(Violation::UnmaskedFrame));
        assert_eq!(socket.recv().await.unwrap(), None);
        Err::<(), _>(error)
    });
    peer.io.write_all(b"\x81\x02hi").await.unwrap();
    assert_eq!(peer.close_frame().await, Some(1002));
    drop(peer);
    task.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_bare_socket_works_while_it_is_awaited() {
    let (ours, theirs) = tokio::io::duplex(1 << 16);
    let mut socket = bare(ours, start(Config::new()));
    let mut peer = Peer::new(theirs);
    peer.send("hello").await;
    let message = socket.recv().await.unwrap().unwrap();
    socket.send(message).await.unwrap();
    assert_eq!(peer.message().await, Message::from("hello"));
    let task = tokio::spawn(socket.run(echo));
    peer.send("again").await;
    assert_eq!(peer.message().await, Message::from("again"));
    drop(peer);
    timeout(Duration::from_secs(1), task)
        .await
        .unwrap()
        .unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_came_before_a_violation_or_a_close_frame_is_answered_before_it() {
    let message = b"\x81\x82\0\0\0\0hi";
    let violation = b"\xa1\x80\0\0\0\0";
    let close = b"\x88\x82\0\0\0\0\x03\xe8";
    for (end, code) in [(&violation[..], 1002), (close, 1000)] {
        let (mut peer, task) = serve(Config::new(), echo);
        peer.io.write_all(&[message, end].concat()).await.unwrap();
        assert_eq!(peer.event().await, Some(Event::Message("hi".into())));
        assert_eq!(peer.close_frame().await, Some(code));
        drop(peer);
        task.await.unwrap();
    }
}

#[test]
fn an_idle_connection_is_small() {
    async fn handler(_: WebSocket) {}
    fn size<F: FnOnce(WebSocket) -> Fut, Fut: Future>(_: F) -> usize {
        size_of::<Driver<[u64; 6], Fut>>() - size_of::<Fut>()
    }
    // What the task holds besides the handler and the IO, and what its handles share. A
    // task is rounded up to a multiple of 128 bytes.
    assert!(size(handler) <= 336, "{}", size(handler));
    assert!(size_of::<Shared>() <= 152, "{}", size_of::<Shared>());
    assert!(size_of::<WebSocket>() <= 24);
    let (io, _peer) = tokio::io::duplex(1);
    let mut socket = WebSocket::from_stream(io, Negotiated::new(Role::Server));
    assert!(size_of_val(&socket.send("x")) <= 56);
    assert!(size_of_val(&socket.recv()) <= 8);
}

#[tokio::test(start_paused = true)]
async fn an_echo_needs_nothing_that_is_rare() {
    let (sent, shared) = tokio::sync::oneshot::channel();
    let (mut peer, task) = serve(Config::new(), |socket| {
        sent.send(socket.shared.clone()).ok();
        echo(socket)
    });
    let shared = shared.await.unwrap();
    // Usual turns, rounds, and a keep-alive ping.
    for length in [20, 1024, 50_000, 20] {
        let message = Message::from(vec![1; length]);
        peer.send(message.clone()).await;
        assert_eq!(peer.message().await, message);
    }
    assert!(matches!(peer.event().await, Some(Event::Ping(_))));
    peer.flush().await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(shared.latency().is_some() && !shared.has_rare());
    // A task that waits does.
    let sender = Sender::new(shared.clone());
    let closed = timeout(Duration::from_secs(1), sender.closed());
    assert!(closed.await.is_err());
    assert!(shared.has_rare());
    peer.connection.close(CloseCode::NORMAL, "").unwrap();
    peer.flush().await;
    assert_eq!(peer.close_frame().await, Some(1000));
    drop(peer);
    task.await.unwrap();
}
