//! What happens at the edges: of the inbox, of a turn, of the end.

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
