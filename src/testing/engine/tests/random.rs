//! Real hubs on an engine with random faults, and pages that move between them.
//!
//! The model in `hub/tests/model` knows only the plain parts. Here are the locks, the tasks and the
//! sockets too; but what is lost in truth is not known, so less can be said.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};

use tokio::sync::watch;

use super::*;

const SERVERS: usize = 3;
const PAGES: usize = 4;
const STEPS: usize = 120;

/// What all pages have received.
#[derive(Default)]
struct Record {
    /// What each message came after. A message has one predecessor, whoever receives it.
    before: HashMap<Position, Position>,
    texts: HashMap<Position, String>,
    missed: usize,
    received: usize,
    /// How many pages have received the last message.
    at_end: usize,
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % limit
    }
}

async fn serve_once(
    mut socket: WebSocket,
    room: Room,
    mut position: Option<Position>,
) -> Result<(), crate::Error> {
    loop {
        match room.join_from(&socket, position).await {
            Ok(Joined::Missed { now }) => {
                socket.send(format!("{now} missed")).await?;
                position = Some(now);
            }
            Ok(_) => break,
            // The page tries again.
            Err(_) => return Ok(()),
        }
    }
    while socket.recv().await?.is_some() {}
    Ok(())
}

/// A page that connects to the server that it is told, for ever, and checks what it receives.
async fn page(hubs: Arc<Vec<Hub>>, mut at: watch::Receiver<usize>, record: Arc<Mutex<Record>>) {
    let mut position: Option<Position> = None;
    let mut texts = HashSet::new();
    loop {
        let room = hubs[*at.borrow_and_update()].room("lobby");
        let from = position;
        let client = connect(move |socket| serve_once(socket, room.clone(), from));
        let mut client = client.await;
        loop {
            let message = tokio::select! {
                _ = at.changed() => break,
                message = client.recv() => message,
            };
            let Ok(Some(message)) = message else {
                sleep(Duration::from_millis(100)).await;
                break;
            };
            let (now, text) = message.as_text().unwrap().split_once(' ').unwrap();
            let now: Position = now.parse().unwrap();
            let mut record = record.lock().unwrap();
            if text == "missed" {
                record.missed += usize::from(position.is_some());
                texts.clear();
            } else {
                let before = position.expect("a position comes first");
                record.received += 1;
                record.at_end += usize::from(text == "end 2");
                assert_eq!(
                    now.number(),
                    before.number() + 1,
                    "{text} left something out"
                );
                assert_eq!(*record.before.entry(now).or_insert(before), before);
                let known = record.texts.entry(now).or_insert_with(|| text.to_owned());
                assert_eq!(known, text);
                assert!(texts.insert(text.to_owned()), "{text} came twice");
            }
            position = Some(now);
        }
    }
}

async fn run(seed: u64, may_lose: bool) -> (usize, usize) {
    // Where the engine loses nothing, the history holds everything.
    let messages = if may_lose { 20 } else { 500 };
    let random = &mut Random(seed);
    let engine = Engine::new();
    let servers: Vec<Server> = (0..SERVERS)
        .map(|_| Server::with(&engine, messages))
        .collect();
    let hubs = Arc::new(servers.iter().map(|server| server.hub.clone()).collect());
    let record = Arc::<Mutex<Record>>::default();
    let mut pages = vec![];
    for number in 0..PAGES {
        let (to, at) = watch::channel(number % SERVERS);
        let task = tokio::spawn(page(Arc::clone(&hubs), at, record.clone()));
        pages.push((to, task));
    }
    let mut snapshot = engine.snapshot();
    let mut is_forked = false;
    for step in 0..STEPS {
        let server = &servers[random.below(SERVERS as u64) as usize];
        let few = random.below(3) as usize + 1;
        match random.below(if may_lose { 30 } else { 24 }) {
            0..=9 => drop(server.room().send(format!("{step}"))),
            10..=11 => {
                let page = &pages[random.below(PAGES as u64) as usize];
                page.0.send(random.below(SERVERS as u64) as usize).unwrap();
            }
            12 => server.link.cut(),
            13..=15 => server.link.restore(),
            16 => server.link.lose(few),
            17 => server.link.repeat(few),
            18 => server.link.deafen(),
            19 => server.link.delay(Duration::from_millis(random.below(300))),
            20 => engine.stop(),
            21..=22 => engine.start(),
            24 => {
                engine.rewind(&snapshot);
                is_forked = false;
            }
            25 if !is_forked => snapshot = engine.snapshot(),
            26 if !is_forked => {
                engine.fork(&[&server.link]);
                is_forked = true;
            }
            27 => {
                engine.heal(&server.link);
                is_forked = false;
            }
            28 => engine.flush(),
            29 => engine.lose_messages("lobby"),
            _ => sleep(Duration::from_millis(random.below(500))).await,
        }
        sleep(Duration::from_millis(random.below(50))).await;
    }
    engine.heal(&servers[0].link);
    engine.start();
    for server in &servers {
        server.link.lose(0);
        server.link.delay(Duration::ZERO);
        server.link.cut();
        server.link.restore();
    }
    // What broke is closed over five seconds, and a call that waits does so for five more.
    sleep(Duration::from_secs(30)).await;
    let missed = record.lock().unwrap().missed;
    let mut last = None;
    for (number, server) in servers.iter().enumerate() {
        last = Some(server.publish(&format!("end {number}")).await);
    }
    sleep(Duration::from_secs(5)).await;
    let received = record.lock().unwrap().received;
    for (_to, task) in pages {
        assert!(!task.is_finished(), "seed {seed}: {:?}", task.await);
        task.abort();
    }
    let record = record.lock().unwrap();
    assert_eq!(
        record.at_end, PAGES,
        "seed {seed}: a page is not up to date"
    );
    assert!(record.texts.contains_key(&last.unwrap()), "seed {seed}");
    assert_eq!(
        record.missed, missed,
        "seed {seed}: nothing was lost at the end"
    );
    (received, record.missed)
}

#[tokio::test(start_paused = true)]
async fn hubs_whose_links_fail_deliver_everything_in_order() {
    let (mut received, mut missed) = (0, 0);
    for seed in 0..runs(60) {
        let run = run(seed, false).await;
        received += run.0;
        missed += run.1;
    }
    assert!(received > 1_000);
    assert_eq!(missed, 0);
}

#[tokio::test(start_paused = true)]
async fn hubs_whose_engine_fails_deliver_in_order_or_say_so() {
    let (mut received, mut missed) = (0, 0);
    for seed in 0..runs(60) {
        let run = run(1_000_000 + seed, true).await;
        received += run.0;
        missed += run.1;
    }
    assert!(received > 1_000 && missed > 10);
}

/// How many runs, or what the environment says.
fn runs(default: u64) -> u64 {
    let runs = std::env::var("HYPER_WS_HUB_RUNS").ok();
    runs.map_or(default, |runs| runs.parse().expect("a number of runs"))
}
