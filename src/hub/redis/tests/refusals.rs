//! What Redis refuses, and what cannot be read.

use super::redis_server::Answer;
use super::steps::{assert_all_in_log, interrupted, long, publish_all};
use super::*;

#[tokio::test]
async fn flushed_scripts_are_loaded_again_and_the_order_stays() {
    let Some(redis) = RedisServer::start() else {
        return;
    };
    let server = long(Server::start(&redis.url()));
    server.follow("lobby").await;
    let flushing = async {
        for _ in 0..30 {
            redis.say("SCRIPT FLUSH");
            tokio::time::sleep(Duration::from_millis(15)).await;
        }
    };
    let (published, ()) = tokio::join!(publish_all(&server, 3000), flushing);
    assert_all_in_log(&server, published).await;
    assert_eq!(server.count(interrupted), 0);
}

#[tokio::test]
async fn a_full_memory_is_said_and_what_waits_goes_on_in_order() {
    let Some(redis) = RedisServer::start() else {
        return;
    };
    let server = long(Server::with(
        Redis::new(&redis.url())
            .unwrap()
            .patience(Duration::from_secs(3)),
    ));
    server.publish("lobby", "before").ok().await;
    redis.say("CONFIG SET maxmemory 1");
    // In rooms that do not exist too: nothing is written.
    let keys = redis.say("DBSIZE").number();
    let refused = [server.publish("lobby", "a"), server.publish("fresh", "b")];
    for one in refused {
        let outcome = one.outcome().await;
        let Err(PublishError::Unavailable(reason)) = &outcome else {
            panic!("{outcome:?}")
        };
        assert!(reason.to_string().contains("OOM"), "{reason}");
    }
    assert_eq!(redis.say("DBSIZE").number(), keys);
    // A read needs no memory, except in a room that does not exist.
    server.log("lobby").await;
    let read = server.read("fresh", ReadFrom::End).await;
    assert!(read.is_err_and(|reason| reason.to_string().contains("OOM")));

    let waiting: Vec<_> = (0..10)
        .map(|n| (n.to_string(), server.publish("lobby", &n.to_string())))
        .collect();
    server.wait_refused(&redis).await;
    let behind = (10..20).map(|n| (n.to_string(), server.publish("lobby", &n.to_string())));
    let waiting: Vec<_> = waiting.into_iter().chain(behind).collect();
    redis.say("CONFIG SET maxmemory 0");
    for (_, one) in waiting {
        one.ok().await;
    }
    let (_, log) = server.log("lobby").await;
    let expected: Vec<_> = (0..20).map(|number| number.to_string()).collect();
    assert_eq!(texts(&log)[1..], expected);
}

#[tokio::test]
async fn a_key_of_another_type_fails_its_room_only() {
    let Some(redis) = RedisServer::start() else {
        return;
    };
    let server = long(Server::start(&redis.url()));
    redis.say("SET hws1:{poisoned}:t x");
    let poisoned = server.publish("poisoned", "a");
    let healthy = server.publish("lobby", "b");
    healthy.ok().await;
    let outcome = poisoned.outcome().await;
    let Err(PublishError::Unavailable(reason)) = &outcome else {
        panic!("{outcome:?}")
    };
    assert!(reason.to_string().contains("WRONGTYPE"), "{reason}");
    assert!(server.read("poisoned", ReadFrom::End).await.is_err());
}

#[tokio::test]
async fn a_user_with_the_documented_rights_can_do_everything_and_one_without_is_told() {
    let Some(redis) = RedisServer::start() else {
        return;
    };
    // The docs show these very rules.
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let source = words(&include_str!("../engine.rs").replace("///", ""));
    assert!(source.contains(&format!("ACL SETUSER {}", words(crate::hub::redis::ACL))));
    let rules = crate::hub::redis::ACL.replace("<password>", "secret");
    let mut words = vec!["ACL", "SETUSER"];
    words.extend(rules.split_whitespace());
    assert_eq!(redis.command(&words), Answer::Text(b"OK".to_vec()));
    redis.say("ACL SETUSER poor on >secret ~hws1:* &hws1:* +hello +ping +script|load +evalsha");
    redis.say("ACL SETUSER default off");
    let url = |user: &str| format!("redis://{user}:secret@127.0.0.1:{}", redis.port());

    let engine = Redis::new(&url("chat")).unwrap();
    engine.check().await.unwrap();
    let server = Server::with(engine);
    server.follow("lobby").await;
    server.up().await;
    server.publish_once("lobby", "a", Some("id")).ok().await;
    server.publish_once("lobby", "a", Some("id")).ok().await;
    server.publish("lobby", "b").ok().await;
    assert_eq!(texts(&server.arrived("lobby", 2).await), ["a", "b"]);
    let mut few = Server::start(&url("chat"));
    few.history = History::last(1);
    few.publish("lobby", "c").ok().await;
    server.arrived("lobby", 3).await;
    few.relay("lobby", "d");
    server
        .wait(|event| matches!(event, Event::Relayed(..)), 1)
        .await;
    server.log("lobby").await;
    let end = server.arrivals("lobby")[2].position;
    server.read("lobby", ReadFrom::After(end)).await.unwrap();
    server.enter("lobby", "me", 1).await.unwrap();
    few.enter_with("lobby", "me", "", 1, true).await.unwrap();
    assert_eq!(server.people("lobby").await.len(), 1);
    few.leave("lobby", "me", 1);
    server.engine.unfollow(&room("lobby"));
    few.stop().await;
    server.stop().await;
    assert_eq!(server.count(interrupted), 0);

    let poor = Redis::new(&url("poor"))
        .unwrap()
        .check()
        .await
        .unwrap_err()
        .to_string();
    assert!(
        poor.contains("NOPERM") && poor.contains("the ACL rules"),
        "{poor}"
    );
    let wrong = format!("redis://chat:wr0ng@127.0.0.1:{}", redis.port());
    let wrong = Redis::new(&wrong)
        .unwrap()
        .check()
        .await
        .unwrap_err()
        .to_string();
    assert!(
        wrong.contains("password") && !wrong.contains("wr0ng"),
        "{wrong}"
    );
}

#[tokio::test]
async fn without_redis_requests_fail_after_the_patience_and_the_reason_is_said() {
    let patience = Duration::from_secs(1);
    // Nothing listens on this port.
    let engine = Redis::new("redis://user:passw0rd@127.0.0.1:1")
        .unwrap()
        .patience(patience);
    let text = format!("{engine:?}");
    assert!(
        text.contains("127.0.0.1:1") && !text.contains("passw0rd"),
        "{text}"
    );
    let reason = engine.check().await.unwrap_err().to_string();
    assert!(
        reason.contains("cannot connect to redis at 127.0.0.1:1"),
        "{reason}"
    );
    let server = Server::with(engine);
    server.engine.follow(&room("lobby"));
    let published = server.publish("lobby", "a");
    let read = server.read("lobby", ReadFrom::End).await;
    assert!(read.is_err());
    let outcome = published.outcome().await;
    assert!(
        matches!(outcome, Err(PublishError::Unavailable(_))),
        "{outcome:?}"
    );
    let entered = server.enter("lobby", "me", 1).await;
    assert!(
        matches!(entered, Err(EnterError::Unavailable(_))),
        "{entered:?}"
    );
    assert!(server.count(|event| *event == Event::State(false)) > 0);
    assert_eq!(
        server.count(|event| matches!(event, Event::Following(_))),
        0
    );
    // It has nothing to say before it stops.
    server.stop().await;
    assert!(Redis::new("http://localhost").is_err());
    let secret = Redis::new("redis://user:passw0rd@")
        .unwrap_err()
        .to_string();
    assert!(!secret.contains("passw0rd"), "{secret}");
}

#[tokio::test]
async fn payloads_that_cannot_be_read_are_passed_over() {
    let Some(redis) = RedisServer::start() else {
        return;
    };
    let server = Server::start(&redis.url());
    server.follow("lobby").await;
    for payload in [
        "",
        "m",
        "m9future",
        "m1x",
        "m10 5:abc",
        "m10 99999999999999999999:",
        "p1x",
        "p1e",
        "m10 16:",
    ] {
        redis.command(&["PUBLISH", "hws1:{lobby}", payload]);
    }
    server.publish("lobby", "heard").ok().await;
    assert_eq!(texts(&server.arrived("lobby", 1).await), ["heard"]);
}
