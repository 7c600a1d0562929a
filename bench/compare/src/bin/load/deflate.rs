//! Compressed messages (RFC 7692), one in flight on each connection.
//!
//! Every message is another kilobyte of JSON, as a service would send it, so that
//! no context has seen it before. The messages of the client were compressed
//! beforehand. The first replies on every connection are decompressed and compared;
//! of the rest only the bytes are counted.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::str::FromStr;
use std::time::{Duration, Instant};

use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use zlib_rs::{Deflate, DeflateConfig, DeflateFlush, Inflate, InflateFlush};

use crate::Options;
use crate::frames::{self, Kind};
use crate::json;
use crate::system::Clocks;

const WARM_UP: Duration = Duration::from_millis(300);

/// The number of different messages. Together they are larger than any window, so
/// frames compressed in the context of the previous lap fit every later lap.
const MESSAGES: usize = 256;

/// The replies of each connection that are compared with the messages sent.
const COMPARED: usize = 8;

/// The bytes that a receiver appends to a message (section 7.2.2).
const TAIL: [u8; 4] = [0x00, 0x00, 0xff, 0xff];

/// The client's offer.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Takeover {
    /// The offer of browsers.
    Yes,
    No,
}

impl FromStr for Takeover {
    type Err = &'static str;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        match name {
            "yes" => Ok(Takeover::Yes),
            "no" => Ok(Takeover::No),
            _ => Err("yes or no"),
        }
    }
}

impl Takeover {
    fn offer(self) -> &'static str {
        match self {
            Takeover::Yes => "permessage-deflate; client_max_window_bits",
            Takeover::No => {
                "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
            }
        }
    }
}

/// The server's answer.
#[derive(Clone, PartialEq, Eq)]
struct Agreed {
    compressed: bool,
    client_keeps_context: bool,
    server_keeps_context: bool,
    client_window_bits: u8,
}

impl Agreed {
    fn read(head: &str) -> Self {
        let answer = head
            .lines()
            .find_map(|line| line.strip_prefix("sec-websocket-extensions:"))
            .unwrap_or_default();
        let client_window_bits = answer
            .split(';')
            .find_map(|parameter| parameter.trim().strip_prefix("client_max_window_bits="))
            .and_then(|bits| bits.trim_matches('"').parse().ok());
        Agreed {
            compressed: answer.contains("permessage-deflate"),
            client_keeps_context: !answer.contains("client_no_context_takeover"),
            server_keeps_context: !answer.contains("server_no_context_takeover"),
            client_window_bits: client_window_bits.unwrap_or(15),
        }
    }
}

struct Connection {
    stream: TcpStream,
    /// Messages sent so far.
    sent: usize,
    received: Vec<u8>,
    inflate: Option<Inflate>,
}

/// The replies since the clocks were read.
#[derive(Default)]
struct Count {
    messages: u64,
    compressed: u64,
    bytes: u64,
}

pub fn run(options: &Options, takeover: Takeover) -> io::Result<()> {
    let texts = json::messages(MESSAGES, options.size);
    let epoll = epoll::create(CreateFlags::CLOEXEC)?;
    let mut connections = Vec::with_capacity(options.connections);
    let mut agreed = None;
    for at in 0..options.connections {
        let (stream, head) = frames::connect_with(options, takeover.offer())?;
        let answer = Agreed::read(&head);
        if *agreed.get_or_insert_with(|| answer.clone()) != answer {
            return Err(io::Error::other("not every connection got the same answer"));
        }
        stream.set_nonblocking(true)?;
        let data = EventData::new_u64(at as u64);
        epoll::add(&epoll, &stream, data, EventFlags::IN)?;
        connections.push(Connection {
            stream,
            sent: 0,
            received: Vec::new(),
            inflate: answer.compressed.then(|| Inflate::new(false, 15)),
        });
    }
    let agreed = agreed.ok_or_else(|| io::Error::other("no connections"))?;
    let laps = [lap(&texts, &agreed, 0), lap(&texts, &agreed, 1)];

    for connection in &mut connections {
        send(connection, &laps)?;
    }
    let mut count = Count::default();
    let mut start = Clocks::read(options.pid)?;
    let mut deadline = Instant::now() + WARM_UP;
    let mut is_warm = false;
    let mut events = Vec::with_capacity(1024);
    let mut buffer = vec![0; 64 * 1024];
    loop {
        epoll::wait(&epoll, spare_capacity(&mut events), None)?;
        let now = Instant::now();
        if now >= deadline {
            if is_warm {
                break;
            }
            is_warm = true;
            deadline = now + Duration::from_secs_f64(options.seconds());
            count = Count::default();
            start = Clocks::read(options.pid)?;
        }
        for event in events.drain(..) {
            let connection = &mut connections[event.data.u64() as usize];
            receive(connection, &texts, &agreed, &laps, &mut buffer, &mut count)?;
        }
    }
    let end = Clocks::read(options.pid)?;
    if connections
        .iter()
        .any(|connection| connection.sent <= COMPARED)
    {
        return Err(io::Error::other("some connections were hardly served"));
    }
    println!(
        "{{\"messages\": {}, \"reply_bytes\": {:.1}, \"request_bytes\": {:.1}, \
         \"plain_bytes\": {}, \"compressed\": {:.3}, \"context\": {}, {}}}",
        count.messages,
        count.bytes as f64 / count.messages as f64,
        laps[1].iter().map(|frame| frame.payload).sum::<usize>() as f64 / MESSAGES as f64,
        options.size,
        count.compressed as f64 / count.messages as f64,
        agreed.compressed && agreed.server_keeps_context,
        end.since(&start),
    );
    Ok(())
}

struct Request {
    frame: Vec<u8>,
    payload: usize,
}

/// The frames of all messages; those of lap 1 after those of lap 0.
fn lap(texts: &[Vec<u8>], agreed: &Agreed, number: usize) -> Vec<Request> {
    let config = DeflateConfig {
        level: 6,
        window_bits: -i32::from(agreed.client_window_bits.max(9)),
        ..DeflateConfig::default()
    };
    let mut deflate = Deflate::new_with_config(config);
    let mut requests = Vec::new();
    for _ in 0..=number {
        requests = texts
            .iter()
            .map(|text| {
                let payload = if agreed.compressed {
                    compress(&mut deflate, text)
                } else {
                    text.clone()
                };
                if !agreed.client_keeps_context {
                    deflate.reset();
                }
                Request {
                    frame: frames::masked(Kind::Text, agreed.compressed, &payload),
                    payload: payload.len(),
                }
            })
            .collect();
    }
    requests
}

fn compress(deflate: &mut Deflate, text: &[u8]) -> Vec<u8> {
    let before = deflate.total_out();
    let mut out = vec![0; text.len() + 256];
    deflate
        .compress(text, &mut out, DeflateFlush::SyncFlush)
        .expect("there is room for all of it");
    out.truncate((deflate.total_out() - before) as usize);
    assert!(out.ends_with(&TAIL), "a flush ends in an empty block");
    out.truncate(out.len() - TAIL.len());
    out
}

/// A frame is smaller than a socket's buffer, so it goes in one write.
fn send(connection: &mut Connection, laps: &[Vec<Request>; 2]) -> io::Result<()> {
    let lap = &laps[(connection.sent / MESSAGES).min(1)];
    let frame = &lap[connection.sent % MESSAGES].frame;
    connection.sent += 1;
    if connection.stream.write(frame)? == frame.len() {
        Ok(())
    } else {
        Err(io::Error::other("the server does not read"))
    }
}

fn receive(
    connection: &mut Connection,
    texts: &[Vec<u8>],
    agreed: &Agreed,
    laps: &[Vec<Request>; 2],
    buffer: &mut [u8],
    count: &mut Count,
) -> io::Result<()> {
    let got = match connection.stream.read(buffer) {
        Ok(0) => return Err(io::Error::other("the server closed a connection")),
        Ok(got) => got,
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
        Err(error) => return Err(error),
    };
    connection.received.extend_from_slice(&buffer[..got]);
    while let Some((first, at, length)) = frames::reply(&connection.received) {
        if first & 0x80 == 0 || first & 0x0f != 1 {
            return Err(io::Error::other(format!("a frame begins with {first:#x}")));
        }
        let is_compressed = first & 0x40 != 0;
        if connection.sent <= COMPARED {
            let payload = &connection.received[at..at + length];
            let text = match &mut connection.inflate {
                Some(inflate) if is_compressed => decompress(inflate, payload, agreed)?,
                _ => payload.to_vec(),
            };
            if text != texts[(connection.sent - 1) % MESSAGES] {
                return Err(io::Error::other("the reply is not what was sent"));
            }
        } else {
            connection.inflate = None;
        }
        count.messages += 1;
        count.compressed += u64::from(is_compressed);
        count.bytes += length as u64;
        connection.received.drain(..at + length);
        send(connection, laps)?;
    }
    Ok(())
}

fn decompress(inflate: &mut Inflate, payload: &[u8], agreed: &Agreed) -> io::Result<Vec<u8>> {
    if !agreed.server_keeps_context {
        inflate.reset(false);
    }
    let before = inflate.total_out();
    let mut out = vec![0; 64 * 1024];
    inflate
        .decompress(
            &[payload, &TAIL[..]].concat(),
            &mut out,
            InflateFlush::SyncFlush,
        )
        .map_err(|error| io::Error::other(format!("a reply cannot be decompressed: {error:?}")))?;
    out.truncate((inflate.total_out() - before) as usize);
    Ok(out)
}
