//! Redis is killed and started again, or stands still.

use super::steps::{assert_all_in_log, interrupted, long, publish_all};
use super::*;

/// Redis is killed while messages are published, and started again.
async fn killed(
    options: &[&str],
) -> Option<(RedisServer, Server, Vec<Result<Position, PublishError>>)> {
    let mut redis = RedisServer::with(options)?;
    let server = long(Server::start(&redis.url()));
    server.follow("lobby").await;
    let mut outcomes = vec![];
    let mut published = publish_all(&server, 500).await;
    published.extend((0..500).map(|number| {
        let text = format!("{}", 500 + number);
        (text.clone(), server.publish("lobby", &text))
    }));
    redis.kill();
    tokio::time::sleep(Duration::from_millis(200)).await;
    published.extend((0..500).map(|number| {
        let text = format!("{}", 1000 + number);
        (text.clone(), server.publish("lobby", &text))
    }));
    redis.restart();
    for (_, one) in published {
        outcomes.push(one.outcome().await);
    }
    let following = Event::Following("lobby".to_owned());
    server.wait(|event| *event == following, 2).await;
    assert!(server.count(interrupted) >= 1);
    Some((redis, server, outcomes))
}

#[tokio::test]
async fn a_killed_redis_that_wrote_always_has_lost_nothing() {
    let options = [
        "--save",
        "",
        "--appendonly",
        "yes",
        "--appendfsync",
        "always",
    ];
    let Some((_redis, server, outcomes)) = killed(&options).await else {
        return;
    };
    let (_, log) = server.log("lobby").await;
    let expected: Vec<_> = (0..1500).map(|number| number.to_string()).collect();
    assert_eq!(texts(&log), expected);
    let positions: Vec<_> = log.iter().map(|one| Ok(one.position)).collect();
    assert_eq!(outcomes, positions);
}

#[tokio::test]
async fn a_killed_redis_that_wrote_every_second_continues_in_a_branch_that_can_be_told() {
    let options = [
        "--save",
        "",
        "--appendonly",
        "yes",
        "--appendfsync",
        "everysec",
    ];
    let Some((_redis, server, outcomes)) = killed(&options).await else {
        return;
    };
    // SIGKILL leaves what was given to the system, so often nothing is lost. What was said is
    // a branch of the log, or can be told from it.
    let (end, log) = server.log("lobby").await;
    let last = outcomes.last().unwrap().as_ref().unwrap();
    assert_eq!(*last, end);
    for position in outcomes.iter().flatten() {
        let is_in_log = log.iter().any(|one| one.position == *position);
        let past = server
            .read("lobby", ReadFrom::After(*position))
            .await
            .unwrap();
        assert_eq!(matches!(past, Past::Messages { .. }), is_in_log);
    }
}

#[tokio::test]
async fn a_killed_redis_that_wrote_nothing_begins_another_log() {
    let Some((_redis, server, outcomes)) = killed(&["--save", "", "--appendonly", "no"]).await
    else {
        return;
    };
    let (end, log) = server.log("lobby").await;
    assert!(log.len() >= 500 && log.len() < 1500, "{}", log.len());
    let first = outcomes[0].as_ref().unwrap();
    let past = server.read("lobby", ReadFrom::After(*first)).await.unwrap();
    assert_eq!(past, Past::DoesNotFollow { end });
}

#[tokio::test]
async fn a_redis_that_stops_for_three_seconds_loses_nothing() {
    let Some(redis) = RedisServer::start() else {
        return;
    };
    let server = long(Server::start(&redis.url()));
    server.follow("lobby").await;
    let mut published = publish_all(&server, 100).await;
    redis.signal("STOP");
    published.extend((0..100).map(|number| {
        let text = format!("stopped {number}");
        (text.clone(), server.publish("lobby", &text))
    }));
    tokio::time::sleep(Duration::from_secs(3)).await;
    redis.signal("CONT");
    assert_all_in_log(&server, published).await;
    // The line has stayed: nothing was missed.
    assert_eq!(server.count(interrupted), 0);
    server.arrived("lobby", 200).await;
}

#[tokio::test]
async fn thousands_of_rooms_are_followed_again_after_a_restart() {
    let Some(mut redis) = RedisServer::start() else {
        return;
    };
    let server = Server::start(&redis.url());
    let rooms: Vec<_> = (0..5000)
        .map(|number| room(&format!("room-{number}")))
        .collect();
    rooms.iter().for_each(|room| server.engine.follow(room));
    let following = |event: &Event| matches!(event, Event::Following(_));
    server.wait(following, rooms.len()).await;
    redis.kill();
    server.wait(interrupted, 1).await;
    redis.restart();
    server.wait(following, 2 * rooms.len()).await;
    for name in ["room-0", "room-2500", "room-4999"] {
        server.heard(name, "heard").await;
    }
}
