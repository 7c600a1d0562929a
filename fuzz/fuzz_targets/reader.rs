//! The frame reader: against tungstenite's, and against itself with its input cut anywhere
//! and by each of its ways in and out.
//!
//! Decisions in which it differs from tungstenite 0.30, which stand in [`is_decided`]:
//!
//! - A length that is not in its shortest form is refused, as RFC 6455, section 5.2, demands.
//!   tungstenite accepts it. (Of a control frame, any longer form is one of more than 125 bytes.)
//! - More than 1,024 empty fragments in a row are refused.
//! - What a header or a beginning of a text shows to be wrong is refused there. tungstenite
//!   waits for the whole frame, and for the limits of a message it waits too.
//! - So of two things that are wrong in one frame, each may report another.
//! - A limit of frames below 125 bytes does not hold for control frames. tungstenite's does, so
//!   such a limit is not compared.

#![no_main]

use std::io::{self, Read, Write};
use std::ops::ControlFlow;

use arbitrary::{Result, Unstructured};
use hyper_ws::close::CloseFrame;
use hyper_ws::error::Violation;
use hyper_ws::protocol::{Event, Reader, Role};
use hyper_ws::{CloseCode, Config, Message};
use hyper_ws_fuzz::Allocations;
use libfuzzer_sys::fuzz_target;
use tungstenite::protocol::{Role as TheirRole, WebSocketConfig};

fuzz_target!(|data: &[u8]| {
    let _ = run(&mut Unstructured::new(data));
});

/// How a reader ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// It waits for more bytes.
    Waits,
    Closed,
    Refused(Violation),
}

#[derive(Clone, Copy, Debug)]
struct Limits {
    frame: Option<usize>,
    message: usize,
}

fn run(u: &mut Unstructured<'_>) -> Result<()> {
    let role = match u.ratio(3, 4)? {
        true => Role::Server,
        false => Role::Client {
            masking_key: || [0; 4],
        },
    };
    let sizes = [1, 10, 124, 125, 126, 300, 1000, 4096, 65_535, usize::MAX];
    let limits = Limits {
        frame: u.ratio(1, 4)?.then_some(*u.choose(&sizes)?),
        message: *u.choose(&sizes)?,
    };
    let cuts: [u8; 4] = u.arbitrary()?;
    let wire = if u.ratio(1, 8)? {
        u.bytes(u.len())?.to_vec()
    } else {
        let mut wire = vec![];
        while !u.is_empty() && wire.len() < 1 << 17 {
            frame(u, role, &mut wire)?;
        }
        wire
    };

    let (events, end) = whole(&wire, role, limits);
    assert_eq!(
        pieces(&wire, role, limits, cuts),
        (events.clone(), end),
        "in pieces"
    );
    assert_eq!(
        parts(&wire, role, limits, cuts),
        (events.clone(), end),
        "in parts"
    );
    if let Role::Server = role {
        past_the_reader(&wire, limits, &events, end);
    }
    if limits.frame.is_none_or(|limit| limit >= 125) {
        compare(&wire, role, limits, &events, end);
    }
    Ok(())
}

/// Appends a frame that is mostly valid.
fn frame(u: &mut Unstructured<'_>, role: Role, out: &mut Vec<u8>) -> Result<()> {
    let shape: u8 = u.arbitrary()?;
    let first = match shape & 0x0f {
        0..=2 => 0x81,
        3 | 4 => 0x82,
        5 => 0x01,
        6 => 0x02,
        7 | 8 => 0x00,
        9 | 10 => 0x80,
        11 => 0x88,
        12 => 0x89,
        13 => 0x8a,
        _ => u.arbitrary()?,
    };
    let length = match u.arbitrary::<u8>()? {
        // Some that are longer than a frame that the fuzzer would write.
        255 => u.int_in_range(256..=70_000)?,
        254 => 126,
        length => usize::from(length),
    };
    let is_masked = matches!(role, Role::Server) != (shape >> 4 == 15);
    let announced = match shape >> 4 {
        14 => u.arbitrary()?,
        _ => length as u64,
    };
    let masked = u8::from(is_masked) << 7;
    match (shape >> 4, announced) {
        (12 | 13, _) if announced <= 0xffff => {
            out.extend([first, masked | 126]);
            out.extend((announced as u16).to_be_bytes());
        }
        (12..=14, _) | (_, 0x1_0000..) => {
            out.extend([first, masked | 127]);
            out.extend(announced.to_be_bytes());
        }
        (_, 0..=125) => out.extend([first, masked | announced as u8]),
        _ => {
            out.extend([first, masked | 126]);
            out.extend((announced as u16).to_be_bytes());
        }
    }
    let key = match is_masked {
        true => {
            let key = u.arbitrary::<u8>()?.wrapping_mul(0x1d);
            let key = [key, key.rotate_left(1), key.rotate_left(3), key ^ 0x5a];
            out.extend(key);
            key
        }
        false => [0; 4],
    };
    let given = length.min(if length > 300 { 4 } else { u.len() });
    let payload = u.bytes(given.min(u.len()))?;
    let filler = std::iter::repeat(&b'a');
    let payload = payload.iter().chain(filler).take(length);
    out.extend(
        payload
            .zip(key.iter().cycle())
            .map(|(byte, key)| byte ^ key),
    );
    Ok(())
}

fn config(limits: Limits) -> Config {
    let config = Config::new().max_message_size(limits.message);
    match limits.frame {
        Some(limit) => config.max_frame_size(limit),
        None => config,
    }
}

fn end_of(reader: &Reader) -> End {
    if reader.is_ended() {
        End::Closed
    } else {
        End::Waits
    }
}

/// All at once.
fn whole(wire: &[u8], role: Role, limits: Limits) -> (Vec<Event>, End) {
    let mut reader = Reader::new(role, &config(limits));
    let mut events = vec![];
    let mut input = wire.to_vec();
    let allocations = Allocations::begin();
    let drained = reader.drain(&mut input, &mut |event| {
        events.push(event);
        ControlFlow::Continue(())
    });
    // What is announced costs nothing: a message takes its bytes, what it grew by on the way,
    // and the fragments of one their buffer.
    let bound = 8 * wire.len() + 200 * events.capacity() + 4096;
    assert!(
        allocations.bytes() <= bound,
        "{} bytes for {}",
        allocations.bytes(),
        wire.len()
    );
    match drained {
        Ok(taken) => {
            assert_eq!(taken, wire.len());
            let end = end_of(&reader);
            (events, end)
        }
        Err(violation) => (events, refused(&mut reader, violation)),
    }
}

/// After a violation, all is discarded.
fn refused(reader: &mut Reader, violation: Violation) -> End {
    assert!(reader.is_ended());
    assert_eq!(reader.read(&mut [0x81, 0x80, 0, 0, 0, 0]), Ok((6, None)));
    End::Refused(violation)
}

/// Returns the sizes of the pieces, again and again.
fn sizes(cuts: [u8; 4]) -> impl Iterator<Item = usize> {
    cuts.into_iter().cycle().map(|cut| match cut {
        0..=200 => 1 + usize::from(cut % 16),
        201..=250 => 1 + usize::from(cut),
        _ => 20_000,
    })
}

/// In pieces, some of which are read into the message's own buffer.
fn pieces(wire: &[u8], role: Role, limits: Limits, cuts: [u8; 4]) -> (Vec<Event>, End) {
    let mut reader = Reader::new(role, &config(limits));
    let mut events = vec![];
    let mut rest = wire;
    let mut sizes = sizes(cuts);
    let worthwhile = 1 + usize::from(cuts[0]) * usize::from(cuts[1]);
    while !rest.is_empty() {
        let size = sizes.next().unwrap_or(1).min(rest.len());
        match reader.payload_buffer(worthwhile) {
            Ok(Some((buffer, room))) => {
                assert!(room > 0, "a buffer without room");
                let size = size.min(room);
                buffer.extend_from_slice(&rest[..size]);
                rest = &rest[size..];
                match reader.filled(size) {
                    Ok(event) => events.extend(event),
                    Err(violation) => return (events, refused(&mut reader, violation)),
                }
                continue;
            }
            Ok(None) => {}
            Err(violation) => return (events, refused(&mut reader, violation)),
        }
        let mut piece = rest[..size].to_vec();
        let mut at = 0;
        while at < piece.len() {
            match reader.read(&mut piece[at..]) {
                Ok((taken, event)) => {
                    assert!(event.is_some() || at + taken == piece.len());
                    at += taken;
                    events.extend(event);
                }
                Err(violation) => return (events, refused(&mut reader, violation)),
            }
        }
        rest = &rest[size..];
    }
    let end = end_of(&reader);
    (events, end)
}

/// In pieces, with all messages taken in parts.
fn parts(wire: &[u8], role: Role, limits: Limits, cuts: [u8; 4]) -> (Vec<Event>, End) {
    let mut reader = Reader::new(role, &config(limits));
    let mut events = vec![];
    let mut message = Parts::default();
    let mut rest = wire;
    for size in sizes([cuts[3], cuts[2], cuts[1], cuts[0]]) {
        if rest.is_empty() {
            break;
        }
        let size = size.min(rest.len());
        let mut piece = rest[..size].to_vec();
        let mut at = 0;
        while at < piece.len() {
            match reader.read(&mut piece[at..]) {
                Ok((taken, event)) => {
                    at += taken;
                    events.extend(event.map(|event| match event {
                        Event::Message(last) => Event::Message(message.finish(last)),
                        other => other,
                    }));
                }
                Err(violation) => return (events, refused(&mut reader, violation)),
            }
            let length = reader.part_length();
            if let Some(part) = reader.take_part() {
                assert!((part.len()..part.len() + 4).contains(&length));
                message.add(part);
            }
        }
        rest = &rest[size..];
    }
    let end = end_of(&reader);
    (events, end)
}

#[derive(Default)]
struct Parts(Vec<u8>);

impl Parts {
    fn add(&mut self, part: Message) {
        assert!(!part.is_empty(), "an empty part");
        self.0.extend_from_slice(part.as_bytes());
    }

    fn finish(&mut self, last: Message) -> Message {
        let mut whole = std::mem::take(&mut self.0);
        whole.extend_from_slice(last.as_bytes());
        match last {
            // Each part consists of whole characters, so all of them do.
            Message::Text(_) => Message::text(String::from_utf8(whole).expect("UTF-8")),
            Message::Binary(_) => Message::binary(whole),
        }
    }
}

/// Whole messages that the driver takes without the reader.
fn past_the_reader(wire: &[u8], limits: Limits, events: &[Event], end: End) {
    let limit = limits.message.min(limits.frame.unwrap_or(usize::MAX));
    let Some((messages, is_text)) = hyper_ws::fuzzing::whole_messages(wire, limit) else {
        return;
    };
    let messages: Vec<_> = messages.into_iter().map(Event::Message).collect();
    assert_eq!(messages, events);
    let expected = if is_text {
        End::Waits
    } else {
        End::Refused(Violation::InvalidUtf8)
    };
    assert_eq!(end, expected);
}

/// How tungstenite ends.
#[derive(Debug, PartialEq, Eq)]
enum TheirEnd {
    Waits,
    Closed,
    Refused(CloseCode, String),
}

/// A stream that has ended, and takes everything.
struct Nothing;

impl Read for Nothing {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Ok(0)
    }
}

impl Write for Nothing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// tungstenite allocates what a header announces, so it needs a limit in any case.
fn their_frame_limit(limits: Limits) -> usize {
    limits.frame.unwrap_or(usize::MAX).min(1 << 20)
}

fn theirs(wire: &[u8], role: Role, limits: Limits) -> (Vec<Event>, TheirEnd) {
    use tungstenite::{Error, Message as Their, error::ProtocolError};

    let role = match role {
        Role::Server => TheirRole::Server,
        Role::Client { .. } => TheirRole::Client,
    };
    let config = WebSocketConfig::default()
        .read_buffer_size(512)
        .max_message_size(Some(limits.message))
        .max_frame_size(Some(their_frame_limit(limits)));
    let mut socket =
        tungstenite::WebSocket::from_partially_read(Nothing, wire.to_vec(), role, Some(config));
    let mut events = vec![];
    let end = loop {
        match socket.read() {
            Ok(Their::Text(text)) => events.push(Event::Message(Message::text(text.as_str()))),
            Ok(Their::Binary(bytes)) => events.push(Event::Message(Message::binary(bytes))),
            Ok(Their::Ping(payload)) => events.push(Event::Ping(payload)),
            Ok(Their::Pong(payload)) => events.push(Event::Pong(payload)),
            Ok(Their::Close(None)) => {
                events.push(Event::Close(None));
                break TheirEnd::Closed;
            }
            Ok(Their::Close(Some(frame))) => {
                let code = u16::from(frame.code);
                // It answers a code that is not allowed so, and reports the answer.
                if code == 1002 && frame.reason.as_str() == "Protocol violation" {
                    break TheirEnd::Refused(CloseCode::PROTOCOL_ERROR, "close code".into());
                }
                let Some(code) = CloseCode::new(code) else {
                    break TheirEnd::Refused(CloseCode::PROTOCOL_ERROR, format!("allows {code}"));
                };
                events.push(Event::Close(Some(CloseFrame::new(code, &frame.reason))));
                break TheirEnd::Closed;
            }
            Ok(Their::Frame(_)) => unreachable!("only for writing"),
            Err(Error::Protocol(ProtocolError::ResetWithoutClosingHandshake)) => {
                break TheirEnd::Waits;
            }
            Err(error) => {
                let code = match error {
                    Error::Protocol(_) => CloseCode::PROTOCOL_ERROR,
                    Error::Utf8(_) => CloseCode::INVALID_PAYLOAD,
                    Error::Capacity(_) => CloseCode::MESSAGE_TOO_BIG,
                    error => panic!("unexpected {error:?}"),
                };
                break TheirEnd::Refused(code, error.to_string());
            }
        }
    };
    (events, end)
}

fn compare(wire: &[u8], role: Role, limits: Limits, events: &[Event], end: End) {
    let (their_events, their_end) = theirs(wire, role, limits);
    let is_equal = match (end, &their_end) {
        (End::Waits, TheirEnd::Waits) | (End::Closed, TheirEnd::Closed) => true,
        (End::Refused(violation), TheirEnd::Refused(code, _)) => violation.close_code() == *code,
        _ => false,
    };
    if is_equal && events == their_events {
        return;
    }
    assert!(
        is_decided(limits, events, end, &their_events, &their_end),
        "ours: {events:?} {end:?}\ntheirs: {their_events:?} {their_end:?}"
    );
}

fn is_decided(
    limits: Limits,
    events: &[Event],
    end: End,
    their_events: &[Event],
    their_end: &TheirEnd,
) -> bool {
    let End::Refused(violation) = end else {
        // A frame that is longer than what tungstenite may allocate.
        let is_long = matches!(their_end, TheirEnd::Refused(CloseCode::MESSAGE_TOO_BIG, _));
        let has_limit = limits.frame == Some(their_frame_limit(limits));
        return end == End::Waits && is_long && !has_limit && events == their_events;
    };
    // What comes before the violation is the same in any case.
    if !their_events.starts_with(events) {
        return false;
    }
    let goes_on = their_events.len() > events.len();
    // Each violation has one code, by RFC 6455, section 7.4.1.
    let code = match violation {
        Violation::InvalidUtf8 => 1007,
        Violation::FrameTooLarge { .. } | Violation::MessageTooLarge { .. } => 1009,
        Violation::EmptyFragments => 1008,
        _ => 1002,
    };
    if violation.close_code().value() != code {
        return false;
    }
    match violation {
        // tungstenite knows neither of these rules.
        Violation::NonMinimalLength | Violation::EmptyFragments => true,
        // The length of a control frame in one of the longer forms, which is not the shortest.
        Violation::LongControlFrame => true,
        // The header is enough to see these, or a part of the payload. Until the frame is whole,
        // tungstenite waits, or finds something else that is wrong in the header or payload.
        _ if goes_on => false,
        Violation::OutOfMemory => false,
        _ => matches!(their_end, TheirEnd::Waits | TheirEnd::Refused(..)),
    }
}
