//! A client that comes back: it says lines in the room of the example `rooms`, and shows those
//! of all. When the server is gone it waits, connects again, and resumes where it was.
//!
//!     cargo run --release --example rooms
//!     cargo run --release --example reconnect -- ws://127.0.0.1:3000/ws
//!
//! A copy of it needs the feature `client`.
//!
//! Stop the server, type, and start it again. After the end of the input it leaves as soon as
//! the room has all its lines.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::BufRead;
use std::pin::pin;
use std::time::Duration;

use hyper_ws::client::{Backoff, ConnectError};
use hyper_ws::{CloseCode, Error, Message, WebSocket, connect};
use tokio::select;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), ConnectError> {
    let url = std::env::args().nth(1);
    let url = url.unwrap_or_else(|| "ws://127.0.0.1:3000/ws".to_owned());
    let mut room = Room::new(lines());
    let mut backoff = Backoff::new()
        .base(Duration::from_millis(500))
        .lasting(Duration::from_secs(10));
    while !room.is_done() {
        let pause = match connect(&url).await {
            Ok(mut socket) => {
                eprintln!("connected");
                let opened = Instant::now();
                if let Err(error) = room.talk(&mut socket).await {
                    eprintln!("lost: {error}");
                }
                backoff.lost(opened.elapsed())
            }
            Err(error) => match backoff.failed(&error) {
                Some(pause) => Some(pause),
                // It would be refused again.
                None => return Err(error),
            },
        };
        // Without `max_attempts` there is always another attempt.
        room.wait(pause.unwrap_or_default()).await;
    }
    Ok(())
}

/// What outlives a connection.
struct Room {
    /// Where the room was left; empty at first.
    position: String,
    /// The lines that were said and have not come back in the room. They are said again after
    /// each loss, so the room may have a line twice: a lost connection does not tell whether
    /// the server had it.
    unseen: VecDeque<(u64, String)>,
    /// The number of the last line by each name: so a reader shows no line twice.
    shown: HashMap<String, u64>,
    name: String,
    said: u64,
    /// `None` after its end.
    input: Option<mpsc::Receiver<String>>,
}

impl Room {
    fn new(input: mpsc::Receiver<String>) -> Self {
        let random = RandomState::new().build_hasher().finish();
        Room {
            position: String::new(),
            unseen: VecDeque::new(),
            shown: HashMap::new(),
            name: format!("{random:x}"),
            said: 0,
            input: Some(input),
        }
    }

    fn is_done(&self) -> bool {
        self.input.is_none() && self.unseen.is_empty()
    }

    /// Talks until the connection is lost, or nothing is left to say.
    async fn talk(&mut self, socket: &mut WebSocket) -> Result<(), Error> {
        socket.send(&*self.position).await?;
        for (_, line) in &self.unseen {
            socket.send(&**line).await?;
        }
        while !self.is_done() {
            select! {
                message = socket.recv() => match message? {
                    Some(message) => self.hear(&message),
                    None => return Ok(()),
                },
                line = typed(&mut self.input) => if let Some(line) = self.say(line) {
                    socket.send(line).await?;
                },
            }
        }
        socket.close(CloseCode::NORMAL, "").await;
        Ok(())
    }

    /// Keeps what is typed until the pause is over.
    async fn wait(&mut self, pause: Duration) {
        let mut over = pin!(sleep(pause));
        while !self.is_done() {
            select! {
                () = &mut over => return,
                line = typed(&mut self.input) => drop(self.say(line)),
            }
        }
    }

    /// Returns the line as it is sent: with a name and a number.
    fn say(&mut self, line: Option<String>) -> Option<String> {
        let Some(line) = line else {
            self.input = None;
            return None;
        };
        self.said += 1;
        let line = format!("{} {} {line}", self.name, self.said);
        self.unseen.push_back((self.said, line.clone()));
        Some(line)
    }

    /// `<position> <line>`, or `clear <position>` if lines are missing before the next.
    fn hear(&mut self, message: &Message) {
        let Some((position, line)) = message.as_text().and_then(|text| text.split_once(' ')) else {
            return;
        };
        if position == "clear" {
            // A first visit misses nothing.
            if !self.position.is_empty() {
                println!("(some lines are missing)");
            }
            self.position = line.to_owned();
            return;
        }
        self.position = position.to_owned();
        let Some((name, number, text)) = numbered(line) else {
            println!("{line}"); // of a page
            return;
        };
        let shown = self.shown.entry(name.to_owned()).or_default();
        if number <= *shown {
            return;
        }
        *shown = number;
        println!("{text}");
        if name == self.name {
            self.unseen.retain(|(unseen, _)| *unseen > number);
        }
    }
}

fn numbered(line: &str) -> Option<(&str, u64, &str)> {
    let (name, line) = line.split_once(' ')?;
    let (number, text) = line.split_once(' ')?;
    Some((name, number.parse().ok()?, text))
}

/// The next line; never returns after the end, which has been told.
async fn typed(input: &mut Option<mpsc::Receiver<String>>) -> Option<String> {
    match input {
        Some(input) => input.recv().await,
        None => std::future::pending().await,
    }
}

/// The lines of the input, from a thread of their own, since reading blocks.
fn lines() -> mpsc::Receiver<String> {
    let (sender, lines) = mpsc::channel(16);
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines() {
            if line.is_ok_and(|line| sender.blocking_send(line).is_ok()) {
                continue;
            }
            return;
        }
    });
    lines
}
