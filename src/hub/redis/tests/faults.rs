//! Connections that break, hang, or lead to another server than they should.

use super::proxy::{Mode, Proxy};
use super::redis_server::Answer;
use super::steps::{assert_all_in_log, interrupted, long, publish_all};
use super::*;

#[tokio::test]
async fn messages_are_appended_once_and_in_order_while_connections_break() {
    let Some(redis) = RedisServer::start() else {
        return;
    };
    let proxy = Proxy::start(redis.port()).await;
    let server = long(Server::start(&proxy.url()));
    server.follow("lobby").await;
    let cutting = async {
        for _ in 0..20 {
            tokio::time::sleep(Duration::from_millis(30)).await;
            proxy.cut();
        }
    };
    let (published, ()) = tokio::join!(publish_all(&server, 5000), cutting);
    assert_all_in_log(&server, published).await;
    assert!(server.count(interrupted) > 0);
}

#[tokio::test]
async fn a_message_whose_answer_was_lost_is_found_in_the_log() {
    let Some(redis) = RedisServer::start() else {
        return;
    };
    let proxy = Proxy::start(redis.port()).await;
    let server = long(Server::start(&proxy.url()));
    let mut all = publish_all(&server, 10).await;
    for (_, published) in &mut all {
        within(&mut published.0).await.unwrap().unwrap();
    }
    server.up().await;
    let mut appended = 0;
    for round in 0..5 {
        // Redis appends, and its answer does not come back. (Unless a probe is under way: then
        // nothing is sent until the answer to that is late.)
        server.log("lobby").await;
        proxy.set(Mode::Deaf);
        let before = redis.say("LLEN hws1:{lobby}:l").number();
        let lost: Vec<_> = (0..10)
            .map(|number| server.publish("lobby", &format!("{round}-{number}")))
            .collect();
        for _ in 0..300 {
            if redis.say("LLEN hws1:{lobby}:l").number() != before {
                appended += 1;
                break;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        proxy.cut();
        proxy.set(Mode::Pass);
        let mut positions = vec![];
        for one in lost {
            positions.push(one.ok().await);
        }
        let (_, log) = server.log("lobby").await;
        let of_round: Vec<_> = log[log.len() - 10..]
            .iter()
            .map(|one| one.position)
            .collect();
        assert_eq!(positions, of_round);
        assert_eq!(log.len(), 10 * (round + 2));
    }
    assert!(appended > 0);
}

#[tokio::test]
async fn a_killed_subscription_is_made_again_and_what_was_missed_is_in_the_log() {
    let Some(redis) = RedisServer::start() else {
        return;
    };
    let server = long(Server::start(&redis.url()));
    let publisher = long(Server::start(&redis.url()));
    server.follow("lobby").await;
    server.up().await;
    let mut published = vec![];
    for round in 1..=3 {
        published.extend(publish_all(&publisher, 50).await);
        redis.say("CLIENT KILL TYPE pubsub");
        published.extend(publish_all(&publisher, 50).await);
        let following = Event::Following("lobby".to_owned());
        server.wait(|event| *event == following, 1 + round).await;
        assert!(server.count(interrupted) >= round);
    }
    assert_all_in_log(&publisher, published).await;
    // The publisher was not concerned.
    let end = server.log("lobby").await.0;
    assert_eq!(end.number(), 300);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_too_slow_is_cut_off_by_redis_and_goes_on() {
    let Some(redis) = RedisServer::start() else {
        return;
    };
    redis.command(&[
        "CONFIG",
        "SET",
        "client-output-buffer-limit",
        "pubsub 1mb 0 0",
    ]);
    let slow = Server::start(&redis.url());
    let publisher = Server::start(&redis.url());
    slow.follow("lobby").await;
    slow.notes
        .is_slow
        .store(true, std::sync::atomic::Ordering::Relaxed);
    let large = "x".repeat(100_000);
    // The socket buffers take some megabytes.
    for _ in 0..300 {
        publisher.publish("lobby", &large).ok().await;
    }
    slow.notes
        .is_slow
        .store(false, std::sync::atomic::Ordering::Relaxed);
    slow.wait(interrupted, 1).await;
    // Redis may cut off the next connection too.
    slow.heard("lobby", "heard").await;
}

#[tokio::test]
async fn a_demoted_server_is_left_for_the_new_one() {
    let (Some(old), Some(new)) = (RedisServer::start(), RedisServer::start()) else {
        return;
    };
    let proxy = Proxy::start(old.port()).await;
    let server = Server::start(&proxy.url());
    server.follow("lobby").await;
    server.up().await;
    server.publish("lobby", "before").ok().await;
    // `old` becomes a replica of `new`, and takes no writes; the name leads to `new` soon.
    old.command(&["REPLICAOF", "127.0.0.1", &new.port().to_string()]);
    let waits = server.publish("lobby", "during");
    server.wait(|event| *event == Event::State(false), 2).await;
    proxy.retarget(new.port());
    assert_eq!(waits.ok().await.number(), 1);
    let following = Event::Following("lobby".to_owned());
    server.wait(|event| *event == following, 2).await;
    server.wait(|event| *event == Event::State(true), 2).await;
    let reasons: Vec<_> = server.notes.states.lock().unwrap().clone();
    let names_it = |state: &EngineState| match state {
        EngineState::Down { reason, .. } => reason.to_string().contains("READONLY"),
        EngineState::Up => false,
    };
    assert!(reasons.iter().any(names_it), "{reasons:?}");
}

#[tokio::test]
async fn a_line_to_a_demoted_server_is_left_though_it_still_hears() {
    let (Some(old), Some(new)) = (RedisServer::start(), RedisServer::start()) else {
        return;
    };
    let proxy = Proxy::start(old.port()).await;
    let server = Server::start(&proxy.url());
    server.follow("lobby").await;
    server.up().await;
    proxy.retarget(new.port());
    old.command(&["REPLICAOF", "127.0.0.1", &new.port().to_string()]);
    // Only the publisher is cut: it comes back to `new`. What is published there is passed on
    // to `old`, and heard by the line.
    old.say("CLIENT KILL TYPE normal");
    let following = Event::Following("lobby".to_owned());
    server.wait(|event| *event == following, 2).await;
    server.heard("lobby", "after").await;
    while old.say("CLIENT LIST TYPE pubsub") != Answer::Text(vec![]) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_deaf_line_is_found_by_the_probe() {
    let (Some(old), Some(new)) = (RedisServer::start(), RedisServer::start()) else {
        return;
    };
    let proxy = Proxy::start(old.port()).await;
    let server = Server::start(&proxy.url());
    server.follow("lobby").await;
    server.up().await;
    // Two masters: the line stays with one, the publisher comes back to the other.
    proxy.retarget(new.port());
    old.say("CLIENT KILL TYPE normal");
    let following = Event::Following("lobby".to_owned());
    server.wait(|event| *event == following, 2).await;
    assert!(server.count(interrupted) >= 1);
    server.heard("lobby", "heard").await;
}

#[tokio::test]
async fn connections_that_are_half_open_are_replaced() {
    let Some(redis) = RedisServer::start() else {
        return;
    };
    let proxy = Proxy::start(redis.port()).await;
    let server = long(Server::start(&proxy.url()));
    server.follow("lobby").await;
    server.up().await;
    proxy.set(Mode::Deaf);
    let first = server.publish("lobby", "one");
    server.wait(|event| *event == Event::State(false), 2).await;
    server.wait(interrupted, 1).await;
    let late = server.publish("lobby", "two");
    proxy.set(Mode::Pass);
    let following = Event::Following("lobby".to_owned());
    server.wait(|event| *event == following, 2).await;
    // The first was sent, or waited behind something else that was.
    let outcome = first.outcome().await;
    late.ok().await;
    let (_, log) = server.log("lobby").await;
    match outcome {
        Ok(_) | Err(PublishError::Unknown(_)) => assert_eq!(texts(&log), ["one", "two"]),
        Err(PublishError::Unavailable(_)) => assert_eq!(texts(&log), ["two"]),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn rooms_that_are_followed_and_left_in_a_loop_hear_what_follows() {
    let Some(redis) = RedisServer::start() else {
        return;
    };
    let server = Server::start(&redis.url());
    server.follow("anchor").await;
    for round in 0..200 {
        for _ in 0..round % 4 {
            server.engine.follow(&room("lobby"));
            server.engine.unfollow(&room("lobby"));
        }
        let before = server.count(|event| *event == Event::Following("lobby".to_owned()));
        server.engine.follow(&room("lobby"));
        server
            .wait(
                |event| *event == Event::Following("lobby".to_owned()),
                before + 1,
            )
            .await;
        server.heard("lobby", "heard").await;
        server.engine.unfollow(&room("lobby"));
    }
    // Nothing is left but what is followed.
    let channels = || match redis.command(&["PUBSUB", "CHANNELS", "hws1:{*"]) {
        Answer::Many(channels) => channels.len(),
        other => panic!("{other:?}"),
    };
    while channels() != 1 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
