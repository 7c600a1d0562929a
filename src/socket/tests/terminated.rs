//! What has arrived and is not received: at the end of the stream, behind a reader that is dropped,
//! and after `close`.

use futures_core::stream::FusedStream;
use tokio::sync::oneshot;
use tokio::time::sleep;

use super::*;

/// A socket that its handler gave away, and its peer.
async fn given_away() -> (WebSocket, Peer, Task) {
    let (give, take) = oneshot::channel();
    let (peer, task) = serve(Config::new(), |socket| async move {
        give.send(socket).unwrap();
    });
    (take.await.unwrap(), peer, task)
}

#[tokio::test(start_paused = true)]
async fn a_stream_is_terminated_when_recv_has_nothing_more_to_return() {
    for (violates, in_chunks) in [(false, false), (false, true), (true, false), (true, true)] {
        let (mut socket, mut peer, _task) = given_away().await;
        assert!(!socket.is_terminated());
        if in_chunks {
            // What follows is kept as chunks too.
            peer.send("first").await;
            let mut first = socket.recv_stream().await.unwrap().unwrap();
            while first.chunk().await.unwrap().is_some() {}
        }
        peer.send("second").await;
        if violates {
            peer.io.write_all(&[0xff; 8]).await.unwrap();
        } else {
            peer.connection.close(CloseCode::NORMAL, "").unwrap();
            peer.flush().await;
        }
        // All of it has arrived then.
        sleep(Duration::from_millis(1)).await;
        assert!(!socket.is_terminated(), "a message is left");
        assert_eq!(socket.recv().await.unwrap(), Some("second".into()));
        if violates {
            assert!(!socket.is_terminated(), "an error is left");
            socket.recv().await.unwrap_err();
        }
        assert!(socket.is_terminated());
        assert_eq!(socket.recv().await.unwrap(), None);
    }
}

/// The time is looked at: the peer could not go on, and would be disconnected.
#[tokio::test(start_paused = true)]
async fn a_peer_goes_on_behind_a_message_whose_reader_is_dropped() {
    let config = Config::new().max_message_size(1 << 20);
    let (dropped, is_dropped) = oneshot::channel();
    let (mut peer, _task) = serve(config, |mut socket: WebSocket| async move {
        let mut message = socket.recv_stream().await?.unwrap();
        message.chunk().await?;
        drop(message);
        dropped.send(()).unwrap();
        // It does not receive for a long time.
        sleep(Duration::from_secs(100)).await;
        let next = socket.recv().await?.unwrap();
        socket.send(next).await?;
        Ok::<_, Error>(())
    });
    let begin = Instant::now();
    peer.send(vec![1; 1 << 20]).await;
    assert_eq!(begin.elapsed(), Duration::ZERO);
    is_dropped.await.unwrap();
    peer.send("next").await;
    assert_eq!(peer.message().await, "next".into());
}

#[tokio::test(start_paused = true)]
async fn a_socket_that_closes_receives_nothing_more() {
    let (mut socket, mut peer, _task) = given_away().await;
    peer.send("unread").await;
    sleep(Duration::from_millis(1)).await;
    let closing = tokio::spawn(async move {
        socket.close(CloseCode::NORMAL, "").await;
        socket
    });
    assert_eq!(peer.close_frame().await, Some(1000));
    peer.flush_quietly().await;
    drop(peer);
    let mut socket = closing.await.unwrap();
    assert_eq!(socket.recv().await.unwrap(), None);
}
