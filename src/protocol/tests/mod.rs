//! The rules of RFC 6455, without IO: bytes in, events and bytes out. Rules that hold
//! for both roles are tested for both.

mod closing;
#[cfg(feature = "deflate")]
mod compressed;
mod outbox;
mod parts;
mod pieces;
mod refusals;
#[cfg(feature = "socket")]
mod whole;

use super::*;
use crate::close::CloseFrame;
use crate::error::Violation;
use crate::frame::{Header, Opcode, Rsv, mask};
use crate::{CloseCode, Config, Message};

const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

const CLIENT: Role = Role::Client {
    masking_key: || KEY,
};

fn server() -> Connection {
    Connection::new(Role::Server, &Config::new())
}

fn client() -> Connection {
    Connection::new(CLIENT, &Config::new())
}

/// The peer that writes a frame.
#[derive(Clone, Copy, Debug)]
enum From {
    Client,
    Server,
}

/// A connection of each role, with the peer that talks to it.
fn both() -> [(Connection, From); 2] {
    [(server(), From::Client), (client(), From::Server)]
}

fn with(config: Config) -> [(Connection, From); 2] {
    [
        (Connection::new(Role::Server, &config), From::Client),
        (Connection::new(CLIENT, &config), From::Server),
    ]
}

impl From {
    fn frame(self, first: u8, payload: &[u8]) -> Vec<u8> {
        let key = match self {
            From::Client => Some(KEY),
            From::Server => None,
        };
        raw_frame(first, payload, key)
    }
}

/// A frame with any first byte, so that it may be invalid.
fn raw_frame(first: u8, payload: &[u8], key: Option<[u8; 4]>) -> Vec<u8> {
    let header = Header {
        fin: true,
        rsv: Rsv::NONE,
        opcode: Opcode::Text,
        masking_key: key,
        length: payload.len() as u64,
    };
    let mut bytes = vec![];
    header.encode(&mut bytes);
    bytes[0] = first;
    let start = bytes.len();
    bytes.extend_from_slice(payload);
    if let Some(key) = key {
        mask::apply(key, &mut bytes[start..]);
    }
    bytes
}

/// Feeds all bytes. Returns the events, and the violation that ended them.
fn feed(connection: &mut Connection, bytes: &[u8]) -> (Vec<Event>, Option<Violation>) {
    feed_in_pieces(connection, &[bytes])
}

fn feed_in_pieces(
    connection: &mut Connection,
    pieces: &[&[u8]],
) -> (Vec<Event>, Option<Violation>) {
    let mut events = vec![];
    for piece in pieces {
        let mut bytes = piece.to_vec();
        let mut at = 0;
        loop {
            match connection.receive(&mut bytes[at..]) {
                Ok((taken, event)) => {
                    at += taken;
                    match event {
                        Some(event) => events.push(event),
                        None => {
                            assert_eq!(at, bytes.len(), "without an event all input is taken");
                            break;
                        }
                    }
                }
                Err(violation) => return (events, Some(violation)),
            }
        }
    }
    (events, None)
}

fn violation(bytes: &[u8], connection: &mut Connection) -> Option<Violation> {
    feed(connection, bytes).1
}

/// Returns the close code in the output, masked or not.
fn sent_close_code(connection: &mut Connection) -> Option<u16> {
    let mut output = connection.take_output();
    let mut rest = &mut output[..];
    while !rest.is_empty() {
        let (header, length) = Header::decode(rest).unwrap().unwrap();
        let (payload, after) = rest[length..].split_at_mut(header.length as usize);
        if let Some(key) = header.masking_key {
            mask::apply(key, payload);
        }
        if header.opcode == Opcode::Close {
            assert!(after.is_empty(), "nothing follows a close frame");
            return payload.first_chunk().map(|code| u16::from_be_bytes(*code));
        }
        rest = after;
    }
    None
}

#[test]
fn messages_of_every_length_arrive_at_the_other_side() {
    for length in [
        0, 1, 125, 126, 127, 1000, 16_383, 16_384, 65_535, 65_536, 1_000_000,
    ] {
        let message = Message::from("x".repeat(length));
        for (mut from, mut to) in [(client(), server()), (server(), client())] {
            from.send(message.clone()).unwrap();
            let (events, violation) = feed(&mut to, &from.take_output());
            assert_eq!(violation, None);
            assert_eq!(events, [Event::Message(message.clone())], "length {length}");
        }
    }
}

#[test]
fn the_examples_of_the_rfc_are_understood() {
    // Section 5.7.
    let hello = [Event::Message(Message::from("Hello"))];
    assert_eq!(feed(&mut client(), b"\x81\x05Hello").0, hello);
    let masked = b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58";
    assert_eq!(feed(&mut server(), masked).0, hello);
    assert_eq!(feed(&mut client(), b"\x01\x03Hel\x80\x02lo").0, hello);
    assert_eq!(
        feed(&mut client(), b"\x89\x05Hello").0,
        [Event::Ping("Hello".into())]
    );
    let pong = b"\x8a\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58";
    assert_eq!(feed(&mut server(), pong).0, [Event::Pong("Hello".into())]);
    let long = [&b"\x82\x7f\0\0\0\0\0\x01\0\0"[..], &[7; 65536]].concat();
    assert_eq!(
        feed(&mut client(), &long).0,
        [Event::Message(vec![7; 65536].into())]
    );
}

#[test]
fn fragments_become_one_message_with_control_frames_between_them() {
    for (mut connection, from) in both() {
        let bytes = [
            from.frame(0x01, "é".as_bytes().split_at(1).0),
            from.frame(0x89, b"ping"),
            from.frame(0x00, b""),
            from.frame(0x00, "é".as_bytes().split_at(1).1),
            from.frame(0x8a, b"pong"),
            from.frame(0x80, b"!"),
        ]
        .concat();
        let (events, violation) = feed(&mut connection, &bytes);
        assert_eq!(violation, None);
        let expected = [
            Event::Ping("ping".into()),
            Event::Pong("pong".into()),
            Event::Message("é!".into()),
        ];
        assert_eq!(events, expected);
    }
}

#[test]
fn pings_are_answered_in_order_and_a_flood_by_its_newest() {
    for (pings, answered) in [(1, 1), (10, 10), (16, 16), (100_000, 16)] {
        let mut server = server();
        let mut bytes = vec![];
        for at in 1..=pings {
            bytes.extend(From::Client.frame(0x89, &u32::to_be_bytes(at)));
        }
        feed(&mut server, &bytes);
        let output = server.take_output();
        assert_eq!(output.len(), answered * 6);
        assert_eq!(output[..6], [0x8a, 4, 0, 0, 0, 1]);
        assert_eq!(output[output.len() - 4..], pings.to_be_bytes());
    }
}

#[cfg(feature = "testing")]
#[test]
fn a_ping_that_is_forgotten_is_not_answered() {
    let mut server = server();
    feed(&mut server, &From::Client.frame(0x89, b"first"));
    server.forget_pings();
    feed(&mut server, &From::Client.frame(0x89, b"second"));
    assert_eq!(server.take_output(), b"\x8a\x06second");
}

#[test]
fn a_prepared_message_is_sent_as_the_same_bytes() {
    for length in [0, 5, 126, 16_384, 70_000] {
        let message = Message::from(vec![9; length]);
        let prepared = Prepared::new(message.clone());
        for role in [Role::Server, CLIENT] {
            let mut connections = [(); 2].map(|()| Connection::new(role, &Config::new()));
            connections[0].send(message.clone()).unwrap();
            connections[1].send_prepared(&prepared).unwrap();
            let [plain, prepared] = connections.each_mut().map(|it| it.take_output());
            assert!(plain == prepared, "{role:?}, length {length}");
        }
    }
}

#[test]
fn a_message_keeps_no_other_memory_alive() {
    let config = Config::new().max_message_size(1 << 20);
    let mut server = Connection::new(Role::Server, &config);
    let from = From::Client;
    let fragments = from.frame(0x00, &[1; 3]).repeat(9_999);
    let bytes = [
        from.frame(0x02, &[1; 3]),
        fragments,
        from.frame(0x80, &[1; 3]),
    ]
    .concat();
    let (events, _) = feed(&mut server, &bytes);
    let Ok([Event::Message(message)]) = <[Event; 1]>::try_from(events) else {
        panic!("no message")
    };
    assert_eq!(message.len(), 30_003);
    let bytes = message.into_bytes();
    let capacity = bytes.try_into_mut().expect("the only handle").capacity();
    assert!(capacity < 30_003 * 9 / 8 + 64, "{capacity}");
}

/// A buffer of 1024 bytes has been made for the message. It is copied to free what it does not
/// use, but not for less than an eighth.
#[test]
fn a_message_keeps_at_most_an_eighth_more_than_it_needs() {
    for (length, expected) in [
        (900, 900),
        (910, 910),
        (911, 1024),
        (1019, 1024),
        (1020, 1024),
    ] {
        let from = From::Client;
        let bytes = [
            from.frame(0x02, &[1; 800]),
            from.frame(0x80, &vec![1; length - 800]),
        ];
        let (events, _) = feed(&mut server(), &bytes.concat());
        let Ok([Event::Message(message)]) = <[Event; 1]>::try_from(events) else {
            panic!("no message")
        };
        assert_eq!(message.len(), length);
        let bytes = message.into_bytes();
        let capacity = bytes.try_into_mut().expect("the only handle").capacity();
        assert_eq!(capacity, expected, "{length}");
    }
}
