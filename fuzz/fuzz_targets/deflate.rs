//! permessage-deflate against zlib in C: what this crate sends, what it receives, and what it
//! refuses. With every window and level, with contexts and without, cut into fragments, with
//! last blocks in the middle.

#![no_main]

use arbitrary::{Result, Unstructured};
use flate2::{Compress, Compression as Level, Decompress, FlushCompress, FlushDecompress, Status};
use http::Request;
use hyper_ws::error::Violation;
use hyper_ws::handshake::Head;
use hyper_ws::protocol::{Connection, Event, Role};
use hyper_ws::{Config, Message};
use hyper_ws_fuzz::compression;
use libfuzzer_sys::fuzz_target;

/// RFC 7692, section 7.2.1: what the sender removes.
const TAIL: [u8; 4] = [0x00, 0x00, 0xff, 0xff];

fuzz_target!(|data: &[u8]| {
    let _ = run(&mut Unstructured::new(data));
});

/// What was negotiated, read from the answer.
#[derive(Clone, Copy, Debug)]
struct Terms {
    server_context: bool,
    client_context: bool,
    server_bits: u8,
    client_bits: u8,
}

fn run(u: &mut Unstructured<'_>) -> Result<()> {
    let limit = *u.choose(&[1 << 20, 1 << 20, 5000, 300])?;
    let config = Config::new()
        .compression(compression(u)?)
        .max_message_size(limit);
    let offer = offer(u)?;
    let (terms, mut server) = negotiate(&config, &offer);
    let mut peer = Peer::new(u.int_in_range(1..=9)?, terms);
    let mut said: Vec<Vec<u8>> = vec![];
    while !u.is_empty() {
        let payload = payload(u, &said)?;
        match u.int_in_range(0..=3)? {
            0 | 1 => sent(&mut server, &mut peer, &payload),
            2 => {
                if !received(u, &mut server, &mut peer, &payload, limit)? {
                    return Ok(());
                }
            }
            _ => {
                let context = peer.context();
                return garbage(u, server, &context, &payload, limit);
            }
        }
        said.push(payload);
    }
    Ok(())
}

/// Returns an offer of a client.
fn offer(u: &mut Unstructured<'_>) -> Result<String> {
    let mut offer = "permessage-deflate".to_owned();
    let flags: u8 = u.arbitrary()?;
    if flags & 1 != 0 {
        offer += "; server_no_context_takeover";
    }
    if flags & 2 != 0 {
        offer += "; client_no_context_takeover";
    }
    if flags & 4 != 0 {
        offer += &format!("; server_max_window_bits={}", u.int_in_range(8..=15)?);
    }
    match flags >> 3 & 3 {
        1 => offer += "; client_max_window_bits",
        2 => offer += &format!("; client_max_window_bits={}", u.int_in_range(8..=15)?),
        _ => {}
    }
    Ok(offer)
}

fn negotiate(config: &Config, offer: &str) -> (Terms, Connection) {
    let request = Request::get("/ws")
        .header("host", "a")
        .header("connection", "Upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
        .header("sec-websocket-extensions", offer)
        .body(())
        .expect("a request");
    let offer = Head::from(&request).validate().expect("valid");
    let agreement = offer.agree(config, None);
    let response = offer.respond::<()>(&agreement);
    let answer = response.headers()["sec-websocket-extensions"]
        .to_str()
        .expect("ASCII");
    let mut terms = Terms {
        server_context: true,
        client_context: true,
        server_bits: 15,
        client_bits: 15,
    };
    for parameter in answer.split("; ").skip(1) {
        match parameter.split_once('=') {
            None if parameter == "server_no_context_takeover" => terms.server_context = false,
            None if parameter == "client_no_context_takeover" => terms.client_context = false,
            Some(("server_max_window_bits", bits)) => terms.server_bits = bits.parse().unwrap(),
            Some(("client_max_window_bits", bits)) => terms.client_bits = bits.parse().unwrap(),
            _ => panic!("unknown parameter in {answer}"),
        }
    }
    let extension = agreement.extension();
    let connection = Connection::new(Role::Server, config).with_extension(extension);
    (terms, connection)
}

/// Something to say, which may resemble what was said.
fn payload(u: &mut Unstructured<'_>, said: &[Vec<u8>]) -> Result<Vec<u8>> {
    let mut payload = vec![];
    for _ in 0..u.int_in_range(1..=4)? {
        let length = match u.arbitrary::<u8>()? {
            255 => u.int_in_range(1000..=70_000)?,
            length => usize::from(length) * 5,
        };
        match u.int_in_range(0..=4)? {
            0 => payload.extend_from_slice(u.bytes(length.min(u.len()))?),
            1 => payload.resize(payload.len() + length, u.arbitrary()?),
            2 if !said.is_empty() => {
                let earlier = u.choose(said)?;
                let from = u.int_in_range(0..=earlier.len())?;
                payload.extend(earlier[from..].iter().take(length));
            }
            3 if !payload.is_empty() => {
                // It repeats itself at a distance.
                let distance = u.int_in_range(1..=payload.len())?;
                for _ in 0..length {
                    payload.push(payload[payload.len() - distance]);
                }
            }
            _ => payload.extend(noise(u.arbitrary()?).take(length)),
        }
    }
    payload.truncate(1 << 17);
    Ok(payload)
}

/// Bytes that do not repeat.
fn noise(seed: u32) -> impl Iterator<Item = u8> {
    let mut state = seed | 1;
    std::iter::repeat_with(move || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state as u8
    })
}

/// A client with zlib in C.
struct Peer {
    terms: Terms,
    compress: Compress,
    decompress: Decompress,
    /// All that it compressed.
    said: Vec<u8>,
}

impl Peer {
    fn new(level: u32, terms: Terms) -> Self {
        Peer {
            terms,
            // With 9 bits zlib refers back no further than 250 bytes, so 8 are kept too.
            compress: Compress::new_with_window_bits(
                Level::new(level),
                false,
                terms.client_bits.max(9),
            ),
            decompress: Decompress::new_with_window_bits(false, terms.server_bits.max(9)),
            said: vec![],
        }
    }

    /// What its next message may refer to.
    fn context(&self) -> Vec<u8> {
        match self.terms.client_context {
            true => tail(&self.said, 1 << self.terms.client_bits).to_vec(),
            false => vec![],
        }
    }

    /// Ends the stream of blocks, and begins the next with the context.
    fn restart(&mut self, message: &[u8]) {
        self.compress.reset();
        let known = [&self.context()[..], message].concat();
        // 250 bytes, if the window is one of 8 bits: see above.
        let known = tail(&known, (1 << self.terms.client_bits) - 6);
        if !known.is_empty() {
            self.compress.set_dictionary(known).expect("a dictionary");
        }
    }

    fn compress(&mut self, u: &mut Unstructured<'_>, payload: &[u8]) -> Result<Vec<u8>> {
        if !self.terms.client_context {
            self.compress.reset();
        }
        let mut out = vec![];
        let mut done = 0;
        let mut last_blocks = 0;
        for _ in 0..u.int_in_range(0..=4)? {
            let count = u.int_in_range(0..=payload.len() - done)?;
            let part = &payload[done..done + count];
            done += count;
            match u.int_in_range(0..=4)? {
                0 => deflate(&mut self.compress, part, FlushCompress::None, &mut out),
                1 => deflate(&mut self.compress, part, FlushCompress::Partial, &mut out),
                2 => deflate(&mut self.compress, part, FlushCompress::Sync, &mut out),
                3 => deflate(&mut self.compress, part, FlushCompress::Full, &mut out),
                _ => {
                    deflate(&mut self.compress, part, FlushCompress::Finish, &mut out);
                    last_blocks += 1;
                    self.restart(&payload[..done]);
                }
            }
        }
        let part = &payload[done..];
        // A sender with a last block adds the first byte of an empty one (section 7.2.3.4), or
        // forgets it.
        match (last_blocks < 4, u.int_in_range(0..=3)?) {
            (true, end @ (0 | 1)) => {
                deflate(&mut self.compress, part, FlushCompress::Finish, &mut out);
                self.restart(payload);
                out.extend(&[0][end..]);
            }
            _ => {
                deflate(&mut self.compress, part, FlushCompress::Sync, &mut out);
                if out.is_empty() {
                    // Nothing to say since the last flush.
                    out.push(0);
                } else if out.ends_with(&TAIL) {
                    out.truncate(out.len() - TAIL.len());
                } else {
                    // Nothing to say since a last block.
                    assert!(part.is_empty(), "no tail");
                    out.push(0);
                }
            }
        }
        self.said.extend_from_slice(payload);
        Ok(out)
    }

    fn decompress(&mut self, payload: &[u8]) -> Vec<u8> {
        let mut input = payload.to_vec();
        input.extend(TAIL);
        let mut input = &input[..];
        let mut out = vec![];
        // With little room zlib looks at nothing but its window.
        let mut room = [0; 7];
        loop {
            let (taken, made) = (self.decompress.total_in(), self.decompress.total_out());
            let status = self
                .decompress
                .decompress(input, &mut room, FlushDecompress::Sync)
                .expect("what was sent is valid");
            input = &input[(self.decompress.total_in() - taken) as usize..];
            let made = (self.decompress.total_out() - made) as usize;
            out.extend_from_slice(&room[..made]);
            assert_ne!(status, Status::StreamEnd, "a last block");
            if input.is_empty() && made < room.len() {
                break;
            }
        }
        if !self.terms.server_context {
            self.decompress.reset(false);
        }
        out
    }
}

fn deflate(compress: &mut Compress, mut input: &[u8], flush: FlushCompress, out: &mut Vec<u8>) {
    let mut room = [0; 4096];
    loop {
        let (taken, made) = (compress.total_in(), compress.total_out());
        let status = compress
            .compress(input, &mut room, flush)
            .expect("deflate does not fail");
        input = &input[(compress.total_in() - taken) as usize..];
        let made = (compress.total_out() - made) as usize;
        out.extend_from_slice(&room[..made]);
        let is_done = match flush {
            FlushCompress::Finish => status == Status::StreamEnd,
            _ => input.is_empty() && made < room.len(),
        };
        if is_done {
            return;
        }
    }
}

fn tail(bytes: &[u8], length: usize) -> &[u8] {
    &bytes[bytes.len().saturating_sub(length)..]
}

/// This crate sends, zlib receives.
fn sent(server: &mut Connection, peer: &mut Peer, payload: &[u8]) {
    server
        .send(Message::binary(payload.to_vec()))
        .expect("open");
    let frame = server.take_output();
    let header = match frame[1] {
        126 => 4,
        127 => 10,
        _ => 2,
    };
    let body = &frame[header..];
    match frame[0] {
        0xc2 => {
            assert!(body.len() < payload.len(), "compressed, and not smaller");
            let back = peer.decompress(body);
            assert!(
                back == payload,
                "{} bytes came back of {}",
                back.len(),
                payload.len()
            );
        }
        0x82 => assert!(body == payload),
        first => panic!("{first:#x}"),
    }
}

/// zlib sends, this crate receives. Returns whether the connection is still open.
fn received(
    u: &mut Unstructured<'_>,
    server: &mut Connection,
    peer: &mut Peer,
    payload: &[u8],
    limit: usize,
) -> Result<bool> {
    let body = peer.compress(u, payload)?;
    let mut frames = vec![];
    let mut rest = &body[..];
    for number in 0..u.int_in_range(1..=5)? {
        let (count, fin) = match u.int_in_range(0..=3)? {
            0 => (rest.len(), 0x80),
            _ => (u.int_in_range(0..=rest.len())?, 0),
        };
        frame(
            if number == 0 { 0x42 } else { 0 } | fin,
            &rest[..count],
            &mut frames,
        );
        rest = &rest[count..];
        if fin != 0 {
            break;
        }
        if number == 4 || u.is_empty() {
            frame(0x80, rest, &mut frames);
            break;
        }
    }
    // The last frame may be missing still.
    if !is_ended(&frames) {
        frame(0x80, rest, &mut frames);
    }
    let received = receive(server, &mut frames);
    if payload.len() > limit || body.len() > limit {
        assert!(is_too_large(&received), "{received:?}");
        return Ok(false);
    }
    let received = received.expect("what zlib sends is valid");
    assert!(
        received == payload,
        "{} bytes of {}",
        received.len(),
        payload.len()
    );
    Ok(true)
}

/// Appends a client's frame, masked with zeros.
fn frame(first: u8, payload: &[u8], out: &mut Vec<u8>) {
    out.push(first);
    match payload.len() {
        length @ 0..=125 => out.push(0x80 | length as u8),
        length @ 126..=0xffff => {
            out.push(0xfe);
            out.extend((length as u16).to_be_bytes());
        }
        length => {
            out.push(0xff);
            out.extend((length as u64).to_be_bytes());
        }
    }
    out.extend([0; 4]);
    out.extend_from_slice(payload);
}

/// Returns whether the last frame is the last of its message.
fn is_ended(mut frames: &[u8]) -> bool {
    loop {
        let (header, length) = match frames[1] & 0x7f {
            126 => (8, usize::from(u16::from_be_bytes([frames[2], frames[3]]))),
            127 => (
                14,
                u64::from_be_bytes(frames[2..10].try_into().unwrap()) as usize,
            ),
            length => (6, usize::from(length)),
        };
        let is_last = frames[0] & 0x80 != 0;
        frames = &frames[header + length..];
        if frames.is_empty() {
            return is_last;
        }
    }
}

fn receive(server: &mut Connection, frames: &mut [u8]) -> std::result::Result<Vec<u8>, Violation> {
    let (taken, event) = server.receive(frames)?;
    assert_eq!(taken, frames.len());
    match event {
        Some(Event::Message(message)) => Ok(message.into_bytes().to_vec()),
        other => panic!("{other:?}"),
    }
}

/// Whatever a peer sends as a compressed message is taken as zlib takes it, or refused.
fn garbage(
    u: &mut Unstructured<'_>,
    mut server: Connection,
    context: &[u8],
    payload: &[u8],
    limit: usize,
) -> Result<()> {
    let mut body = match u.int_in_range(0..=3)? {
        0 => payload.to_vec(),
        1 => return far(u, server, context, limit),
        _ => {
            let mut body = vec![];
            let mut compress = Compress::new(Level::new(6), false);
            deflate(&mut compress, payload, FlushCompress::Sync, &mut body);
            body
        }
    };
    for _ in 0..u.int_in_range(0..=3)? {
        if body.is_empty() {
            break;
        }
        let at = u.int_in_range(0..=body.len() - 1)?;
        match u.int_in_range(0..=3)? {
            0 => body[at] ^= u.arbitrary::<u8>()?,
            1 => body.truncate(at),
            2 => body.insert(at, u.arbitrary()?),
            _ => drop(body.drain(at..(at + 4).min(body.len()))),
        }
    }
    compare(&mut server, &body, context, limit);
    Ok(())
}

/// A reference to the ends of the window. zlib itself never goes further back than the window
/// less 262 bytes, so it would not notice a window that is a little too short.
fn far(
    u: &mut Unstructured<'_>,
    mut server: Connection,
    context: &[u8],
    limit: usize,
) -> Result<()> {
    let distance = match u.int_in_range(0..=3)? {
        0 => context.len(),
        1 => context.len() + 1,
        2 => context.len().saturating_sub(1),
        _ => u.int_in_range(1..=1 << 15)?,
    };
    let mut bits = Bits::default();
    // A block with the fixed codes: a match of three bytes, and the end.
    bits.push(0b010, 3);
    bits.code(0b000_0001, 7);
    bits.distance(distance.clamp(1, 1 << 15));
    bits.code(0, 7);
    // The beginning of an empty block without compression.
    bits.push(0, 3);
    compare(&mut server, &bits.bytes(), context, limit);
    Ok(())
}

/// Bits in the order of RFC 1951, section 3.1.1.
#[derive(Default)]
struct Bits(Vec<bool>);

impl Bits {
    /// Appends a number, its lowest bit first.
    fn push(&mut self, number: usize, count: u32) {
        self.0.extend((0..count).map(|bit| number >> bit & 1 != 0));
    }

    /// Appends a code, its highest bit first.
    fn code(&mut self, code: usize, count: u32) {
        self.0
            .extend((0..count).rev().map(|bit| code >> bit & 1 != 0));
    }

    /// Appends a distance (RFC 1951, section 3.2.5).
    fn distance(&mut self, distance: usize) {
        let rest = distance - 1;
        if rest < 4 {
            return self.code(rest, 5);
        }
        let extra = rest.ilog2() - 1;
        self.code(2 * (extra as usize + 1) + (rest >> extra & 1), 5);
        self.push(rest & ((1 << extra) - 1), extra);
    }

    fn bytes(&self) -> Vec<u8> {
        let byte = |bits: &[bool]| {
            let bits = bits.iter().enumerate();
            bits.map(|(at, bit)| u8::from(*bit) << at).sum()
        };
        self.0.chunks(8).map(byte).collect()
    }
}

/// Compares what both make of a message.
fn compare(server: &mut Connection, body: &[u8], context: &[u8], limit: usize) {
    let mut frames = vec![];
    frame(0xc2, body, &mut frames);
    let ours = receive(server, &mut frames);
    match reference(body, context) {
        _ if body.len() > limit => assert!(is_too_large(&ours), "{ours:?}"),
        Some(out) if out.len() > limit => assert!(is_too_large(&ours), "{ours:?}"),
        Some(out) => assert_eq!(ours.map(|ours| ours == out), Ok(true)),
        // Which of two things is found first depends on the pieces.
        None => assert!(
            ours == Err(Violation::InvalidCompression) || is_too_large(&ours),
            "{ours:?}"
        ),
    }
}

/// The limit is one of frames too.
fn is_too_large(received: &std::result::Result<Vec<u8>, Violation>) -> bool {
    matches!(
        received,
        Err(Violation::MessageTooLarge { .. } | Violation::FrameTooLarge { .. })
    )
}

/// Decompresses a message with zlib in C; `None` if it is not valid.
fn reference(body: &[u8], context: &[u8]) -> Option<Vec<u8>> {
    let mut out = context.to_vec();
    let mut inflate = begin(&out);
    let mut rest = body;
    let mut has_ended = false;
    let mut restarts = 0;
    while !rest.is_empty() {
        if has_ended {
            // A decision: who restarts again and again only wants to use up time. Four times
            // are free, and one for each 64 bytes.
            restarts += 1;
            if restarts > 4 + body.len() / 64 {
                return None;
            }
            inflate = begin(&out);
        }
        has_ended = step(&mut inflate, &mut rest, &mut out)?;
    }
    if !has_ended && !body.is_empty() {
        let length = out.len();
        let mut left = &TAIL[..];
        // The block that the tail completes may itself be marked as the last.
        let has_ended = step(&mut inflate, &mut left, &mut out)?;
        if !left.is_empty() || out.len() > length {
            return None;
        }
        if !has_ended {
            // The blocks end here if the next one is understood: a last one of a single byte.
            let mut probe = &[1, 1, 0, 0xfe, 0xff, b'x'][..];
            let has_ended = step(&mut inflate, &mut probe, &mut out)?;
            if !has_ended || !probe.is_empty() || out.len() != length + 1 {
                return None;
            }
            out.pop();
        }
    }
    Some(out.split_off(context.len()))
}

fn begin(known: &[u8]) -> Decompress {
    let mut inflate = Decompress::new_with_window_bits(false, 15);
    if !known.is_empty() {
        let known = tail(known, 1 << 15);
        inflate.set_dictionary(known).expect("a dictionary");
    }
    inflate
}

/// Returns whether the stream of blocks has ended.
fn step(inflate: &mut Decompress, input: &mut &[u8], out: &mut Vec<u8>) -> Option<bool> {
    let mut room = vec![0; 1 << 16];
    loop {
        let (taken, made) = (inflate.total_in(), inflate.total_out());
        let status = inflate
            .decompress(input, &mut room, FlushDecompress::Sync)
            .ok()?;
        *input = &input[(inflate.total_in() - taken) as usize..];
        let made = (inflate.total_out() - made) as usize;
        out.extend_from_slice(&room[..made]);
        if status == Status::StreamEnd {
            return Some(true);
        }
        if made < room.len() {
            return input.is_empty().then_some(false);
        }
    }
}
