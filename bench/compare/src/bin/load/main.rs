//! One thread that keeps connections busy, and measures the server meanwhile.
//!
//!     load echo --server HOST:PORT --pid PID [--raw] [--connections N]
//!          [--in-flight P] [--size BYTES] [--kind binary|text]
//!          [--seconds S | --messages N]
//!     load paced .. --rate N                  N messages a second, ready or not
//!     load broadcast .. [--in-flight P]       one sends, all connections get it
//!     load handshake .. [--at-once N]         connect, one message, reset
//!     load idle --server HOST:PORT --pid PID [--raw] [--connections N] [--size BYTES]
//!     load deflate --server HOST:PORT --pid PID --takeover yes|no [--connections N]
//!          [--size BYTES] [--seconds S]
//!
//! Prints one line of JSON. `--raw` talks to a server without a protocol.

mod broadcast;
mod connect;
mod deflate;
mod echo;
mod frames;
mod handshake;
mod histogram;
mod idle;
mod json;
mod paced;
mod system;

use std::fmt::Display;
use std::io;
use std::net::SocketAddr;
use std::str::FromStr;

fn main() -> io::Result<()> {
    let options = Options::parse();
    match std::env::args().nth(1).as_deref() {
        Some("echo") => echo::run(&options),
        Some("idle") => idle::run(&options),
        Some("paced") => {
            let rate = value("rate").unwrap_or_else(|| stop("--rate N is missing"));
            paced::run(&options, rate)
        }
        Some("broadcast") => broadcast::run(&options),
        Some("handshake") => handshake::run(&options, value("at-once").unwrap_or(64)),
        Some("deflate") => {
            let takeover = value("takeover").unwrap_or_else(|| stop("--takeover is missing"));
            deflate::run(&options, takeover)
        }
        _ => stop("the first word says what to do: see the top of main.rs"),
    }
}

/// The options of the command line.
struct Options {
    server: SocketAddr,
    pid: u32,
    protocol: Protocol,
    connections: usize,
    in_flight: usize,
    size: usize,
    kind: frames::Kind,
    length: Length,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Protocol {
    WebSocket,
    Raw,
}

/// How long to go on.
#[derive(Clone, Copy)]
enum Length {
    Seconds(f64),
    Messages(u64),
}

impl Options {
    /// For loads that do not count messages.
    fn seconds(&self) -> f64 {
        match self.length {
            Length::Seconds(seconds) => seconds,
            Length::Messages(_) => stop("this load takes --seconds"),
        }
    }

    fn parse() -> Self {
        Options {
            server: value("server").unwrap_or_else(|| stop("--server HOST:PORT is missing")),
            pid: value("pid").unwrap_or_else(|| stop("--pid PID is missing")),
            protocol: if std::env::args().any(|word| word == "--raw") {
                Protocol::Raw
            } else {
                Protocol::WebSocket
            },
            connections: value("connections").unwrap_or(100),
            in_flight: value("in-flight").unwrap_or(1),
            size: value("size").unwrap_or(20),
            kind: value("kind").unwrap_or(frames::Kind::Binary),
            length: match value("messages") {
                Some(messages) => Length::Messages(messages),
                None => Length::Seconds(value("seconds").unwrap_or(1.0)),
            },
        }
    }
}

fn value<T: FromStr<Err: Display>>(name: &str) -> Option<T> {
    let mut arguments = std::env::args();
    arguments.find(|word| word.strip_prefix("--") == Some(name))?;
    match arguments.next().map(|word| word.parse()) {
        Some(Ok(value)) => Some(value),
        Some(Err(error)) => stop(&format!("--{name}: {error}")),
        None => stop(&format!("--{name} wants a value")),
    }
}

fn stop(reason: &str) -> ! {
    eprintln!("load: {reason}");
    std::process::exit(2)
}
