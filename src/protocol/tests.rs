//! The rules of RFC 6455, without IO: bytes in, events and bytes out. What holds
//! for both roles is tested for both.

use proptest::prelude::*;

use super::*;
use crate::frame::{Header, Opcode, Rsv, mask};

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

/// What the peer of such a connection puts on the wire.
#[derive(Clone, Copy, Debug)]
enum From {
    Client,
    Server,
}

/// Both roles' connections, with who talks to them.
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

/// A frame with any first byte, so that wrong ones can be made too.
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

/// Feeds all bytes; returns the events, and the violation that ended them.
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

/// The close code in the output, whoever wrote it.
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
fn every_malformed_frame_is_answered_with_1002() {
    let ping_126 = [0; 126];
    for from in [From::Client, From::Server] {
        let cases: &[(&str, Vec<u8>, Violation)] = &[
            (
                "RSV1 without an extension",
                from.frame(0xc1, b"a"),
                Violation::ReservedBits,
            ),
            ("RSV2", from.frame(0xa1, b"a"), Violation::ReservedBits),
            ("RSV3", from.frame(0x92, b"a"), Violation::ReservedBits),
            (
                "RSV1 on a ping",
                from.frame(0xc9, b"a"),
                Violation::ReservedBits,
            ),
            (
                "opcode 3",
                from.frame(0x83, b""),
                Violation::ReservedOpcode(3),
            ),
            (
                "opcode 11",
                from.frame(0x8b, b""),
                Violation::ReservedOpcode(11),
            ),
            (
                "a fragmented ping",
                from.frame(0x09, b""),
                Violation::FragmentedControlFrame,
            ),
            (
                "a fragmented close",
                from.frame(0x08, b""),
                Violation::FragmentedControlFrame,
            ),
            (
                "a long ping",
                from.frame(0x89, &ping_126),
                Violation::LongControlFrame,
            ),
            (
                "a continuation of nothing",
                from.frame(0x80, b""),
                Violation::UnexpectedContinuation,
            ),
            (
                "a fragment of nothing",
                from.frame(0x00, b""),
                Violation::UnexpectedContinuation,
            ),
            (
                "a message inside another",
                [from.frame(0x01, b"a"), from.frame(0x82, b"b")].concat(),
                Violation::InterruptedMessage,
            ),
            (
                "half a close code",
                from.frame(0x88, b"\x03"),
                Violation::InvalidCloseFrame,
            ),
        ];
        for (name, bytes, expected) in cases {
            let mut connection = match from {
                From::Client => server(),
                From::Server => client(),
            };
            assert_eq!(violation(bytes, &mut connection), Some(*expected), "{name}");
            assert_eq!(sent_close_code(&mut connection), Some(1002), "{name}");
            assert!(connection.is_finished());
        }
    }
}

#[test]
fn a_server_refuses_every_kind_of_unmasked_frame() {
    for first in [0x81, 0x82, 0x01, 0x80, 0x00, 0x88, 0x89, 0x8a] {
        for payload in [&b""[..], b"ab"] {
            let mut server = server();
            let bytes = raw_frame(first, payload, None);
            assert_eq!(
                violation(&bytes, &mut server),
                Some(Violation::UnmaskedFrame)
            );
            assert_eq!(sent_close_code(&mut server), Some(1002));
        }
    }
}

#[test]
fn a_client_refuses_masked_frames() {
    let mut client = client();
    let bytes = raw_frame(0x81, b"hi", Some(KEY));
    assert_eq!(violation(&bytes, &mut client), Some(Violation::MaskedFrame));
    assert_eq!(sent_close_code(&mut client), Some(1002));
}

#[test]
fn the_codes_of_close_frames_are_checked_both_ways() {
    for code in 0..=5000u16 {
        for (mut connection, from) in both() {
            let bytes = from.frame(0x88, &code.to_be_bytes());
            let (events, violation) = feed(&mut connection, &bytes);
            match CloseCode::new(code) {
                Some(known) => {
                    assert_eq!(events, [Event::Close(Some(CloseFrame::new(known, "")))]);
                    assert_eq!(sent_close_code(&mut connection), Some(code));
                }
                None => {
                    assert_eq!(violation, Some(Violation::InvalidCloseFrame), "{code}");
                    assert_eq!(sent_close_code(&mut connection), Some(1002));
                }
            }
        }
    }
}

#[test]
fn an_empty_close_frame_is_answered_with_one() {
    for (mut connection, from) in both() {
        let (events, _) = feed(&mut connection, &from.frame(0x88, b""));
        assert_eq!(events, [Event::Close(None)]);
        let output = connection.take_output();
        assert_eq!(output[0], 0x88);
        assert_eq!(output[1] & 0x7f, 0);
        assert!(connection.is_finished());
    }
}

#[test]
fn a_close_reason_must_be_utf8() {
    for (mut connection, from) in both() {
        let bytes = from.frame(0x88, b"\x03\xe8\xff");
        assert_eq!(
            violation(&bytes, &mut connection),
            Some(Violation::InvalidUtf8)
        );
        assert_eq!(sent_close_code(&mut connection), Some(1007));
    }
}

#[test]
fn a_close_frame_carries_exactly_the_code_and_the_reason() {
    let mut server = server();
    server.close(CloseCode::GOING_AWAY, "so long").unwrap();
    assert_eq!(server.take_output(), b"\x88\x09\x03\xe9so long");
}

#[test]
fn after_a_close_frame_nothing_is_sent_and_nothing_is_understood() {
    for (mut connection, from) in both() {
        connection.close(CloseCode::NORMAL, "").unwrap();
        assert_eq!(connection.send("late"), Err(Closed));
        assert_eq!(connection.ping(b""), Err(Closed));
        assert_eq!(connection.close(CloseCode::NORMAL, ""), Err(Closed));
        assert_eq!(sent_close_code(&mut connection), Some(1000));
        assert!(!connection.is_finished(), "the peer has not answered");
        // What was on its way arrives; a ping is not answered any more.
        let (events, _) = feed(&mut connection, &from.frame(0x81, b"crossing"));
        assert_eq!(events, [Event::Message("crossing".into())]);
        feed(&mut connection, &from.frame(0x89, b"?"));
        feed(&mut connection, &from.frame(0x88, b"\x03\xe8"));
        assert!(connection.take_output().is_empty());
        assert!(connection.is_finished());
        let (events, violation) = feed(&mut connection, b"\xff\xff whatever");
        assert_eq!((events, violation), (vec![], None));
    }
}

#[test]
fn text_must_be_utf8_and_fails_on_the_first_bad_byte() {
    for (mut connection, from) in both() {
        let bytes = from.frame(0x81, b"ok\xff");
        assert_eq!(
            violation(&bytes, &mut connection),
            Some(Violation::InvalidUtf8)
        );
        assert_eq!(sent_close_code(&mut connection), Some(1007));
    }
    for (mut connection, from) in both() {
        // A frame of which only the beginning has arrived.
        let payload = b"\xce\xba\xf4\x90\x80\x80 and more that never comes";
        let bytes = from.frame(0x81, payload);
        let header = bytes.len() - payload.len();
        assert_eq!(violation(&bytes[..header + 3], &mut connection), None);
        let next = &bytes[header + 3..header + 4];
        assert_eq!(
            violation(next, &mut connection),
            Some(Violation::InvalidUtf8)
        );
    }
    for (mut connection, from) in both() {
        let bytes = [from.frame(0x01, b"\xce"), from.frame(0x80, b"")].concat();
        assert_eq!(
            violation(&bytes, &mut connection),
            Some(Violation::InvalidUtf8)
        );
    }
}

#[test]
fn limits_refuse_before_a_byte_of_payload_has_come() {
    for (mut connection, from) in with(Config::new().max_message_size(1000)) {
        assert_eq!(
            violation(&from.frame(0x82, &[0; 1000]), &mut connection),
            None
        );
        let bytes = from.frame(0x82, &[0; 1001]);
        let header = bytes.len() - 1001;
        let refused = Violation::FrameTooLarge { limit: 1000 };
        assert_eq!(violation(&bytes[..header], &mut connection), Some(refused));
        assert_eq!(sent_close_code(&mut connection), Some(1009));
    }
    for (mut connection, from) in with(Config::new().max_message_size(1000)) {
        assert_eq!(
            violation(&from.frame(0x02, &[0; 600]), &mut connection),
            None
        );
        let bytes = from.frame(0x00, &[0; 401]);
        let header = bytes.len() - 401;
        let refused = Violation::MessageTooLarge { limit: 1000 };
        assert_eq!(violation(&bytes[..header], &mut connection), Some(refused));
        assert_eq!(sent_close_code(&mut connection), Some(1009));
    }
    let config = Config::new().max_frame_size(10);
    for (mut connection, from) in with(config) {
        let refused = Violation::FrameTooLarge { limit: 10 };
        assert_eq!(
            violation(&from.frame(0x82, &[0; 11]), &mut connection),
            Some(refused)
        );
    }
}

#[test]
fn announced_lengths_near_the_end_of_64_bits_overflow_nothing() {
    for length in [
        1 << 40,
        1 << 62,
        (1 << 63) - 1,
        1 << 63,
        u64::MAX - 1,
        u64::MAX,
    ] {
        let mut server = server();
        assert_eq!(
            violation(&From::Client.frame(0x01, b"part"), &mut server),
            None
        );
        let mut bytes = vec![0x80, 0xff];
        bytes.extend_from_slice(&length.to_be_bytes());
        bytes.extend_from_slice(&KEY);
        assert!(violation(&bytes, &mut server).is_some());
        let code = if length >> 63 == 1 { 1002 } else { 1009 };
        assert_eq!(sent_close_code(&mut server), Some(code));
    }
}

#[test]
fn empty_fragments_are_accepted_but_not_for_ever() {
    for (mut connection, from) in both() {
        assert_eq!(violation(&from.frame(0x01, b""), &mut connection), None);
        let fragments = from.frame(0x00, b"").repeat(1023);
        assert_eq!(violation(&fragments, &mut connection), None);
        assert_eq!(violation(&from.frame(0x00, b"x"), &mut connection), None);
        assert_eq!(
            violation(&from.frame(0x00, b"").repeat(1024), &mut connection),
            None
        );
        let refused = violation(&from.frame(0x00, b""), &mut connection);
        assert_eq!(refused, Some(Violation::EmptyFragments));
        assert_eq!(sent_close_code(&mut connection), Some(1008));
    }
}

#[test]
fn counters_begin_anew_with_every_message() {
    let mut connection = Connection::new(Role::Server, &Config::new().max_message_size(64));
    let from = From::Client;
    let message = [
        from.frame(0x01, &[b'a'; 40]),
        from.frame(0x00, b""),
        from.frame(0x80, b"b"),
    ]
    .concat();
    let (events, violation) = feed(&mut connection, &message.repeat(10_000));
    assert_eq!((events.len(), violation), (10_000, None));
}

#[test]
fn pings_are_answered_in_order_and_of_a_flood_the_newest() {
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

#[test]
fn a_prepared_message_is_the_frame_that_would_have_been_sent() {
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
fn a_message_pins_no_memory_but_its_own() {
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

/// A stretch of conversation: valid frames, now and then something broken.
fn conversation() -> impl Strategy<Value = Vec<u8>> {
    let payload = prop_oneof![
        6 => "[a-zé€𝄞]{0,40}".prop_map(String::into_bytes),
        6 => prop::collection::vec(any::<u8>(), 0..200),
        1 => prop::collection::vec(any::<u8>(), 65_530..65_540),
    ];
    let first = prop_oneof![
        8 => prop::sample::select(vec![0x81, 0x82, 0x01, 0x02, 0x00, 0x80]),
        2 => prop::sample::select(vec![0x89, 0x8a]),
        1 => prop::sample::select(vec![0x88, 0xc1, 0x83, 0x09]),
    ];
    prop::collection::vec((first, payload), 1..12).prop_map(|frames| {
        frames
            .into_iter()
            .map(|(first, mut payload)| {
                if first & 0x08 != 0 {
                    payload.truncate(125);
                }
                From::Client.frame(first, &payload)
            })
            .collect::<Vec<_>>()
            .concat()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_same_bytes_give_the_same_events_however_they_are_cut(
        bytes in conversation(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..20),
    ) {
        let whole = feed(&mut server(), &bytes);
        let single: Vec<&[u8]> = bytes.chunks(1).collect();
        prop_assert!(feed_in_pieces(&mut server(), &single) == whole);
        let mut cuts: Vec<usize> = cuts.iter().map(|it| it.index(bytes.len() + 1)).collect();
        cuts.extend([0, bytes.len()]);
        cuts.sort();
        let pieces: Vec<&[u8]> = cuts.windows(2).map(|it| &bytes[it[0]..it[1]]).collect();
        prop_assert!(feed_in_pieces(&mut server(), &pieces) == whole);
    }

    #[test]
    fn no_bytes_whatsoever_make_a_connection_panic_or_stand_still(
        bytes in prop::collection::vec(any::<u8>(), 0..500),
    ) {
        for (mut connection, _) in both() {
            let _ = feed(&mut connection, &bytes);
            let _ = connection.take_output();
        }
    }

    #[test]
    fn reading_into_the_message_is_reading(
        payload in prop::collection::vec(any::<u8>(), 40_000..200_000),
        head in 0usize..30_000,
        step in 1usize..70_000,
    ) {
        // What a driver does with a large payload: the first bytes come with
        // others, the rest is read to where it belongs.
        let bytes = From::Client.frame(0x82, &payload);
        let mut reader = Reader::new(Role::Server, &Config::new());
        let (first, mut rest) = bytes.split_at(20 + head);
        let mut first = first.to_vec();
        prop_assert_eq!(reader.read(&mut first).unwrap(), (20 + head, None));
        let mut message = None;
        while let Some((buffer, room)) = reader.payload_buffer(1).unwrap() {
            let count = room.min(step).min(rest.len());
            prop_assert!(count > 0);
            buffer.extend_from_slice(&rest[..count]);
            rest = &rest[count..];
            message = reader.filled(count).unwrap();
        }
        prop_assert!(rest.is_empty());
        prop_assert!(message == Some(Event::Message(payload.into())));
    }
}

#[test]
fn a_frame_may_be_dripped() {
    let mut server = server();
    assert_eq!(
        feed(&mut server, b"\x81\xfe\x01\x00\0\0\0\0"),
        (vec![], None)
    );
    for at in 0..255 {
        assert_eq!(feed(&mut server, b"a"), (vec![], None), "{at}");
    }
    assert_eq!(
        feed(&mut server, b"a").0,
        [Event::Message("a".repeat(256).into())]
    );
}

#[cfg(feature = "deflate")]
mod compressed {
    use super::*;
    use crate::config::Compression;

    fn modes() -> [Compression; 2] {
        [Compression::shared(), Compression::dedicated()].map(|it| it.threshold(0))
    }

    /// Both ends of a conversation.
    fn pair(compression: Compression) -> (Connection, Connection) {
        let (ours, theirs) = crate::extension::agree(compression.clone(), compression);
        (
            server().with_extension(Some(Extension(ours))),
            client().with_extension(Some(Extension(theirs))),
        )
    }

    /// The payload of "hello hello", compressed.
    fn payload() -> Vec<u8> {
        let (mut server, _) = pair(Compression::shared().threshold(0));
        server.send("hello hello hello").unwrap();
        let mut output = server.take_output();
        assert_eq!(output[0], 0xc1);
        output.split_off(2)
    }

    #[test]
    fn messages_go_both_ways_compressed_and_come_out_whole() {
        for compression in modes() {
            let (mut server, mut client) = pair(compression);
            for length in [1, 100, 20_000, 300, 0, 70_000] {
                let message = Message::from("\u{20ac}uro ".repeat(length / 5));
                let prepared = Prepared::new(message.clone());
                for prepare in [None, Some(prepared)] {
                    for (from, to) in [(true, false), (false, true)] {
                        let (from, to) = match (from, to) {
                            (true, _) => (&mut server, &mut client),
                            _ => (&mut client, &mut server),
                        };
                        match &prepare {
                            None => from.send(message.clone()).unwrap(),
                            Some(prepared) => from.send_prepared(prepared).unwrap(),
                        }
                        let output = from.take_output();
                        assert!(output.len() < 14 + length / 4 + 30, "{}", output.len());
                        let (events, violation) = feed(to, &output);
                        assert_eq!(violation, None);
                        assert!(events == [Event::Message(message.clone())]);
                    }
                }
            }
        }
    }

    #[test]
    fn what_was_queued_before_stays_as_it_was_encoded() {
        for compression in modes() {
            let (mut server, mut client) = pair(compression);
            let messages = [20_000, 3, 500, 40_000, 17_000].map(|it| vec![b'a'; it]);
            for message in &messages {
                server.ping(b"between").unwrap();
                server.send(message.clone()).unwrap();
            }
            let (events, violation) = feed(&mut client, &server.take_output());
            assert_eq!(violation, None);
            let received = events
                .into_iter()
                .filter_map(|event| match event {
                    Event::Message(message) => Some(message.into_bytes().to_vec()),
                    _ => None,
                })
                .collect::<Vec<_>>();
            assert!(received == messages);
        }
    }

    #[test]
    fn the_mark_of_compression_stands_on_first_frames_of_messages_only() {
        let payload = payload();
        for compression in modes() {
            for (bytes, expected) in [
                // A message of two frames, of which the first is marked, with a
                // ping between them: this is how it should be.
                (
                    vec![(0x41, &payload[..3]), (0x89, b""), (0x80, &payload[3..])],
                    None,
                ),
                (vec![(0x01, b"plain"), (0x80, b"")], None),
                (
                    vec![(0x41, &payload[..3]), (0xc0, &payload[3..])],
                    Some(Violation::ReservedBits),
                ),
                (
                    vec![(0x01, b"plain"), (0xc0, b"")],
                    Some(Violation::ReservedBits),
                ),
                (vec![(0xc9, b"")], Some(Violation::ReservedBits)),
                (vec![(0xca, b"")], Some(Violation::ReservedBits)),
                (vec![(0xc8, b"")], Some(Violation::ReservedBits)),
                (vec![(0xa1, b"")], Some(Violation::ReservedBits)),
                (vec![(0x91, b"")], Some(Violation::ReservedBits)),
                (vec![(0xe1, b"")], Some(Violation::ReservedBits)),
            ] {
                let (mut server, _) = pair(compression.clone());
                let bytes = bytes
                    .into_iter()
                    .flat_map(|(first, payload)| From::Client.frame(first, payload))
                    .collect::<Vec<_>>();
                assert_eq!(violation(&bytes, &mut server), expected);
            }
        }
    }

    #[test]
    fn text_is_checked_as_it_is_decompressed() {
        for compression in modes() {
            let (mut server, mut client) = pair(compression);
            client.send(vec![0xff; 100]).unwrap();
            let mut output = client.take_output();
            // Binary becomes text.
            assert_eq!(output[0], 0xc2);
            output[0] = 0xc1;
            assert_eq!(
                violation(&output, &mut server),
                Some(Violation::InvalidUtf8)
            );
            assert_eq!(sent_close_code(&mut server), Some(1007));
        }
    }

    #[test]
    fn damaged_data_is_closed_with_1007() {
        for compression in modes() {
            let (mut server, _) = pair(compression);
            let bytes = From::Client.frame(0xc2, b"no deflate");
            let found = violation(&bytes, &mut server);
            assert_eq!(found, Some(Violation::InvalidCompression));
            assert_eq!(sent_close_code(&mut server), Some(1007));
        }
    }

    #[test]
    fn many_small_fragments_are_one_message() {
        for compression in modes() {
            let (mut server, mut client) = pair(compression);
            let message = "a fragment ".repeat(5_000);
            client.send(message.as_str()).unwrap();
            let output = client.take_output();
            let (header, length) = Header::decode(&output).unwrap().unwrap();
            let mut payload = output[length..].to_vec();
            mask::apply(header.masking_key.unwrap(), &mut payload);
            let mut bytes = vec![];
            for (at, byte) in payload.iter().enumerate() {
                let first = match (at, at + 1 == payload.len()) {
                    (0, _) => 0x41,
                    (_, false) => 0x00,
                    (_, true) => 0x80,
                };
                bytes.extend(From::Client.frame(first, &[*byte]));
            }
            let (events, violation) = feed(&mut server, &bytes);
            assert_eq!(violation, None);
            assert!(events == [Event::Message(message.into())]);
        }
    }
}
