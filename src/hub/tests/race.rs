//! Sockets that resume while many threads send.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::time::{sleep, timeout};

use super::resume::{parts, resume, stamped};
use super::*;
use crate::Config;

/// What each of many sockets got, while many threads send, each after such a pause: nothing is
/// missing, nothing comes twice, at whatever moment it resumed, lagged or caught up. Each thread sends
/// ten messages at once, every tenth time two hundred, which is more than a queue holds here.
async fn race(senders: usize, sockets: usize, pause: Duration, time: Duration) {
    let hub = stamped(History::last(1000).bytes(1 << 20));
    let room = hub.room("lobby");
    let start = room.position().await.unwrap();
    let sent = Arc::new(AtomicUsize::new(0));
    let until = std::time::Instant::now() + time;
    let threads: Vec<_> = (0..senders)
        .map(|sender| {
            let (room, sent) = (room.clone(), sent.clone());
            std::thread::spawn(move || {
                let mut number = 0;
                while std::time::Instant::now() < until {
                    let burst = if number % 10 == 9 { 200 } else { 10 };
                    for at in 0..burst {
                        room.send(format!("{sender}:{number}:{at}"));
                    }
                    sent.fetch_add(burst, Ordering::Relaxed);
                    number += 1;
                    std::thread::sleep(burst as u32 * pause);
                }
            })
        })
        .collect();
    let clients: Vec<_> = (0..sockets)
        .map(|client| {
            let room = room.clone();
            tokio::spawn(client_of_a_race(room, start, client, until))
        })
        .collect();
    let (mut received, mut resumed, mut missed, mut closed) = (0, 0, 0, 0);
    for client in clients {
        let (messages, resumes, misses, closes) = client.await.unwrap();
        received += messages;
        resumed += resumes;
        missed += misses;
        closed += closes;
    }
    for thread in threads {
        thread.join().unwrap();
    }
    let Counters {
        lagged,
        too_slow,
        lag_bytes,
        ..
    } = hub.counters();
    println!(
        "{} sent, {received} received, {resumed} resumed, {missed} missed, {lagged} lagged, \
         {too_slow} too slow",
        sent.load(Ordering::Relaxed)
    );
    assert!(resumed > sockets, "{resumed}");
    assert!(lagged > 0, "no queue was ever full");
    assert!(closed <= too_slow, "{closed} closed, {too_slow} too slow");
    let limit = 64 * 1024 * 1024;
    assert!(lag_bytes <= limit, "{lag_bytes}");
    while !room.is_empty() || hub.counters().lag_bytes > 0 {
        sleep(Duration::from_millis(10)).await;
    }
}

/// Connects, reads some messages, goes away, and comes back from where it was.
async fn client_of_a_race(
    room: Room,
    mut at: Position,
    client: usize,
    until: std::time::Instant,
) -> (usize, usize, usize, u64) {
    let (mut received, mut resumed, mut missed, mut closed) = (0, 0, 0, 0);
    let is_slow = client.is_multiple_of(10);
    let mut random = client as u64 * 7919 + 1;
    while std::time::Instant::now() < until {
        let (mut peer, mut joined) = resume(&room, Some(at), Config::new().output_limit(4096));
        random = random.wrapping_mul(6364136223846793005).wrapping_add(1);
        let mut left = (random >> 33) % 100 + 1;
        while left > 0
            && let Ok(Some(event)) = timeout(Duration::from_millis(300), peer.event()).await
        {
            if let crate::protocol::Event::Message(message) = event {
                let (position, _) = parts(&message);
                assert_eq!(position.number(), at.number() + 1, "client {client}");
                at = position;
                received += 1;
                left -= 1;
            } else if let crate::protocol::Event::Close(Some(frame)) = event {
                closed += u64::from(frame.code == crate::CloseCode::TRY_AGAIN_LATER);
            }
            if is_slow {
                sleep(Duration::from_millis(5)).await;
            }
        }
        match joined.try_recv() {
            Ok(Ok(Joined::Missed { now })) => {
                at = now;
                missed += 1;
            }
            Ok(Ok(Joined::Resumed { .. })) => resumed += 1,
            // It left before, or was closed as too slow: it comes back.
            _ => {}
        }
    }
    (received, resumed, missed, closed)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sockets_that_resume_while_many_threads_send_miss_nothing() {
    race(8, 40, Duration::from_micros(1600), Duration::from_secs(3)).await;
}

/// Sixty-four senders and a thousand sockets, for `HYPER_WS_RACE_SECONDS` (20).
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[ignore = "takes long; `tests/run` runs it"]
async fn a_thousand_sockets_resume_while_sixty_four_threads_send() {
    let seconds = std::env::var("HYPER_WS_RACE_SECONDS").map_or(20, |text| text.parse().unwrap());
    race(
        64,
        1000,
        Duration::from_millis(128),
        Duration::from_secs(seconds),
    )
    .await;
}
