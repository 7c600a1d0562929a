//! Two servers under clients of every temper at once, while their Redis is killed and
//! one of them is reloaded. Afterwards everything has come back that was sent, and the
//! servers hold what they held before.
//!
//! `SOAK_SECONDS` is how long the clients stay in all (60), `SOAK_CLIENTS` how many of
//! them there are at a time (200). Rounds of clients follow each other; the first one
//! warms up, and after each further one the server that is never reloaded must hold
//! the same tasks, descriptors, threads, sockets and rooms, and allocate no more bytes than
//! after the second one. The resident memory is printed only: it is what the allocator keeps.

mod dice;
#[path = "../rooms/client.rs"]
mod member;
#[path = "../rooms/redis_server.rs"]
mod redis_server;
#[path = "../support/mod.rs"]
mod support;
mod tempers;
mod world;

use std::collections::HashSet;
use std::env;
use std::sync::Arc;
use std::sync::atomic::AtomicU16;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

use dice::Dice;
use member::{Client as Member, Seen};
use redis_server::RedisServer;
use world::{Run, Server};

/// How many more bytes the server may have allocated after a round than after the second. Each
/// thread keeps up to sixteen output buffers of at most 256 KiB for the next use, and the first
/// rounds may have left any number of them.
const ALLOCATED_SPREAD: usize = 3 * 16 * 256 * 1024;
const MEMBERS: usize = 12;

fn number(name: &str, usual: u64) -> u64 {
    let value = env::var(name).ok();
    value.map_or(usual, |value| value.parse().expect("a number"))
}

/// Visits one of the servers again and again, each time in another temper.
async fn visit(ports: [u16; 2], mut dice: Dice, run: Arc<Run>) {
    while !run.is_over() {
        let port = ports[dice.below(2)];
        let (dice, run) = (&mut dice, &*run);
        let came = match dice.below(10) {
            0..3 => tempers::chatty(port, dice, run).await,
            3 => tempers::over_http2(port, dice, run).await,
            4 => tempers::silent(port, dice, run).await,
            5 => tempers::streaming(port, dice, run).await,
            6 => tempers::slow(port, dice, run).await,
            7 => tempers::half_dead(port, dice, run).await,
            _ => tempers::abusive(port, dice, run).await,
        };
        if came.is_none() {
            // The server is being reloaded.
            sleep(Duration::from_millis(200)).await;
        }
    }
}

/// Shows the times in milliseconds.
fn show(what: &str, mut times: Vec<Duration>) {
    times.sort_unstable();
    let at = |share: f64| {
        let index = (times.len() as f64 * share) as usize;
        times
            .get(index.min(times.len().saturating_sub(1)))
            .map_or(0.0, |time| time.as_secs_f64() * 1e3)
    };
    println!(
        "{what}: {} messages, ms: p50 {:.2}, p99 {:.2}, p99.9 {:.2}",
        times.len(),
        at(0.5),
        at(0.99),
        at(0.999)
    );
}

/// Every member was sent every message after its first one, once and in the same order.
fn compare(name: &str, seen: &[Seen], log: &[(u64, String)], run: &Run) {
    let messages = numbered(seen);
    let keys: HashSet<_> = messages.iter().map(|(_, text)| text).collect();
    if keys.len() != messages.len() {
        run.fault(format!("{name} was sent a message twice"));
    }
    if let Some((first, _)) = messages.first() {
        let expected: Vec<_> = log.iter().filter(|(number, _)| number >= first).collect();
        if !expected.iter().copied().eq(&messages) {
            let same = expected
                .iter()
                .zip(&messages)
                .take_while(|(a, b)| **a == *b);
            let at = same.count();
            run.fault(format!(
                "{name} was sent {} messages of {} in the log, and not the right one after {at}: \
                 {:?} instead of {:?}",
                messages.len(),
                expected.len(),
                messages.get(at),
                expected.get(at)
            ));
        }
    }
}

/// One round of clients; returns the times of the probe.
async fn round(
    servers: &mut [Server; 2],
    redis: &mut RedisServer,
    time: Duration,
    dice: &mut Dice,
    run: &Arc<Run>,
    number: usize,
) -> Vec<Duration> {
    let ports = [servers[0].port, servers[1].port];
    let shared_ports = Arc::new(ports.map(AtomicU16::new).into_iter().collect::<Vec<_>>());
    let members: Vec<_> = (0..MEMBERS)
        .map(|member| {
            let stay = (member % 3 == 0).then_some(Duration::from_millis(900));
            let name = format!("r{number}m{member}");
            Member::start(
                name,
                &shared_ports,
                &format!("room{}", number % 2),
                member,
                stay,
            )
        })
        .collect();
    let probe = tokio::spawn(tempers::probe(ports[0], run.clone()));
    let visitors: Vec<_> = (0..self::number("SOAK_CLIENTS", 200))
        .map(|_| tokio::spawn(visit(ports, dice.fork(), run.clone())))
        .collect();

    let end = Instant::now() + time;
    let mut said = 0;
    let mut next_fault = Instant::now() + time / 4;
    let mut is_redis_next = true;
    while Instant::now() < end {
        for member in &members {
            member.say(said);
        }
        said += 1;
        sleep(Duration::from_millis(200)).await;
        if Instant::now() >= next_fault {
            next_fault += (time / 4).max(Duration::from_secs(5));
            if is_redis_next {
                redis.kill();
                sleep(Duration::from_millis(500)).await;
                redis.restart();
            } else {
                servers[1].reload(run).await;
            }
            is_redis_next = !is_redis_next;
        }
    }
    // What was said arrives, and then everybody leaves.
    let all_said = async {
        let until = async |is_so: &dyn Fn() -> bool| {
            while !is_so() {
                sleep(Duration::from_millis(50)).await;
            }
        };
        until(&|| members.iter().all(Member::is_done)).await;
        // A last message, at which all have to arrive. Messages before it may be confirmed in any order.
        members[0].say(usize::MAX);
        until(&|| members[0].is_done()).await;
        let end = members[0].accepted();
        until(&|| members.iter().all(|member| member.last() == end)).await;
    };
    if timeout(Duration::from_secs(60), all_said).await.is_err() {
        run.fault("what was said in a room has not arrived within a minute".to_owned());
    }
    run.end();
    let mut logs = Vec::new();
    for member in members {
        if member.missed() > 0 {
            let name = &member.name;
            run.fault(format!("{name} was told of a gap, and Redis lost nothing"));
        }
        let (name, shared) = member.stop().await;
        logs.push((name, shared.seen.lock().unwrap().clone()));
    }
    let log = logs
        .iter()
        .map(|(_, seen)| numbered(seen))
        .max_by_key(Vec::len);
    let log = log.unwrap_or_default();
    run.count(logs.iter().map(|(_, seen)| seen.len()).sum());
    for (name, seen) in &logs {
        compare(name, seen, &log, run);
    }
    for visitor in visitors {
        if timeout(Duration::from_secs(60), visitor).await.is_err() {
            run.fault("a client hangs".to_owned());
        }
    }
    probe.await.expect("the probe does not panic")
}

fn numbered(seen: &[Seen]) -> Vec<(u64, String)> {
    let messages = seen.iter().filter_map(|it| match it {
        Seen::Message(position, text) => Some((position.number(), text.clone())),
        Seen::Missed(_) => None,
    });
    messages.collect()
}

/// A laptop that was closed, a virtual machine that was moved: every timer of the server
/// has passed when it goes on.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_was_suspended_keeps_the_peers_that_are_there() {
    let Some(redis) = RedisServer::start() else {
        return;
    };
    let server = Server::start(&redis.url());
    let run = Arc::new(Run::default());
    let peers: Vec<_> = (0..50)
        .map(|number| {
            // Those that say little are sent pings, some of which are under way.
            let pause = Duration::from_millis([100, 2500, 4000, 5500][number % 4]);
            tokio::spawn(tempers::faithful(server.port, pause, run.clone()))
        })
        .collect();
    sleep(Duration::from_secs(1)).await;
    for _ in 0..2 {
        server.signal("STOP");
        // Longer than interval and timeout of its keep-alive together.
        sleep(Duration::from_secs(7)).await;
        server.signal("CONT");
        sleep(Duration::from_secs(3)).await;
    }
    assert_eq!(server.holdings().await.sockets, 50);
    run.end();
    for peer in peers {
        peer.await.expect("a peer does not panic");
    }
    assert_eq!(run.faults(), [""; 0]);
    assert!(run.checked() >= 50, "{} echoes", run.checked());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_descriptors_goes_on_with_the_peers_that_it_has() {
    let Some(redis) = RedisServer::start() else {
        return;
    };
    let server = Server::with_descriptors(&redis.url(), 48);
    let pause = Duration::from_millis(100);
    let run = Arc::new(Run::default());
    let peers: Vec<_> = (0..10)
        .map(|_| tokio::spawn(tempers::faithful(server.port, pause, run.clone())))
        .collect();
    while server.holdings().await.sockets < 10 {
        sleep(Duration::from_millis(20)).await;
    }
    // The kernel accepts them all; the server has no descriptor for most.
    let mut crowd = Vec::new();
    for _ in 0..100 {
        crowd.push(
            tokio::net::TcpStream::connect(("127.0.0.1", server.port))
                .await
                .unwrap(),
        );
    }
    let before = run.checked();
    sleep(Duration::from_secs(2)).await;
    assert!(run.checked() > before + 10, "the peers were not served");
    drop(crowd);
    // New ones are served again.
    let late = tokio::spawn(tempers::faithful(server.port, pause, run.clone()));
    while server.holdings().await.sockets < 11 {
        sleep(Duration::from_millis(20)).await;
    }
    run.end();
    for peer in peers.into_iter().chain([late]) {
        peer.await.expect("a peer does not panic");
    }
    assert_eq!(run.faults(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes SOAK_SECONDS and more"]
async fn nothing_is_left_behind_by_clients_of_every_temper() {
    let Some(mut redis) = RedisServer::with(&["--appendonly", "yes", "--appendfsync", "always"])
    else {
        return;
    };
    let url = format!("redis://127.0.0.1:{}", redis.port());
    let mut servers = [Server::start(&url), Server::start(&url)];
    let seed = number("SOAK_SEED", u64::from(std::process::id()));
    println!("SOAK_SEED={seed}");
    let mut dice = Dice::new(seed);
    let seconds = number("SOAK_SECONDS", 60);
    let rounds = (seconds / 60).max(3);
    let time = Duration::from_millis(seconds * 1000 / rounds);

    // How long a message takes when nothing else goes on.
    let alone = Arc::new(Run::default());
    let probe = tokio::spawn(tempers::probe(servers[0].port, alone.clone()));
    sleep(Duration::from_secs(3)).await;
    alone.end();
    show("alone", probe.await.unwrap());

    let (mut held, mut allocated) = (None, None);
    let mut checked = 0;
    for number in 0..rounds as usize {
        let run = Arc::new(Run::default());
        let times = round(&mut servers, &mut redis, time, &mut dice, &run, number).await;
        show(&format!("round {number}"), times);
        let holds = servers[0].settles_at(held).await;
        let now = servers[0].allocated().await;
        println!(
            "  checked {}, holds {holds:?}, {} KiB allocated, {} KiB resident",
            run.checked(),
            now / 1024,
            servers[0].resident()
        );
        checked += run.checked();
        assert!(
            run.faults().is_empty(),
            "round {number}: {:#?}",
            run.faults()
        );
        // Both rooms have been used after the second round.
        match number {
            0 => {}
            1 => (held, allocated) = (Some(holds), Some(now)),
            _ => assert_eq!(
                Some(holds),
                held,
                "left: after round {number}, right: after the second"
            ),
        }
        if let Some(before) = allocated {
            assert!(
                now <= before + ALLOCATED_SPREAD,
                "{now} bytes are allocated after round {number}, and {before} after the second"
            );
        }
    }
    assert!(checked > 0, "nothing was checked");
    println!("{checked} answers were right; the server holds what it held");
}
