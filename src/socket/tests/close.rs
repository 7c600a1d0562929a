//! Closes and shutdowns by this side: how long they take, and whom they wake.

use std::pin::Pin;

use tokio::sync::oneshot;

use super::end::serve_until_the_end;
use super::peer::serve_with;
use super::*;
use crate::error::ErrorKind;

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
