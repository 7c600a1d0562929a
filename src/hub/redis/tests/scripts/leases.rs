//! The lease of a server, and the entries that end with it.

use super::*;

#[tokio::test]
async fn a_lease_that_was_over_is_said_until_its_server_knows() {
    let Some(redis) = RedisServer::start() else {
        return;
    };
    let mut server = Caller::connect(&redis, 1).await;
    let mut other = Caller::connect(&redis, 2).await;
    async fn beat(server: &mut Caller, number: u64, known_loss: u64) -> u64 {
        let beat = Beat {
            number,
            known_loss,
            stops: false,
        };
        let answer = server.run(&Call::Beat(beat), ROOT).await;
        scripts::beaten(answer).unwrap().loss
    }
    assert_eq!(beat(&mut server, 1, 0).await, 1);
    assert_eq!(beat(&mut server, 2, 1).await, 0);
    assert_eq!(beat(&mut server, 3, 1).await, 0);
    // Another server lives, and removes it.
    beat(&mut other, 1, 0).await;
    redis.say("ZADD hws1:servers XX 1 0000000000000001");
    beat(&mut other, 2, 1).await;
    // This answer is lost, or the beat came late on an old connection.
    assert_eq!(beat(&mut server, 4, 1).await, 4);
    assert_eq!(beat(&mut server, 5, 1).await, 4);
    // An old beat that knows of an old loss only.
    assert_eq!(beat(&mut server, 3, 1).await, 4);
    assert_eq!(beat(&mut server, 6, 4).await, 0);
    assert_eq!(beat(&mut server, 7, 4).await, 0);
}

#[tokio::test]
async fn the_entries_of_a_server_that_is_gone_are_removed_some_in_each_call() {
    let Some(redis) = RedisServer::start() else {
        return;
    };
    let mut server = Caller::connect(&redis, 1).await;
    let beat = |number| {
        Call::Beat(Beat {
            number,
            known_loss: 0,
            stops: false,
        })
    };
    server.run(&beat(1), ROOT).await;
    // One that is gone, and one that is not, in a large room and in many small ones.
    let gone = "00000000000000ff";
    let enter = |room: &str, owner: &str, keys: std::ops::Range<usize>| {
        let mut words = vec!["HSET".to_owned(), format!("hws1:{{{room}}}:w")];
        for key in keys {
            words.extend([format!("{owner}-{key}"), format!("{owner}{key:016x}")]);
        }
        redis.command(&words.iter().map(|word| &word[..]).collect::<Vec<_>>());
    };
    enter("lobby", gone, 0..5000);
    enter("lobby", "0000000000000001", 0..3000);
    redis.say(&format!("HSET hws1:server:{gone} lobby 5000"));
    for number in 0..500 {
        enter(&format!("small-{number}"), gone, 0..1);
        redis.command(&[
            "HSET",
            &format!("hws1:server:{gone}"),
            &format!("small-{number}"),
            "1",
        ]);
    }
    redis.say(&format!("ZADD hws1:servers 1 {gone}"));
    let mut calls = 0;
    loop {
        calls += 1;
        let before = redis.say("HLEN hws1:{lobby}:w").number();
        let answer = server.run(&beat(calls + 1), ROOT).await;
        let beaten = scripts::beaten(answer.clone()).unwrap_or_else(|| panic!("{answer:?}"));
        let removed = before - redis.say("HLEN hws1:{lobby}:w").number();
        assert!(removed <= 2200, "{removed} in one call");
        if beaten.is_clean {
            break;
        }
        assert!(calls < 100);
    }
    assert!(calls > 3, "{calls}");
    assert_eq!(redis.say("HLEN hws1:{lobby}:w").number(), 3000);
    assert_eq!(redis.say("EXISTS hws1:{small-499}:w").number(), 0);
    let keys = redis.command(&["KEYS", "*ff"]);
    assert_eq!(keys, Answer::Many(vec![]));
    assert_eq!(redis.say("ZCARD hws1:servers").number(), 1);
}
