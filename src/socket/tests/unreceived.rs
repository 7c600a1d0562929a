//! Messages that nobody receives: what is found behind them.

use tokio::sync::oneshot;

use super::*;
use crate::close::CloseFrame;

/// A handler that only sends, and what its sends and its connection come to.
async fn push(mut socket: WebSocket, ended: oneshot::Sender<CloseCause>) {
    let sender = socket.sender();
    while socket.send("tick").await.is_ok() {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    ended.send(sender.closed().await).unwrap();
}

impl Peer {
    /// The next control frame, or `None` at the end.
    async fn control(&mut self) -> Option<Event> {
        loop {
            match self.event().await {
                Some(Event::Message(_)) => {}
                other => return other,
            }
        }
    }
}

fn going_away() -> CloseCause {
    CloseCause::Remote(Some(CloseFrame::new(CloseCode::GOING_AWAY, "")))
}

#[tokio::test(start_paused = true)]
async fn a_ping_and_a_close_are_answered_behind_messages_that_the_handler_never_receives() {
    for text in ["", "a short text", &"a longer text".repeat(20)] {
        let began = Instant::now();
        let (give, take) = oneshot::channel();
        let (mut peer, _task) = serve(Config::new(), |socket| push(socket, give));
        for _ in 0..100 {
            peer.send(text).await;
        }
        peer.connection.ping(b"there?").unwrap();
        peer.flush().await;
        let pong = timeout(Duration::from_secs(12), peer.control()).await;
        assert_eq!(pong, Ok(Some(Event::Pong("there?".into()))), "{text}");
        peer.connection.close(CloseCode::GOING_AWAY, "").unwrap();
        peer.flush().await;
        assert_eq!(peer.close_frame().await, Some(1001));
        drop(peer);
        assert_eq!(take.await.unwrap(), going_away());
        assert!(began.elapsed().as_secs() < 3, "{:?}", began.elapsed());
    }
}
