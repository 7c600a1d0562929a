//! From the writer to the reader: whole messages, prepared ones, messages in parts, pings and
//! answers, in both directions, compressed or not, over pipes that deliver any pieces.

#![no_main]

use std::collections::VecDeque;
use std::io::IoSlice;

use arbitrary::{Result, Unstructured};
use bytes::Bytes;
use hyper_ws::message::Kind;
use hyper_ws::protocol::{Connection, Event, Outbox, Part, Reader, Role, Writer};
use hyper_ws::{Config, Message, Prepared};
use hyper_ws_fuzz::{compression, pair};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let [which, rest @ ..] = data else { return };
    let mut u = Unstructured::new(rest);
    match which % 3 {
        0 => drop(parts(&mut u)),
        _ => drop(connections(&mut u)),
    }
});

/// Returns a message, some of which are longer than a frame is copied, or than a short header.
fn message(u: &mut Unstructured<'_>) -> Result<Message> {
    let length = match u.arbitrary::<u8>()? {
        255 => u.int_in_range(60_000..=70_000)?,
        254 => u.int_in_range(16_380..=16_390)?,
        253 => u.int_in_range(120..=130)?,
        length => usize::from(length % 64),
    };
    let pattern = u.bytes(u.len().min(length).min(24))?;
    let filler = [b'a', b'b', b' ', 0xc3, 0xa9];
    let bytes: Vec<u8> = pattern
        .iter()
        .chain(filler.iter().cycle())
        .copied()
        .take(length)
        .collect();
    Ok(match String::from_utf8(bytes) {
        Ok(text) => Message::from(text),
        Err(error) if u.arbitrary()? => Message::binary(error.into_bytes()),
        Err(error) => Message::from(String::from_utf8_lossy(error.as_bytes()).into_owned()),
    })
}

/// One direction: what was sent and has not been received, and the bytes between.
#[derive(Default)]
struct Way {
    expected: VecDeque<Event>,
    pipe: VecDeque<u8>,
    /// The pings of the other direction that may be answered.
    pings: VecDeque<Bytes>,
}

fn connections(u: &mut Unstructured<'_>) -> Result<()> {
    let mut config = || {
        Ok(match u.arbitrary()? {
            true => Config::new().compression(compression(u)?),
            false => Config::new(),
        })
    };
    let (server, client) = pair(&config()?, &config()?);
    let mut sides = [server, client];
    let mut ways: [Way; 2] = Default::default();
    // Prepared messages are sent again, by both sides.
    let mut prepared: Vec<Prepared> = vec![];
    while !u.is_empty() {
        let step: u8 = u.arbitrary()?;
        let from = usize::from(step & 1);
        match step >> 1 & 7 {
            0 | 1 => {
                let message = message(u)?;
                sides[from].send(message.clone()).expect("open");
                ways[from].expected.push_back(Event::Message(message));
            }
            2 => {
                let message = message(u)?;
                prepared.push(match u.arbitrary()? {
                    true => Prepared::new(message),
                    false => Prepared::uncompressed(message),
                });
            }
            3 if !prepared.is_empty() => {
                let prepared = u.choose(&prepared)?;
                sides[from].send_prepared(prepared).expect("open");
                let message = prepared.message().clone();
                ways[from].expected.push_back(Event::Message(message));
            }
            3 => {}
            4 => {
                let payload = Bytes::copy_from_slice(u.bytes(u.len().min(usize::from(step >> 4)))?);
                sides[from].ping(&payload).expect("open");
                ways[from].expected.push_back(Event::Ping(payload.clone()));
                ways[1 - from].pings.push_back(payload);
            }
            5 => transmit(u, &mut sides[from], &mut ways[from].pipe)?,
            _ => receive(u, &mut sides[1 - from], &mut ways[from])?,
        }
    }
    for _ in 0..3 {
        for from in [0, 1] {
            let sent = sides[from].take_output();
            ways[from].pipe.extend(sent);
            deliver(&mut sides[1 - from], &mut ways[from], usize::MAX);
        }
    }
    for way in &ways {
        assert!(
            way.expected.is_empty() && way.pipe.is_empty(),
            "{:?}",
            way.expected
        );
    }
    Ok(())
}

/// Writes some of what is to be written.
fn transmit(
    u: &mut Unstructured<'_>,
    side: &mut Connection,
    pipe: &mut VecDeque<u8>,
) -> Result<()> {
    write_some(u, side.transmit(), pipe)
}

fn write_some(
    u: &mut Unstructured<'_>,
    outbox: &mut Outbox,
    pipe: &mut VecDeque<u8>,
) -> Result<()> {
    for _ in 0..u.int_in_range(0..=3)? {
        let length = outbox.len();
        assert_eq!(outbox.is_empty(), length == 0);
        let mut slices = [IoSlice::new(&[]); 3];
        let count = outbox.chunks(&mut slices);
        let room: Vec<u8> = slices[..count]
            .iter()
            .flat_map(|slice| slice.iter().copied())
            .collect();
        assert!(room.starts_with(outbox.chunk()) && (count > 0) == (length > 0));
        let most = match u.arbitrary()? {
            true => room.len(),
            false => room.len().min(usize::from(u.arbitrary::<u8>()?)),
        };
        pipe.extend(&room[..most]);
        outbox.advance(most);
        assert_eq!(outbox.len(), length - most);
    }
    Ok(())
}

fn receive(u: &mut Unstructured<'_>, side: &mut Connection, way: &mut Way) -> Result<()> {
    let count = match u.arbitrary::<u8>()? {
        255 => usize::MAX,
        count => usize::from(count),
    };
    deliver(side, way, count);
    Ok(())
}

fn deliver(side: &mut Connection, way: &mut Way, count: usize) {
    let count = count.min(way.pipe.len());
    let mut input: Vec<u8> = way.pipe.drain(..count).collect();
    let mut at = 0;
    while at < input.len() {
        let (taken, event) = side
            .receive(&mut input[at..])
            .expect("what a writer sends is valid");
        at += taken;
        match event {
            None => assert_eq!(at, input.len()),
            Some(Event::Pong(payload)) => {
                // In order. Of more than sixteen at once, some are passed over.
                let answered = way.pings.iter().position(|ping| *ping == payload);
                way.pings
                    .drain(..=answered.expect("a pong without its ping"));
            }
            event => assert_eq!(event, way.expected.pop_front()),
        }
    }
}

/// A writer and a reader alone, with messages in parts between which there are pings.
fn parts(u: &mut Unstructured<'_>) -> Result<()> {
    let (writing, reading) = match u.arbitrary()? {
        true => (
            Role::Server,
            Role::Client {
                masking_key: || [0; 4],
            },
        ),
        false => (
            Role::Client {
                masking_key: || [7, 77, 177, 5],
            },
            Role::Server,
        ),
    };
    let mut writer = Writer::new(writing);
    let mut reader = Reader::new(reading, &Config::new());
    let mut outbox = Outbox::default();
    let mut way = Way::default();
    let mut unfinished: Option<(Kind, Vec<u8>)> = None;
    let mut taken = vec![];
    while !u.is_empty() {
        assert_eq!(writer.is_within_message(), unfinished.is_some());
        match u.arbitrary::<u8>()? % 6 {
            0 | 1 => {
                let part = message(u)?;
                let which = match u.arbitrary()? {
                    true => Part::Last,
                    false => Part::More,
                };
                let (kind, mut whole) = unfinished.take().unwrap_or((part.kind(), vec![]));
                // A text in parts of which each is text; a binary message of any.
                let part = match (kind, part) {
                    (Kind::Text, Message::Binary(_)) => Message::from("text"),
                    (_, part) => part,
                };
                whole.extend_from_slice(part.as_bytes());
                writer.part(kind, &part, which, &mut outbox).expect("open");
                match which {
                    Part::More => unfinished = Some((kind, whole)),
                    Part::Last => way.expected.push_back(Event::Message(of(kind, whole))),
                }
            }
            2 => {
                writer.ping(b"ping", &mut outbox).expect("open");
                way.expected
                    .push_back(Event::Ping(Bytes::from_static(b"ping")));
            }
            3 if unfinished.is_none() => {
                let message = message(u)?;
                writer.message(&message, &mut outbox).expect("open");
                way.expected.push_back(Event::Message(message));
            }
            4 => write_some(u, &mut outbox, &mut way.pipe)?,
            _ => {
                let count = usize::from(u.arbitrary::<u8>()?) * 8;
                read(&mut reader, &mut way, count, &mut taken, u.arbitrary()?);
            }
        }
    }
    if let Some((kind, whole)) = unfinished {
        writer
            .part(kind, &Message::from(""), Part::Last, &mut outbox)
            .expect("open");
        way.expected.push_back(Event::Message(of(kind, whole)));
    }
    while !outbox.is_empty() {
        let chunk = outbox.chunk();
        let length = chunk.len();
        way.pipe.extend(chunk);
        outbox.advance(length);
    }
    read(&mut reader, &mut way, usize::MAX, &mut taken, true);
    assert!(way.expected.is_empty() && reader.is_between_messages());
    Ok(())
}

fn of(kind: Kind, bytes: Vec<u8>) -> Message {
    match kind {
        Kind::Text => Message::from(String::from_utf8(bytes).expect("its parts are text")),
        Kind::Binary => Message::binary(bytes),
    }
}

fn read(reader: &mut Reader, way: &mut Way, count: usize, taken: &mut Vec<u8>, in_parts: bool) {
    let count = count.min(way.pipe.len());
    let mut input: Vec<u8> = way.pipe.drain(..count).collect();
    let mut at = 0;
    while at < input.len() {
        let (count, event) = reader.read(&mut input[at..]).expect("valid");
        at += count;
        match event {
            Some(Event::Message(last)) => {
                taken.extend_from_slice(last.as_bytes());
                let whole = of(last.kind(), std::mem::take(taken));
                assert_eq!(Some(Event::Message(whole)), way.expected.pop_front());
            }
            Some(event) => assert_eq!(Some(event), way.expected.pop_front()),
            None => {}
        }
        if in_parts && let Some(part) = reader.take_part() {
            taken.extend_from_slice(part.as_bytes());
        }
    }
}
