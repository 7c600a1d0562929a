//! Readers of a room without a socket.

use std::time::Duration;

use tokio::time::timeout;

use super::*;

fn hub(messages: usize) -> Hub {
    Hub::new()
        .history(History::last(messages))
        .stamp(|_, _, message| format!("stamped {}", message.as_text().unwrap_or("?")))
}

/// The text of the next message.
async fn next(subscription: &mut Subscription) -> String {
    match subscription.recv().await.unwrap() {
        Received::Message { position, message } => {
            assert_eq!(subscription.position(), position);
            message.as_text().unwrap().to_owned()
        }
        missed => panic!("{missed:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_subscription_gets_what_follows_its_position() {
    let room = hub(10).room("lobby");
    let start = room.position().await.unwrap();
    room.publish("a").await.unwrap();
    let mut subscription = room.subscribe(Some(start)).await.unwrap();
    let mut later = room.subscribe(None).await.unwrap();
    room.publish("b").await.unwrap();
    assert_eq!(next(&mut subscription).await, "stamped a");
    let at = subscription.position();
    assert_eq!(next(&mut subscription).await, "stamped b");
    assert_eq!(next(&mut later).await, "stamped b");

    // It waits for the next one, and a call that is dropped loses nothing.
    let nothing = timeout(Duration::from_secs(1), subscription.recv()).await;
    assert!(nothing.is_err(), "{nothing:?}");
    let (text, _) = tokio::join!(next(&mut subscription), async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        room.send("c");
    });
    assert_eq!(text, "stamped c");

    // Another reader goes on where this one was.
    let mut again = room.subscribe(Some(at)).await.unwrap();
    assert_eq!(next(&mut again).await, "stamped b");
}

#[tokio::test(start_paused = true)]
async fn a_subscription_that_falls_behind_is_told_and_goes_on() {
    let room = hub(3).room("lobby");
    let mut subscription = room.subscribe(None).await.unwrap();
    for number in 0..5 {
        room.publish(number.to_string()).await.unwrap();
    }
    let now = room.position().await.unwrap();
    let received = subscription.recv().await;
    assert_eq!(received, Ok(Received::Missed { now }));
    assert_eq!(subscription.position(), now);
    room.publish("next").await.unwrap();
    assert_eq!(next(&mut subscription).await, "stamped next");
}

#[tokio::test]
async fn a_room_is_kept_while_it_is_read() {
    let hub = hub(3);
    let mut subscription = hub.room("lobby").subscribe(None).await.unwrap();
    assert_eq!(hub.len(), 1);
    hub.room("lobby").send("heard");
    assert_eq!(next(&mut subscription).await, "stamped heard");
    assert_eq!(hub.kept(), 0);
    drop(subscription);
    // As after the last member: for a while, for its messages.
    assert_eq!(hub.kept(), 1);
}

#[tokio::test]
async fn a_hub_without_history_cannot_be_read() {
    let subscribed = Hub::new().room("lobby").subscribe(None).await;
    assert_eq!(subscribed.unwrap_err(), HubError::NoHistory);
}
