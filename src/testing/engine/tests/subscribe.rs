//! Readers without a socket.

use super::*;
use crate::hub::{Received, Subscription};

async fn next(subscription: &mut Subscription) -> String {
    match within(subscription.recv()).await.unwrap() {
        Received::Message { message, .. } => {
            let text = message.as_text().unwrap();
            text.split_once(' ').unwrap().1.to_owned()
        }
        missed => panic!("{missed:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_subscription_hears_other_servers_and_is_told_of_a_loss() {
    let engine = Engine::new();
    let (a, b) = (Server::new(&engine), Server::new(&engine));
    let mut subscription = within(a.room().subscribe(None)).await.unwrap();
    assert!(a.link.follows("lobby"));
    b.publish("1").await;
    assert_eq!(next(&mut subscription).await, "1");
    // What it misses while its server is cut off is read.
    a.link.cut();
    b.publish("2").await;
    a.link.restore();
    assert_eq!(next(&mut subscription).await, "2");
    // A page that comes back goes on; so does a reader on another server.
    let at = subscription.position();
    let mut other = within(b.room().subscribe(Some(at))).await.unwrap();
    engine.lose_room("lobby");
    let now = b.publish("3").await;
    for subscription in [&mut subscription, &mut other] {
        let missed = within(subscription.recv()).await;
        assert_eq!(missed, Ok(Received::Missed { now }));
    }
    b.publish("4").await;
    assert_eq!(next(&mut subscription).await, "4");
    assert_eq!(next(&mut other).await, "4");
    drop((subscription, other));
    sleep(Duration::from_secs(10)).await;
    assert!(!a.link.follows("lobby"));
}
