//! Servers of two releases on one Redis, as while a new release is deployed.

use super::redis_server::Answer;
use super::*;
use crate::hub::redis::wire::Versions;

/// The scripts as they stood before logs had a version. They run beside those of today.
const OLDER_PUBLISH: &str = include_str!("older/publish.lua");
const OLDER_READ: &str = include_str!("older/read.lua");
const OLDER_ENTER: &str = include_str!("older/enter.lua");
const OLDER_LEAVE: &str = include_str!("older/leave.lua");
const OLDER_PEOPLE: &str = include_str!("older/people.lua");
const OLDER_BEAT: &str = include_str!("older/beat.lua");

/// A release that reads the next version too.
const NEWER: u8 = Versions::OWN.reads + 1;

fn newer(redis: &RedisServer, writes: u8) -> Server {
    let versions = Versions {
        reads: NEWER,
        writes: NEWER,
    };
    let engine = Redis::new(&redis.url()).unwrap().release(versions);
    Server::with(engine.write_version(writes))
}

fn unreadable(event: &Event) -> bool {
    *event == Event::Unreadable
}

/// What a server of the older release says to Redis.
struct Older<'a> {
    redis: &'a RedisServer,
    server: &'static str,
    seq: u64,
}

impl<'a> Older<'a> {
    fn new(redis: &'a RedisServer) -> Self {
        Older {
            redis,
            server: "00000000000000aa",
            seq: 0,
        }
    }

    fn run(&self, script: &str, keys: &[&str], arguments: &[&[u8]]) -> Answer {
        let count = keys.len().to_string();
        let mut words: Vec<&[u8]> = vec![b"EVAL", script.as_bytes(), count.as_bytes()];
        words.extend(keys.iter().map(|key| key.as_bytes()));
        words.extend(arguments);
        self.redis.raw_command(&words)
    }

    /// Appends a message to the lobby; returns the number after it.
    fn publish(&mut self, text: &str) -> u64 {
        self.seq += 1;
        let (seq, tag) = (format!("{:016}", self.seq), self.seq.to_be_bytes());
        let field = format!("s{}", self.server);
        let answer = self.run(
            OLDER_PUBLISH,
            &["hws1:{lobby}:t", "hws1:{lobby}:l"],
            &[
                b"hws1:{lobby}",
                field.as_bytes(),
                b"rootroot",
                b"1000",
                b"1000000",
                b"600000",
                b"86400000",
                b"7",
                seq.as_bytes(),
                &tag,
                text.as_bytes(),
                b"",
            ],
        );
        let Answer::Many(answer) = &answer else {
            panic!("{answer:?}")
        };
        assert_eq!(answer[2].text(), b"a");
        String::from_utf8(answer[0].text().to_vec())
            .unwrap()
            .parse()
            .unwrap()
    }

    /// The texts of the lobby.
    fn log(&self) -> Vec<String> {
        let answer = self.run(
            OLDER_READ,
            &["hws1:{lobby}:t", "hws1:{lobby}:l"],
            &[b"rootroot", b"86400000", b"all"],
        );
        let Answer::Many(answer) = &answer else {
            panic!("{answer:?}")
        };
        let Answer::Many(entries) = &answer[3] else {
            panic!("{answer:?}")
        };
        let texts = entries.iter().map(|entry| entry.text()[16..].to_vec());
        texts.map(|text| String::from_utf8(text).unwrap()).collect()
    }
}

#[tokio::test]
async fn scripts_of_an_older_release_run_beside_those_of_this_one() {
    let Some(redis) = RedisServer::start() else {
        return;
    };
    let server = Server::start(&redis.url());
    server.follow("lobby").await;
    let mut older = Older::new(&redis);
    let mut expected = vec![];
    for number in 0..10 {
        let text = format!("older {number}");
        assert_eq!(older.publish(&text), 2 * number + 1);
        expected.push(text);
        let text = format!("this {number}");
        let position = server.publish("lobby", &text).ok().await;
        assert_eq!(position.number(), 2 * number + 2);
        expected.push(text);
    }
    assert_eq!(older.log(), expected);
    let (_, log) = server.log("lobby").await;
    assert_eq!(texts(&log), expected);
    let arrived = server.arrived("lobby", 20).await;
    assert_eq!(arrived, log);

    // Presence: each sees the other, and each frees what the other holds no lease for.
    let beat: &[&[u8]] = &[b"hws1", older.server.as_bytes(), b"15000", b"0", b"1", b"0"];
    let leases = ["hws1:servers", "hws1:loss:00000000000000aa"];
    older.run(OLDER_BEAT, &leases, beat);
    let rooms = "hws1:server:00000000000000aa";
    let roster = "hws1:{lobby}:w";
    let owner = b"00000000000000aa0000000000000001";
    let enter: &[&[u8]] = &[
        b"hws1:{lobby}",
        b"hws1",
        b"lobby",
        &owner[..16],
        &owner[16..],
        b"ann",
        b"",
        b"0",
    ];
    let keys = [roster, "hws1:servers", rooms];
    assert_eq!(older.run(OLDER_ENTER, &keys, enter), Answer::Number(1));
    assert_eq!(
        server.enter("lobby", "ann", 1).await,
        Err(EnterError::Taken)
    );
    server.enter("lobby", "bob", 2).await.unwrap();
    let people = older.run(OLDER_PEOPLE, &[roster, "hws1:servers"], &[b"hws1:{lobby}"]);
    let Answer::Many(people) = &people else {
        panic!("{people:?}")
    };
    assert_eq!(people.len(), 4);
    let leave: &[&[u8]] = &[b"hws1:{lobby}", b"lobby", owner, b"ann"];
    assert_eq!(
        older.run(OLDER_LEAVE, &[roster, rooms], leave),
        Answer::Number(1)
    );
    assert_eq!(server.people("lobby").await, [("bob".to_owned(), Some(2))]);
    let changes = server.changes("lobby");
    assert_eq!(changes.len(), 3, "{changes:?}");
    assert_eq!(server.count(unreadable), 0);
}

#[tokio::test]
async fn a_newer_release_that_writes_the_older_version_is_no_stranger() {
    let Some(redis) = RedisServer::start() else {
        return;
    };
    let (old, new) = (Server::start(&redis.url()), newer(&redis, 1));
    old.follow("lobby").await;
    new.follow("lobby").await;
    for number in 0..5 {
        old.publish("lobby", &format!("old {number}")).ok().await;
        new.publish("lobby", &format!("new {number}")).ok().await;
    }
    let at_old = old.arrived("lobby", 10).await;
    assert_eq!(at_old, new.arrived("lobby", 10).await);
    assert_eq!(old.log("lobby").await, new.log("lobby").await);
    old.relay("lobby", "r");
    new.relay("lobby", "r");
    new.enter("lobby", "ann", 1).await.unwrap();
    old.enter("lobby", "bob", 1).await.unwrap();
    for server in [&old, &new] {
        server
            .wait(|event| matches!(event, Event::Relayed(..)), 1)
            .await;
        server
            .wait(|event| matches!(event, Event::Presence(..)), 2)
            .await;
        assert_eq!(server.count(unreadable), 0);
    }
}

#[tokio::test]
async fn what_a_newer_release_writes_is_refused_and_not_misread() {
    let Some(redis) = RedisServer::start() else {
        return;
    };
    let (old, new) = (Server::start(&redis.url()), newer(&redis, NEWER));
    old.follow("lobby").await;
    new.follow("lobby").await;
    old.follow("other").await;
    let before = old.publish("lobby", "old").ok().await;
    new.arrived("lobby", 1).await;
    let after = new.publish("lobby", "new").ok().await;
    // The newer one reads both.
    assert_eq!(texts(&new.arrived("lobby", 2).await), ["old", "new"]);
    assert_eq!(texts(&new.log("lobby").await.1), ["old", "new"]);

    // The older one is told that there is something, and gets none of it.
    old.wait(unreadable, 1).await;
    let following = Event::Following("lobby".to_owned());
    old.wait(|event| *event == following, 2).await;
    assert_eq!(texts(&old.arrivals("lobby")), ["old"]);
    let does_not_follow = Ok(Past::DoesNotFollow { end: after });
    for from in [ReadFrom::After(before), ReadFrom::Start] {
        assert_eq!(old.read("lobby", from).await, does_not_follow);
    }
    let end = old.read("lobby", ReadFrom::End).await;
    let expected = Past::Messages {
        end: after,
        messages: vec![],
    };
    assert_eq!(end, Ok(expected));
    // It appends nothing there, at once.
    let refused = old.publish("lobby", "old").outcome().await;
    let Err(PublishError::Unavailable(reason)) = &refused else {
        panic!("{refused:?}")
    };
    let reason = reason.to_string();
    assert!(
        reason.contains("NEWER") && reason.contains("write_version"),
        "{reason}"
    );
    assert_eq!(texts(&new.log("lobby").await.1), ["old", "new"]);

    // Presence: the announcement cannot be read, so the roster is.
    new.enter("lobby", "ann", 1).await.unwrap();
    old.wait(|event| *event == following, 3).await;
    assert_eq!(old.people("lobby").await, [("ann".to_owned(), None)]);
    // Rooms in which nothing new was written go on.
    old.publish("other", "fine").ok().await;
    old.arrived("other", 1).await;
    assert_eq!(old.count(|event| *event == Event::Interrupted), 0);
}

#[test]
#[should_panic(expected = "write version 2 (expected 1 to 1)")]
fn a_version_that_is_not_known_cannot_be_written() {
    let _ = Redis::new("redis://localhost")
        .unwrap()
        .write_version(NEWER);
}
