//! A chat: one port serves the page at `/` and its socket at `/ws`.
//!
//! ```text
//! cargo run --release --example chat
//! ```
//!
//! Open the address it prints in two windows. The address names the room: `/?room=rust`.
//!
//! A room, its people and its last messages live as long as it has members, so memory is bounded
//! by the connections. The server trusts no page: it sets the author and the time of a message
//! itself, and everything has a limit.
//!
//! # Messages
//!
//! All are text messages of JSON. A page first joins, and may then say any number of texts:
//!
//! ```text
//! {"type":"join","room":"rust","name":"Ann"}
//! {"type":"say","id":"17-4711","text":"hello"}
//! ```
//!
//! The server answers the first with the name that the page got ("Ann (2)" if there is an Ann
//! already), the people in the room and its last messages. Then it sends an event whenever a
//! person comes, leaves or says something, to the author of a text too: that is the confirmation.
//!
//! ```text
//! {"type":"welcome","you":"Ann","people":["Ann","Ben"],"messages":[{"id":"3-5","from":"Ben","at":1767225600000,"text":"hi"}]}
//! {"type":"joined","name":"Cem"}
//! {"type":"left","name":"Ben"}
//! {"type":"said","id":"17-4711","from":"Ann","at":1767225600001,"text":"hello"}
//! ```
//!
//! The page chooses the `id`, and sends an unconfirmed text again under the same `id` after it has
//! connected again; the server ignores an `id` that it already has. `at` counts milliseconds since
//! 1970. A message that breaks these rules is answered with close code 1008 and the reason; the
//! page shows it and does not connect again. After any other end it connects again by itself.

mod page;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::io;
use std::iter;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use clap::Parser;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_ws::config::Compression;
use hyper_ws::hub::{self, Hub};
use hyper_ws::tracker::Tracker;
use hyper_ws::{CloseCode, Config, Error, Message, WebSocket, WebSocketService};
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;

/// A chat in the browser.
#[derive(Parser)]
struct Options {
    /// Where to listen; port 0 takes any that is free.
    #[arg(long, default_value = "127.0.0.1:3000")]
    listen: SocketAddr,
}

#[tokio::main]
async fn main() -> io::Result<()> {
    tracing_subscriber::fmt()
        .with_max_level(tracing::Level::WARN)
        .with_writer(io::stderr)
        .init();
    let options = Options::parse();

    let chat = Arc::new(Chat::default());
    let tracker = Tracker::new();
    let service = WebSocketService::new(service_fn(page::page))
        .route("/ws", move |socket| converse(socket, chat.clone()))
        .config(
            Config::new()
                .max_message_size(MAX_REQUEST)
                .output_limit(MAX_WAITING)
                .compression(Compression::shared()),
        )
        .tracker(&tracker);

    let mut server = http1::Builder::new();
    server
        .timer(TokioTimer::new())
        .header_read_timeout(Duration::from_secs(10));

    let listener = TcpListener::bind(options.listen).await?;
    let mut stop = std::pin::pin!(asked_to_stop()?);
    println!("listening on http://{}", listener.local_addr()?);
    loop {
        let stream = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(_) => {
                    // Out of file descriptors, for instance: other connections will close theirs.
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            },
            () = &mut stop => break,
        };
        let connection = server.serve_connection(TokioIo::new(stream), service.clone());
        tokio::spawn(connection.with_upgrades());
    }
    drop(listener);
    tracker
        .drain(CloseCode::GOING_AWAY, Duration::from_secs(10))
        .await;
    Ok(())
}

/// Waits for SIGINT or SIGTERM. It handles them from this call on: a program that has read
/// "listening" may send one at once.
#[cfg(unix)]
fn asked_to_stop() -> io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

/// Waits for Ctrl-C, which it handles from this call on.
#[cfg(windows)]
fn asked_to_stop() -> io::Result<impl Future<Output = ()>> {
    let mut interrupt = tokio::signal::windows::ctrl_c()?;
    Ok(async move {
        interrupt.recv().await;
    })
}

// ---- The conversation with one page.

/// A message of a page: first `join`, then any number of `say`.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum Said {
    Join {
        room: String,
        name: String,
    },
    /// The page chooses the `id`, and repeats it when it does not know whether the text arrived.
    Say {
        id: String,
        text: String,
    },
}

/// A message of the server to a page.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum Event<'a> {
    Welcome {
        you: &'a str,
        people: Vec<&'a String>,
        messages: &'a VecDeque<Entry>,
    },
    Joined {
        name: &'a str,
    },
    Left {
        name: &'a str,
    },
    Said(&'a Entry),
}

async fn converse(mut socket: WebSocket, chat: Arc<Chat>) -> Result<(), Error> {
    let mut seat = None;
    while let Some(message) = socket.recv().await? {
        let outcome = match (parse(&message), &seat) {
            (Some(Said::Join { room, name }), None) => chat
                .join(&mut socket, room, name.trim())
                .map(|taken| seat = Some(taken)),
            (Some(Said::Say { id, text }), Some(seat)) => seat.say(id, text),
            _ => Err("join a room first, and once; then say something"),
        };
        if let Err(reason) = outcome {
            socket.close(CloseCode::POLICY_VIOLATION, reason).await;
        }
    }
    Ok(())
}

fn parse(message: &Message) -> Option<Said> {
    serde_json::from_str(message.as_text()?).ok()
}

// ---- The rooms.

/// The people and the messages of all rooms. The hub delivers; this knows the names.
#[derive(Default)]
struct Chat {
    hub: Hub,
    rooms: Mutex<HashMap<String, Room>>,
}

#[derive(Default)]
struct Room {
    /// The names by themselves in lower case: "ann" must not be confused with "Ann".
    people: BTreeMap<String, String>,
    /// The last messages, for pages that join, or join again.
    messages: VecDeque<Entry>,
    /// The size of the JSON of `messages`.
    bytes: usize,
}

#[derive(Serialize)]
struct Entry {
    id: String,
    from: String,
    /// Milliseconds since 1970.
    at: u128,
    text: String,
    /// Bytes of its JSON.
    #[serde(skip)]
    length: usize,
}

/// The membership of one page in a room. Dropping it leaves the room, however the conversation
/// ended.
struct Seat {
    chat: Arc<Chat>,
    members: hub::Room,
    name: String,
}

impl Chat {
    fn join(
        self: &Arc<Self>,
        socket: &mut WebSocket,
        room: String,
        name: &str,
    ) -> Result<Seat, &'static str> {
        if !is_room(&room) {
            return Err("a room is named by 1 to 32 letters, digits, - or _");
        }
        if !is_name(name) {
            return Err("a name has 1 to 32 characters, and all can be seen");
        }
        let members = self.hub.room(&room);
        let mut rooms = self.rooms();
        let Room {
            people, messages, ..
        } = rooms.entry(room).or_default();
        let name = iter::once(name.to_owned())
            .chain((2..).map(|number| format!("{name} ({number})")))
            .find(|name| !people.contains_key(&name.to_lowercase()))
            .expect("there are fewer people than numbers");
        people.insert(name.to_lowercase(), name.clone());

        // Under the lock, so that the newcomer misses no event and gets none twice. The queue of a
        // new socket is empty, and an empty queue takes any message.
        let welcome = Event::Welcome {
            you: &name,
            people: people.values().collect(),
            messages,
        };
        let _ = socket.try_send(json(&welcome));
        members.send(json(&Event::Joined { name: &name }));
        members.join(socket);
        let chat = self.clone();
        Ok(Seat {
            chat,
            members,
            name,
        })
    }

    fn rooms(&self) -> MutexGuard<'_, HashMap<String, Room>> {
        self.rooms.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seat {
    fn say(&self, id: String, text: String) -> Result<(), &'static str> {
        if id.len() > MAX_ID {
            return Err("an id has at most 64 bytes");
        }
        if text.len() > MAX_TEXT {
            return Err("a text has at most 64 KiB");
        }
        let mut rooms = self.chat.rooms();
        let room = rooms.get_mut(self.members.name()).expect(HAS_MEMBER);
        if room.messages.iter().any(|entry| entry.id == id) {
            return Ok(());
        }
        let at = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
        let mut entry = Entry {
            id,
            from: self.name.clone(),
            at: at.as_millis(),
            text,
            length: 0,
        };
        let said = json(&Event::Said(&entry));
        entry.length = said.len();
        room.bytes += said.len();
        self.members.send(said);
        room.messages.push_back(entry);
        while room.messages.len() > MAX_KEPT || room.bytes > MAX_KEPT_BYTES {
            let oldest = room.messages.pop_front().expect("there is one too many");
            room.bytes -= oldest.length;
        }
        Ok(())
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut rooms = self.chat.rooms();
        let room = rooms.get_mut(self.members.name()).expect(HAS_MEMBER);
        room.people.remove(&self.name.to_lowercase());
        if room.people.is_empty() {
            rooms.remove(self.members.name());
        }
        self.members.send(json(&Event::Left { name: &self.name }));
    }
}

fn is_room(name: &str) -> bool {
    let allowed = |c: char| c.is_alphanumeric() || c == '-' || c == '_';
    (1..=MAX_NAME).contains(&name.chars().count()) && name.chars().all(allowed)
}

fn is_name(name: &str) -> bool {
    (1..=MAX_NAME).contains(&name.chars().count()) && name.chars().all(is_visible)
}

/// Whether the character is visible: "Ann" with an invisible one must not be confused with "Ann".
fn is_visible(c: char) -> bool {
    !c.is_control()
        && !matches!(c, '\u{ad}' | '\u{3164}' | '\u{feff}')
        && !matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}')
}

fn json(event: &Event<'_>) -> String {
    serde_json::to_string(event).expect("every event has a JSON form")
}

const HAS_MEMBER: &str = "a room exists as long as it has a member";

// ---- Limits. The page checks the same ones before it sends.

/// Characters of a name, a room's too.
const MAX_NAME: usize = 32;
/// Bytes of a text in UTF-8, and of a message's identity.
const MAX_TEXT: usize = 64 * 1024;
const MAX_ID: usize = 64;
/// Bytes of JSON, in which one byte of text may become six: `\u0001`.
const MAX_REQUEST: usize = 6 * MAX_TEXT + 1024;
/// Bytes that may wait for a page that does not read. A slower page is closed, and connects again.
const MAX_WAITING: usize = 1024 * 1024;
/// Messages kept in a room, and the bytes of their JSON. A page that joins gets them all, and they
/// alone must not make it too slow.
const MAX_KEPT: usize = 50;
const MAX_KEPT_BYTES: usize = MAX_WAITING / 2;
