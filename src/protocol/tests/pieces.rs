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
        let (taken, event) = reader.read(&mut bytes).unwrap();
        assert_eq!(taken, bytes.len());
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

/// Messages are taken past the reader only where nothing has to be known to parse them.
#[test]
fn a_reader_has_a_limit_for_plain_messages_between_those_of_a_client() {
    let config = Config::new().max_message_size(1000).max_frame_size(500);
    let mut reader = Reader::new(Role::Server, &config);
    assert_eq!(reader.plain_limit(), Some(500));
    let long = Config::new().max_message_size(400).max_frame_size(400);
    assert_eq!(Reader::new(Role::Server, &long).plain_limit(), Some(400));
    assert_eq!(Reader::new(CLIENT, &config).plain_limit(), None);
    let bytes = [
        From::Client.frame(0x02, b"ab"),
        From::Client.frame(0x80, b"cd"),
    ]
    .concat();
    for (at, byte) in bytes.iter().enumerate() {
        reader.read(&mut [*byte]).unwrap();
        let is_between = at + 1 == bytes.len();
        assert_eq!(reader.plain_limit().is_some(), is_between, "{at}");
    }
    let close = From::Client.frame(0x88, b"");
    reader.read(&mut close.clone()).unwrap();
    assert_eq!(reader.plain_limit(), None, "it discards everything");
    assert_eq!(format!("{reader:?}"), "Reader { .. }");
}

#[cfg(feature = "deflate")]
#[test]
fn a_reader_with_an_extension_has_no_limit_for_plain_messages() {
    let compression = crate::config::Compression::shared();
    let (ours, _) = crate::extension::agree(compression.clone(), compression);
    let reader = Reader::new(Role::Server, &Config::new()).with_extension(Some(ours.codec()));
    assert_eq!(reader.plain_limit(), None);
}

#[test]
fn every_frame_that_has_arrived_completely_is_counted() {
    let frames = [
        From::Client.frame(0x82, b"short"),
        From::Client.frame(0x82, &[1; 200]),
        From::Client.frame(0x01, b"in"),
        From::Client.frame(0x89, b"between"),
        From::Client.frame(0x80, b"two"),
        From::Client.frame(0x88, b""),
    ];
    for is_cut in [false, true] {
        let mut reader = Reader::new(Role::Server, &Config::new());
        for (at, frame) in frames.iter().enumerate() {
            let before = reader.frames();
            assert_eq!(before, at as u32);
            let step = if is_cut { 1 } else { frame.len() };
            for piece in frame.chunks(step) {
                assert_eq!(reader.frames(), before);
                reader.read(&mut piece.to_vec()).unwrap();
            }
            assert_eq!(reader.frames(), before + 1);
        }
    }
    let mut reader = Reader::new(Role::Server, &Config::new());
    reader.passed(5);
    assert_eq!(reader.frames(), 5);
}

#[test]
fn a_reader_knows_how_far_a_message_has_come() {
    let mut reader = Reader::new(Role::Server, &Config::new());
    let first = From::Client.frame(0x02, b"abc");
    let ping = From::Client.frame(0x89, b"ping");
    let last = From::Client.frame(0x80, b"de");
    let bytes = [first.clone(), ping.clone(), last].concat();
    let pinged = first.len() + ping.len();
    for (at, byte) in bytes.iter().enumerate() {
        reader.read(&mut [*byte]).unwrap();
        // How many bytes have arrived of each frame; a header has six.
        let at = at + 1;
        let left = match at {
            6..9 => 9 - at,
            _ if at >= pinged + 6 => pinged + 8 - at,
            _ => 0,
        };
        assert_eq!(reader.payload_left(), left, "{at}");
        assert_eq!(reader.is_within_payload(), left > 0, "{at}");
        let is_within = at >= 6 && at < bytes.len();
        assert_eq!(reader.is_within_message(), is_within, "{at}");
    }
}
