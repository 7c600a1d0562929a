//! What happens while nothing fails.

use super::steps::{assert_all_in_log, long};
use super::*;

#[tokio::test]
async fn a_message_reaches_all_servers_that_follow_and_no_other() {
    let Some(redis) = RedisServer::start() else {
        return;
    };
    let (a, b, c) = (
        Server::start(&redis.url()),
        Server::start(&redis.url()),
        Server::start(&redis.url()),
    );
    a.follow("lobby").await;
    b.follow("lobby").await;
    c.follow("other").await;

    let first = a.publish("lobby", "one").ok().await;
    let second = b.publish("lobby", "two").ok().await;
    for server in [&a, &b] {
        let arrivals = server.arrived("lobby", 2).await;
        assert_chain(&arrivals);
        assert_eq!(texts(&arrivals), ["one", "two"]);
        assert_eq!(arrivals[0].position, first);
        assert_eq!(arrivals[1].position, second);
    }
    // Its own message is heard after all that was said before.
    c.publish("other", "end").ok().await;
    c.arrived("other", 1).await;
    assert_eq!(c.arrivals("lobby"), []);
}

#[tokio::test]
async fn messages_of_a_room_are_appended_in_the_order_of_the_calls() {
    let Some(redis) = RedisServer::start() else {
        return;
    };
    let server = Server::start(&redis.url());
    server.follow("a").await;
    let published: Vec<_> = (0..3000)
        .map(|number| server.publish(if number % 3 == 0 { "a" } else { "b" }, &number.to_string()))
        .collect();
    for one in published {
        one.ok().await;
    }
    let arrivals = server.arrived("a", 1000).await;
    assert_chain(&arrivals);
    let expected: Vec<_> = (0..1000).map(|number| (number * 3).to_string()).collect();
    assert_eq!(texts(&arrivals), expected);
    assert_eq!(server.arrivals("b"), []);
}

#[tokio::test]
async fn a_read_returns_what_follows_a_position() {
    let Some(redis) = RedisServer::start() else {
        return;
    };
    let server = Server::start(&redis.url());
    // A room that does not exist has a position.
    let Past::Messages {
        end: start,
        messages,
    } = server.read("lobby", ReadFrom::End).await.unwrap()
    else {
        panic!("an empty room follows")
    };
    assert_eq!((start.number(), messages.len()), (0, 0));

    let mut positions = vec![start];
    for text in ["one", "two", "three"] {
        positions.push(server.publish("lobby", text).ok().await);
    }
    let end = positions[3];
    for (index, position) in positions.iter().enumerate() {
        let past = server
            .read("lobby", ReadFrom::After(*position))
            .await
            .unwrap();
        let Past::Messages {
            end: found,
            messages,
        } = past
        else {
            panic!("{past:?}")
        };
        assert_eq!(found, end);
        assert_chain(&messages);
        assert_eq!(texts(&messages), ["one", "two", "three"][index..]);
        assert!(
            messages
                .first()
                .is_none_or(|first| first.previous == *position)
        );
    }
    assert_eq!(server.log("lobby").await.1.len(), 3);
    for stranger in [
        Position::new(1, end.tag()),
        Position::new(4, end.tag()),
        Position::new(0, 7),
        Position::new(u64::MAX, end.tag()),
        Position::new(3, positions[2].tag()),
    ] {
        let past = server
            .read("lobby", ReadFrom::After(stranger))
            .await
            .unwrap();
        assert_eq!(past, Past::DoesNotFollow { end }, "{stranger}");
    }
}

#[tokio::test]
async fn a_read_is_answered_behind_what_it_contains() {
    let Some(redis) = RedisServer::start() else {
        return;
    };
    let (writer, reader) = (Server::start(&redis.url()), Server::start(&redis.url()));
    reader.follow("lobby").await;
    for round in 0..200 {
        let published = writer.publish("lobby", &round.to_string());
        let (_, log) = reader.log("lobby").await;
        // No waiting: what the answer contains has been heard.
        let heard = reader.arrivals("lobby").len();
        assert!(heard >= log.len(), "{heard} of {} were heard", log.len());
        published.ok().await;
    }
}

#[tokio::test]
async fn a_room_that_is_not_followed_any_more_is_not_heard() {
    let Some(redis) = RedisServer::start() else {
        return;
    };
    let (a, b) = (Server::start(&redis.url()), Server::start(&redis.url()));
    a.follow("lobby").await;
    a.engine.unfollow(&room("lobby"));
    while redis.command(&["PUBSUB", "NUMSUB", "hws1:{lobby}"])
        != redis_server::Answer::Many(vec![
            redis_server::Answer::Text(b"hws1:{lobby}".to_vec()),
            redis_server::Answer::Number(0),
        ])
    {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    b.publish("lobby", "nobody").ok().await;
    // Followed again: that holds again, and what is said then is heard.
    a.engine.follow(&room("lobby"));
    a.wait(|event| *event == Event::Following("lobby".to_owned()), 2)
        .await;
    b.publish("lobby", "somebody").ok().await;
    assert_eq!(texts(&a.arrived("lobby", 1).await), ["somebody"]);
}

#[tokio::test]
async fn a_relayed_message_reaches_the_other_servers_and_no_log() {
    let Some(redis) = RedisServer::start() else {
        return;
    };
    let (a, b) = (Server::start(&redis.url()), Server::start(&redis.url()));
    a.follow("lobby").await;
    b.follow("lobby").await;
    a.up().await;
    a.relay("lobby", "here");
    b.relay("lobby", "there");
    let relayed = |event: &Event| matches!(event, Event::Relayed(..));
    a.wait(relayed, 1).await;
    b.wait(relayed, 1).await;
    let expected = Event::Relayed("lobby".to_owned(), Bytes::from_static(b"here"));
    assert_eq!(b.count(|event| *event == expected), 1);
    assert_eq!((a.count(relayed), b.count(relayed)), (1, 1));
    assert_eq!(redis.command(&["DBSIZE"]).number(), 0);
}

#[tokio::test]
async fn a_message_with_a_key_is_appended_once() {
    let Some(redis) = RedisServer::start() else {
        return;
    };
    let (a, b) = (Server::start(&redis.url()), Server::start(&redis.url()));
    let first = a.publish_once("lobby", "hello", Some("id-1")).ok().await;
    assert_eq!(
        b.publish_once("lobby", "hello", Some("id-1")).ok().await,
        first
    );
    // In one batch too, and between others.
    let batch = [
        a.publish_once("lobby", "x", None),
        a.publish_once("lobby", "y", Some("id-2")),
        a.publish_once("lobby", "hello", Some("id-1")),
        a.publish_once("lobby", "y", Some("id-2")),
        a.publish_once("lobby", "z", None),
    ];
    let mut positions = vec![];
    for one in batch {
        positions.push(one.ok().await);
    }
    assert_eq!(positions[2], first);
    assert_eq!(positions[1], positions[3]);
    // A key belongs to its room.
    assert_ne!(
        a.publish_once("other", "hello", Some("id-1")).ok().await,
        first
    );
    let (end, log) = a.log("lobby").await;
    assert_eq!(texts(&log), ["hello", "x", "y", "z"]);
    assert_eq!(log[2].position, positions[1]);
    assert_eq!(end, positions[4]);
}

#[tokio::test]
async fn a_log_is_bounded_in_messages_and_in_bytes() {
    let Some(redis) = RedisServer::start() else {
        return;
    };
    let mut server = Server::start(&redis.url());
    server.history = History::last(10);
    for number in 0..25 {
        server.publish("few", &number.to_string()).ok().await;
    }
    let (end, log) = server.log("few").await;
    assert_eq!(end.number(), 25);
    assert_eq!(
        texts(&log),
        (15..25)
            .map(|number| number.to_string())
            .collect::<Vec<_>>()
    );

    // With the tags of an entry, 100 bytes are 116.
    server.history = History::last(1000).bytes(1160);
    for _ in 0..25 {
        server.publish("small", &"x".repeat(100)).ok().await;
    }
    assert_eq!(server.log("small").await.1.len(), 10);
    // The newest stays, whatever its size.
    server.publish("small", &"y".repeat(5000)).ok().await;
    assert_eq!(server.log("small").await.1.len(), 1);
    server.publish("small", &"z".repeat(100)).ok().await;
    assert_eq!(server.log("small").await.1.len(), 1);
    // A batch that is larger than the log.
    server.history = History::last(10);
    let batch: Vec<_> = (0..100)
        .map(|number| server.publish("batch", &number.to_string()))
        .collect();
    for one in batch {
        one.ok().await;
    }
    assert_eq!(server.log("batch").await.1.len(), 10);
}

#[tokio::test]
async fn what_is_queued_is_carried_out_before_the_engine_stops() {
    let Some(redis) = RedisServer::start() else {
        return;
    };
    let server = Server::start(&redis.url());
    let published: Vec<_> = (0..500)
        .map(|number| server.publish("lobby", &number.to_string()))
        .collect();
    server.stop().await;
    for one in published {
        one.ok().await;
    }
    // No request is taken any more, and each is answered.
    let late = server.publish("lobby", "late").outcome().await;
    assert!(matches!(late, Err(PublishError::Unknown(_))), "{late:?}");
    while redis.info("clients", "connected_clients") != "1" {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn an_engine_that_is_dropped_ends_its_connections() {
    let Some(redis) = RedisServer::start() else {
        return;
    };
    let server = Server::start(&redis.url());
    server.follow("lobby").await;
    drop(server);
    while redis.info("clients", "connected_clients") != "1" {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
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
async fn messages_are_kept_for_a_second_if_that_is_their_age() {
    let Some(redis) = RedisServer::start() else {
        return;
    };
    let mut server = Server::start(&redis.url());
    server.history = History::last(10).age(Duration::from_secs(1));
    server.publish("lobby", "connected").ok().await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    // The first message of a second, and one at its end.
    let now = std::time::SystemTime::UNIX_EPOCH.elapsed();
    tokio::time::sleep(
        Duration::from_millis(1050)
            - Duration::from_millis(u64::from(now.unwrap().subsec_millis())),
    )
    .await;
    server.publish("lobby", "one").ok().await;
    tokio::time::sleep(Duration::from_millis(800)).await;
    server.publish("lobby", "two").ok().await;
    tokio::time::sleep(Duration::from_millis(600)).await;
    let (_, log) = server.log("lobby").await;
    assert!(texts(&log).contains(&"two".to_owned()), "{log:?}");
}

#[tokio::test]
async fn the_key_of_a_message_names_nothing_of_another_room() {
    let Some(redis) = RedisServer::start() else {
        return;
    };
    let server = Server::start(&redis.url());
    server.publish("lobby}:o:k", "other").ok().await;
    let first = server.publish("lobby", "of somebody else");
    let second = server.publish_once("lobby", "once", Some("k}:t"));
    first.ok().await;
    second.ok().await;
    // The other way round.
    server.publish_once("yard", "once", Some("k}:t")).ok().await;
    server.publish("yard}:o:k", "other").ok().await;
    // Such rooms work like any other.
    for name in ["a}", "}", "{}", "a}}:t", "\0\r\n", ""] {
        server.follow(name).await;
        server.publish(name, "text").ok().await;
        assert_eq!(texts(&server.arrived(name, 1).await), ["text"], "{name:?}");
        server.enter(name, "ann", 1).await.unwrap();
        assert_eq!(server.people(name).await.len(), 1, "{name:?}");
    }
    server.stop().await;
    let next = Server::start(&redis.url());
    for name in ["a}", "}", "{}", "a}}:t", "\0\r\n", ""] {
        assert_eq!(next.people(name).await, [], "{name:?}");
    }
}
