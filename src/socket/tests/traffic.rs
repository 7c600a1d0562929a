//! The messages and their bytes, as they are counted in each direction.

use tokio::sync::oneshot;

use super::*;
use crate::protocol::Prepared;

#[tokio::test(start_paused = true)]
async fn a_message_is_counted_once_whatever_way_it_takes() {
    let (give, take) = oneshot::channel();
    let (mut peer, task) = serve(Config::new(), |mut socket| async move {
        let sender = socket.sender();
        // From the handler, and from another task.
        socket.send("12345").await?;
        let other = sender.clone();
        let others = tokio::spawn(async move {
            other.send("1234567").await.unwrap();
            other.try_send_prepared(&Prepared::new("123")).unwrap();
        });
        others.await.unwrap();
        // Whole messages, and between them one in chunks.
        assert_eq!(socket.recv().await?.unwrap().len(), 10);
        let mut message = socket.recv_stream().await?.unwrap();
        let (mut length, mut chunks) = (0, 0);
        while let Some(chunk) = message.chunk().await? {
            length += chunk.len();
            chunks += 1;
        }
        assert_eq!(length, 300_000);
        assert!(chunks > 1, "more than is read ahead");
        drop(message);
        assert_eq!(socket.recv().await?.unwrap().len(), 3);
        give.send(sender).ok();
        Ok::<_, Error>(())
    });
    for message in [vec![1; 10], vec![2; 300_000], vec![3; 3]] {
        peer.send(message).await;
    }
    let sender = take.await.unwrap();
    assert_eq!(peer.close_frame().await, Some(1000));
    drop(peer);
    task.await.unwrap();
    let (received, sent) = sender.shared().traffic();
    assert_eq!((received.messages, received.bytes), (3, 300_013));
    assert_eq!((sent.messages, sent.bytes), (3, 15));
}
