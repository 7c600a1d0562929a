//! What a room keeps, and for how long.

use std::time::Duration;

use tokio::time::sleep;

use super::resume::{resume, stamped};
use super::*;
use crate::Config;

#[tokio::test(start_paused = true)]
async fn a_room_outlives_its_last_member_by_its_age_and_forgets_then() {
    let hub = stamped(History::last(10).age(Duration::from_secs(60)));
    let room = hub.room("lobby");
    let before = room.publish("a").await.unwrap();
    let (peer, joined) = resume(&room, Some(before), Config::new());
    joined.await.unwrap().unwrap();
    drop(room);
    drop(peer);
    sleep(Duration::from_secs(50)).await;
    let room = hub.room("lobby");
    assert_eq!(room.position().await, Ok(before));
    drop(room);
    for _ in 0..100 {
        // A room that is visited again and again is in the list once.
        let (peer, joined) = resume(&hub.room("lobby"), Some(before), Config::new());
        joined.await.unwrap().unwrap();
        drop(peer);
        sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(hub.kept(), 1);
    // At least five minutes, so that keys of messages are remembered.
    sleep(Duration::from_secs(301)).await;
    drop(hub.room("other"));
    assert_eq!((hub.len(), hub.kept()), (0, 0));
    assert_eq!(hub.counters().history_bytes, 0);
    assert_ne!(hub.room("lobby").position().await, Ok(before));
}

#[tokio::test(start_paused = true)]
async fn messages_that_are_too_old_are_not_replayed() {
    let hub = stamped(History::last(10).age(Duration::from_secs(60)));
    let room = hub.room("lobby");
    let start = room.position().await.unwrap();
    let now = room.publish("a").await.unwrap();
    sleep(Duration::from_secs(61)).await;
    let (_peer, joined) = resume(&room, Some(start), Config::new());
    assert_eq!(joined.await.unwrap(), Ok(Joined::Missed { now }));
    // Who has everything resumes for ever.
    let (_peer, joined) = resume(&room, Some(now), Config::new());
    assert!(matches!(
        joined.await.unwrap(),
        Ok(Joined::Resumed { replayed: 0, .. })
    ));
    assert_eq!(room.history(10).await.unwrap().messages, vec![]);
}

#[tokio::test(start_paused = true)]
async fn the_histories_of_all_rooms_together_are_bounded_and_the_oldest_forget_first() {
    let total = 100_000;
    let hub = stamped(History::last(100).total_bytes(total));
    let rooms: Vec<_> = (0..50)
        .map(|number| hub.room(&number.to_string()))
        .collect();
    for room in &rooms {
        for _ in 0..10 {
            room.send("x".repeat(100));
            assert!(hub.counters().history_bytes <= total);
        }
        sleep(Duration::from_millis(1)).await;
    }
    let kept = |room: Room| async move { room.history(100).await.unwrap().messages.len() };
    assert_eq!(kept(rooms[0].clone()).await, 0);
    assert_eq!(kept(rooms[49].clone()).await, 10);
    assert!(hub.counters().history_bytes > total / 2);
    // What was forgotten is missed, what was not goes on.
    let last = rooms[0].position().await.unwrap();
    assert_eq!(last.number(), 10);
    drop(rooms);
}

#[tokio::test(start_paused = true)]
async fn one_large_message_is_kept_and_the_limits_hold() {
    let hub = stamped(History::last(3).bytes(1000));
    let room = hub.room("lobby");
    room.send("a");
    room.send("x".repeat(5000));
    assert_eq!(room.history(9).await.unwrap().messages.len(), 1);
    for text in ["a", "b", "c", "d"] {
        room.send(text);
    }
    assert_eq!(room.history(9).await.unwrap().messages.len(), 3);
}

#[tokio::test(start_paused = true)]
async fn messages_to_a_room_that_nobody_is_in_keep_it() {
    let hub = stamped(History::last(10).age(Duration::from_secs(600)));
    let (peer, joined) = resume(&hub.room("lobby"), None, Config::new());
    joined.await.unwrap().unwrap();
    hub.room("lobby").send("first");
    drop(peer);
    for _ in 0..30 {
        sleep(Duration::from_secs(60)).await;
        hub.room("lobby").send("again");
        // Rooms that have been kept for long enough are let go when another is made.
        drop(hub.room("other"));
    }
    let position = hub.room("lobby").position().await.unwrap();
    assert_eq!(position.number(), 31);
}

#[tokio::test(start_paused = true)]
async fn a_room_whose_messages_have_keys_is_kept_until_the_keys_are_forgotten() {
    let hub = stamped(History::last(10).age(Duration::from_secs(1)));
    let publish = async |key: &str| hub.room("lobby").publish_once(key, "text").await.unwrap();
    publish("one").await;
    // The room is looked at after five minutes. This key is younger then, and the messages are older
    // than their age.
    sleep(Duration::from_secs(240)).await;
    let first = publish("two").await;
    sleep(Duration::from_secs(100)).await;
    drop(hub.room("other"));
    assert_eq!(hub.kept(), 1);
    let again = publish("two").await;
    assert_eq!((again.position, again.repeated), (first.position, true));
    sleep(Duration::from_secs(301)).await;
    drop(hub.room("other"));
    assert_eq!((hub.len(), hub.kept()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_room_in_which_nothing_was_said_is_not_kept() {
    let hub = stamped(History::last(10));
    for number in 0..100 {
        hub.room(&number.to_string()).position().await.unwrap();
    }
    assert_eq!((hub.len(), hub.kept()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn keys_of_messages_are_bounded() {
    let room = stamped(History::last(10)).room("lobby");
    let long = "k".repeat(257);
    let refused = room.publish_once(&long, "a").await;
    assert_eq!(refused, Err(PublishError::TooLarge));
    assert!(room.publish_once(&long[1..], "a").await.is_ok());
}
