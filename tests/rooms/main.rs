//! Rooms over three servers and a real Redis, which the tests start, kill, stop, cut off and set back.
//! What is checked is what clients saw: no hole, nothing twice, one order for all, and every
//! accepted message, unless they were told that messages are missing.

mod client;
mod disk;
mod proxy;
mod redis_server;
mod world;

use std::time::Duration;

use client::Client;
use hyper_ws::hub::Position;
use proxy::Mode;
use redis_server::RedisServer;
use tokio::time::sleep;
use world::World;

const CLIENTS: usize = 12;

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A Redis that writes each command to its disk before it answers.
fn durable() -> Option<RedisServer> {
    RedisServer::with(&[
        "--appendonly",
        "yes",
        "--appendfsync",
        "always",
        "--save",
        "",
    ])
}

fn transient() -> Option<RedisServer> {
    RedisServer::start()
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_missed_while_clients_move_between_servers() {
    let Some(mut world) = World::start(transient(), CLIENTS, &[]).await else {
        return;
    };
    world.talk(seconds(3)).await;
    let outcome = world.finish().await;
    outcome.check_nothing_missed();
    assert!(outcome.messages > 1000, "{}", outcome.messages);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_missed_when_redis_is_killed_and_has_written_everything() {
    let Some(mut world) = World::start(durable(), CLIENTS, &[]).await else {
        return;
    };
    for _ in 0..3 {
        world.talk(seconds(1)).await;
        world.redis.kill();
        world.talk(Duration::from_millis(500)).await;
        world.redis.restart();
    }
    world.talk(seconds(1)).await;
    world.finish().await.check_nothing_missed();
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_missed_when_connections_to_redis_break() {
    let Some(mut world) = World::start(transient(), CLIENTS, &[]).await else {
        return;
    };
    for number in 0..6 {
        world.talk(Duration::from_millis(400)).await;
        world.proxies[number % 3].cut();
        world.redis.say("CLIENT KILL TYPE pubsub");
    }
    world.redis.say("SCRIPT FLUSH");
    world.talk(seconds(1)).await;
    world.finish().await.check_nothing_missed();
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_missed_when_redis_or_a_server_stands_still() {
    let Some(mut world) = World::start(transient(), CLIENTS, &[]).await else {
        return;
    };
    world.talk(seconds(1)).await;
    world.redis.signal("STOP");
    world.talk(seconds(3)).await;
    world.redis.signal("CONT");
    world.talk(seconds(1)).await;
    world.servers[1].signal("STOP");
    world.talk(seconds(5)).await;
    world.servers[1].signal("CONT");
    world.talk(seconds(1)).await;
    world.finish().await.check_nothing_missed();
}

/// Longer than the servers wait for an answer, and than they say a message again.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes 40 seconds: a step of tests/run"]
async fn nothing_is_missed_when_redis_stands_still_for_half_a_minute() {
    let Some(mut world) = World::start(transient(), CLIENTS, &[]).await else {
        return;
    };
    world.talk(seconds(1)).await;
    world.redis.signal("STOP");
    world.talk(seconds(2)).await;
    sleep(seconds(28)).await;
    world.redis.signal("CONT");
    world.talk(seconds(1)).await;
    world.finish().await.check_nothing_missed();
}

/// A command that takes seconds: Redis accepts what is sent meanwhile, and answers late.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_missed_while_redis_is_busy_with_a_slow_command() {
    let Some(mut world) = World::start(transient(), CLIENTS, &[]).await else {
        return;
    };
    world.talk(seconds(1)).await;
    let slow = world.redis.begin("DEBUG SLEEP 4");
    world.talk(seconds(5)).await;
    drop(slow);
    world.finish().await.check_nothing_missed();
}

/// Redis may evict any key then: the end of a room, its log, a key of a message. Members are told of
/// what is lost. Only a message that is said again may come twice, as the guide says.
#[tokio::test(flavor = "multi_thread")]
async fn a_loss_is_told_when_redis_evicts_rooms_that_are_in_use() {
    let options = ["--save", "", "--maxmemory-policy", "allkeys-lru"];
    let Some(mut world) = World::start(RedisServer::with(&options), CLIENTS, &[]).await else {
        return;
    };
    let quiet: Vec<_> = (0..3)
        .map(|number| Client::start(format!("q{number}"), &world.ports, "quiet", number, None))
        .collect();
    quiet[0].say(0);
    let first = || quiet[0].accepted();
    let all_at = |place: Option<Position>| quiet.iter().all(|client| client.last() == place);
    world
        .until("the first message is everywhere", || {
            first().is_some() && all_at(first())
        })
        .await;
    world.talk(seconds(1)).await;
    let used: usize = world.redis.info("memory", "used_memory").parse().unwrap();
    let limit = used + 2 * 1024 * 1024;
    world.redis.say(&format!("CONFIG SET maxmemory {limit}"));
    // The quiet room has been idle for longest.
    let filler = "x".repeat(16 * 1024);
    let end = ["EXISTS", "hws1:{quiet}:t"];
    for number in 0.. {
        assert!(number < 20_000, "the quiet room is never evicted");
        world
            .redis
            .command(&["SET", &format!("filler:{number}"), &filler]);
        if number % 100 == 0 {
            world.talk(Duration::from_millis(100)).await;
        }
        if world.redis.command(&end).number() == 0 {
            break;
        }
    }
    world.talk(seconds(1)).await;
    quiet[1].say(1);
    world
        .until("those in the quiet room are told, and go on", || {
            let second = quiet[1].accepted();
            let are_told = quiet.iter().all(|client| client.missed() > 0);
            second.is_some() && are_told && all_at(second)
        })
        .await;
    assert!(world.redis.info("stats", "evicted_keys") != "0");
    world.redis.say("CONFIG SET maxmemory 0");
    world.finish_with_repeats().await;
    for client in quiet {
        client.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_missed_behind_a_connection_that_is_half_open() {
    let Some(mut world) = World::start(transient(), CLIENTS, &[]).await else {
        return;
    };
    world.talk(seconds(1)).await;
    world.proxies[0].set(Mode::Deaf);
    world.proxies[1].set(Mode::Delay(Duration::from_millis(30)));
    world.talk(seconds(4)).await;
    world.proxies[0].set(Mode::Pass);
    world.proxies[0].cut();
    world.proxies[1].set(Mode::Pass);
    world.talk(seconds(1)).await;
    world.finish().await.check_nothing_missed();
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_missed_when_servers_are_killed() {
    let Some(mut world) = World::start(transient(), CLIENTS, &[]).await else {
        return;
    };
    for number in 0..3 {
        world.talk(seconds(1)).await;
        world.servers[number].kill();
        world.talk(Duration::from_millis(500)).await;
        world.restart_server(number);
    }
    world.talk(seconds(1)).await;
    world.finish().await.check_nothing_missed();
}

/// What it has not written yet is lost, or nothing is: both are told as they are.
#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_writes_every_second_loses_nothing_silently() {
    let options = [
        "--appendonly",
        "yes",
        "--appendfsync",
        "everysec",
        "--save",
        "",
    ];
    let Some(mut world) = World::start(RedisServer::with(&options), CLIENTS, &[]).await else {
        return;
    };
    for _ in 0..2 {
        world.talk(seconds(1)).await;
        world.redis.kill();
        world.redis.restart();
    }
    world.talk(seconds(1)).await;
    let outcome = world.finish().await;
    if outcome.missed == 0 {
        outcome.check_nothing_missed();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_loss_is_told_when_redis_restarts_without_its_data() {
    let Some(mut world) = World::start(transient(), CLIENTS, &[]).await else {
        return;
    };
    world.talk(seconds(1)).await;
    world.redis.kill();
    world.redis.restart();
    world.talk(seconds(1)).await;
    world.finish().await.check_all_missed();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_loss_is_told_when_redis_forgets_everything() {
    let Some(mut world) = World::start(transient(), CLIENTS, &["--tell"]).await else {
        return;
    };
    world.talk(seconds(1)).await;
    world.redis.say("FLUSHALL");
    world.talk(seconds(1)).await;
    world.finish().await.check_all_missed();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_loss_is_told_when_redis_restarts_from_a_snapshot() {
    let redis = RedisServer::with(&["--appendonly", "no", "--save", "3600 1000000"]);
    let Some(mut world) = World::start(redis, CLIENTS, &[]).await else {
        return;
    };
    world.talk(seconds(1)).await;
    world.redis.say("SAVE");
    // These are lost; as many come in their place, with equal numbers.
    world.talk(seconds(1)).await;
    world.redis.kill();
    world.redis.restart();
    world.talk(seconds(2)).await;
    world.finish().await.check_all_missed();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_loss_is_told_when_a_replica_takes_over_that_lags_behind() {
    let Some(mut world) = World::start(transient(), CLIENTS, &[]).await else {
        return;
    };
    let Some(replica) = transient() else { return };
    // The replica is behind a proxy, which stands still before the master fails.
    let link = proxy::Proxy::start(world.redis.port()).await;
    let port = link.url().rsplit(':').next().unwrap().to_owned();
    replica.say(&format!("REPLICAOF 127.0.0.1 {port}"));
    world.talk(seconds(1)).await;
    while replica.info("replication", "master_link_status") != "up" {
        sleep(Duration::from_millis(50)).await;
    }
    world.talk(seconds(1)).await;
    link.set(Mode::Stall);
    world.talk(seconds(1)).await;
    // The log forks here: the same numbers are given again, to other messages.
    replica.say("REPLICAOF NO ONE");
    for proxy in &world.proxies {
        proxy.retarget(replica.port());
        proxy.cut();
    }
    world.talk(seconds(2)).await;
    world.finish().await.check_all_missed();
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_clients_that_join_and_leave_in_a_loop_miss_nothing() {
    let Some(mut world) = World::start(transient(), 3, &[]).await else {
        return;
    };
    let visitors: Vec<_> = (0..200)
        .map(|number| {
            let stay = Duration::from_millis(50 + number * 3);
            let number = usize::try_from(number).unwrap();
            Client::start(
                format!("v{number}"),
                &world.ports,
                "lobby",
                number,
                Some(stay),
            )
        })
        .collect();
    world.clients.extend(visitors);
    for number in 0..300 {
        for client in &world.clients[..3] {
            client.say(number);
        }
        sleep(Duration::from_millis(20)).await;
    }
    let outcome = world.finish().await;
    assert_eq!(outcome.missed, 0);
}
