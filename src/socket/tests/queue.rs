//! The output queue: corking, order, overflow; and the bounds of read-ahead.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::oneshot;

use super::peer::{Counted, Peer, serve_with};
use super::*;
use crate::config::Overflow;
use crate::error::ErrorKind;

/// A managed socket whose writes are counted.
fn serve_counted<F, Fut>(vectored: bool, handler: F) -> (Peer, Arc<AtomicUsize>)
where
    F: FnOnce(WebSocket) -> Fut,
    Fut: Future + Send + 'static,
    Fut::Output: HandlerOutput,
{
    let (io, theirs) = tokio::io::duplex(1 << 20);
    let writes = Arc::new(AtomicUsize::new(0));
    let counted = Counted {
        io,
        writes: writes.clone(),
        vectored,
    };
    tokio::spawn(managed(counted, start(Config::new()), handler));
    (Peer::new(theirs), writes)
}

#[tokio::test(start_paused = true)]
async fn all_that_a_handler_sends_within_one_poll_leaves_in_one_write() {
    let (mut peer, writes) = serve_counted(true, |mut socket| async move {
        for at in 0..50 {
            socket.send(format!("message {at}")).await.unwrap();
        }
        // Whatever it waits for: nothing stays behind.
        tokio::time::sleep(Duration::from_secs(10)).await;
        socket.send("after").await.unwrap();
        std::future::pending::<()>().await;
    });
    for at in 0..50 {
        assert_eq!(peer.message().await, format!("message {at}").into());
    }
    assert_eq!(writes.load(Ordering::Relaxed), 1);
    assert_eq!(peer.message().await, "after".into());
    assert_eq!(writes.load(Ordering::Relaxed), 2);
}

#[tokio::test(start_paused = true)]
async fn a_large_payload_is_written_with_its_header_where_the_transport_can() {
    for (vectored, expected) in [(true, 1), (false, 3)] {
        let (mut peer, writes) = serve_counted(vectored, |mut socket| async move {
            socket.send(vec![7; 50_000]).await.unwrap();
            socket.send("small").await.unwrap();
            std::future::pending::<()>().await;
        });
        assert_eq!(peer.message().await.len(), 50_000);
        assert_eq!(peer.message().await, "small".into());
        assert_eq!(writes.load(Ordering::Relaxed), expected);
    }
}

#[tokio::test(start_paused = true)]
async fn an_echo_of_many_messages_at_once_is_one_write() {
    let (mut peer, writes) = serve_counted(true, echo);
    for at in 0..16 {
        peer.connection.send(format!("{at}")).unwrap();
    }
    peer.flush().await;
    for at in 0..16 {
        assert_eq!(peer.message().await, format!("{at}").into());
    }
    assert_eq!(writes.load(Ordering::Relaxed), 1);
}

#[tokio::test(start_paused = true)]
async fn other_tasks_messages_are_delivered_while_the_handler_waits_for_something_else() {
    let (give, take) = oneshot::channel();
    let (mut peer, _task) = serve(Config::new(), |socket| async move {
        give.send(socket.sender()).unwrap();
        let _socket = socket;
        std::future::pending::<()>().await;
    });
    let sender = take.await.unwrap();
    sender.send("from elsewhere").await.unwrap();
    assert_eq!(peer.message().await, "from elsewhere".into());
}

#[tokio::test(start_paused = true)]
async fn messages_of_one_task_leave_in_call_order_whichever_handle_sent_them() {
    let (mut peer, _task) = serve(Config::new(), |mut socket| async move {
        let sender = socket.sender();
        for at in 0..100 {
            match at % 3 {
                0 => socket.send(format!("{at}")).await.unwrap(),
                1 => sender.send(format!("{at}")).await.unwrap(),
                _ => sender.clone().try_send(format!("{at}")).unwrap(),
            }
        }
        std::future::pending::<()>().await;
    });
    for at in 0..100 {
        assert_eq!(peer.message().await, format!("{at}").into());
    }
}

/// A socket whose peer reads nothing, and how much a sender could queue.
async fn stalled(config: Config) -> (Peer, Sender) {
    let (give, take) = oneshot::channel();
    let (peer, _task) = serve_with(1024, config, |mut socket| async move {
        give.send(socket.sender()).unwrap();
        while socket.recv().await?.is_some() {}
        Ok::<(), Error>(())
    });
    let sender = take.await.unwrap();
    (peer, sender)
}

#[tokio::test(start_paused = true)]
async fn the_queue_is_bounded_and_waiting_senders_go_on_when_the_peer_reads() {
    let (mut peer, sender) = stalled(Config::new()).await;
    let mut queued = 0;
    while timeout(Duration::from_secs(1), sender.send(vec![0; 1000]))
        .await
        .is_ok()
    {
        queued += 1;
        assert!(queued < 200, "the queue has a limit");
    }
    // 64 KiB and one message; the pipe holds another KiB.
    assert!((63..=68).contains(&queued), "{queued}");
    assert!(matches!(sender.try_send("no"), Err(TrySendError::Full(_))));
    let waiting = tokio::spawn({
        let sender = sender.clone();
        async move { sender.send("at last").await }
    });
    for _ in 0..queued {
        assert_eq!(peer.message().await.len(), 1000);
    }
    assert_eq!(peer.message().await, "at last".into());
    waiting.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_message_larger_than_the_queue_is_accepted_when_nothing_else_waits() {
    let (mut peer, sender) = stalled(Config::new().output_limit(10)).await;
    sender.try_send(vec![1; 5000]).unwrap();
    tokio::task::yield_now().await;
    assert!(matches!(sender.try_send("x"), Err(TrySendError::Full(_))));
    assert_eq!(peer.message().await.len(), 5000);
}

#[tokio::test(start_paused = true)]
async fn dropping_the_newest_keeps_what_was_queued_first() {
    let config = Config::new()
        .overflow(Overflow::DropNewest)
        .output_limit(5000);
    let (mut peer, sender) = stalled(config).await;
    for at in 0..100u8 {
        sender.send(vec![at; 1000]).await.unwrap();
        tokio::task::yield_now().await;
    }
    let mut kept = 0;
    while let Ok(message) = timeout(Duration::from_secs(1), peer.message()).await {
        assert_eq!(message, vec![kept; 1000].into());
        kept += 1;
    }
    assert!((5..8).contains(&kept), "{kept}");
    sender.send("end").await.unwrap();
    assert_eq!(peer.message().await, "end".into());
}

#[tokio::test(start_paused = true)]
async fn dropping_the_oldest_keeps_whole_messages_and_the_last() {
    let config = Config::new()
        .overflow(Overflow::DropOldest)
        .output_limit(5000);
    let (mut peer, sender) = stalled(config).await;
    for at in 0..100u8 {
        sender.send(vec![at; 1000]).await.unwrap();
        tokio::task::yield_now().await;
    }
    // What the driver had taken to write stays whole, then come the newest.
    let mut received = vec![];
    loop {
        let message = peer.message().await;
        assert_eq!(message.len(), 1000);
        received.push(message.as_bytes()[0]);
        if received.last() == Some(&99) {
            break;
        }
    }
    assert!(received.is_sorted());
    assert!(received.len() < 15, "{received:?}");
    assert!(received.ends_with(&[97, 98, 99]), "{received:?}");
}

#[tokio::test(start_paused = true)]
async fn a_slow_peer_is_closed_with_1013_where_the_policy_says_so() {
    let config = Config::new().overflow(Overflow::Close).output_limit(5000);
    let (mut peer, sender) = stalled(config).await;
    let mut sent = 0;
    while sender.send(vec![0; 1000]).await.is_ok() {
        sent += 1;
        tokio::task::yield_now().await;
    }
    assert_eq!(sender.close_cause(), Some(CloseCause::Overflow));
    for _ in 0..sent {
        assert_eq!(peer.message().await.len(), 1000);
    }
    assert_eq!(peer.close_frame().await, Some(1013));
}

#[tokio::test(start_paused = true)]
async fn a_permit_sends_without_waiting() {
    let (mut peer, sender) = stalled(Config::new().output_limit(1)).await;
    let permit = sender.reserve().await.unwrap();
    sender.send("first").await.unwrap();
    permit.send("second").unwrap();
    assert_eq!(peer.message().await, "first".into());
    assert_eq!(peer.message().await, "second".into());
}

#[tokio::test(start_paused = true)]
async fn flush_waits_until_everything_is_handed_to_the_transport() {
    let (mut peer, sender) = stalled(Config::new()).await;
    sender.send(vec![0; 5000]).await.unwrap();
    assert!(
        timeout(Duration::from_secs(1), sender.flush())
            .await
            .is_err()
    );
    let flushed = tokio::spawn({
        let sender = sender.clone();
        async move { sender.flush().await }
    });
    assert_eq!(peer.message().await.len(), 5000);
    flushed.await.unwrap().unwrap();
    sender.flush().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn no_more_is_read_ahead_than_the_inbox_holds() {
    for length in [1, 1000, 70_000] {
        let (give, take) = oneshot::channel();
        let (mut peer, _task) = serve_with(1024, Config::new(), |socket| async move {
            give.send(socket).unwrap();
        });
        let mut socket = take.await.unwrap();
        let mut accepted = 0usize;
        loop {
            peer.connection.send(vec![0; length]).unwrap();
            let bytes = peer.connection.take_output();
            match timeout(Duration::from_secs(1), peer.io.write_all(&bytes)).await {
                Ok(written) => written.unwrap(),
                Err(_) => break,
            }
            accepted += 1;
            assert!(accepted < 10_000, "reading stops");
        }
        // 64 messages or 64 KiB, what one read took beyond them, and the pipe.
        let most = 64.min(65_536 / length + 1) + 20 * 1024 / length + 1;
        assert!(
            accepted <= most,
            "{accepted} of {length} bytes, {most} at most"
        );
        // Nothing is lost, and reading goes on.
        for _ in 0..accepted {
            assert_eq!(socket.recv().await.unwrap().unwrap().len(), length);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_full_inbox_is_no_reason_to_give_the_peer_up() {
    let (give, take) = oneshot::channel();
    let (mut peer, task) = serve(Config::new(), |mut socket| async move {
        tokio::time::sleep(Duration::from_secs(3600)).await;
        let mut count = 0;
        while socket.recv().await?.is_some() {
            count += 1;
        }
        give.send(count).unwrap();
        Ok::<(), Error>(())
    });
    for _ in 0..2000 {
        peer.connection.send("x").unwrap();
    }
    peer.connection.close(CloseCode::NORMAL, "").unwrap();
    peer.flush().await;
    assert_eq!(peer.close_frame().await, Some(1000));
    drop(peer);
    task.await.unwrap();
    assert_eq!(take.await.unwrap(), 2000);
}

#[tokio::test(start_paused = true)]
async fn the_round_trip_of_the_keep_alive_ping_is_measured() {
    let (mut peer, _task) = serve(Config::new(), |mut socket| async move {
        assert_eq!(socket.latency(), None);
        let message = socket.recv().await.unwrap();
        assert_eq!(message, Some("now".into()));
        let latency = socket.latency().unwrap();
        socket
            .send(format!("{}", latency.as_millis()))
            .await
            .unwrap();
        std::future::pending::<()>().await;
    });
    let mut ping = [0; 10];
    peer.io.read_exact(&mut ping).await.unwrap();
    tokio::time::sleep(Duration::from_millis(30)).await;
    let (_, event) = peer.connection.receive(&mut ping).unwrap();
    assert!(matches!(event, Some(Event::Ping(_))));
    peer.flush().await;
    peer.send("now").await;
    assert_eq!(peer.message().await, "30".into());
}

#[tokio::test(start_paused = true)]
async fn nothing_can_be_sent_after_the_end() {
    let (give, take) = oneshot::channel();
    let (peer, task) = serve(Config::new(), |socket| async move {
        give.send(socket.sender()).unwrap();
    });
    let sender = take.await.unwrap();
    drop(peer);
    task.await.unwrap();
    assert_eq!(
        sender.send("x").await.unwrap_err().kind(),
        ErrorKind::Closed
    );
    assert!(matches!(sender.try_send("x"), Err(TrySendError::Closed(_))));
    assert!(sender.reserve().await.is_err());
    assert!(matches!(
        sender.closed().await,
        CloseCause::Local(CloseCode::NORMAL)
    ));
}

/// A transport that keeps what it is given until it is flushed, and flushes only
/// when it may.
struct Buffering {
    io: tokio::io::DuplexStream,
    kept: Vec<u8>,
    may_flush: Arc<std::sync::atomic::AtomicBool>,
}

impl AsyncRead for Buffering {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut tokio::io::ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Buffering {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        self.kept.extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        if !self.may_flush.load(Ordering::Relaxed) {
            return Poll::Pending;
        }
        let Buffering { io, kept, .. } = &mut *self;
        let written = ready!(Pin::new(io).poll_write(cx, kept))?;
        kept.drain(..written);
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

#[tokio::test(start_paused = true)]
async fn flush_waits_for_a_transport_that_buffers() {
    let (io, theirs) = tokio::io::duplex(1 << 16);
    let may_flush = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let transport = Buffering {
        io,
        kept: vec![],
        may_flush: may_flush.clone(),
    };
    let (give, take) = oneshot::channel();
    tokio::spawn(managed(
        transport,
        start(Config::new()),
        |mut socket| async move {
            give.send(socket.sender()).unwrap();
            while socket.recv().await?.is_some() {}
            Ok::<(), Error>(())
        },
    ));
    let sender = take.await.unwrap();
    let mut peer = Peer::new(theirs);
    sender.send("kept").await.unwrap();
    assert!(
        timeout(Duration::from_secs(1), sender.flush())
            .await
            .is_err()
    );
    may_flush.store(true, Ordering::Relaxed);
    // Whatever wakes the driver.
    peer.send("go").await;
    sender.flush().await.unwrap();
    assert_eq!(peer.message().await, "kept".into());
}
