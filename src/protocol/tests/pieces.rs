//! Input may be cut anywhere.

use proptest::prelude::*;

use super::*;

/// Some frames: valid ones, and now and then an invalid one.
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
        // As a driver reads a large payload: the first bytes come with other input, the
        // rest is read into the payload's buffer.
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

#[test]
fn text_that_is_read_into_the_message_must_be_utf8_too() {
    let payload = [&[b'a'; 2000][..], b"\xff"].concat();
    let bytes = From::Client.frame(0x81, &payload);
    let mut reader = Reader::new(Role::Server, &Config::new());
    assert!(reader.payload_buffer(1).unwrap().is_none());
    let (first, rest) = bytes.split_at(1000);
    assert_eq!(reader.read(&mut first.to_vec()).unwrap(), (1000, None));
    // Too little is yet to come to be worth it.
    assert!(reader.payload_buffer(2000).unwrap().is_none());
    let mut rest = rest;
    let violation = loop {
        let (buffer, room) = reader.payload_buffer(1).unwrap().unwrap();
        let count = room.min(rest.len());
        assert!(count > 0);
        buffer.extend_from_slice(&rest[..count]);
        rest = &rest[count..];
        match reader.filled(count) {
            Ok(event) => assert_eq!(event, None),
            Err(violation) => break violation,
        }
    };
    assert_eq!((violation, rest), (Violation::InvalidUtf8, &[][..]));
    assert!(reader.is_ended());
    assert_eq!(reader.filled(0), Ok(None));
}

#[test]
fn a_clients_message_in_pieces_is_masked_as_one() {
    let pieces = [b"ab".as_slice(), b"", b"cde", b"fg"].map(std::io::IoSlice::new);
    for (role, mut reader) in [
        (Role::Server, Reader::new(CLIENT, &Config::new())),
        (CLIENT, Reader::new(Role::Server, &Config::new())),
    ] {
        let mut outbox = Outbox::default();
        Writer::new(role).pieces(&pieces, 6, &mut outbox).unwrap();
        let mut bytes = outbox.chunk().to_vec();
        let (_, event) = reader.read(&mut bytes).unwrap();
        let message = Message::binary(b"abcdef".to_vec());
        assert_eq!(event, Some(Event::Message(message)));
    }
}

#[test]
fn a_reader_is_between_messages_before_the_first_byte_and_after_the_last() {
    let mut reader = Reader::new(Role::Server, &Config::new());
    let bytes = From::Client.frame(0x82, b"abc");
    assert!(reader.is_between_messages());
    for (at, byte) in bytes.iter().enumerate() {
        reader.read(&mut [*byte]).unwrap();
        assert_eq!(reader.is_between_messages(), at + 1 == bytes.len(), "{at}");
    }
}
