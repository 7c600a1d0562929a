//! How rooms grow: many hubs in one process, on the engine in memory.
//!
//! ```sh
//! cargo bench --bench hubs
//! ```
//!
//! One thread does all the work: the hubs, the engine and the clients' ends of the sockets. Times
//! are what the scheduler counted for it (on Linux). So a figure by itself says little; how it grows
//! is what counts. What Redis costs is not in it.

use std::alloc::System;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use hyper_ws::WebSocket;
use hyper_ws::hub::{History, Hub, Joined, Room};
use hyper_ws::testing::{Engine, connect};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use tokio::runtime::Builder;
use tokio::task::yield_now;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const MESSAGE: [u8; 100] = [b'x'; 100];

fn main() {
    println!("A publish of 100 B, by the servers that there are, and of them those that follow");
    println!("the room, with one member each:\n");
    println!("| servers | following | us a publish | us for each that follows |");
    println!("|---:|---:|---:|---:|");
    for (servers, following) in [(1, 1), (10, 1), (100, 1), (100, 10), (100, 100)] {
        let publish = run(publish(servers, following, 1));
        let each = publish / following as f64;
        println!("| {servers} | {following} | {publish:.1} | {each:.2} |");
    }

    println!("\nThe same by the members of the room, on one server that follows:\n");
    println!("| members | us a publish | us for each member |");
    println!("|---:|---:|---:|");
    for members in [1, 10, 100, 1000] {
        let publish = run(publish(1, 1, members));
        let each = publish / members as f64;
        println!("| {members} | {publish:.1} | {each:.2} |");
    }

    println!("\nA room that is opened, followed and read, without a member:\n");
    println!("| servers | rooms on each | us a room | bytes a room |");
    println!("|---:|---:|---:|---:|");
    for (servers, rooms) in [
        (1, 1_000),
        (1, 10_000),
        (10, 1_000),
        (100, 100),
        (100, 1_000),
    ] {
        let (time, bytes) = run(open(servers, rooms));
        println!("| {servers} | {rooms} | {time:.1} | {bytes:.0} |");
    }

    println!("\nAn interruption of all servers, until all rooms are up to date again:\n");
    println!("| servers | rooms on each | us a room |");
    println!("|---:|---:|---:|");
    for (servers, rooms) in [
        (1, 1_000),
        (1, 10_000),
        (10, 1_000),
        (100, 100),
        (100, 1_000),
    ] {
        let time = run(interrupt(servers, rooms));
        println!("| {servers} | {rooms} | {time:.1} |");
    }
}

/// Runs a measurement. Its tasks end with it, and are not in the next one.
fn run<F: Future>(measurement: F) -> F::Output {
    let runtime = Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(measurement)
}

fn hubs(engine: &Engine, servers: usize) -> Vec<Hub> {
    let hub = |_| {
        let hub = Hub::new().history(History::last(100));
        hub.backplane(engine.link())
    };
    (0..servers).map(hub).collect()
}

/// Returns the microseconds that a publish takes.
async fn publish(servers: usize, following: usize, members: usize) -> f64 {
    const ROUNDS: usize = 5;
    let engine = Engine::new();
    let hubs = hubs(&engine, servers);
    let received = Arc::new(AtomicUsize::new(0));
    let joined = Arc::new(AtomicUsize::new(0));
    for hub in &hubs {
        // Each server is at work, if not in this room.
        hub.room("elsewhere").position().await.expect("it answers");
    }
    for hub in &hubs[..following] {
        for _ in 0..members {
            let (room, joined) = (hub.room("lobby"), joined.clone());
            let client = connect(move |socket| member(socket, room.clone(), joined.clone()));
            let mut client = client.await;
            let received = received.clone();
            tokio::spawn(async move {
                while let Ok(Some(_)) = client.recv().await {
                    received.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    }
    until(&joined, following * members).await;
    let room = hubs[0].room("lobby");
    let publishes = (20_000 / (following * members)).clamp(50, 2_000);
    let mut times = vec![];
    for round in 1..=ROUNDS {
        let before = cpu();
        for _ in 0..publishes {
            room.publish(MESSAGE.to_vec())
                .await
                .expect("it is appended");
        }
        until(&received, round * publishes * following * members).await;
        times.push(micros(cpu() - before) / publishes as f64);
    }
    median(times)
}

async fn member(
    mut socket: WebSocket,
    room: Room,
    joined: Arc<AtomicUsize>,
) -> Result<(), hyper_ws::Error> {
    let mut from = None;
    while let Joined::Missed { now } = room.join_from(&socket, from).await.expect("it answers") {
        from = Some(now);
    }
    joined.fetch_add(1, Ordering::Relaxed);
    while socket.recv().await?.is_some() {}
    Ok(())
}

/// Returns the microseconds and the bytes that a room on a server takes.
async fn open(servers: usize, rooms: usize) -> (f64, f64) {
    let engine = Engine::new();
    let hubs = hubs(&engine, servers);
    let region = Region::new(ALLOCATOR);
    let before = cpu();
    let held = open_all(&hubs, rooms).await;
    let count = held.len() as f64;
    let change = region.change();
    let bytes = change.bytes_allocated as f64 - change.bytes_deallocated as f64;
    (micros(cpu() - before) / count, bytes / count)
}

async fn interrupt(servers: usize, rooms: usize) -> f64 {
    let engine = Engine::new();
    let hubs = hubs(&engine, servers);
    let held = open_all(&hubs, rooms).await;
    let before = cpu();
    engine.stop();
    engine.start();
    for hub in &hubs {
        while hub.counters().interruptions == 0 {
            yield_now().await;
        }
    }
    for room in &held {
        room.position().await.expect("it answers");
    }
    micros(cpu() - before) / held.len() as f64
}

async fn open_all(hubs: &[Hub], rooms: usize) -> Vec<Room> {
    let mut held = vec![];
    for number in 0..rooms {
        for hub in hubs {
            let room = hub.room(&format!("room {number}"));
            room.position().await.expect("it answers");
            held.push(room);
        }
    }
    held
}

async fn until(count: &AtomicUsize, wanted: usize) {
    while count.load(Ordering::Relaxed) < wanted {
        yield_now().await;
    }
}

/// The time that this thread has been running.
fn cpu() -> Duration {
    static START: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    // Else the scheduler has counted up to its last tick.
    thread::yield_now();
    let counted = fs::read_to_string("/proc/thread-self/schedstat").ok();
    let nanos = counted.and_then(|stat| stat.split(' ').next()?.parse().ok());
    match nanos {
        Some(nanos) => Duration::from_nanos(nanos),
        None => START.get_or_init(Instant::now).elapsed(),
    }
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
