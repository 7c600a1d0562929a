//! What Redis and this engine spend, as figures: `cargo test --release --lib --all-features -- --ignored
//! --nocapture redis::tests::measure`. Nothing is asserted of times.

use std::time::Instant;

use tokio::sync::Semaphore;

use super::*;

/// The bytes of a message.
const SIZE: usize = 200;

/// The seconds of processor time that Redis has used.
fn cpu(redis: &RedisServer) -> f64 {
    let seconds = |name| redis.info("cpu", name).parse::<f64>().unwrap();
    seconds("used_cpu_user") + seconds("used_cpu_sys")
}

/// The calls of a command, and the microseconds that they took.
fn command(redis: &RedisServer, name: &str) -> (f64, f64) {
    let stats = redis.info("commandstats", &format!("cmdstat_{name}"));
    let value = |field: &str| {
        let found = stats
            .split(',')
            .find_map(|part| part.strip_prefix(field)?.strip_prefix('='));
        found.and_then(|text| text.parse().ok()).unwrap_or(0.0)
    };
    (value("calls"), value("usec"))
}

/// Publishes messages to rooms in turn, so many of them waiting at a time.
async fn publish(
    redis: &RedisServer,
    server: &Server,
    what: &str,
    count: usize,
    rooms: usize,
    waiting: usize,
) {
    let names: Vec<_> = (0..rooms)
        .map(|number| room(&format!("room-{number}")))
        .collect();
    let envelope = Bytes::from(vec![b'x'; SIZE]);
    let permits = Arc::new(Semaphore::new(waiting));
    redis.say("CONFIG RESETSTAT");
    let (before, begin) = (cpu(redis), Instant::now());
    for number in 0..count {
        let permit = permits.clone().acquire_owned().await.unwrap();
        server.engine.publish(Publish {
            room: names[number % rooms].clone(),
            envelope: envelope.clone(),
            history: History::last(100),
            once: None,
            permit: None,
            reply: Reply::new(
                || Err(unknown()),
                move |answer| {
                    answer.unwrap();
                    drop(permit);
                },
            ),
        });
    }
    let _all = permits.acquire_many(waiting as u32).await.unwrap();
    let (took, used) = (begin.elapsed().as_secs_f64(), cpu(redis) - before);
    let (calls, usec) = command(redis, "evalsha");
    let count = count as f64;
    println!(
        "{what}: {:.0} messages/s; Redis {:.1} us a message in scripts, {:.1} us of processor; \
         {:.1} messages a call",
        count / took,
        usec / count,
        used * 1e6 / count,
        count / calls,
    );
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "prints figures"]
async fn publishes() {
    let Some(redis) = RedisServer::start() else {
        return;
    };
    let server = Server::start(&redis.url());
    server.up().await;
    for _ in 0..2 {
        publish(&redis, &server, "one after the other, 1 room", 10_000, 1, 1).await;
        publish(&redis, &server, "100 wait, 100 rooms", 100_000, 100, 100).await;
        publish(
            &redis,
            &server,
            "2,000 wait, 1,000 rooms",
            200_000,
            1000,
            2000,
        )
        .await;
        publish(&redis, &server, "2,000 wait, 100 rooms", 200_000, 100, 2000).await;
        publish(&redis, &server, "2,000 wait, 1 room", 300_000, 1, 2000).await;
    }
    server.follow("room-0").await;
    publish(
        &redis,
        &server,
        "2,000 wait, 1 room, followed here",
        300_000,
        1,
        2000,
    )
    .await;
    server.arrived("room-0", 300_000).await;

    redis.say("CONFIG RESETSTAT");
    let begin = Instant::now();
    for _ in 0..10_000 {
        server.read("room-0", ReadFrom::End).await.unwrap();
    }
    let (calls, usec) = command(&redis, "evalsha");
    let took = begin.elapsed().as_secs_f64() / 1e4 * 1e6;
    println!(
        "a read at the end: Redis {:.1} us; {took:.0} us in all, with the question to the line",
        usec / calls
    );
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "prints figures"]
async fn subscriptions() {
    let Some(redis) = RedisServer::start() else {
        return;
    };
    let server = Server::start(&redis.url());
    server.up().await;
    let rooms: Vec<_> = (0..100_000)
        .map(|number| room(&format!("room-{number}")))
        .collect();
    let following = |event: &Event| matches!(event, Event::Following(_));
    let count = || server.notes.following.load(Ordering::Relaxed);
    for round in 1..=3 {
        redis.say("CONFIG RESETSTAT");
        let (before, begin) = (cpu(&redis), Instant::now());
        if round == 1 {
            rooms.iter().for_each(|room| server.engine.follow(room));
        } else {
            redis.say("CLIENT KILL TYPE pubsub");
        }
        while count() < round * rooms.len() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        println!(
            "100,000 rooms {}: {:.2} s in all, {:.2} s of Redis's processor, {:.2} s in SUBSCRIBE",
            if round == 1 {
                "followed"
            } else {
                "followed again"
            },
            begin.elapsed().as_secs_f64(),
            cpu(&redis) - before,
            command(&redis, "subscribe").1 / 1e6,
        );
    }
    assert_eq!(server.count(following), 3 * rooms.len());
}

/// What it costs to read rooms in which nothing has happened, as after an interruption.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "prints figures"]
async fn reads() {
    const ROOMS: usize = 100_000;
    let Some(redis) = RedisServer::start() else {
        return;
    };
    let server = Server::start(&redis.url());
    server.up().await;
    let mut ends = vec![ReadFrom::End; ROOMS];
    for what in ["that do not exist", "at the end", "at the end, again"] {
        redis.say("CONFIG RESETSTAT");
        let (before, begin) = (cpu(&redis), Instant::now());
        let answers: Vec<_> = ends
            .iter()
            .enumerate()
            .map(|(number, from)| {
                let (sender, receiver) = oneshot::channel();
                server.engine.read(Read {
                    room: room(&format!("room-{number}")),
                    from: *from,
                    reply: Reply::new(
                        || Err(EngineError::new("dropped")),
                        move |answer| {
                            let _ = sender.send(answer);
                        },
                    ),
                });
                receiver
            })
            .collect();
        for (answer, from) in answers.into_iter().zip(&mut ends) {
            match answer.await.unwrap().unwrap() {
                Past::Messages { end, .. } => *from = ReadFrom::After(end),
                other => panic!("{other:?}"),
            }
        }
        let (calls, usec) = command(&redis, "evalsha");
        println!(
            "100,000 rooms {what}: {:.2} s in all; Redis {:.1} us a room of processor, {:.0} us a \
             call of {:.0} rooms",
            begin.elapsed().as_secs_f64(),
            (cpu(&redis) - before) * 1e6 / ROOMS as f64,
            usec / calls,
            ROOMS as f64 / calls,
        );
    }
}
