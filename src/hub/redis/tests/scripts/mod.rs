//! The scripts, called one by one.

mod leases;

use redis::{Pipeline, Value};

use super::redis_server::Answer;
use super::*;
use crate::hub::redis::address::Address;
use crate::hub::redis::call::{Appended, Beat, Call, Pending, PendingPublish, PublishCall};
use crate::hub::redis::connect::{self, Connection};
use crate::hub::redis::names::Names;
use crate::hub::redis::scripts::{self, RoomRead};
use crate::hub::redis::wire::Versions;

const ROOT: u64 = 0xaaaa;
const LIMIT: Duration = Duration::from_secs(20);

/// A connection that calls scripts in the name of a server.
struct Caller {
    connection: Connection,
    history: History,
}

impl Caller {
    async fn connect(redis: &RedisServer, server: u64) -> Self {
        let address = Address::parse(&redis.url()).unwrap();
        let names = Names::new("hws1", server, Versions::OWN);
        Caller {
            connection: connect::open(&address, &names, |_| {}).await.unwrap(),
            history: History::last(100),
        }
    }

    async fn run(&mut self, call: &Call, root: u64) -> Value {
        let mut pipeline = Pipeline::new();
        pipeline.add_command(self.connection.scripts.command(call, || root));
        self.connection
            .run(&pipeline, LIMIT)
            .await
            .unwrap()
            .remove(0)
    }

    /// Publishes messages, each with its sequence number, tag and key.
    async fn publish(
        &mut self,
        messages: &[(u64, u64, Option<&str>)],
        root: u64,
    ) -> (Position, Vec<Appended>) {
        let pending = messages.iter().map(|(seq, tag, once)| {
            let request = Publish {
                room: room("r"),
                envelope: Bytes::from(format!("message {seq}")),
                history: self.history,
                once: once.map(Into::into),
                permit: None,
                reply: Reply::new(|| Err(unknown()), |_| {}),
            };
            let mut pending = PendingPublish::new(request, *seq, tokio::time::Instant::now());
            pending.tags.push(*tag);
            pending
        });
        let call = PublishCall::new(room("r"), pending.collect()).unwrap();
        let answer = self.run(&Call::Publish(call), root).await;
        scripts::published(answer.clone(), messages.len()).unwrap_or_else(|| panic!("{answer:?}"))
    }

    async fn read(&mut self, from: ReadFrom, root: u64) -> Past {
        match self.read_many(&[("r", from)], root).await.remove(0) {
            RoomRead::Past(past) => past,
            other => panic!("{other:?}"),
        }
    }

    async fn read_many(&mut self, rooms: &[(&str, ReadFrom)], root: u64) -> Vec<RoomRead> {
        let reads = rooms.iter().map(|(name, from)| {
            let read = Read {
                room: room(name),
                from: *from,
                reply: Reply::new(|| Err(EngineError::new("dropped")), |_| {}),
            };
            Pending::new(read, tokio::time::Instant::now())
        });
        let answer = self.run(&Call::Read(reads.collect()), root).await;
        let from: Vec<_> = rooms.iter().map(|(_, from)| *from).collect();
        scripts::pasts(answer.clone(), &from).unwrap_or_else(|| panic!("{answer:?}"))
    }
}

fn at(number: u64, tag: u64) -> Position {
    Position::new(number, tag)
}

fn empty(end: Position) -> Past {
    Past::Messages {
        end,
        messages: vec![],
    }
}

fn positions(past: Past) -> Vec<Position> {
    match past {
        Past::Messages { messages, .. } => {
            assert_chain(&messages);
            messages.iter().map(|message| message.position).collect()
        }
        Past::DoesNotFollow { end } => panic!("it does not follow; the end is {end}"),
    }
}

#[tokio::test]
async fn a_fresh_room_begins_at_a_tag_and_keeps_it() {
    let Some(redis) = RedisServer::start() else {
        return;
    };
    let mut server = Caller::connect(&redis, 1).await;
    assert_eq!(server.read(ReadFrom::End, ROOT).await, empty(at(0, ROOT)));
    assert_eq!(server.read(ReadFrom::Start, 1).await, empty(at(0, ROOT)));
    let position = at(0, ROOT);
    assert_eq!(
        server.read(ReadFrom::After(position), 2).await,
        empty(position)
    );

    let (end, outcomes) = server.publish(&[(1, 11, None), (2, 12, None)], 3).await;
    assert_eq!((end, &outcomes[..]), (at(2, 12), &[Appended::Now; 2][..]));
    let past = server.read(ReadFrom::After(position), 4).await;
    assert_eq!(positions(past), [at(1, 11), at(2, 12)]);
}

#[tokio::test]
async fn many_rooms_are_read_in_one_call_and_one_that_fails_does_not_fail_the_others() {
    let Some(redis) = RedisServer::start() else {
        return;
    };
    let mut server = Caller::connect(&redis, 1).await;
    server.publish(&[(1, 11, None), (2, 12, None)], ROOT).await;
    redis.say("SET hws1:{poisoned}:t x");
    redis.say("HSET hws1:{broken}:t n 3 t 12345678");
    redis.say("SET hws1:{broken}:l x");
    let rooms = [
        ("poisoned", ReadFrom::End),
        ("r", ReadFrom::After(at(2, 12))),
        ("fresh", ReadFrom::After(at(7, 7))),
        ("r", ReadFrom::After(at(1, 11))),
        ("broken", ReadFrom::Start),
        ("r", ReadFrom::After(at(1, 99))),
        ("other", ReadFrom::End),
    ];
    let mut read = server.read_many(&rooms, 5).await;
    for failed in [read.remove(4), read.remove(0)] {
        let RoomRead::Failed(fault) = &failed else {
            panic!("{failed:?}")
        };
        assert!(fault.reason.to_string().contains("WRONGTYPE"), "{fault:?}");
    }
    let past = read.into_iter().map(|read| match read {
        RoomRead::Past(past) => past,
        other => panic!("{other:?}"),
    });
    let past: Vec<_> = past.collect();
    assert_eq!(past[0], empty(at(2, 12)));
    assert_eq!(past[1], Past::DoesNotFollow { end: at(0, 5) });
    assert_eq!(positions(past[2].clone()), [at(2, 12)]);
    assert_eq!(past[3], Past::DoesNotFollow { end: at(2, 12) });
    assert_eq!(past[4], empty(at(0, 5)));

    // Where the memory is full, only the logs fail that would begin.
    redis.say("CONFIG SET maxmemory 1");
    let rooms = [("new", ReadFrom::End), ("r", ReadFrom::Start)];
    let read = server.read_many(&rooms, 6).await;
    let RoomRead::Failed(fault) = &read[0] else {
        panic!("{read:?}")
    };
    assert!(fault.reason.to_string().contains("OOM"), "{fault:?}");
    assert!(matches!(read[1], RoomRead::Past(_)), "{read:?}");
}

#[tokio::test]
async fn a_call_that_has_read_much_leaves_the_other_rooms_to_the_next() {
    let Some(redis) = RedisServer::start() else {
        return;
    };
    let mut server = Caller::connect(&redis, 1).await;
    server.publish(&[(1, 11, None)], ROOT).await;
    let entry = vec![b'x'; 300_000];
    redis.raw_command(&[b"RPUSH", b"hws1:{r}:l", &entry]);
    redis.say("HSET hws1:{r}:t n 2");
    let rooms = [
        ("a", ReadFrom::End),
        ("r", ReadFrom::Start),
        ("b", ReadFrom::End),
    ];
    let read = server.read_many(&rooms, ROOT).await;
    assert!(matches!(read[0], RoomRead::Past(_)));
    assert!(matches!(read[1], RoomRead::Past(_)));
    assert_eq!(read[2], RoomRead::Later);
}

#[tokio::test]
async fn a_repeat_is_appended_once_and_half_a_repeat_the_rest() {
    let Some(redis) = RedisServer::start() else {
        return;
    };
    let mut server = Caller::connect(&redis, 1).await;
    let mut other = Caller::connect(&redis, 2).await;
    server.publish(&[(1, 11, None), (2, 12, None)], ROOT).await;
    let (end, outcomes) = server.publish(&[(1, 21, None), (2, 22, None)], 1).await;
    assert_eq!(
        (end, &outcomes[..]),
        (at(2, 12), &[Appended::Before; 2][..])
    );
    let (end, outcomes) = server.publish(&[(2, 32, None), (3, 33, None)], 1).await;
    assert_eq!(end, at(3, 33));
    assert_eq!(outcomes, [Appended::Before, Appended::Now]);
    // The numbers of another server are its own.
    let (end, outcomes) = other.publish(&[(1, 41, None)], 1).await;
    assert_eq!((end, &outcomes[..]), (at(4, 41), &[Appended::Now][..]));
    // Bytes of an old connection that come late.
    let (_, outcomes) = server.publish(&[(1, 51, None)], 1).await;
    assert_eq!(outcomes, [Appended::Before]);
    let all = positions(server.read(ReadFrom::Start, 1).await);
    assert_eq!(all, [at(1, 11), at(2, 12), at(3, 33), at(4, 41)]);
}

#[tokio::test]
async fn a_position_of_another_branch_does_not_follow() {
    let Some(redis) = RedisServer::start() else {
        return;
    };
    let mut server = Caller::connect(&redis, 1).await;
    server.publish(&[(1, 11, None)], ROOT).await;
    let dump = |key: &str| match redis.command(&["DUMP", key]) {
        Answer::Text(text) => text,
        other => panic!("{other:?}"),
    };
    let keys = ["hws1:{r}:t", "hws1:{r}:l"];
    let snapshot = keys.map(|key| (key, dump(key)));
    server.publish(&[(2, 12, None), (3, 13, None)], 1).await;
    // The engine goes back to a snapshot, as a restart or a failover does, and goes on.
    for (key, value) in &snapshot {
        let words: [&[u8]; 5] = [b"RESTORE", key.as_bytes(), b"0", value, b"REPLACE"];
        redis.raw_command(&words);
    }
    let (end, outcomes) = server
        .publish(&[(4, 24, None), (5, 25, None), (6, 26, None)], 1)
        .await;
    assert_eq!((end, &outcomes[..]), (at(4, 26), &[Appended::Now; 3][..]));
    for lost in [at(2, 12), at(3, 13)] {
        let past = server.read(ReadFrom::After(lost), 1).await;
        assert_eq!(past, Past::DoesNotFollow { end }, "{lost}");
    }
    let past = server.read(ReadFrom::After(at(1, 11)), 1).await;
    assert_eq!(positions(past), [at(2, 24), at(3, 25), at(4, 26)]);
}

#[tokio::test]
async fn a_log_that_has_expired_leaves_the_position_at_its_end() {
    let Some(redis) = RedisServer::start() else {
        return;
    };
    let mut server = Caller::connect(&redis, 1).await;
    server.publish(&[(1, 11, None), (2, 12, None)], ROOT).await;
    redis.say("DEL hws1:{r}:l");
    let end = at(2, 12);
    assert_eq!(server.read(ReadFrom::After(end), 1).await, empty(end));
    let past = server.read(ReadFrom::After(at(1, 11)), 1).await;
    assert_eq!(past, Past::DoesNotFollow { end });
    assert_eq!(server.read(ReadFrom::Start, 1).await, empty(end));
    server.publish(&[(3, 13, None)], 1).await;
    let past = server.read(ReadFrom::After(end), 1).await;
    assert_eq!(positions(past), [at(3, 13)]);
    // The bytes are counted anew, and the log expires again.
    assert_eq!(redis.say("HGET hws1:{r}:t b"), Answer::Text(b"25".to_vec()));
    assert!(redis.say("PTTL hws1:{r}:l").number() > 600_000);
}

#[tokio::test]
async fn a_log_whose_end_was_evicted_is_another_log() {
    let Some(redis) = RedisServer::start() else {
        return;
    };
    let mut server = Caller::connect(&redis, 1).await;
    server.publish(&[(1, 11, None), (2, 12, None)], ROOT).await;
    redis.say("DEL hws1:{r}:t");
    let (end, _) = server.publish(&[(3, 13, None)], 0xbbbb).await;
    assert_eq!(end, at(1, 13));
    assert_eq!(redis.say("LLEN hws1:{r}:l").number(), 1);
    let past = server.read(ReadFrom::After(at(1, 11)), 1).await;
    assert_eq!(past, Past::DoesNotFollow { end });
    let past = server.read(ReadFrom::After(at(0, 0xbbbb)), 1).await;
    assert_eq!(positions(past), [at(1, 13)]);

    redis.say("DEL hws1:{r}:t");
    assert_eq!(
        server.read(ReadFrom::Start, 0xcccc).await,
        empty(at(0, 0xcccc))
    );
}

#[tokio::test]
async fn a_trimmed_log_follows_from_its_first_message_on_and_a_made_up_position_copies_nothing() {
    let Some(redis) = RedisServer::start() else {
        return;
    };
    let mut server = Caller::connect(&redis, 1).await;
    server.history = History::last(3);
    for seq in 1..=5 {
        server.publish(&[(seq, 10 + seq, None)], ROOT).await;
    }
    let end = at(5, 15);
    let past = server.read(ReadFrom::After(at(2, 12)), 1).await;
    assert_eq!(positions(past), [at(3, 13), at(4, 14), at(5, 15)]);
    let past = server.read(ReadFrom::After(at(1, 11)), 1).await;
    assert_eq!(past, Past::DoesNotFollow { end });
    redis.say("CONFIG RESETSTAT");
    for made_up in [at(2, 0), at(0, 0), at(4, 13), at(6, 15), at(u64::MAX, 15)] {
        let past = server.read(ReadFrom::After(made_up), 1).await;
        assert_eq!(past, Past::DoesNotFollow { end }, "{made_up}");
    }
    assert_eq!(redis.info("commandstats", "cmdstat_lrange"), "");
}

#[tokio::test]
async fn the_bytes_of_a_log_are_counted_right() {
    let Some(redis) = RedisServer::start() else {
        return;
    };
    let mut server = Caller::connect(&redis, 1).await;
    server.history = History::last(7).bytes(200);
    for seq in 1..=40 {
        // Entries of different sizes: "message 9" and "message 10".
        server
            .publish(
                &[(seq * 2, seq, None), (seq * 2 + 1, seq + 100, None)],
                ROOT,
            )
            .await;
        let Answer::Many(entries) = redis.say("LRANGE hws1:{r}:l 0 -1") else {
            panic!("no list")
        };
        let bytes: usize = entries.iter().map(|entry| entry.text().len()).sum();
        let counted = redis.say("HGET hws1:{r}:t b");
        assert_eq!(counted, Answer::Text(bytes.to_string().into_bytes()));
        assert!(bytes <= 200 && entries.len() <= 7);
    }
}

#[tokio::test]
async fn a_key_that_was_said_has_its_position_in_a_repeat_too() {
    let Some(redis) = RedisServer::start() else {
        return;
    };
    let mut server = Caller::connect(&redis, 1).await;
    let mut other = Caller::connect(&redis, 2).await;
    let (first, _) = server.publish(&[(1, 11, Some("id"))], ROOT).await;
    for round in 0..2 {
        let (end, outcomes) = other.publish(&[(1, 21 + round, Some("id"))], 1).await;
        assert_eq!((end, &outcomes[..]), (first, &[Appended::Said(first)][..]));
    }
    // The same message, repeated because its answer was lost.
    let (_, outcomes) = server.publish(&[(1, 31, Some("id"))], 1).await;
    assert_eq!(outcomes, [Appended::Said(first)]);
    let ttl = redis.say("PTTL hws1:{r}:o:id").number();
    assert!((290_000..=300_000).contains(&ttl), "{ttl}");
}

#[tokio::test]
async fn a_key_is_not_said_if_its_message_was_refused() {
    let Some(redis) = RedisServer::start() else {
        return;
    };
    let server = Server::start(&redis.url());
    server.publish("r", "before").ok().await;
    redis.say("CONFIG SET maxmemory 1");
    let refused = server.publish_once("r", "hello", Some("id"));
    server.wait_refused(&redis).await;
    assert_eq!(redis.say("EXISTS hws1:{r}:o:id").number(), 0);
    redis.say("CONFIG SET maxmemory 0");
    assert_eq!(refused.ok().await.number(), 2);
}

#[tokio::test]
async fn fields_of_servers_that_are_gone_are_removed_and_others_are_kept() {
    let Some(redis) = RedisServer::start() else {
        return;
    };
    redis.say("HSET hws1:{r}:t n 0 t 12345678 future yes");
    for server in 1..=80 {
        let mut caller = Caller::connect(&redis, server).await;
        caller.publish(&[(1, server, None)], ROOT).await;
    }
    let fields = redis.say("HLEN hws1:{r}:t").number();
    assert!((32..=76).contains(&fields), "{fields}");
    assert_eq!(
        redis.say("HGET hws1:{r}:t future"),
        Answer::Text(b"yes".to_vec())
    );
    // The newest are known still.
    let mut last = Caller::connect(&redis, 80).await;
    let (_, outcomes) = last.publish(&[(1, 1000, None)], ROOT).await;
    assert_eq!(outcomes, [Appended::Before]);
}

#[tokio::test]
async fn a_log_expires_after_the_age_of_its_last_message() {
    let Some(redis) = RedisServer::start() else {
        return;
    };
    let mut server = Caller::connect(&redis, 1).await;
    server.history = History::last(10).age(Duration::from_secs(400));
    for seq in 1..=3 {
        server.publish(&[(seq, seq, None)], ROOT).await;
        // Not shorter than the age, whenever in the period it was set.
        let ttl = redis.say("PTTL hws1:{r}:l").number();
        assert!((400_000..=500_000).contains(&ttl), "{ttl}");
    }
    assert!(redis.say("PTTL hws1:{r}:t").number() > 86_000_000);
    // The end outlives the log, and a read does not shorten it.
    let days = 24 * 3600;
    server.history = History::last(10).age(Duration::from_secs(30 * days));
    server.publish(&[(4, 4, None)], ROOT).await;
    server.read(ReadFrom::Start, ROOT).await;
    let ttl = |key| redis.say(key).number();
    assert!(ttl("PTTL hws1:{r}:t") > ttl("PTTL hws1:{r}:l"));
    assert!(ttl("PTTL hws1:{r}:l") >= 30 * days as i64 * 1000);
}
