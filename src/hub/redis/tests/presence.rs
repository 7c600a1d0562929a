//! Rosters.

use super::redis_server::Answer;
use super::*;

fn entered(key: &str, info: &str, seat: Option<u64>) -> RosterChange {
    RosterChange::Entered(Entry {
        key: key.into(),
        info: Bytes::copy_from_slice(info.as_bytes()),
        seat,
    })
}

fn left(key: &str) -> RosterChange {
    RosterChange::Left(key.into())
}

async fn changed(server: &Server, name: &str, count: usize) -> Vec<RosterChange> {
    server
        .wait(
            |event| matches!(event, Event::Presence(room, _) if room == name),
            count,
        )
        .await;
    server.changes(name)
}

/// Two servers that follow the lobby.
async fn two(redis: &RedisServer) -> (Server, Server) {
    let (a, b) = (Server::start(&redis.url()), Server::start(&redis.url()));
    a.follow("lobby").await;
    b.follow("lobby").await;
    (a, b)
}

/// Ends the lease of the server that has entered first, as its silence would.
fn end_lease(redis: &RedisServer, server: &str) {
    redis.command(&["ZADD", "hws1:servers", "XX", "1", server]);
}

/// The names of the servers that have a lease.
fn leases(redis: &RedisServer) -> Vec<String> {
    match redis.say("ZRANGE hws1:servers 0 -1") {
        Answer::Many(servers) => servers
            .iter()
            .map(|server| String::from_utf8(server.text().to_vec()).unwrap())
            .collect(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn who_enters_and_leaves_is_told_to_all_servers_that_follow() {
    let Some(redis) = RedisServer::start() else {
        return;
    };
    let (a, b) = two(&redis).await;
    a.enter_with("lobby", "ann", "\0binary:\r\n", 7, false)
        .await
        .unwrap();
    b.enter("lobby", "bob", 7).await.unwrap();
    assert_eq!(
        a.people("lobby").await,
        [("ann".to_owned(), Some(7)), ("bob".to_owned(), None)]
    );
    assert_eq!(
        b.people("lobby").await,
        [("ann".to_owned(), None), ("bob".to_owned(), Some(7))]
    );
    a.leave("lobby", "ann", 7);
    let expected = |a: Option<u64>, b: Option<u64>| {
        [
            entered("ann", "\0binary:\r\n", a),
            entered("bob", "", b),
            left("ann"),
        ]
    };
    assert_eq!(changed(&a, "lobby", 3).await, expected(Some(7), None));
    assert_eq!(changed(&b, "lobby", 3).await, expected(None, Some(7)));
    assert_eq!(a.people("lobby").await, [("bob".to_owned(), None)]);
}

#[tokio::test]
async fn an_entry_whose_end_redis_refuses_ends_when_it_accepts_again() {
    let Some(redis) = RedisServer::start() else {
        return;
    };
    let (a, b) = two(&redis).await;
    a.enter("lobby", "ann", 1).await.unwrap();
    redis.say("CONFIG SET min-replicas-to-write 1");
    a.leave("lobby", "ann", 1);
    // It was asked behind the other, which Redis has refused.
    assert_eq!(a.people("lobby").await.len(), 1);
    redis.say("CONFIG SET min-replicas-to-write 0");
    let expected = [entered("ann", "", None), left("ann")];
    assert_eq!(changed(&b, "lobby", 2).await, expected);
}

#[tokio::test]
async fn a_key_is_taken_once_and_can_be_taken_over() {
    let Some(redis) = RedisServer::start() else {
        return;
    };
    let (a, b) = two(&redis).await;
    a.enter("lobby", "ann", 1).await.unwrap();
    assert_eq!(b.enter("lobby", "ann", 1).await, Err(EnterError::Taken));
    assert_eq!(a.enter("lobby", "ann", 2).await, Err(EnterError::Taken));
    // Again for the same seat.
    a.enter("lobby", "ann", 1).await.unwrap();
    a.enter("other", "ann", 3).await.unwrap();

    b.enter_with("lobby", "ann", "", 9, true).await.unwrap();
    // The seat that had it does not remove the new one.
    a.leave("lobby", "ann", 1);
    assert_eq!(a.people("lobby").await, [("ann".to_owned(), None)]);
    b.enter_with("lobby", "ann", "", 10, true).await.unwrap();
    b.leave("lobby", "ann", 9);
    assert_eq!(b.people("lobby").await, [("ann".to_owned(), Some(10))]);
    b.leave("lobby", "ann", 10);
    assert_eq!(b.people("lobby").await, []);
    let expected = [
        entered("ann", "", Some(1)),
        entered("ann", "", None),
        entered("ann", "", None),
        left("ann"),
    ];
    assert_eq!(changed(&a, "lobby", 4).await, expected);
    // What is counted by room has come back to nothing.
    for server in leases(&redis) {
        assert_eq!(
            redis
                .say(&format!("HEXISTS hws1:server:{server} lobby"))
                .number(),
            0
        );
    }
}

#[tokio::test]
async fn who_is_of_a_server_whose_lease_is_over_leaves_and_may_enter_again() {
    let Some(redis) = RedisServer::start() else {
        return;
    };
    let (a, b) = two(&redis).await;
    a.enter("lobby", "ann", 1).await.unwrap();
    a.enter("other", "ann", 2).await.unwrap();
    let [first] = &leases(&redis)[..] else {
        panic!("one server has entered")
    };
    b.enter("lobby", "bob", 1).await.unwrap();
    b.follow("other").await;
    end_lease(&redis, first);
    // Whoever beats first: `a`, which is told that its lease was over, or `b`, which removes its
    // people. Then `a` enters them again.
    a.wait(|event| *event == Event::LeaseLost, 1).await;
    a.enter("lobby", "ann", 1).await.unwrap();
    a.enter("other", "ann", 2).await.unwrap();
    assert_eq!(
        b.people("lobby").await,
        [("ann".to_owned(), None), ("bob".to_owned(), Some(1))]
    );
    assert_eq!(b.people("other").await, [("ann".to_owned(), None)]);
}

#[tokio::test]
async fn a_server_that_is_killed_has_left_after_its_lease() {
    let Some(redis) = RedisServer::start() else {
        return;
    };
    let (a, b) = two(&redis).await;
    b.enter("lobby", "bob", 1).await.unwrap();
    b.enter("other", "bob", 2).await.unwrap();
    a.enter("lobby", "ann", 1).await.unwrap();
    let proxied = proxy::Proxy::start(redis.port()).await;
    let killed = Server::start(&proxied.url());
    killed.enter("lobby", "eve", 1).await.unwrap();
    assert_eq!(a.enter("lobby", "eve", 5).await, Err(EnterError::Taken));
    // It says nothing any more.
    proxied.set(proxy::Mode::Stall);
    let is_left = |event: &Event| matches!(event, Event::Presence(_, RosterChange::Left(_)));
    a.wait(is_left, 1).await;
    assert_eq!(changed(&b, "lobby", 4).await[3], left("eve"));
    // Told once, though both look.
    assert_eq!((a.count(is_left), a.people("lobby").await.len()), (1, 2));
    a.enter("lobby", "eve", 5).await.unwrap();
    assert_eq!(leases(&redis).len(), 2);
    // When it comes back, it hears that its lease was over, and its key is taken.
    proxied.set(proxy::Mode::Pass);
    killed.wait(|event| *event == Event::LeaseLost, 1).await;
    assert_eq!(
        killed.enter("lobby", "eve", 1).await,
        Err(EnterError::Taken)
    );
}

#[tokio::test]
async fn a_redis_that_stops_for_longer_than_a_lease_lets_nobody_leave() {
    let Some(redis) = RedisServer::start() else {
        return;
    };
    let (a, b) = two(&redis).await;
    a.enter("lobby", "ann", 1).await.unwrap();
    b.enter("lobby", "bob", 1).await.unwrap();
    changed(&a, "lobby", 2).await;
    redis.signal("STOP");
    tokio::time::sleep(Duration::from_secs(20)).await;
    redis.signal("CONT");
    // Both have beaten after it: the newest lease is longer than it can have been before.
    let renewed = || {
        let now = redis.say("TIME");
        let Answer::Many(now) = now else {
            panic!("no time")
        };
        let now: i64 = std::str::from_utf8(now[0].text()).unwrap().parse().unwrap();
        leases(&redis).iter().all(|server| {
            let score = redis.command(&["ZSCORE", "hws1:servers", server]);
            let score: f64 = std::str::from_utf8(score.text()).unwrap().parse().unwrap();
            score / 1000.0 > now as f64 + 8.0
        })
    };
    tokio::time::sleep(Duration::from_secs(6)).await;
    while !renewed() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    for server in [&a, &b] {
        assert_eq!(server.people("lobby").await.len(), 2);
        assert_eq!(server.count(|event| *event == Event::LeaseLost), 0);
        let is_left = |event: &Event| matches!(event, Event::Presence(_, RosterChange::Left(_)));
        assert_eq!(server.count(is_left), 0);
    }
}

#[tokio::test]
async fn a_jump_of_the_engines_clock_lets_nobody_leave() {
    let Some(redis) = RedisServer::start() else {
        return;
    };
    let (a, b) = two(&redis).await;
    a.enter("lobby", "ann", 1).await.unwrap();
    b.enter("lobby", "bob", 1).await.unwrap();
    let mut seen = 0;
    for jump in [-3_600_000i64, 3_600_000] {
        // All leases look as they would after the jump.
        for server in leases(&redis) {
            redis.command(&["ZINCRBY", "hws1:servers", &jump.to_string(), &server]);
        }
        tokio::time::sleep(Duration::from_secs(7)).await;
        for server in [&a, &b] {
            assert_eq!(server.people("lobby").await.len(), 2);
        }
        seen += 1;
    }
    assert_eq!(seen, 2);
    let is_left = |event: &Event| matches!(event, Event::Presence(_, RosterChange::Left(_)));
    assert_eq!((a.count(is_left), b.count(is_left)), (0, 0));
    assert_eq!(a.count(|event| *event == Event::LeaseLost), 0);
}

#[tokio::test]
async fn a_server_that_stops_takes_its_people_with_it() {
    let Some(redis) = RedisServer::start() else {
        return;
    };
    let (a, b) = two(&redis).await;
    b.enter("lobby", "bob", 1).await.unwrap();
    for number in 0..2500 {
        let name = format!("room-{number}");
        let (sender, _) = oneshot::channel::<()>();
        drop(sender);
        a.engine.roster().unwrap().enter(Enter {
            room: room(&name),
            key: "ann".into(),
            info: Bytes::new(),
            seat: number,
            takes_over: false,
            reply: Reply::new(|| Ok(()), |_| {}),
        });
    }
    a.enter("lobby", "ann", 9999).await.unwrap();
    a.stop().await;
    assert_eq!(changed(&b, "lobby", 3).await[2], left("ann"));
    assert_eq!(b.people("room-2499").await, []);
    // Nothing of it is left.
    assert_eq!(leases(&redis).len(), 1);
    assert_eq!(redis.say("KEYS hws1:{room-*}:w"), Answer::Many(vec![]));
    assert_eq!(
        redis.say("KEYS hws1:server:*"),
        Answer::Many(vec![Answer::Text(
            format!("hws1:server:{}", leases(&redis)[0]).into_bytes()
        ),])
    );
}

#[tokio::test]
async fn entries_of_servers_that_nobody_knows_are_removed() {
    let Some(redis) = RedisServer::start() else {
        return;
    };
    let (a, _b) = two(&redis).await;
    a.enter("lobby", "ann", 1).await.unwrap();
    let ghost = format!("{:016x}{:016x}", 0xdead, 1);
    redis.command(&["HSET", "hws1:{lobby}:w", "ghost", &ghost]);
    redis.command(&["HSET", "hws1:{lobby}:w", "other", &ghost]);
    a.enter("lobby", "other", 2).await.unwrap();
    let expected = [("ann".to_owned(), Some(1)), ("other".to_owned(), Some(2))];
    assert_eq!(a.people("lobby").await, expected);
    assert_eq!(changed(&a, "lobby", 3).await[2], left("ghost"));
}

#[tokio::test]
async fn an_answer_about_people_comes_behind_the_changes_that_it_contains() {
    let Some(redis) = RedisServer::start() else {
        return;
    };
    let (a, b) = two(&redis).await;
    for number in 0..100 {
        b.enter("lobby", &number.to_string(), number).await.unwrap();
        let people = a.people("lobby").await.len();
        assert!(a.changes("lobby").len() >= people);
    }
}

#[tokio::test]
async fn a_server_that_stops_leaves_although_its_scripts_were_flushed() {
    let Some(redis) = RedisServer::start() else {
        return;
    };
    let (a, b) = two(&redis).await;
    a.enter("lobby", "ann", 1).await.unwrap();
    b.people("lobby").await;
    redis.say("SCRIPT FLUSH");
    a.stop().await;
    assert_eq!(b.people("lobby").await, []);
}

#[tokio::test]
async fn a_server_that_connects_anew_is_told_in_which_rooms_it_has_entries() {
    let Some(redis) = RedisServer::start() else {
        return;
    };
    let (a, b) = two(&redis).await;
    a.enter("lobby", "ann", 1).await.unwrap();
    a.enter("}:w", "ann", 2).await.unwrap();
    a.enter("left", "ann", 3).await.unwrap();
    a.leave("left", "ann", 3);
    b.enter("other", "bob", 1).await.unwrap();
    let has_entries = |event: &Event| matches!(event, Event::HasEntries(_));
    assert_eq!(a.count(has_entries), 0);
    redis.say("CLIENT KILL TYPE normal");
    a.wait(has_entries, 2).await;
    b.wait(has_entries, 1).await;
    for name in ["lobby", "}:w"] {
        let entries = Event::HasEntries(name.to_owned());
        assert_eq!(a.count(|event| *event == entries), 1, "{name}");
    }
    let entries = Event::HasEntries("other".to_owned());
    assert_eq!(b.count(|event| *event == entries), 1);
    assert_eq!((a.count(has_entries), b.count(has_entries)), (2, 1));
}

/// Redis has lost everything, and with it the leases.
#[tokio::test]
async fn a_key_that_was_entered_again_after_a_restart_is_not_free() {
    let Some(mut redis) = RedisServer::with(&["--save", "", "--appendonly", "no"]) else {
        return;
    };
    let (a, b) = two(&redis).await;
    a.enter("lobby", "ann", 1).await.unwrap();
    b.enter("lobby", "bob", 1).await.unwrap();
    redis.kill();
    a.wait(|event| *event == Event::Interrupted, 1).await;
    redis.restart();
    // As the hub does when it has read a roster without its seat.
    a.enter("lobby", "ann", 1).await.unwrap();
    assert_eq!(b.enter("lobby", "ann", 2).await, Err(EnterError::Taken));
    assert!(b.people("lobby").await.contains(&("ann".to_owned(), None)));
}

/// The host of Redis was suspended, say. A server enters before any has beaten.
#[tokio::test]
async fn no_key_is_free_because_the_engines_clock_has_jumped() {
    let Some(redis) = RedisServer::start() else {
        return;
    };
    let (a, b) = two(&redis).await;
    a.enter("lobby", "ann", 1).await.unwrap();
    b.enter("lobby", "bob", 1).await.unwrap();
    for server in leases(&redis) {
        redis.command(&["ZINCRBY", "hws1:servers", "-3600000", &server]);
    }
    assert_eq!(b.enter("lobby", "ann", 2).await, Err(EnterError::Taken));
}

#[tokio::test]
async fn nothing_is_counted_of_entries_that_were_removed_because_their_server_is_unknown() {
    let Some(redis) = RedisServer::start() else {
        return;
    };
    let (a, b) = two(&redis).await;
    a.enter("}:w", "ann", 1).await.unwrap();
    let [server] = &leases(&redis)[..] else {
        panic!("one server has entered")
    };
    b.enter("lobby", "bob", 1).await.unwrap();
    redis.command(&["ZREM", "hws1:servers", server]);
    assert_eq!(b.people("}:w").await, []);
    a.wait(|event| *event == Event::LeaseLost, 1).await;
    a.enter("}:w", "ann", 1).await.unwrap();
    a.leave("}:w", "ann", 1);
    assert_eq!(a.people("}:w").await, []);
    let rooms = redis.say(&format!("HLEN hws1:server:{server}"));
    assert_eq!(rooms, Answer::Number(0));
}
