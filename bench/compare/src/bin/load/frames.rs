//! The handshake and the frames of a client (RFC 6455), made beforehand. The load
//! shares no code with the crate or its tests, on purpose.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest, Sha1};

use crate::connect;
use crate::{Options, Protocol};

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Binary,
    Text,
}

impl FromStr for Kind {
    type Err = &'static str;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        match name {
            "binary" => Ok(Kind::Binary),
            "text" => Ok(Kind::Text),
            _ => Err("binary or text"),
        }
    }
}

/// The bytes that one connection sends in one write, and the reply that must arrive.
pub struct Batch {
    pub request: Vec<u8>,
    pub reply: Vec<u8>,
}

impl Batch {
    pub fn new(options: &Options) -> Self {
        let mut random = Random::new();
        let (mut request, mut reply) = (Vec::new(), Vec::new());
        for _ in 0..options.in_flight {
            let payload = match options.kind {
                Kind::Binary => (0..options.size).map(|_| random.next() as u8).collect(),
                Kind::Text => text(options.size, &mut random),
            };
            let opcode = match options.kind {
                Kind::Text => 0x81,
                Kind::Binary => 0x82,
            };
            let mask = (random.next() as u32).to_be_bytes();
            header(opcode, 0x80, payload.len(), &mut request);
            request.extend(mask);
            request.extend(payload.iter().zip(mask.iter().cycle()).map(|(a, b)| a ^ b));
            header(opcode, 0, payload.len(), &mut reply);
            reply.extend(payload);
        }
        if options.protocol == Protocol::Raw {
            reply.clone_from(&request);
        }
        Batch { request, reply }
    }
}

/// Section 5.2.
fn header(opcode: u8, mask_bit: u8, length: usize, out: &mut Vec<u8>) {
    out.push(opcode);
    match length {
        0..=125 => out.push(mask_bit | length as u8),
        126..=0xffff => {
            out.push(mask_bit | 126);
            out.extend((length as u16).to_be_bytes());
        }
        _ => {
            out.push(mask_bit | 127);
            out.extend((length as u64).to_be_bytes());
        }
    }
}

/// One masked frame, compressed or not.
pub fn masked(kind: Kind, is_compressed: bool, payload: &[u8]) -> Vec<u8> {
    const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
    let opcode = match kind {
        Kind::Text => 0x81,
        Kind::Binary => 0x82,
    };
    let mut frame = Vec::with_capacity(payload.len() + 8);
    let rsv1 = u8::from(is_compressed) << 6;
    header(opcode | rsv1, 0x80, payload.len(), &mut frame);
    frame.extend(MASK);
    frame.extend(payload.iter().zip(MASK.iter().cycle()).map(|(a, b)| a ^ b));
    frame
}

/// The first byte of the frame at the beginning of `bytes`, and the start and the
/// length of its payload; `None` unless the whole frame is there.
pub fn reply(bytes: &[u8]) -> Option<(u8, usize, usize)> {
    let (&[first, second], rest) = bytes.split_first_chunk()?;
    let (at, length) = match second {
        126 => (4, u16::from_be_bytes(*rest.first_chunk()?) as usize),
        127 => (10, u64::from_be_bytes(*rest.first_chunk()?) as usize),
        length => (2, length as usize),
    };
    (bytes.len() >= at + length).then_some((first, at, length))
}

/// Words of many scripts in random order, so that no branch is predictable.
fn text(size: usize, random: &mut Random) -> Vec<u8> {
    const WORDS: [&str; 12] = [
        "plain",
        "words ",
        "naïve",
        "façade ",
        "Привет",
        "мир ",
        "Ελλάδα",
        "漢字",
        "かな",
        "👋",
        "🦀🌍",
        "mixed, ",
    ];
    let mut text = Vec::with_capacity(size + 32);
    loop {
        let word = WORDS[(random.next() >> 33) as usize % WORDS.len()];
        if text.len() + word.len() > size {
            text.resize(size, b'.');
            return text;
        }
        text.extend_from_slice(word.as_bytes());
    }
}

/// A linear congruential generator: every run sends the same bytes.
pub struct Random(u64);

impl Random {
    pub fn new() -> Self {
        Random(0x9e37_79b9_7f4a_7c15)
    }

    pub fn below(&mut self, limit: usize) -> usize {
        (self.next() >> 16) as usize % limit
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 16
    }
}

/// Connects, and makes the handshake unless the server is raw. The stream blocks.
pub fn connect(options: &Options) -> io::Result<TcpStream> {
    let mut stream = ask(options)?;
    check_answer(options, &mut stream)?;
    Ok(stream)
}

/// The number of connections that are set up at the same time.
pub const AT_ONCE: usize = 100;

/// All connections of a load, set up several at a time: one after the other, the
/// first ones would be idle for long on a busy machine.
pub fn connect_all(options: &Options) -> io::Result<Vec<TcpStream>> {
    let mut streams = Vec::with_capacity(options.connections);
    while streams.len() < options.connections {
        let begun = streams.len();
        for _ in 0..AT_ONCE.min(options.connections - begun) {
            streams.push(ask(options)?);
        }
        for stream in &mut streams[begun..] {
            check_answer(options, stream)?;
        }
    }
    Ok(streams)
}

/// Compares the first replies byte by byte; later ones are only counted.
pub fn check_replies(streams: &mut [TcpStream], batch: &Batch) -> io::Result<()> {
    let mut reply = vec![0; batch.reply.len()];
    let is_small = batch.request.len() <= 16 * 1024;
    for streams in streams.chunks_mut(if is_small { AT_ONCE } else { 1 }) {
        std::thread::scope(|scope| {
            // Both at the same time: the buffers may be smaller than a large message.
            let mut writers = Vec::new();
            for stream in &mut *streams {
                let mut writer = stream.try_clone()?;
                let mut write = move || writer.write_all(&batch.request);
                if is_small {
                    write()?
                } else {
                    writers.push(scope.spawn(write))
                }
            }
            for stream in &mut *streams {
                stream.read_exact(&mut reply)?;
                if reply != batch.reply {
                    return Err(io::Error::other("the reply is not what was sent"));
                }
            }
            for writer in writers {
                writer.join().map_err(|_| io::ErrorKind::Other)??;
            }
            Ok(())
        })?;
    }
    Ok(())
}

const KEY: &[u8; 16] = b"sixteen bytes ok";

/// Connects with an offer of extensions; returns the head of the answer in lower case.
pub fn connect_with(options: &Options, offer: &str) -> io::Result<(TcpStream, String)> {
    let line = format!("Sec-WebSocket-Extensions: {offer}\r\n");
    let mut stream = ask_with(options, &line)?;
    let head = answer(&mut stream)?;
    Ok((stream, head))
}

/// Connects and sends the handshake.
pub fn ask(options: &Options) -> io::Result<TcpStream> {
    ask_with(options, "")
}

fn ask_with(options: &Options, lines: &str) -> io::Result<TcpStream> {
    let mut stream = connect::stream(options.server)?;
    stream.set_nodelay(true)?;
    if options.protocol == Protocol::WebSocket {
        let request = format!(
            "GET / HTTP/1.1\r\nHost: {}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {}\r\n{lines}\r\n",
            options.server,
            STANDARD.encode(KEY)
        );
        stream.write_all(request.as_bytes())?;
    }
    Ok(stream)
}

/// Waits for the answer to the handshake.
pub fn check_answer(options: &Options, stream: &mut TcpStream) -> io::Result<()> {
    match options.protocol {
        Protocol::Raw => Ok(()),
        Protocol::WebSocket => answer(stream).map(drop),
    }
}

/// The head of an answer with status 101, in lower case.
fn answer(stream: &mut TcpStream) -> io::Result<String> {
    let mut head = Vec::new();
    let mut buffer = [0; 1024];
    while !head.ends_with(b"\r\n\r\n") {
        let count = stream.read(&mut buffer)?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        head.extend_from_slice(&buffer[..count]);
    }
    let key = STANDARD.encode(KEY);
    let head = String::from_utf8_lossy(&head).to_lowercase();
    let accept = Sha1::digest(format!("{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11"));
    let accept = STANDARD.encode(accept).to_lowercase();
    let is_good = head.starts_with("http/1.1 101")
        && head.contains(&format!("sec-websocket-accept: {accept}\r\n"));
    if is_good {
        Ok(head)
    } else {
        Err(io::Error::other(format!("no good handshake:\n{head}")))
    }
}
