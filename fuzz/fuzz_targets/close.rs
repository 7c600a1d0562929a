//! The closing handshake: both sides of a connection close, fail and talk at any moment, over
//! pipes that deliver in any pieces. And the payload of a close frame, against tungstenite.
//!
//! Decisions in which it differs from tungstenite 0.30:
//!
//! - A code that must not be sent is refused with 1002. tungstenite reports a close frame with
//!   1002 instead, and sends that.
//! - tungstenite accepts 1015 and 1016 to 2999 or not by its own table; here only codes of the
//!   IANA registry exist, as of RFC 6455, section 7.4.2.

#![no_main]

use std::collections::VecDeque;
use std::io::{self, Read, Write};

use arbitrary::{Result, Unstructured};
use hyper_ws::error::Violation;
use hyper_ws::protocol::{Connection, Event, Role};
use hyper_ws::{CloseCode, Config};
use libfuzzer_sys::fuzz_target;
use tungstenite::Message as Their;

fuzz_target!(|data: &[u8]| {
    let [which, rest @ ..] = data else { return };
    match which % 4 {
        0 => payload(rest),
        _ => drop(run(&mut Unstructured::new(rest))),
    }
});

struct Stream;

impl Read for Stream {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Ok(0)
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn payload(data: &[u8]) {
    let data = &data[..data.len().min(125)];
    let mut frame = vec![0x88, data.len() as u8];
    frame.extend_from_slice(data);
    let mut socket = tungstenite::WebSocket::from_partially_read(
        Stream,
        frame.clone(),
        tungstenite::protocol::Role::Client,
        None,
    );
    let theirs = socket.read();
    let role = Role::Client {
        masking_key: || [0; 4],
    };
    let mut connection = Connection::new(role, &Config::new());
    let ours = connection.receive(&mut frame);
    let answer = connection.take_output();
    match ours {
        Ok((taken, Some(Event::Close(None)))) => {
            assert_eq!((taken, data), (2, &[][..]));
            assert!(matches!(theirs, Ok(Their::Close(None))));
            assert_eq!(answer, [0x88, 0x80, 0, 0, 0, 0]);
        }
        Ok((taken, Some(Event::Close(Some(close))))) => {
            assert_eq!(taken, frame.len());
            let code = close.code.value();
            assert_eq!(data[..2], code.to_be_bytes());
            assert_eq!(&data[2..], close.reason.as_bytes());
            // The code comes back, without the reason.
            assert_eq!(answer[6..], code.to_be_bytes());
            match theirs {
                Ok(Their::Close(Some(theirs))) if u16::from(theirs.code) == code => {
                    assert_eq!(theirs.reason.as_str(), close.reason.as_str());
                }
                // Registered later than RFC 6455.
                Ok(Their::Close(Some(_))) if (1012..=1014).contains(&code) => {}
                theirs => panic!("{close:?} {theirs:?}"),
            }
        }
        Ok(other) => panic!("{other:?}"),
        Err(violation) => {
            assert_eq!(answer[6..8], violation.close_code().value().to_be_bytes());
            assert!(std::str::from_utf8(&answer[8..]).is_ok() && answer.len() <= 131);
            match (violation, theirs) {
                (Violation::InvalidUtf8, Err(tungstenite::Error::Utf8(_))) => {}
                (Violation::InvalidCloseFrame, Err(_)) => {
                    assert!(data.len() == 1 || CloseCode::new(code(data)).is_none());
                }
                (Violation::InvalidCloseFrame, Ok(Their::Close(Some(theirs)))) => {
                    let is_refused = u16::from(theirs.code) == 1002;
                    assert!(is_refused || (1015..3000).contains(&code(data)));
                    assert!(CloseCode::new(code(data)).is_none());
                }
                (violation, theirs) => panic!("{violation:?} {theirs:?}"),
            }
        }
    }
}

fn code(data: &[u8]) -> u16 {
    data.first_chunk()
        .map_or(0, |code| u16::from_be_bytes(*code))
}

/// One side, and what is under way to it.
struct Side {
    connection: Connection,
    to_it: VecDeque<u8>,
    /// What it has sent, as frames.
    sent: Vec<u8>,
    has_closed: bool,
    close_received: bool,
    failed: bool,
}

fn side(role: Role) -> Side {
    Side {
        connection: Connection::new(role, &Config::new().max_message_size(100)),
        to_it: VecDeque::new(),
        sent: vec![],
        has_closed: false,
        close_received: false,
        failed: false,
    }
}

fn run(u: &mut Unstructured<'_>) -> Result<()> {
    let client = Role::Client {
        masking_key: || [0; 4],
    };
    let mut sides = [side(Role::Server), side(client)];
    while !u.is_empty() {
        let step: u8 = u.arbitrary()?;
        let (one, other) = sides.split_at_mut(1);
        let (this, that) = match step & 1 {
            0 => (&mut one[0], &mut other[0]),
            _ => (&mut other[0], &mut one[0]),
        };
        let was_over = this.has_closed || this.close_received || this.failed;
        match step >> 1 & 7 {
            0 => {
                let sent = this.connection.send("a message");
                assert_eq!(sent.is_err(), was_over);
            }
            1 => assert_eq!(this.connection.ping(b"ping").is_err(), was_over),
            2 => {
                let code = match u.arbitrary::<u8>()? {
                    private @ 0..=100 => 4000 + u16::from(private),
                    other => 1000 + u16::from(other) % 15,
                };
                let code = CloseCode::new(code).unwrap_or(CloseCode::NORMAL);
                let reason = "é".repeat(u.int_in_range(0..=80)?);
                let closed = this.connection.close(code, &reason);
                assert_eq!(closed.is_err(), was_over);
                this.has_closed = true;
            }
            // A violation is on its way to this side: a reserved opcode, or too long a message.
            3 if step & 0x10 != 0 => this.to_it.extend([0x83, 0x80, 0, 0, 0, 0]),
            3 => this.to_it.extend([0x82, 0xfe, 0, 200, 0, 0, 0, 0]),
            4 => {
                let sent = this.connection.take_output();
                that.to_it.extend(&sent);
                this.sent.extend(sent);
            }
            _ => receive(this, usize::from(step >> 4) * 3 + 1),
        }
    }
    // All that is under way arrives.
    for _ in 0..4 {
        let [server, client] = &mut sides;
        deliver(server, client);
        deliver(client, server);
    }
    for side in &sides {
        check(side);
    }
    let both = sides.iter().all(|side| side.close_received && !side.failed);
    if both {
        assert!(sides.iter().all(|side| side.connection.is_finished()));
    }
    Ok(())
}

fn deliver(this: &mut Side, that: &mut Side) {
    let sent = this.connection.take_output();
    that.to_it.extend(&sent);
    this.sent.extend(sent);
    receive(that, usize::MAX);
}

fn receive(side: &mut Side, count: usize) {
    let count = count.min(side.to_it.len());
    let mut input: Vec<u8> = side.to_it.drain(..count).collect();
    let mut at = 0;
    while at < input.len() {
        let is_over = side.close_received || side.failed;
        match side.connection.receive(&mut input[at..]) {
            Ok((taken, event)) => {
                assert!(event.is_none() || !is_over, "an event behind the end");
                side.close_received |= matches!(event, Some(Event::Close(_)));
                at += taken;
            }
            Err(_) => {
                assert!(!is_over, "a violation behind the end");
                side.failed = true;
                return;
            }
        }
    }
}

/// A side sends at most one close frame, and nothing behind it; if it must, it sends one.
fn check(side: &Side) {
    let mut rest = &side.sent[..];
    let mut closes = 0;
    while !rest.is_empty() {
        assert_eq!(closes, 0, "a frame behind the close frame");
        closes += usize::from(rest[0] == 0x88);
        let mask = usize::from(rest[1] >> 7) * 4;
        let length = usize::from(rest[1] & 0x7f);
        assert!(length <= 125);
        rest = &rest[2 + mask + length..];
    }
    let is_due = side.has_closed || side.close_received || side.failed;
    assert_eq!(closes, usize::from(is_due), "close frames");
}
