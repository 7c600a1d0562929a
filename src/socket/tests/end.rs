//! How conversations end: once, with one cause, within their deadlines.

use std::pin::Pin;
use std::task::Waker;

use tokio::sync::oneshot;

use super::peer::serve_with;
use super::*;
use crate::error::ErrorKind;

/// Runs a socket until its end: what `recv` said, and the cause.
async fn until_the_end(mut socket: WebSocket) -> (Option<ErrorKind>, CloseCause) {
    let mut failed = None;
    loop {
        match socket.recv().await {
            Ok(Some(_)) => {}
            Ok(None) => break,
            Err(error) => {
                assert_eq!(failed, None, "an error is reported once");
                failed = Some(error.kind());
            }
        }
    }
    assert_eq!(socket.recv().await.unwrap(), None);
    (failed, socket.close_cause().unwrap())
}

type Ended = oneshot::Receiver<(Option<ErrorKind>, CloseCause)>;

fn serve_until_the_end(config: Config) -> (Peer, Ended, Task) {
    let (give, take) = oneshot::channel();
    let (peer, task) = serve_with(1024, config, |socket| async move {
        give.send(until_the_end(socket).await).unwrap();
    });
    (peer, take, task)
}

#[tokio::test(start_paused = true)]
async fn the_peer_closes() {
    let (mut peer, ended, task) = serve_until_the_end(Config::new());
    peer.connection.close(CloseCode::GOING_AWAY, "bye").unwrap();
    peer.flush().await;
    assert_eq!(peer.close_frame().await, Some(1001));
    let frame = crate::close::CloseFrame::new(CloseCode::GOING_AWAY, "bye");
    assert_eq!(
        ended.await.unwrap(),
        (None, CloseCause::Remote(Some(frame)))
    );
    // The server ends the stream, and waits for the peer to do the same.
    assert_eq!(peer.event().await, None);
    drop(peer);
    task.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn the_peer_just_goes_away() {
    let (peer, ended, task) = serve_until_the_end(Config::new());
    drop(peer);
    assert_eq!(ended.await.unwrap(), (None, CloseCause::Lost));
    task.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_never_ends_the_stream_is_cut_off_at_the_deadline() {
    let began = Instant::now();
    let (mut peer, ended, task) = serve_until_the_end(Config::new());
    peer.connection.close(CloseCode::NORMAL, "").unwrap();
    peer.flush().await;
    assert_eq!(peer.close_frame().await, Some(1000));
    ended.await.unwrap();
    task.await.unwrap();
    assert_eq!(began.elapsed().as_secs(), 10);
}

#[tokio::test(start_paused = true)]
async fn a_close_that_is_never_answered_takes_its_deadline_and_no_longer() {
    let (mut peer, task) = serve(Config::new(), |mut socket| async move {
        let began = Instant::now();
        socket.close(CloseCode::NORMAL, "done").await;
        assert_eq!(began.elapsed().as_secs(), 10);
        assert_eq!(socket.recv().await.unwrap(), None);
        let cause = socket.close_cause();
        assert_eq!(cause, Some(CloseCause::Local(CloseCode::NORMAL)));
    });
    let mut bytes = vec![];
    peer.io.read_to_end(&mut bytes).await.unwrap();
    assert_eq!(bytes, b"\x88\x06\x03\xe8done");
    task.await.unwrap();
}

/// Shuts down, and tells how often it was polled for that.
async fn shutdown(socket: WebSocket) -> usize {
    let mut stream = socket.into_byte_stream();
    let mut shutdown = std::pin::pin!(stream.shutdown());
    let mut polls = 0;
    poll_fn(|cx| {
        polls += 1;
        if polls == 100 {
            // It keeps its thread, and the clock of this test.
            return Poll::Ready(());
        }
        shutdown.as_mut().poll(cx).map(drop)
    })
    .await;
    polls
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_sleeps_until_the_peer_answers() {
    for managed in [true, false] {
        let (ours, theirs) = tokio::io::duplex(4096);
        let (give, take) = tokio::sync::oneshot::channel();
        let handler = async |socket| give.send(shutdown(socket).await).unwrap();
        let began = Instant::now();
        let socket = bare(ours, start(Config::new()));
        let _task = Task::run(managed, socket, handler);
        let polls = take.await.unwrap();
        assert!(polls < 10, "{polls} polls, managed: {managed}");
        assert_eq!(began.elapsed().as_secs(), 10);
        drop(theirs);
    }
}

#[tokio::test(start_paused = true)]
async fn who_keeps_a_bare_socket_after_its_end_does_not_keep_the_connection() {
    for way in 0..3 {
        let (ours, theirs) = tokio::io::duplex(4096);
        let mut peer = Peer::new(theirs);
        let mut socket = bare(ours, start(Config::new()));
        peer.connection.close(CloseCode::NORMAL, "").unwrap();
        peer.flush().await;
        let _kept: Box<dyn std::any::Any> = match way {
            0 => {
                assert_eq!(socket.recv().await.unwrap(), None);
                Box::new(socket)
            }
            1 => {
                assert!(socket.recv_stream().await.unwrap().is_none());
                Box::new(socket)
            }
            _ => {
                let mut stream = socket.into_byte_stream();
                assert_eq!(stream.read(&mut [0; 8]).await.unwrap(), 0);
                Box::new(stream)
            }
        };
        assert_eq!(peer.close_frame().await, Some(1000));
        // A peer that does not end the stream is cut off all the same.
        tokio::time::sleep(Duration::from_secs(9)).await;
        peer.io.write_all(b"discarded").await.unwrap();
        tokio::time::sleep(Duration::from_secs(2)).await;
        let written = peer.io.write_all(b"nobody").await;
        assert!(written.is_err(), "way {way}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_close_is_done_when_the_peer_has_answered() {
    let (mut peer, task) = serve(Config::new(), |mut socket| async move {
        let began = Instant::now();
        socket.close(CloseCode::GOING_AWAY, "").await;
        assert_eq!(began.elapsed().as_secs(), 0);
    });
    // A message that crosses the close frame is discarded.
    peer.send("crossing").await;
    assert_eq!(peer.close_frame().await, Some(1001));
    drop(peer);
    task.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn after_its_close_frame_a_violator_may_send_on_without_being_reset() {
    let (mut peer, ended, task) = serve_until_the_end(Config::new());
    peer.io.write_all(b"\xff\xff").await.unwrap();
    for _ in 0..1000 {
        peer.io.write_all(&[0xff; 1024]).await.unwrap();
    }
    assert_eq!(peer.close_frame().await, Some(1002));
    assert_eq!(peer.event().await, None);
    let (error, _) = ended.await.unwrap();
    assert!(matches!(error, Some(ErrorKind::Violation(_))));
    drop(peer);
    task.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_message_that_is_dripped_runs_into_its_deadline() {
    let began = Instant::now();
    let (mut peer, mut ended, task) = serve_until_the_end(Config::new());
    peer.io
        .write_all(b"\x81\xfe\x01\x00\0\0\0\0")
        .await
        .unwrap();
    let mut drip = tokio::time::interval(Duration::from_secs(5));
    let ended = loop {
        tokio::select! {
            _ = drip.tick() => { let _ = peer.io.write_all(b"a").await; }
            ended = &mut ended => break ended.unwrap(),
        }
    };
    assert_eq!(
        ended,
        (Some(ErrorKind::MessageTimeout), CloseCause::MessageTimeout)
    );
    assert_eq!(began.elapsed().as_secs(), 60);
    assert_eq!(peer.close_frame().await, Some(1008));
    drop(peer);
    task.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn fragments_that_never_end_run_into_the_deadline_of_their_message() {
    let began = Instant::now();
    let (mut peer, mut ended, _task) = serve_until_the_end(Config::new());
    peer.io.write_all(b"\x01\x81\0\0\0\0a").await.unwrap();
    let mut drip = tokio::time::interval(Duration::from_secs(5));
    let (error, _) = loop {
        tokio::select! {
            _ = drip.tick() => { let _ = peer.io.write_all(b"\x00\x81\0\0\0\0a").await; }
            ended = &mut ended => break ended.unwrap(),
        }
    };
    assert_eq!(error, Some(ErrorKind::MessageTimeout));
    assert_eq!(began.elapsed().as_secs(), 60);
}

#[tokio::test(start_paused = true)]
async fn control_frames_that_are_cut_anywhere_are_no_message_that_never_ends() {
    let (mut peer, mut ended, _task) = serve_until_the_end(Config::new());
    // Every write ends in the middle of the next pong.
    let mut drip = tokio::time::interval(Duration::from_secs(1));
    peer.io.write_all(b"\x8a\x80\0").await.unwrap();
    for _ in 0..200 {
        tokio::select! {
            _ = drip.tick() => peer.io.write_all(b"\0\0\0\x8a\x80\0").await.unwrap(),
            ended = &mut ended => panic!("{ended:?}"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_sends_but_never_reads_runs_into_the_write_deadline() {
    let began = Instant::now();
    let (give, take) = oneshot::channel();
    let (mut peer, task) = serve_with(1024, Config::new(), |mut socket| async move {
        loop {
            match socket.recv().await {
                Ok(Some(message)) => drop(socket.send(message).await),
                Ok(None) => break,
                Err(error) => assert_eq!(error.kind(), ErrorKind::WriteTimeout),
            }
        }
        give.send(socket.close_cause()).unwrap();
    });
    while timeout(
        Duration::from_secs(1),
        peer.io.write_all(b"\x82\x84\0\0\0\0abcd"),
    )
    .await
    .is_ok_and(|written| written.is_ok())
    {}
    assert_eq!(take.await.unwrap(), Some(CloseCause::WriteTimeout));
    assert!(
        (30..35).contains(&began.elapsed().as_secs()),
        "{:?}",
        began.elapsed()
    );
    task.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_reads_slowly_but_reads_is_served() {
    let (mut peer, task) = serve_with(1024, Config::new(), |mut socket| async move {
        socket.send(vec![7; 20_000]).await?;
        while socket.recv().await?.is_some() {}
        Ok::<(), Error>(())
    });
    let mut left = 20_004;
    while left > 0 {
        tokio::time::sleep(Duration::from_secs(20)).await;
        // Asked whether it is there, it answers by reading on; pings are in the
        // queue behind what it has not read.
        let mut buffer = [0; 1000];
        let count = peer.io.read(&mut buffer).await.unwrap();
        assert!(count > 0);
        left -= count.min(left);
        peer.io.write_all(b"\x8a\x80\0\0\0\0").await.unwrap();
    }
    drop(peer);
    task.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_aborted_task_tells_every_handle() {
    let (give, take) = oneshot::channel();
    let (_peer, task) = serve(Config::new(), |socket| async move {
        give.send(socket).unwrap();
    });
    let mut socket = take.await.unwrap();
    let sender = socket.sender();
    let receiving = tokio::spawn(async move { socket.recv().await.unwrap() });
    tokio::task::yield_now().await;
    task.abort();
    assert_eq!(sender.closed().await, CloseCause::Aborted);
    assert_eq!(receiving.await.unwrap(), None);
}

#[tokio::test(start_paused = true)]
async fn abort_ends_the_handler_too() {
    let (give, take) = oneshot::channel();
    let (alive, dead) = oneshot::channel::<()>();
    let (mut peer, task) = serve(Config::new(), |socket| async move {
        give.send(socket.sender()).unwrap();
        let _alive = alive;
        let _socket = socket;
        std::future::pending::<()>().await;
    });
    take.await.unwrap().abort();
    dead.await.unwrap_err();
    assert_eq!(peer.event().await, None);
    task.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn senders_do_not_keep_a_connection_open() {
    let (give, take) = oneshot::channel();
    let (mut peer, _task) = serve(Config::new(), |socket| async move {
        give.send(socket.sender()).unwrap();
    });
    let _sender = take.await.unwrap();
    assert_eq!(peer.close_frame().await, Some(1000));
}

#[tokio::test(start_paused = true)]
async fn a_handlers_error_after_the_end_changes_nothing() {
    let (give, take) = oneshot::channel();
    let (mut peer, task) = serve(Config::new(), |mut socket| async move {
        give.send(socket.sender()).unwrap();
        while socket.recv().await?.is_some() {}
        socket.send("too late").await
    });
    let sender = take.await.unwrap();
    peer.connection.close(CloseCode::NORMAL, "").unwrap();
    peer.flush().await;
    assert_eq!(peer.close_frame().await, Some(1000));
    drop(peer);
    task.await.unwrap();
    assert!(matches!(sender.closed().await, CloseCause::Remote(Some(_))));
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_goes_on_after_the_end_is_left_to_finish() {
    let (give, take) = oneshot::channel();
    let (peer, task) = serve(Config::new(), |socket| async move {
        let _socket = socket;
        tokio::time::sleep(Duration::from_secs(500)).await;
        give.send(()).unwrap();
    });
    drop(peer);
    take.await.unwrap();
    task.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn messages_that_arrived_before_the_end_are_still_received() {
    let (give, take) = oneshot::channel();
    let (mut peer, task) = serve(Config::new(), |socket| async move {
        give.send(socket).unwrap();
    });
    for text in ["one", "two"] {
        peer.send(text).await;
    }
    drop(peer);
    task.await.unwrap();
    let mut socket = take.await.unwrap();
    assert_eq!(socket.recv().await.unwrap(), Some("one".into()));
    assert_eq!(socket.recv().await.unwrap(), Some("two".into()));
    assert_eq!(socket.recv().await.unwrap(), None);
}

#[tokio::test(start_paused = true)]
async fn eight_tasks_may_send_while_the_conversation_ends() {
    senders_during_the_close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn eight_tasks_may_send_while_the_conversation_ends_on_several_threads() {
    senders_during_the_close().await;
}

async fn senders_during_the_close() {
    for round in 0..20 {
        let (give, take) = oneshot::channel();
        let (mut peer, task) = serve(Config::new(), |mut socket| async move {
            give.send(socket.sender()).unwrap();
            while socket.recv().await?.is_some() {}
            Ok::<(), Error>(())
        });
        let sender = take.await.unwrap();
        let senders: Vec<_> = (0..8)
            .map(|_| {
                let sender = sender.clone();
                tokio::spawn(async move {
                    let mut sent = 0;
                    while sender.send("x").await.is_ok() {
                        sent += 1;
                        tokio::task::yield_now().await;
                    }
                    sent
                })
            })
            .collect();
        for _ in 0..round * 10 {
            peer.message().await;
        }
        match round % 3 {
            0 => sender.close(CloseCode::NORMAL, ""),
            1 => {
                peer.connection.close(CloseCode::NORMAL, "").unwrap();
                peer.flush().await;
            }
            _ => sender.abort(),
        }
        // Whole messages, then the close frame (or nothing, after an abort).
        let mut received = round * 10;
        let code = loop {
            match peer.event().await {
                Some(Event::Message(message)) => {
                    assert_eq!(message, "x".into());
                    received += 1;
                }
                Some(Event::Close(frame)) => break frame.map(|it| it.code.value()),
                Some(_) => {}
                None => break None,
            }
        };
        let mut sent = 0;
        for sender in senders {
            sent += sender.await.unwrap();
        }
        if round % 3 == 2 {
            assert!(received <= sent);
        } else {
            assert_eq!((code, received), (Some(1000), sent), "round {round}");
        }
        drop(peer);
        task.await.unwrap();
    }
}

/// What the peer of a bare socket has got when the socket was dropped, and no other task has
/// run since.
fn bytes_at_the_drop(role: Role, used: impl FnOnce(&mut WebSocket)) -> Vec<u8> {
    let (ours, mut theirs) = tokio::io::duplex(1024);
    let mut socket = bare(
        ours,
        Negotiated {
            role,
            ..start(Config::new())
        },
    );
    used(&mut socket);
    drop(socket);
    let mut bytes = vec![];
    let read = tokio::task::unconstrained(theirs.read_buf(&mut bytes));
    let polled = std::pin::pin!(read).poll(&mut Context::from_waker(Waker::noop()));
    assert!(matches!(polled, Poll::Ready(Ok(_))), "nothing was written");
    bytes
}

const CLIENT: Role = Role::Client {
    masking_key: || [0; 4],
};

#[tokio::test(start_paused = true)]
async fn a_bare_socket_that_is_dropped_writes_what_is_queued_and_the_close_frame_at_once() {
    let queued = |socket: &mut WebSocket| socket.sender().try_send("x").unwrap();
    let bytes = bytes_at_the_drop(CLIENT, queued);
    assert_eq!(bytes, b"\x81\x81\0\0\0\0x\x88\x82\0\0\0\0\x03\xe8");
    let bytes = bytes_at_the_drop(Role::Server, queued);
    assert_eq!(bytes, b"\x81\x01x\x88\x02\x03\xe8");
    // A close frame that a sender has queued stays the only one.
    let bytes = bytes_at_the_drop(Role::Server, |socket| {
        queued(socket);
        socket.sender().close(CloseCode::GOING_AWAY, "");
    });
    assert_eq!(bytes, b"\x81\x01x\x88\x02\x03\xe9");
    // An unfinished message says so.
    let bytes = bytes_at_the_drop(Role::Server, |socket| {
        let mut message = socket.send_stream(crate::message::Kind::Text);
        let write = std::pin::pin!(message.write("half"));
        let polled = write.poll(&mut Context::from_waker(Waker::noop()));
        assert!(polled.is_ready());
    });
    assert!(bytes.starts_with(b"\x01\x04half\x88"), "{bytes:?}");
    assert_eq!(bytes[8..10], [3, 243]);
}

#[test]
fn a_bare_socket_may_be_dropped_outside_of_a_runtime_or_after_it() {
    let queued = |socket: &mut WebSocket| socket.sender().try_send("x").unwrap();
    let bytes = bytes_at_the_drop(Role::Server, queued);
    assert_eq!(bytes, b"\x81\x01x\x88\x02\x03\xe8");
}

#[tokio::test(start_paused = true)]
async fn a_bare_socket_that_is_dropped_writes_even_if_its_task_has_used_its_budget_up() {
    // So many units of work has a task in each poll.
    tokio::task::yield_now().await;
    let (give, mut take) = tokio::sync::mpsc::unbounded_channel();
    for _ in 0..200 {
        give.send(()).unwrap();
    }
    poll_fn(|cx| {
        while take.poll_recv(cx).is_ready() {}
        let queued = |socket: &mut WebSocket| socket.sender().try_send("x").unwrap();
        let bytes = bytes_at_the_drop(Role::Server, queued);
        assert_eq!(bytes, b"\x81\x01x\x88\x02\x03\xe8");
        Poll::Ready(())
    })
    .await;
}

/// Receives to the end, then closes in each way; returns how long the close took.
async fn close_after_the_end(way: &str, mut socket: WebSocket) -> Duration {
    if way == "shutdown" {
        let mut stream = socket.into_byte_stream();
        let _ = stream.read_to_end(&mut vec![]).await;
        let began = Instant::now();
        stream.shutdown().await.unwrap();
        return began.elapsed();
    }
    while !matches!(socket.recv().await, Ok(None)) {}
    let began = Instant::now();
    match way {
        "close" => {
            let cause = socket.close(CloseCode::GOING_AWAY, "late").await;
            assert_eq!(socket.close_cause(), Some(cause));
        }
        _ => poll_fn(|cx| futures_sink::Sink::poll_close(Pin::new(&mut socket), cx))
            .await
            .unwrap(),
    }
    began.elapsed()
}

#[tokio::test(start_paused = true)]
async fn a_close_after_the_end_returns_at_once_and_the_rest_goes_on_without_it() {
    // The peer's close frame, and a violation.
    for (end, code) in [
        (&b"\x88\x82\0\0\0\0\x03\xe8"[..], 1000),
        (b"\xff\xff", 1002),
    ] {
        for way in ["close", "sink", "shutdown"] {
            for managed in [true, false] {
                let (ours, theirs) = tokio::io::duplex(1024);
                let mut peer = Peer::new(theirs);
                let (give, take) = oneshot::channel();
                let began = Instant::now();
                let handler =
                    async move |socket| give.send(close_after_the_end(way, socket).await).unwrap();
                let socket = bare(ours, start(Config::new()));
                let closed = socket.sender();
                let _task = Task::run(managed, socket, handler);
                peer.io.write_all(end).await.unwrap();
                assert_eq!(
                    take.await.unwrap(),
                    Duration::ZERO,
                    "{way}, managed: {managed}"
                );
                assert_eq!(peer.close_frame().await, Some(code));
                // The end of the stream; the peer does not end its half.
                assert_eq!(peer.event().await, None);
                closed.closed().await;
                assert_eq!(began.elapsed().as_secs(), 10);
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_close_that_is_called_again_still_waits_for_the_peer() {
    for managed in [true, false] {
        let (ours, theirs) = tokio::io::duplex(1024);
        let mut peer = Peer::new(theirs);
        let socket = bare(ours, start(Config::new()));
        let handler = async move |mut socket: WebSocket| {
            let began = Instant::now();
            let wait = Duration::from_secs(1);
            let close = timeout(wait, socket.close(CloseCode::NORMAL, "")).await;
            assert!(close.is_err());
            socket.close(CloseCode::GOING_AWAY, "").await;
            assert_eq!(began.elapsed().as_secs(), 3);
        };
        let task = Task::run(managed, socket, handler);
        tokio::time::sleep(Duration::from_secs(3)).await;
        assert_eq!(peer.close_frame().await, Some(1000));
        drop(peer);
        task.await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_close_from_elsewhere_ends_what_a_socket_in_another_task_waits_for() {
    for by in ["close", "abort", "overflow"] {
        let config = Config::new()
            .output_limit(1)
            .overflow(crate::config::Overflow::Close);
        let (give, take) = oneshot::channel();
        let (_peer, _task) = serve_with(8, config, |socket| async move {
            give.send(socket).unwrap();
        });
        let mut socket = take.await.unwrap();
        let sender = socket.sender();
        let receiving = tokio::spawn(async move { socket.recv().await });
        let waiting = sender.clone();
        let reserving = tokio::spawn(async move { waiting.reserve().await.map(drop) });
        sender.send("fills the pipe").await.unwrap();
        tokio::task::yield_now().await;
        let began = Instant::now();
        match by {
            "close" => sender.close(CloseCode::NORMAL, ""),
            "abort" => sender.abort(),
            _ => {
                let _ = sender.send("fills the queue").await;
                let _ = sender.send("too much").await;
            }
        }
        assert_eq!(receiving.await.unwrap().unwrap(), None);
        let _ = reserving.await.unwrap();
        assert_eq!(began.elapsed(), Duration::ZERO, "{by}");
    }
}

/// The driver's own poll is on the stack below the handler that blocks its thread, so nothing
/// arrives and no deadline passes. A close from elsewhere must reach it all the same.
#[test]
fn a_handler_that_blocks_its_thread_to_receive_is_ended_by_a_close() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        for way in ["close", "abort"] {
            let (give, take) = oneshot::channel();
            let (mut peer, task) = serve(Config::new(), move |mut socket| async move {
                give.send(socket.sender()).ok().unwrap();
                tokio::task::block_in_place(|| {
                    let received = tokio::runtime::Handle::current().block_on(socket.recv());
                    assert_eq!(received.unwrap(), None);
                });
            });
            let sender = take.await.unwrap();
            peer.send("nobody reads this").await;
            tokio::time::sleep(Duration::from_millis(50)).await;
            match way {
                "close" => sender.close(CloseCode::NORMAL, ""),
                _ => sender.abort(),
            }
            let close = timeout(Duration::from_secs(20), peer.close_frame()).await;
            assert_eq!(close.unwrap(), (way == "close").then_some(1000));
            drop(peer);
            task.await.unwrap();
        }
    });
}
