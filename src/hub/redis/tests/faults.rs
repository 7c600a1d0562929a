//! What happens when something fails.

use super::proxy::{Mode, Proxy};
use super::redis_server::Answer;
use super::*;

/// Publishes so many messages, with a pause after each tenth, and returns their texts.
async fn publish_all(server: &Server, count: usize) -> Vec<(String, Publishing)> {
    let mut published = vec![];
    for number in 0..count {
        let text = number.to_string();
        published.push((text.clone(), server.publish("lobby", &text)));
        if number % 10 == 9 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    published
}

/// All messages are in the log, once, in order, at the positions that were said.
async fn assert_all_in_log(server: &Server, published: Vec<(String, Publishing)>) {
    let mut expected = vec![];
    for (text, published) in published {
        expected.push((text, published.ok().await));
    }
    let (_, log) = server.log("lobby").await;
    let found: Vec<_> = texts(&log)
        .into_iter()
        .zip(log.iter().map(|one| one.position))
        .collect();
    assert_eq!(found, expected);
}

fn long(mut server: Server) -> Server {
    server.history = History::last(100_000).bytes(100_000_000);
    server
}

fn interrupted(event: &Event) -> bool {
    *event == Event::Interrupted
}

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
    assert_eq!(server.count(interrupted), 1);
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
        assert_eq!(server.count(interrupted), round);
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
    // Redis may cut off the next connection too. A message of that time is in the
    // log alone, so this publishes until one arrives.
    let is_heard =
        |event: &Event| matches!(event, Event::Arrived(_, arrival) if arrival.envelope == "heard");
    within(async {
        while slow.count(is_heard) == 0 {
            publisher.publish("lobby", "heard").ok().await;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
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
    server.publish("lobby", "after").ok().await;
    server.arrived("lobby", 1).await;
    assert_eq!(
        old.info("clients", "pubsub_clients"),
        new.info("clients", "none")
    );
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
    assert_eq!(server.count(interrupted), 1);
    server.publish("lobby", "heard").ok().await;
    server.arrived("lobby", 1).await;
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

fn has_panicked(server: &Server) -> bool {
    let states = server.notes.states.lock().unwrap();
    let says_so = |state: &EngineState| match state {
        EngineState::Down { reason, .. } => reason.to_string().contains("panicked"),
        EngineState::Up => false,
    };
    states.iter().any(says_so)
}

#[tokio::test]
async fn a_line_that_panics_is_replaced_and_hears_again() {
    let Some(redis) = RedisServer::start() else {
        return;
    };
    let server = Server::start(&redis.url());
    server.follow("lobby").await;
    server.up().await;
    server.notes.panics.store(true, Ordering::Relaxed);
    server.publish("lobby", "not heard").ok().await;
    let following = Event::Following("lobby".to_owned());
    server.wait(|event| *event == following, 2).await;
    server.publish("lobby", "heard").ok().await;
    assert_eq!(texts(&server.arrived("lobby", 1).await), ["heard"]);
    assert!(has_panicked(&server));
}

#[tokio::test]
async fn a_publisher_that_panics_is_replaced_and_goes_on() {
    let Some(redis) = RedisServer::start() else {
        return;
    };
    let server = Server::start(&redis.url());
    server.up().await;
    let down = |event: &Event| *event == Event::State(false);
    let before = server.count(down);
    server.engine.publish(Publish {
        room: room("lobby"),
        envelope: Bytes::from_static(b"first"),
        history: server.history,
        once: None,
        permit: None,
        reply: Reply::new(|| Err(unknown()), |_| panic!("as the test wants")),
    });
    server.wait(down, before + 1).await;
    assert!(has_panicked(&server));
    server.publish("lobby", "second").ok().await;
    assert_eq!(texts(&server.log("lobby").await.1), ["first", "second"]);
}

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
async fn many_messages_of_one_room_at_once_are_more_than_one_call() {
    let Some(redis) = RedisServer::start() else {
        return;
    };
    let server = long(Server::start(&redis.url()));
    let published: Vec<_> = (0..20_000)
        .map(|n| (n.to_string(), server.publish("lobby", &n.to_string())))
        .collect();
    assert_all_in_log(&server, published).await;
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
        server.publish(name, "heard").ok().await;
        server.arrived(name, 1).await;
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
        let position = server.publish("lobby", "heard").ok().await;
        let is_heard = |event: &Event| matches!(event, Event::Arrived(_, arrival) if arrival.position == position);
        server.wait(is_heard, 1).await;
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
