//! What happens at the edges: of the inbox, of a turn, of the end.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::peer::serve_with;
use super::*;
use crate::tracker::Tracker;

async fn forever(socket: WebSocket) {
    let _socket = socket;
    std::future::pending().await
}

#[tokio::test(start_paused = true)]
async fn what_was_received_no_longer_counts_as_read_ahead() {
    let (mut peer, _task) = serve(Config::new(), |mut socket: WebSocket| async move {
        for _ in 0..1000 {
            let message = socket.recv().await.unwrap().unwrap();
            socket.send(message).await.unwrap();
        }
        forever(socket).await;
    });
    for _ in 0..1000 {
        peer.send(vec![0; 1000]).await;
        peer.message().await;
    }
    for text in ["three", "messages", "wait"] {
        peer.send(text).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    peer.connection.ping(b"there?").unwrap();
    peer.flush().await;
    let event = timeout(Duration::from_secs(5), peer.event()).await;
    assert_eq!(event.unwrap(), Some(Event::Pong("there?".into())));
}

#[tokio::test(start_paused = true)]
async fn a_message_that_begins_behind_a_full_inbox_has_its_deadline_too() {
    let (mut peer, task) = serve(Config::new(), |mut socket: WebSocket| async move {
        while let Ok(Some(_)) = socket.recv().await {}
        assert_eq!(socket.close_cause(), Some(CloseCause::MessageTimeout));
    });
    for _ in 0..70 {
        peer.connection.send("message").unwrap();
    }
    let mut output = peer.connection.take_output();
    // The first fragment of a message whose second never comes.
    output.extend_from_slice(b"\x02\x81\0\0\0\0x");
    peer.io.write_all(&output).await.unwrap();
    assert_eq!(
        timeout(Duration::from_secs(65), peer.close_frame()).await,
        Ok(Some(1008))
    );
    drop(peer);
    task.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_close_while_output_is_blocked_has_its_deadline() {
    let config = Config::new().no_keep_alive().write_timeout(None);
    let (_peer, task) = serve_with(1024, config, |mut socket: WebSocket| async move {
        socket.send(vec![0; 100_000]).await.unwrap();
        tokio::time::sleep(Duration::from_secs(1)).await;
        socket.close(CloseCode::NORMAL, "").await;
    });
    timeout(Duration::from_secs(100), task)
        .await
        .expect("the closing handshake has a deadline")
        .unwrap();
}

/// A peer that always has another ping to send.
struct Flood;

impl AsyncRead for Flood {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut tokio::io::ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        buffer.put_slice(b"\x89\x80\0\0\0\0");
        Poll::Ready(Ok(()))
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_never_stops_sending_does_not_outrun_the_close_deadline() {
    let task = tokio::spawn(managed(
        tokio::io::join(Flood, tokio::io::sink()),
        start(Config::new()),
        |_| async {},
    ));
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
    // Not much later than the deadline: that would look like a pause of the process.
    tokio::time::advance(Duration::from_millis(10_002)).await;
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert!(task.is_finished());
}

#[tokio::test(start_paused = true)]
async fn a_ping_that_stands_behind_a_long_download_is_not_missed() {
    let (mut peer, _task) = serve_with(1024, Config::new(), |mut socket: WebSocket| async move {
        socket.send(vec![0; 100_000]).await.unwrap();
        while let Ok(Some(_)) = socket.recv().await {}
    });
    // A slow but steady reader: a hundred seconds for the message.
    let mut left = 100_010;
    let mut buffer = [0; 1000];
    while left > 0 {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let most = buffer.len().min(left);
        let count = peer.io.read(&mut buffer[..most]).await.unwrap();
        assert!(count > 0, "given up with {left} bytes to go");
        left -= count;
    }
    // Now it is asked, and answers.
    assert!(matches!(peer.event().await, Some(Event::Ping(_))));
    peer.flush_quietly().await;
    peer.send("still here").await;
}

#[tokio::test(start_paused = true)]
async fn a_drain_drops_a_handler_that_outlives_its_connection() {
    let tracker = Tracker::new();
    let (ours, theirs) = tokio::io::duplex(1024);
    let mut start = start(Config::new());
    start.permit = Some(tracker.admit().unwrap());
    let task = tokio::spawn(managed(ours, start, forever));
    tokio::task::yield_now().await;
    drop(theirs);
    tokio::time::sleep(Duration::from_secs(1)).await;
    let drained = tracker
        .drain(CloseCode::GOING_AWAY, Duration::from_secs(5))
        .await;
    assert_eq!(drained.aborted, 1);
    assert_eq!(tracker.len(), 0);
    task.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_handler_is_not_polled_again_after_its_abort() {
    let polls = Arc::new(AtomicUsize::new(0));
    let (_peer, task) = serve(Config::new(), {
        let polls = polls.clone();
        move |socket: WebSocket| async move {
            socket.abort();
            poll_fn(|_| {
                polls.fetch_add(1, Ordering::Relaxed);
                Poll::<()>::Pending
            })
            .await;
        }
    });
    task.await.unwrap();
    assert_eq!(polls.load(Ordering::Relaxed), 1);
}

#[tokio::test(start_paused = true)]
async fn a_ping_before_a_close_frame_is_answered() {
    let (mut peer, _task) = serve(Config::new(), echo);
    peer.connection.ping(b"last").unwrap();
    peer.connection.close(CloseCode::NORMAL, "").unwrap();
    peer.flush().await;
    assert_eq!(peer.event().await, Some(Event::Pong("last".into())));
    assert_eq!(peer.close_frame().await, Some(1000));
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_closed_and_left_has_closed() {
    let (give, take) = tokio::sync::oneshot::channel();
    let (mut peer, _task) = serve(Config::new(), |mut socket: WebSocket| async move {
        while let Some(message) = socket.recv().await.unwrap() {
            if socket.send(message).await.is_err() {
                break;
            }
        }
        give.send(socket.sender().closed().await).unwrap();
    });
    let output = b"\x81\x80\0\0\0\0\x88\x82\0\0\0\0\x03\xe8";
    peer.io.write_all(output).await.unwrap();
    drop(peer);
    assert!(matches!(take.await.unwrap(), CloseCause::Remote(Some(_))));
}

#[tokio::test(start_paused = true)]
async fn a_bare_socket_split_over_two_tasks_does_not_forget_the_one_that_receives() {
    let (ours, theirs) = tokio::io::duplex(1 << 16);
    let socket = bare(ours, start(Config::new()));
    let mut peer = Peer::new(theirs);
    let socket = Arc::new(Mutex::new(socket));
    let receiving = tokio::spawn({
        let socket = socket.clone();
        poll_fn(move |cx| socket.lock().unwrap().poll_recv(cx))
    });
    tokio::task::yield_now().await;
    // The other half sends once, and waits for something else from then on.
    let _sending = tokio::spawn(async move {
        poll_fn(|cx| {
            let mut socket = socket.lock().unwrap();
            let mut sending = socket.send("from the other task");
            Pin::new(&mut sending).poll(cx)
        })
        .await
        .unwrap();
        std::future::pending::<()>().await;
    });
    peer.message().await;
    peer.send("hello").await;
    let message = timeout(Duration::from_secs(1), receiving).await;
    assert_eq!(message.unwrap().unwrap().unwrap(), Some("hello".into()));
}

#[tokio::test(start_paused = true)]
async fn a_drain_may_be_as_patient_as_can_be() {
    let tracker = Tracker::new();
    tracker.drain(CloseCode::GOING_AWAY, Duration::MAX).await;
}

#[tokio::test(start_paused = true)]
async fn a_socket_that_comes_during_a_drain_is_closed_with_its_code() {
    let tracker = Tracker::new();
    let permit = tracker.admit().unwrap();
    let drain = tokio::spawn({
        let tracker = tracker.clone();
        async move {
            tracker
                .drain(CloseCode::SERVICE_RESTART, Duration::from_secs(5))
                .await
        }
    });
    tokio::task::yield_now().await;
    let (ours, theirs) = tokio::io::duplex(1024);
    let mut start = start(Config::new());
    start.permit = Some(permit);
    tokio::spawn(managed(ours, start, echo));
    let mut peer = Peer::new(theirs);
    assert_eq!(peer.close_frame().await, Some(1012));
    drop(peer);
    drain.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_managed_socket_may_be_run_in_another_task() {
    let (mut peer, _task) = serve(Config::new(), |socket: WebSocket| async move {
        tokio::spawn(socket.run(echo));
    });
    for text in ["one", "two", "three"] {
        peer.send(text).await;
        let answer = timeout(Duration::from_secs(5), peer.message()).await;
        assert_eq!(answer.expect("an answer"), text.into());
    }
}

/// A peer that has its answer and leaves at once: behind each write is its close
/// frame, or nothing more.
struct Hasty {
    before: Vec<u8>,
    behind: Vec<u8>,
    written: bool,
}

impl AsyncRead for Hasty {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut tokio::io::ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        let next = match (self.before.is_empty(), self.written) {
            (false, _) => std::mem::take(&mut self.before),
            (true, true) => std::mem::take(&mut self.behind),
            // It is polled again as soon as something was written.
            (true, false) => return Poll::Pending,
        };
        buffer.put_slice(&next);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Hasty {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        self.written = true;
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_written_before_the_peer_left_was_sent() {
    for behind in [&b"\x88\x80\0\0\0\0"[..], b""] {
        let io = || Hasty {
            before: b"\x81\x82\0\0\0\0hi".to_vec(),
            behind: behind.to_vec(),
            written: false,
        };
        let mut socket = bare(io(), start(Config::new()));
        let message = socket.recv().await.unwrap().unwrap();
        socket.send(message).await.unwrap();
        assert_eq!(socket.recv().await.unwrap(), None);

        let (done, result) = tokio::sync::oneshot::channel();
        let handler = async |mut socket: WebSocket| {
            let message = socket.recv().await.unwrap().unwrap();
            socket.send(message).await.unwrap();
            done.send(socket.flush().await).unwrap();
        };
        tokio::spawn(bare(io(), start(Config::new())).run(handler));
        result.await.unwrap().unwrap();
    }
}
