//! The load: sockets that hear rooms and sockets that publish to them, all in one process, so
//! that one clock measures. It prints one line of JSON.
//!
//! - `--kind plain|socketio`, `--servers PORT,PORT,..`, `--pids PID,..` (of which the CPU time is
//!   read, the engine's last), `--seconds S`.
//! - `--rooms N --shift K`: N rooms, each with a publisher on server i and one that hears on
//!   server i + K. Or one room: `--hear H` sockets on each server, and `--say P` publishers.
//! - `--window W`: each publisher is W messages ahead of the one that hears it, at most. Or
//!   `--rate R --burst B`: all publishers together say R messages a second, B at a time.
//! - `resume N`: N sockets on the first server resume at once from before `--messages M`.
//! - `idle N`: one socket on each server joins N rooms; ended by the end of its input.

mod socket {
    //! A client's socket that speaks a server's protocol.

    use hyper_ws::client::connect;
    use hyper_ws::error::BoxError;
    use hyper_ws::{Message, WebSocket};

    pub(crate) struct Socket {
        pub(crate) inner: WebSocket,
        is_socketio: bool,
        room: String,
    }

    impl Socket {
        pub(crate) async fn open(
            kind: &str,
            port: u16,
            role: &str,
            room: &str,
            count: Option<usize>,
        ) -> Result<Self, BoxError> {
            let is_socketio = kind == "socketio";
            let url = if is_socketio {
                format!("ws://127.0.0.1:{port}/socket.io/?EIO=4&transport=websocket")
            } else {
                let count = count.map_or(String::new(), |count| format!("&count={count}"));
                format!("ws://127.0.0.1:{port}/ws?role={role}&room={room}{count}")
            };
            let mut inner = connect(&url).await?;
            if is_socketio {
                inner.recv().await?.ok_or("no packet `open`")?;
                inner.send("40").await?;
                while let Some(packet) = inner.recv().await? {
                    match packet.as_text() {
                        Some("2") => inner.send("3").await?,
                        _ => break,
                    }
                }
                if role == "hear" {
                    let count = count.unwrap_or(0);
                    let join = format!("42[\"hear\",\"{room}\",{count}]");
                    inner.send(join).await?;
                }
            }
            let room = room.to_owned();
            let mut socket = Socket {
                inner,
                is_socketio,
                room,
            };
            if role == "hear" {
                let ready = socket.recv().await?.ok_or("the server has closed")?;
                assert!(ready.contains("ready"), "got {ready}");
                if let Some((_, position)) = ready.split_once(' ') {
                    socket.room = position.to_owned();
                }
            }
            Ok(socket)
        }

        /// Where the room was when this joined it.
        pub(crate) fn position(&self) -> &str {
            &self.room
        }

        pub(crate) fn encode(&self, text: &str) -> Message {
            match self.is_socketio {
                true => format!("42[\"say\",\"{}\",\"{text}\"]", self.room).into(),
                false => text.into(),
            }
        }

        /// What the next message says; `None` at the end.
        pub(crate) async fn recv(&mut self) -> Result<Option<String>, BoxError> {
            while let Some(message) = self.inner.recv().await? {
                let text = message.as_text().ok_or("not a text")?;
                if !self.is_socketio {
                    return Ok(Some(text.to_string()));
                }
                match text.strip_prefix("42[\"m\",\"") {
                    Some(rest) => return Ok(rest.strip_suffix("\"]").map(str::to_owned)),
                    None if text == "2" => self.inner.send("3").await?,
                    None => {}
                }
            }
            Ok(None)
        }
    }
}

use std::fmt::Write as _;
use std::io::Read as _;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use hyper_ws::error::BoxError;
use rooms::value;
use socket::Socket;
use tokio::time::{sleep, sleep_until, timeout};

/// What all of the program's sockets count.
struct Counts {
    begin: Instant,
    is_counting: AtomicBool,
    received: AtomicU64,
    /// Of those, that came while the load lasted.
    in_time: AtomicU64,
    repeated: AtomicU64,
    told: AtomicU64,
    failed: AtomicU64,
    closed: AtomicU64,
    delays: Mutex<Vec<u32>>,
    publishers: Vec<Publisher>,
}

struct Publisher {
    sent: AtomicU64,
    /// The messages that the one has that tells the publisher to go on.
    heard: AtomicU64,
}

const LENGTH: usize = 100;

/// Listens, and counts. It tells the publishers `tells` to go on.
async fn hear(mut socket: Socket, counts: Arc<Counts>, tells: Vec<usize>) {
    let mut last = vec![0_u64; counts.publishers.len()];
    let mut tells_publisher = vec![false; counts.publishers.len()];
    tells
        .iter()
        .for_each(|publisher| tells_publisher[*publisher] = true);
    while let Ok(Some(text)) = socket.recv().await {
        if text.starts_with("missed") {
            counts.told.fetch_add(1, Relaxed);
            continue;
        }
        let message = &text[text.len() - LENGTH..];
        let mut words = message.split(' ');
        let mut number = || words.next().and_then(|word| word.parse::<u64>().ok());
        let (Some(publisher), Some(sequence), Some(at)) = (number(), number(), number()) else {
            panic!("an unknown message: {text}");
        };
        let publisher = publisher as usize;
        if sequence <= last[publisher] {
            counts.repeated.fetch_add(1, Relaxed);
            continue;
        }
        last[publisher] = sequence;
        counts.received.fetch_add(1, Relaxed);
        if counts.is_counting.load(Relaxed) {
            counts.in_time.fetch_add(1, Relaxed);
        }
        if tells_publisher[publisher] {
            counts.publishers[publisher].heard.store(sequence, Relaxed);
            let now = counts.begin.elapsed().as_micros() as u64;
            let delay = now.saturating_sub(at) as u32;
            counts.delays.lock().unwrap().push(delay);
        }
    }
    counts.closed.fetch_add(1, Relaxed);
}

/// How a publisher goes on.
#[derive(Clone, Copy)]
enum Pace {
    Window(u64),
    Every(Duration, u64),
}

async fn say(mut socket: Socket, counts: Arc<Counts>, me: usize, pace: Pace, end: Instant) {
    let publisher = &counts.publishers[me];
    let mut sequence = 0_u64;
    // Not all at once.
    let phase = match pace {
        Pace::Window(_) => Duration::ZERO,
        Pace::Every(pause, _) => pause.mul_f64(me as f64 / counts.publishers.len() as f64),
    };
    let mut next = Instant::now() + phase;
    // What is lost is not waited for longer than this.
    let (mut given_up, mut progress) = (0_u64, (0_u64, Instant::now()));
    while Instant::now() < end {
        let count = match pace {
            Pace::Every(pause, burst) => {
                sleep_until(next.into()).await;
                next += pause;
                burst
            }
            Pace::Window(window) => {
                let heard = publisher.heard.load(Relaxed);
                if heard > progress.0 {
                    progress = (heard, Instant::now());
                } else if progress.1.elapsed() > Duration::from_secs(1) {
                    given_up = sequence;
                    progress.1 = Instant::now();
                }
                let count = (window + heard.max(given_up)).saturating_sub(sequence);
                if count == 0 {
                    sleep(Duration::from_micros(500)).await;
                    continue;
                }
                count
            }
        };
        for _ in 0..count {
            sequence += 1;
            let at = counts.begin.elapsed().as_micros() as u64;
            let mut text = format!("{me} {sequence} {at} ");
            while text.len() < LENGTH {
                text.push('x');
            }
            let message = socket.encode(&text);
            // Those of one turn leave together.
            let mut sent = socket.inner.try_send(message.clone()).is_ok();
            if !sent {
                sent =
                    socket.inner.flush().await.is_ok() && socket.inner.send(message).await.is_ok();
            }
            if !sent {
                counts.failed.fetch_add(1, Relaxed);
                return;
            }
            publisher.sent.store(sequence, Relaxed);
        }
        if socket.inner.flush().await.is_err() {
            return;
        }
        // What the server says to it: failures.
        while let Ok(Ok(Some(text))) = timeout(Duration::ZERO, socket.recv()).await {
            if text.starts_with("failed") {
                counts.failed.fetch_add(1, Relaxed);
            }
        }
    }
    // The socket stays until all is heard.
    sleep(Duration::from_secs(60)).await;
}

/// The nanoseconds that all threads of a process were on a CPU.
fn cpu(pid: u32) -> u64 {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task"));
    let tasks = tasks.into_iter().flatten().flatten();
    let read = |path: std::path::PathBuf| std::fs::read_to_string(path.join("schedstat")).ok();
    let first = |text: String| text.split(' ').next()?.parse::<u64>().ok();
    tasks.filter_map(|task| first(read(task.path())?)).sum()
}

fn list<T: std::str::FromStr>(name: &str) -> Vec<T> {
    let text: String = value(name).unwrap_or_default();
    text.split(',').filter_map(|it| it.parse().ok()).collect()
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    let arguments: Vec<String> = std::env::args().collect();
    let number = || arguments.get(2).and_then(|it| it.parse().ok()).unwrap_or(1);
    match arguments.get(1).map(String::as_str) {
        Some("idle") => idle(number()).await,
        Some("resume") => resume(number()).await,
        _ => load().await,
    }
}

async fn load() -> Result<(), BoxError> {
    let kind: String = value("kind").unwrap_or_else(|| "plain".to_owned());
    let servers: Vec<u16> = list("servers");
    let pids: Vec<u32> = list("pids");
    let seconds = Duration::from_secs_f64(value("seconds").unwrap_or(4.0));
    let shift: usize = value("shift").unwrap_or(1);
    let many: Option<usize> = value("rooms");
    let (hearers, sayers): (usize, usize) = match many {
        Some(many) => (0, many),
        None => (value("hear").unwrap_or(1), value("say").unwrap_or(1)),
    };
    let pace = match value("window") {
        Some(window) => Pace::Window(window),
        None => {
            let rate: f64 = value("rate").unwrap_or(100.0);
            let burst: u64 = value("burst").unwrap_or(1);
            let pause = sayers as f64 * burst as f64 / rate;
            Pace::Every(Duration::from_secs_f64(pause), burst)
        }
    };
    let publisher = |_| Publisher {
        sent: AtomicU64::new(0),
        heard: AtomicU64::new(0),
    };
    let counts = Arc::new(Counts {
        begin: Instant::now(),
        is_counting: AtomicBool::new(true),
        received: AtomicU64::new(0),
        in_time: AtomicU64::new(0),
        repeated: AtomicU64::new(0),
        told: AtomicU64::new(0),
        failed: AtomicU64::new(0),
        closed: AtomicU64::new(0),
        delays: Mutex::default(),
        publishers: (0..sayers).map(publisher).collect(),
    });
    let server = |index: usize| servers[index % servers.len()];
    let room = |index: usize| match many {
        Some(_) => format!("r{index}"),
        None => "all".to_owned(),
    };
    for index in 0..many.unwrap_or(0) {
        let socket = Socket::open(&kind, server(index + shift), "hear", &room(index), None).await?;
        tokio::spawn(hear(socket, counts.clone(), vec![index]));
    }
    for index in 0..hearers * servers.len() {
        let socket = Socket::open(&kind, server(index), "hear", "all", None).await?;
        // The first on each server tells the publishers whose messages come from elsewhere.
        let tells = match index < servers.len() {
            true => (0..sayers)
                .filter(|sayer| (sayer + shift) % servers.len() == index)
                .collect(),
            false => Vec::new(),
        };
        tokio::spawn(hear(socket, counts.clone(), tells));
    }
    let mut sockets = Vec::new();
    for index in 0..sayers {
        sockets.push(Socket::open(&kind, server(index), "say", &room(index), None).await?);
    }
    sleep(Duration::from_millis(500)).await;

    let before: Vec<u64> = pids.iter().map(|pid| cpu(*pid)).collect();
    let begin = Instant::now();
    for (index, socket) in sockets.into_iter().enumerate() {
        tokio::spawn(say(socket, counts.clone(), index, pace, begin + seconds));
    }
    println!("started");
    sleep(seconds).await;
    counts.is_counting.store(false, Relaxed);
    let took = begin.elapsed().as_secs_f64();
    // Until nothing comes any more.
    let settle = Duration::from_secs_f64(value("settle").unwrap_or(0.7));
    let mut last = (u64::MAX, Instant::now());
    while last.1.elapsed() < settle {
        let received = counts.received.load(Relaxed);
        if received != last.0 {
            last = (received, Instant::now());
        }
        sleep(Duration::from_millis(20)).await;
    }
    let after: Vec<u64> = pids.iter().map(|pid| cpu(*pid)).collect();

    let sent: u64 = counts
        .publishers
        .iter()
        .map(|it| it.sent.load(Relaxed))
        .sum();
    let heard: u64 = counts
        .publishers
        .iter()
        .map(|it| it.heard.load(Relaxed))
        .sum();
    let audience = match many {
        Some(_) => 1,
        // A hub of one process has its own room on each server.
        None if rooms::has_flag("apart") => hearers as u64,
        None => (hearers * servers.len()) as u64,
    };
    let mut delays = std::mem::take(&mut *counts.delays.lock().unwrap());
    delays.sort_unstable();
    let at = |part: f64| delays.get((delays.len() as f64 * part) as usize).copied();
    let spent: Vec<u64> = before.iter().zip(&after).map(|(a, b)| b - a).collect();
    let mut line = String::new();
    write!(
        line,
        "{{\"seconds\": {took:.3}, \"sent\": {sent}, \"heard\": {heard}"
    )?;
    write!(line, ", \"expected\": {}", sent * audience)?;
    for (name, count) in [
        ("received", &counts.received),
        ("in_time", &counts.in_time),
        ("repeated", &counts.repeated),
        ("told", &counts.told),
        ("failed", &counts.failed),
        ("closed", &counts.closed),
    ] {
        write!(line, ", \"{name}\": {}", count.load(Relaxed))?;
    }
    let (p50, p99) = (at(0.5).unwrap_or(0), at(0.99).unwrap_or(0));
    write!(
        line,
        ", \"p50\": {p50}, \"p99\": {p99}, \"cpu\": {spent:?}}}"
    )?;
    println!("{line}");
    Ok(())
}

/// One socket on each server joins so many rooms, and stays until the input ends.
async fn idle(rooms: usize) -> Result<(), BoxError> {
    let kind: String = value("kind").unwrap_or_else(|| "plain".to_owned());
    let mut sockets = Vec::new();
    for port in list("servers") {
        let socket = Socket::open(&kind, port, "hear", "idle", Some(rooms)).await?;
        sockets.push(tokio::spawn(async move {
            let mut socket = socket;
            while let Ok(Some(_)) = socket.recv().await {}
        }));
    }
    println!("ready");
    tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new())).await??;
    Ok(())
}

/// So many sockets on the first server resume in one room at once; the messages were published on
/// the second.
async fn resume(clients: usize) -> Result<(), BoxError> {
    let servers: Vec<u16> = list("servers");
    let messages: usize = value("messages").unwrap_or(50);
    let mut listener = Socket::open("plain", servers[1], "hear", "all", None).await?;
    let position = listener.position().to_owned();
    let mut publisher = Socket::open("plain", servers[1], "say", "all", None).await?;
    for _ in 0..messages {
        publisher.inner.send("x".repeat(LENGTH)).await?;
    }
    for _ in 0..messages {
        listener.recv().await?;
    }
    let mut sockets = Vec::new();
    for _ in 0..clients {
        sockets.push(Socket::open("plain", servers[0], "resume", "all", None).await?);
    }
    let pids: Vec<u32> = list("pids");
    let before: Vec<u64> = pids.iter().map(|pid| cpu(*pid)).collect();
    let begin = Instant::now();
    let tasks: Vec<_> = sockets
        .into_iter()
        .map(|mut socket| {
            let position = position.clone();
            tokio::spawn(async move {
                socket.inner.send(position).await.ok()?;
                let mut got = 0;
                while got < messages {
                    let text = timeout(Duration::from_secs(60), socket.recv()).await;
                    let text = text.ok()?.ok()??;
                    if text.starts_with("missed") {
                        return None;
                    }
                    got += 1;
                }
                Some(socket)
            })
        })
        .collect();
    let mut resumed = Vec::new();
    for task in tasks {
        resumed.extend(task.await?);
    }
    let took = begin.elapsed().as_secs_f64();
    let spent: Vec<u64> = pids
        .iter()
        .zip(before)
        .map(|(pid, before)| cpu(*pid) - before)
        .collect();
    let resumed = resumed.len();
    println!("{{\"seconds\": {took:.3}, \"resumed\": {resumed}, \"cpu\": {spent:?}}}");
    Ok(())
}
