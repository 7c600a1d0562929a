//! A chat: one port serves the page at `/` and its socket at `/ws`.
//!
//! ```text
//! cargo run --release --example chat
//! ```
//!
//! A copy of it needs the features `hub`, `redis`, `deflate`.
//!
//! Open the address it prints in two windows. The address names the room: `/?room=rust`. A page
//! that loses its connection comes back by itself, and gets what it has missed.
//!
//! With `--redis redis://127.0.0.1:6379`, any number of these servers are one chat: a page may
//! come back to another of them. `/ready` answers 200 if this one can serve a room, else 503.
//!
//! The server trusts no page: it sets the author and the time of a text itself, and everything has
//! a limit.
//!
//! # Messages
//!
//! This is the whole protocol; a client of your own needs nothing else. All messages are WebSocket
//! text messages of JSON, one object each. Fields have the order and the types shown. Ignore a
//! `type` or a field that you do not know, since later versions may add some.
//!
//! ## From the page
//!
//! First this message, once in a connection:
//!
//! ```text
//! {"type":"join","room":"rust","name":"Ann","after":"42-9c3f1a2b00000017","secret":"8124-1789-29"}
//! ```
//!
//! - `room`: 1 to 32 letters, digits, `-` or `_`.
//! - `name`: 1 to 32 characters that can be seen; spaces around it do not count.
//! - `after`: the last `position` that this page has got in this room, from whichever server and
//!   connection. Leave it out, or `null`, if the page shows nothing yet. A position is an opaque
//!   text: keep it as it is.
//! - `secret`: a text that no other client can guess, made up by the page, and the same in all its
//!   connections; it may be left out. By it, the page gets its name back even if the servers have
//!   not noticed yet that its last connection is dead, which may take a minute. That connection
//!   is then closed. Two pages never share a secret, nor does it survive a reload.
//!
//! Then any number of these. The page need not wait for an answer to `join`:
//!
//! ```text
//! {"type":"say","id":"17-4711","text":"hello"}
//! ```
//!
//! - `id`: 1 to 64 bytes that no other text has, made up by the page. Take random ones.
//! - `text`: at most 64 KiB (65,536 bytes) of UTF-8.
//!
//! ## To the page: after `join`, in this order
//!
//! ```text
//! {"type":"welcome","you":"Ann"}
//! ```
//!
//! - `you`: the name that the page has got: "Ann (2)" if there is another Ann, whatever the case of
//!   the letters.
//!
//! Next comes what was said after `after`: a `said` (below) for each text, in order, which is none
//! if the page has missed nothing. But if there was no `after`, or it cannot be shown that nothing
//! is missing, the last texts come instead:
//!
//! ```text
//! {"type":"recent","position":"41-5b0c000000000a11","messages":[
//!   {"type":"said","position":"41-5b0c000000000a11","id":"3-5","from":"Ben","at":1767225600000,"text":"hi"}]}
//! ```
//!
//! - `messages`: at most the last 50 texts, each as in `said`, oldest first. It may be empty.
//! - `position`: the position after them. The page continues from here.
//!
//! A page that had a position, and gets `recent`, has **missed too much**, and should say so. Some
//! of the messages may be known to it already. A page that reads slowly may get `recent` up to
//! three times; the texts between two of them are missing.
//!
//! ```text
//! {"type":"people","people":["Ann","Ben"]}
//! ```
//!
//! - `people`: everybody in the room, `you` too. It replaces what the page knew of people. It may
//!   come more than once. `joined` and `left` before the first one do not matter.
//!
//! Now the page has caught up. A `said` may also come before `people`.
//!
//! ## To the page: at any time after that
//!
//! ```text
//! {"type":"said","position":"42-9c3f1a2b00000017","id":"17-4711","from":"Ann","at":1767225600001,"text":"hello"}
//! ```
//!
//! A person has said something. If that person is this page itself, this confirms it.
//!
//! - `position`: the position after this text, which the page keeps for the next `after`.
//! - `id`, `text`: as they were said. `from`: the author's name then. `at`: milliseconds since
//!   1970, by the clock of the author's server.
//!
//! All pages in a room get the same texts in the same order, each once, whichever server they are
//! connected to.
//!
//! ```text
//! {"type":"joined","name":"Cem"}
//! {"type":"left","name":"Ben"}
//! ```
//!
//! A person has entered the room, or left it. A `joined` that names a person on the list, or a
//! `left` that names none, changes nothing. These have no position, and are not sent again.
//!
//! ```text
//! {"type":"accepted","id":"17-4711"}
//! ```
//!
//! This page has said a text again that had been accepted before this connection joined. It is
//! confirmed, and no `said` for it follows any more.
//!
//! ```text
//! {"type":"declined","id":"17-4711","reason":"it is not known whether the text was accepted"}
//! ```
//!
//! The text was not accepted, or it is not known whether it was: the servers have lost their
//! connection with each other. The page keeps it, and says it again later. Nothing else has
//! happened: the page stays in the room.
//!
//! - `reason`: what failed, for the log. It is not a text for users.
//!
//! ## Which text is confirmed
//!
//! Each `say` is answered by one of `said`, `accepted` and `declined`, or the connection ends; one
//! that repeats an `id` of the same connection is not answered again after `said`. A page keeps a text until it has `said` or `accepted` for its `id`. It says a text without a
//! confirmation again **with the same `id`** in its next connection, after it has caught up, and
//! after a pause if it was declined. A room takes an `id` once, for five minutes or 1,024 later
//! texts; after that a text might appear again, and pages ignore an `id` that they show. A page
//! that wants its texts in the order in which they were written waits for the answer to one before
//! it says the next.
//!
//! ## How a connection ends
//!
//! | code | why | what the page does |
//! |---|---|---|
//! | 1001 | the server shuts down | connects again, with `after` |
//! | 1008 | a message broke these rules; the reason says which | does not connect again by itself |
//! | 1009 | a message was larger than 394,240 bytes | does not connect again by itself |
//! | 1012 | the servers have lost texts, or given the name away | connects again, with `after` |
//! | 1013 | the page reads too slowly, or the room cannot be reached | connects again, with `after` |
//! | other, none | the network | connects again, with `after` |
//!
//! A page that connects again waits before: about a second, doubled for each attempt that fails,
//! 30 seconds at most, each time between half of that and one and a half.

mod page;
mod people;
mod talk;

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use clap::Parser;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_ws::config::Compression;
use hyper_ws::hub::{EngineError, History, Hub, Redis};
use hyper_ws::tracker::Tracker;
use hyper_ws::{CloseCode, Config, WebSocketService};
use tokio::net::TcpListener;

/// A chat in the browser.
#[derive(Parser)]
struct Options {
    /// Where to listen; port 0 takes any that is free.
    #[arg(long, default_value = "127.0.0.1:3000")]
    listen: SocketAddr,
    /// Be one chat with all servers that use this Redis, such as redis://127.0.0.1:6379.
    #[arg(long, value_name = "URL")]
    redis: Option<String>,
    /// How many texts a room keeps for pages that come back.
    #[arg(long, value_name = "TEXTS", default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    history: u32,
    /// For how many seconds after its last text a room keeps them.
    #[arg(long, value_name = "SECONDS", default_value_t = 3600, value_parser = clap::value_parser!(u64).range(1..=2_592_000))]
    keep_for: u64,
}

impl Options {
    fn hub(&self) -> Result<Hub, EngineError> {
        let history = History::last(self.history as usize)
            .bytes(talk::MAX_KEPT_BYTES)
            .age(Duration::from_secs(self.keep_for));
        let hub = Hub::new()
            .history(history)
            .stamp(talk::stamp)
            .on_presence(people::tell);
        Ok(match &self.redis {
            Some(url) => hub.backplane(Redis::new(url)?),
            None => hub,
        })
    }
}

#[tokio::main]
async fn main() -> io::Result<()> {
    tracing_subscriber::fmt()
        .with_max_level(tracing::Level::WARN)
        .with_writer(io::stderr)
        .init();
    let options = Options::parse();
    let hub = options.hub().unwrap_or_else(|problem| {
        eprintln!("error: --redis: {problem}");
        std::process::exit(2)
    });

    // Connects to Redis now, and not with the first page.
    hub.state();

    let tracker = Tracker::new();
    let (ready, chat) = (hub.clone(), hub.clone());
    let service = WebSocketService::new(service_fn(move |request| {
        page::page(request, ready.clone())
    }))
    .route("/ws", move |socket| talk::converse(socket, chat.clone()))
    .config(
        Config::new()
            .max_message_size(talk::MAX_REQUEST)
            .output_limit(talk::MAX_WAITING)
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
    // What was said last still goes to the other servers, if there are any.
    let _ = tokio::time::timeout(Duration::from_secs(5), hub.close()).await;
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
