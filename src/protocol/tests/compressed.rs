//! Compressed messages.

use super::*;
use crate::config::Compression;

fn modes() -> [Compression; 2] {
    [Compression::shared(), Compression::dedicated()].map(|it| it.threshold(0))
}

/// Both ends of a connection.
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
fn frames_that_are_encoded_are_not_encoded_again() {
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
fn only_the_first_frame_of_a_message_may_be_marked_compressed() {
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

#[test]
fn a_large_message_leaves_no_large_buffers_in_the_thread() {
    for compression in modes() {
        let (mut server, mut client) = pair(compression);
        for size in [100_000, 10_000_000] {
            let message = Message::from(vec![0; size]);
            server.send(message.clone()).unwrap();
            client.send(message).unwrap();
            assert!(server.take_output().len() < size / 500);
            assert!(client.take_output().len() < size / 500);
            let kept = super::super::encode::kept();
            assert!(kept < 1_000_000, "{kept} bytes after {size}");
        }
    }
}

/// So most messages are encoded without an allocation.
#[test]
fn the_thread_keeps_the_buffers_of_usual_messages() {
    // A new one, which keeps nothing yet.
    let test = || {
        let encode = |size| {
            let (mut server, _) = pair(Compression::shared());
            server.send(vec![0; size]).unwrap();
            server.take_output();
            super::super::encode::kept()
        };
        let kept = encode(1000);
        assert!(kept > 0);
        // What cannot be compressed needs a buffer of its own size.
        let noise: Vec<u8> = (0..200_000u64)
            .map(|at| (at.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8)
            .collect();
        let (_, mut client) = pair(Compression::shared());
        client.send(noise).unwrap();
        client.take_output();
        let now = super::super::encode::kept();
        assert!((kept + 200_000..1_000_000).contains(&now), "{now}");
    };
    std::thread::spawn(test).join().unwrap();
}

/// It may be a secret beside data of an attacker.
#[test]
fn an_uncompressed_message_stays_so_while_others_are_queued_behind_it() {
    for compression in modes() {
        let (mut server, _) = pair(compression.clone());
        let secret = "secret ".repeat(10);
        let uncompressed = Prepared::uncompressed(secret.as_str());
        server.send_prepared(&uncompressed).unwrap();
        server.send("behind ".repeat(10)).unwrap();
        server.send_prepared(&uncompressed).unwrap();
        server.send_prepared(&Prepared::new("behind")).unwrap();
        let output = server.take_output();
        let plain = [&[0x81, 70], secret.as_bytes()].concat();
        assert!(output.starts_with(&plain));
        let rest = &output[plain.len()..];
        assert_eq!(rest[0], 0xc1, "compressed");
        let rest = &rest[2 + usize::from(rest[1])..];
        assert!(rest.starts_with(&plain));
        // One that is not prepared, as a `Sender` queues it.
        let (ours, _) = crate::extension::agree(compression.clone(), compression);
        let mut outbox = Outbox::default();
        let mut writer = Writer::new(Role::Server);
        let message = Message::from(secret);
        writer.message_as_is(&message, &mut outbox).unwrap();
        encode_queued(&mut outbox, Mark::default(), &mut *ours.codec());
        assert_eq!(outbox.chunk(), plain);
    }
}

/// What all members of a room share is neither masked nor compressed in a context.
#[test]
fn a_frame_is_shared_by_servers_with_equal_terms() {
    let prepared = Prepared::new("hello ".repeat(100));
    let (server, client) = (Writer::new(Role::Server), Writer::new(CLIENT));
    let plain = server.shared_frame(None, &prepared).unwrap();
    assert!(std::sync::Arc::ptr_eq(plain, prepared.plain()));
    assert!(client.shared_frame(None, &prepared).is_none());
    for (compression, is_shared) in [
        (Compression::shared().threshold(0), true),
        (Compression::dedicated().threshold(0), false),
    ] {
        let (ours, _) = crate::extension::agree(compression.clone(), compression);
        let coding = Some(ours.codec().coding());
        let frame = server.shared_frame(coding, &prepared);
        assert_eq!(frame.is_some(), is_shared);
        assert!(frame.is_none_or(|frame| frame.len() < 100));
        assert!(client.shared_frame(coding, &prepared).is_none());
    }
}

#[test]
fn where_nothing_is_to_be_encoded_nothing_is_copied() {
    let compression = Compression::shared().threshold(1000);
    let (ours, _) = crate::extension::agree(compression.clone(), compression);
    let mut outbox = Outbox::default();
    let mut writer = Writer::new(Role::Server);
    let message = Message::from("short");
    writer.message(&message, &mut outbox).unwrap();
    let before = outbox.chunk().as_ptr();
    encode_queued(&mut outbox, Mark::default(), &mut *ours.codec());
    assert_eq!(outbox.chunk(), b"\x81\x05short");
    assert_eq!(outbox.chunk().as_ptr(), before);
}

#[test]
fn large_messages_and_fragments_that_are_not_compressed_stay_in_their_place() {
    for compression in [Compression::shared(), Compression::dedicated()] {
        let compression = compression.threshold(30_000);
        let (ours, theirs) = crate::extension::agree(compression.clone(), compression);
        let mut client = client().with_extension(Some(Extension(theirs)));
        let mut writer = Writer::new(Role::Server);
        let mut outbox = Outbox::default();
        // The fragments and the messages of 20,000 bytes lie beside the buffer.
        let messages = [20_000, 10, 40_000, 20_000, 50_000, 17_000, 31_000];
        let messages = messages.map(|length| Message::from(vec![b'a'; length]));
        for message in &messages {
            let out = &mut outbox;
            writer
                .part(message.kind(), message, Part::More, out)
                .unwrap();
            writer.ping(b"between", out).unwrap();
            writer
                .part(message.kind(), message, Part::Last, out)
                .unwrap();
            writer.message(message, out).unwrap();
        }
        let plain = outbox.len();
        encode_queued(&mut outbox, Mark::default(), &mut *ours.codec());
        assert!(outbox.len() + 120_000 < plain, "{} {plain}", outbox.len());
        let mut output = vec![];
        while !outbox.is_empty() {
            output.extend_from_slice(outbox.chunk());
            outbox.advance(outbox.chunk().len());
        }
        let (events, violation) = feed(&mut client, &output);
        assert_eq!(violation, None);
        let mut events = events.into_iter();
        for message in &messages {
            let whole = message.as_bytes().repeat(2);
            let ping = Event::Ping(b"between".as_slice().into());
            let expected = [ping, Event::Message(whole.into())];
            assert!(expected.into_iter().all(|it| events.next() == Some(it)));
            assert!(events.next() == Some(Event::Message(message.clone())));
        }
        assert_eq!(events.next(), None);
    }
}

#[test]
fn an_extension_has_its_registered_name_and_compares_by_its_parameters() {
    let extension = |client: Compression| {
        let (server, _) = crate::extension::agree(Compression::dedicated(), client);
        Extension(server)
    };
    let (one, other) = (Compression::dedicated(), Compression::shared());
    assert_eq!(extension(one.clone()).name(), "permessage-deflate");
    assert_eq!(extension(one.clone()), extension(one.clone()));
    assert_ne!(extension(one), extension(other));
}
