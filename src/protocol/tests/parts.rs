//! Messages in parts: taken away while they arrive, sent before their end is known.

use proptest::prelude::*;

use super::super::assembly::PART_CAPACITY;
use super::super::*;
use crate::error::Violation;
use crate::frame::mask;
use crate::message::Kind;
use crate::{Config, Message};

const CLIENT: Role = Role::Client {
    masking_key: || [9, 8, 7, 6],
};

fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    match payload.len() {
        length @ 0..126 => bytes.push(0x80 | length as u8),
        length @ 126..0x1_0000 => {
            bytes.push(0xfe);
            bytes.extend_from_slice(&(length as u16).to_be_bytes());
        }
        length => {
            bytes.push(0xff);
            bytes.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    let key = [1, 2, 3, 4];
    bytes.extend_from_slice(&key);
    let start = bytes.len();
    bytes.extend_from_slice(payload);
    mask::apply(key, &mut bytes[start..]);
    bytes
}

/// Feeds the pieces, and takes away what has arrived after each. Returns the messages,
/// each as its parts.
fn in_parts(reader: &mut Reader, pieces: &[&[u8]]) -> Result<Vec<Vec<Message>>, Violation> {
    let mut messages = vec![vec![]];
    for piece in pieces {
        let mut input = piece.to_vec();
        let taken = reader.drain(&mut input, &mut |event| {
            if let Event::Message(message) = event {
                messages.last_mut().unwrap().push(message);
                messages.push(vec![]);
            }
            std::ops::ControlFlow::Continue(())
        })?;
        assert_eq!(taken, input.len());
        let length = reader.part_length();
        if let Some(part) = reader.take_part() {
            assert!(!part.is_empty());
            assert!((length.saturating_sub(3)..=length).contains(&part.len()));
            messages.last_mut().unwrap().push(part);
        }
        assert_eq!(reader.take_part(), None);
    }
    Ok(messages)
}

fn joined(parts: &[Message]) -> Vec<u8> {
    parts.iter().flat_map(|it| it.as_bytes().to_vec()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_parts_of_a_text_are_valid_utf8_and_add_up_to_it(
        texts in prop::collection::vec("[a-zé€𝄞]{0,60}", 1..8),
        fragments in 1usize..5,
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..40),
    ) {
        let mut bytes = vec![];
        for text in &texts {
            let size = text.len() / fragments + 1;
            let mut chunks: Vec<&[u8]> = text.as_bytes().chunks(size).collect();
            if chunks.is_empty() {
                chunks.push(b"");
            }
            for (at, chunk) in chunks.iter().enumerate() {
                let first = if at == 0 { 0x01 } else { 0x00 };
                let last = if at + 1 == chunks.len() { 0x80 } else { 0x00 };
                bytes.extend(frame(first | last, chunk));
                bytes.extend(frame(0x89, b"between"));
            }
        }
        let mut cuts: Vec<usize> = cuts.iter().map(|it| it.index(bytes.len() + 1)).collect();
        cuts.extend([0, bytes.len()]);
        cuts.sort();
        let pieces: Vec<&[u8]> = cuts.windows(2).map(|it| &bytes[it[0]..it[1]]).collect();
        let mut reader = Reader::new(Role::Server, &Config::new());
        let messages = in_parts(&mut reader, &pieces).unwrap();
        prop_assert_eq!(messages.len(), texts.len() + 1);
        for (parts, text) in messages.iter().zip(&texts) {
            prop_assert_eq!(String::from_utf8(joined(parts)).unwrap(), &text[..]);
            for part in parts {
                prop_assert_eq!(part.kind(), Kind::Text);
                prop_assert!(std::str::from_utf8(part.as_bytes()).is_ok());
            }
        }
    }
}

#[test]
fn a_large_payload_is_read_into_its_buffer_and_taken_away() {
    let payload: Vec<u8> = (0..1_000_000).map(|at| (at % 253) as u8).collect();
    let bytes = frame(0x82, &payload);
    let mut reader = Reader::new(Role::Server, &Config::new());
    let (first, mut rest) = bytes.split_at(20_000);
    let mut parts = in_parts(&mut reader, &[first]).unwrap().remove(0);
    loop {
        let buffer = reader.payload_buffer(LARGE).unwrap();
        let Some((buffer, room)) = buffer else { break };
        assert!((1..=PART_CAPACITY).contains(&room), "{room}");
        assert!(buffer.capacity() <= PART_CAPACITY, "{}", buffer.capacity());
        let count = room.min(rest.len());
        buffer.extend_from_slice(&rest[..count]);
        rest = &rest[count..];
        if let Some(Event::Message(message)) = reader.filled(count).unwrap() {
            parts.push(message);
        }
        parts.extend(reader.take_part());
    }
    // Too little is left to be read into the buffer.
    let last = in_parts(&mut reader, &[rest]).unwrap().remove(0);
    parts.extend(last);
    assert!(joined(&parts) == payload);
    assert!(parts.len() < 20, "{}", parts.len());
    assert!(reader.is_between_messages());
}

/// A part of a text ends between two characters. The bytes of a character that has not arrived
/// completely stay in the buffer, into which the next part is read.
#[test]
fn a_character_that_is_cut_stays_in_the_buffer() {
    let text = "aé€𝄞".repeat(20_000);
    let bytes = frame(0x81, text.as_bytes());
    for step in [5_001, 30_002, 60_003] {
        let mut reader = Reader::new(Role::Server, &Config::new());
        let (first, mut rest) = bytes.split_at(20_000);
        let mut parts = in_parts(&mut reader, &[first]).unwrap().remove(0);
        while let Some((buffer, room)) = reader.payload_buffer(1).unwrap() {
            let count = room.min(step).min(rest.len());
            assert!(count > 0);
            buffer.extend_from_slice(&rest[..count]);
            rest = &rest[count..];
            if let Some(Event::Message(message)) = reader.filled(count).unwrap() {
                parts.push(message);
            }
            parts.extend(reader.take_part());
        }
        assert!(joined(&parts) == text.as_bytes(), "{step}");
    }
}

/// The buffer is given away if more than half of it is used: nothing is copied. Otherwise the part
/// is copied, and the buffer is there for the next one.
#[test]
fn a_part_that_fills_at_most_half_of_the_buffer_is_copied() {
    let bytes = frame(0x82, &[7; 500_000]);
    for (count, is_copied) in [
        (PART_CAPACITY / 4, true),
        (PART_CAPACITY / 2, true),
        (PART_CAPACITY, false),
    ] {
        let mut reader = Reader::new(Role::Server, &Config::new());
        let (first, rest) = bytes.split_at(20_000);
        in_parts(&mut reader, &[first]).unwrap();
        let (buffer, room) = reader.payload_buffer(1).unwrap().unwrap();
        assert_eq!(room, PART_CAPACITY);
        let before = buffer.as_ptr();
        buffer.extend_from_slice(&rest[..count]);
        reader.filled(count).unwrap();
        let part = reader.take_part().unwrap();
        assert!(part.as_bytes() == &[7; PART_CAPACITY][..count]);
        assert_eq!(part.as_bytes().as_ptr() == before, !is_copied, "{count}");
        assert_eq!(reader.assembly_capacity(), Some(0), "the thread has it");
        let (buffer, _) = reader.payload_buffer(1).unwrap().unwrap();
        assert_eq!(buffer.as_ptr() == before, is_copied, "{count}");
    }
}

/// The buffer that is there for the next part may have grown with the first one. It is cut to two
/// parts.
#[test]
fn the_buffer_for_the_next_part_has_room_for_two_at_most() {
    let bytes = frame(0x82, &[7; 500_000]);
    let mut reader = Reader::new(Role::Server, &Config::new());
    reader.read(&mut bytes[..90_000].to_vec()).unwrap();
    assert!(reader.assembly_capacity() > Some(4 * PART_CAPACITY));
    reader.take_part().unwrap();
    let (buffer, _) = reader.payload_buffer(1).unwrap().unwrap();
    assert_eq!(buffer.capacity(), 2 * PART_CAPACITY);
}

/// It would be allocated for a mere announcement, or copied for a few bytes.
#[test]
fn a_payload_is_read_into_its_buffer_if_enough_has_arrived_and_enough_is_to_come() {
    let bytes = frame(0x82, &[7; 5000]);
    for (arrived, worthwhile, expected) in [
        (999, 1000, false),
        (1000, 1000, true),
        (4000, 1000, true),
        (4001, 1000, false),
        (0, 1, false),
    ] {
        let mut reader = Reader::new(Role::Server, &Config::new());
        // The header is eight bytes long.
        reader.read(&mut bytes[..8 + arrived].to_vec()).unwrap();
        let buffer = reader.payload_buffer(worthwhile).unwrap();
        assert_eq!(buffer.is_some(), expected, "{arrived}");
    }
}

#[test]
fn a_buffer_to_read_into_never_has_more_room_than_is_announced() {
    for length in [2000, 100_000] {
        let payload = vec![7; length];
        let bytes = frame(0x82, &payload);
        let mut reader = Reader::new(Role::Server, &Config::new());
        let (first, mut rest) = bytes.split_at(1100);
        reader.read(&mut first.to_vec()).unwrap();
        while let Some((buffer, room)) = reader.payload_buffer(1).unwrap() {
            assert!(buffer.capacity() <= length, "{}", buffer.capacity());
            assert!((1..=rest.len()).contains(&room), "{room}");
            assert!(room <= buffer.capacity() - buffer.len(), "{room}");
            buffer.extend_from_slice(&rest[..room]);
            rest = &rest[room..];
            reader.filled(room).unwrap();
        }
        assert!(rest.is_empty());
    }
}

#[test]
fn limits_and_utf8_hold_across_parts() {
    for (config, bytes, expected) in [
        (
            Config::new().max_message_size(10),
            [frame(0x02, b"1234567"), frame(0x80, b"8901")],
            Violation::MessageTooLarge { limit: 10 },
        ),
        (
            Config::new(),
            [frame(0x01, b"\xe2\x82"), frame(0x80, b"a")],
            Violation::InvalidUtf8,
        ),
        (
            Config::new(),
            [frame(0x01, b"a\xe2\x82"), frame(0x80, b"")],
            Violation::InvalidUtf8,
        ),
        (
            Config::new(),
            [frame(0x02, b"a"), frame(0x00, b"").repeat(1025)],
            Violation::EmptyFragments,
        ),
    ] {
        let mut reader = Reader::new(Role::Server, &config);
        let pieces: Vec<&[u8]> = bytes.iter().flat_map(|it| it.chunks(1)).collect();
        assert_eq!(in_parts(&mut reader, &pieces), Err(expected));
    }
}

#[test]
fn a_part_that_is_taken_away_keeps_no_other_memory_alive() {
    let mut reader = Reader::new(Role::Server, &Config::new().max_message_size(1 << 30));
    let mut pieces = [frame(0x02, b"x"), frame(0x00, b"x").repeat(9_999)].concat();
    let mut larger = frame(0x02, &[7; 100_000]);
    larger.truncate(90_000);
    for input in [&mut pieces, &mut larger] {
        let mut reader = Reader::new(Role::Server, &Config::new());
        let part = in_parts(&mut reader, &[input]).unwrap().remove(0).remove(0);
        let bytes = part.into_bytes();
        let length = bytes.len();
        let capacity = bytes.try_into_mut().expect("the only handle").capacity();
        assert!(capacity <= length + 64, "{capacity} for {length}");
    }
    // The reader keeps nothing of it either.
    for _ in 0..100 {
        in_parts(&mut reader, &[&frame(0x02, &[1; 50_000])[..40_000]]).unwrap();
        assert_eq!(reader.assembly_capacity(), Some(0));
        reader = Reader::new(Role::Server, &Config::new());
    }
}

/// Room is made ahead of a large last frame, so that its buffer is not copied each time that it
/// grows; but only in proportion to what has arrived.
#[test]
fn the_room_for_a_large_message_follows_what_has_arrived() {
    let limit = 64 << 20;
    for announced in [100_000, 1 << 20, limit] {
        let mut reader = Reader::new(Role::Server, &Config::new().max_message_size(limit));
        let mut input = frame(0x82, &vec![7; announced]);
        input.truncate((4 << 20).min(input.len() - 1));
        let (mut arrived, mut growths, mut capacity) = (0, 0, 0);
        for piece in input.chunks_mut(4096) {
            arrived += piece.len();
            let sink = &mut |_| panic!("it has not ended");
            reader.drain(piece, sink).unwrap();
            let now = reader.assembly_capacity().expect("a message is arriving");
            assert!(now <= 5 * arrived + 4096 && now <= announced, "{now}");
            growths += usize::from(now != capacity);
            capacity = now;
        }
        // Doubling alone would take nine steps to a mebibyte, and eleven to four.
        let expected = if announced > 1 << 20 { 9 } else { 7 };
        assert!(growths <= expected, "{growths}");
    }
}

#[test]
fn parts_that_are_sent_are_fragments_of_one_message() {
    for role in [Role::Server, CLIENT] {
        let mut writer = Writer::new(role);
        let mut outbox = Outbox::default();
        let parts = ["first ", "", "second ", &"x".repeat(LARGE), " third"];
        for part in parts {
            let part = Message::from(part);
            writer
                .part(Kind::Text, &part, Part::More, &mut outbox)
                .unwrap();
            assert!(writer.is_within_message());
            writer.pong(b"between", &mut outbox);
        }
        let end = Message::from("");
        writer
            .part(Kind::Text, &end, Part::Last, &mut outbox)
            .unwrap();
        assert!(!writer.is_within_message());
        writer.message(&Message::from("next"), &mut outbox).unwrap();
        let mut wire = vec![];
        while !outbox.is_empty() {
            let chunk = outbox.chunk().to_vec();
            outbox.advance(chunk.len());
            wire.extend(chunk);
        }
        let other = match role {
            Role::Server => CLIENT,
            Role::Client { .. } => Role::Server,
        };
        let mut peer = Connection::new(other, &Config::new());
        let (mut at, mut messages, mut pongs) = (0, vec![], 0);
        while let (taken, Some(event)) = peer.receive(&mut wire[at..]).unwrap() {
            at += taken;
            match event {
                Event::Message(message) => messages.push(message),
                Event::Pong(_) => pongs += 1,
                other => panic!("{other:?}"),
            }
        }
        assert!(
            messages == [parts.concat().into(), "next".into()],
            "{role:?}"
        );
        assert_eq!(pongs, parts.len());
    }
}

#[test]
fn an_overflow_policy_does_not_cut_a_message_in_parts() {
    let mut writer = Writer::new(Role::Server);
    let mut outbox = Outbox::default();
    let large = Message::from(vec![1; LARGE]);
    let small = Message::from(vec![2; 10]);
    writer.message(&large, &mut outbox).unwrap();
    writer
        .part(Kind::Binary, &small, Part::More, &mut outbox)
        .unwrap();
    writer
        .part(Kind::Binary, &large, Part::More, &mut outbox)
        .unwrap();
    writer
        .part(Kind::Binary, &small, Part::Last, &mut outbox)
        .unwrap();
    writer.message(&small, &mut outbox).unwrap();
    writer.message(&large, &mut outbox).unwrap();
    let mut behind = Outbox::default();
    writer.message(&large, &mut behind).unwrap();
    writer.message(&Message::from("last"), &mut behind).unwrap();
    for outbox in [&mut outbox, &mut behind] {
        outbox.allow_drop(Mark::default());
    }
    outbox.append(&mut behind);
    // All whole messages but the last are dropped.
    assert_eq!(outbox.drop_oldest(LARGE + 60), 4);
    let mut wire = vec![];
    while !outbox.is_empty() {
        let chunk = outbox.chunk().to_vec();
        outbox.advance(chunk.len().min(1000));
        wire.extend(&chunk[..chunk.len().min(1000)]);
    }
    let mut peer = Connection::new(CLIENT, &Config::new());
    let (taken, event) = peer.receive(&mut wire).unwrap();
    let parts = [&[2; 10][..], &[1; LARGE], &[2; 10]].concat();
    assert!(event == Some(Event::Message(parts.into())));
    let (_, event) = peer.receive(&mut wire[taken..]).unwrap();
    assert_eq!(event, Some(Event::Message("last".into())));
}

#[cfg(feature = "deflate")]
mod compressed {
    use super::*;
    use crate::config::Compression;
    use crate::protocol::Extension;

    /// A connection that compresses, and the reader of its peer.
    fn pair(compression: Compression, config: &Config) -> (Connection, Reader) {
        let (ours, theirs) = crate::extension::agree(compression.clone(), compression);
        let client =
            Connection::new(CLIENT, &Config::new()).with_extension(Some(Extension(theirs)));
        let reader = Reader::new(Role::Server, config).with_extension(Some(ours.codec()));
        (client, reader)
    }

    fn text(length: usize, seed: usize) -> String {
        let mut text = String::new();
        while text.len() < length {
            text += &format!("{} euro € {}, ", text.len() * 31 % 1009, seed);
        }
        text
    }

    #[test]
    fn parts_are_decompressed_as_they_arrive_and_contexts_continue() {
        for compression in [
            Compression::shared(),
            Compression::dedicated(),
            Compression::dedicated().window_bits(15),
        ] {
            let config = Config::new();
            let (mut client, mut reader) = pair(compression, &config);
            for (at, length) in [600, 100_000, 10, 300_000, 5_000, 40_000]
                .into_iter()
                .enumerate()
            {
                let text = text(length, at);
                client.send(text.clone()).unwrap();
                let wire = client.take_output();
                let pieces: Vec<&[u8]> = wire.chunks([wire.len(), 700, 90][at % 3]).collect();
                let messages = in_parts(&mut reader, &pieces).unwrap();
                assert_eq!(messages.len(), 2);
                assert!(joined(&messages[0]) == text.as_bytes(), "{length}");
            }
        }
    }

    #[test]
    fn the_limit_holds_for_the_decompressed_sum_of_parts() {
        let config = Config::new().max_message_size(100_000);
        let (mut client, mut reader) = pair(Compression::shared(), &config);
        client.send(vec![0; 100_001]).unwrap();
        let wire = client.take_output();
        let pieces: Vec<&[u8]> = wire.chunks(10).collect();
        let expected = Violation::MessageTooLarge { limit: 100_000 };
        assert_eq!(in_parts(&mut reader, &pieces), Err(expected));
        // One byte less is allowed, though the decompressor keeps some of what was taken away.
        let (mut client, mut reader) = pair(Compression::shared(), &config);
        client.send(vec![0; 100_000]).unwrap();
        let wire = client.take_output();
        let pieces: Vec<&[u8]> = wire.chunks(10).collect();
        let messages = in_parts(&mut reader, &pieces).unwrap();
        assert!(messages[0].len() > 2, "in parts");
        assert!(joined(&messages[0]) == [0; 100_000]);
    }

    /// Between two parts, the buffer has what the decompressor may refer to, and some room.
    #[test]
    fn the_buffer_of_a_large_part_is_cut_to_two_usual_ones() {
        let (mut client, mut reader) = pair(Compression::shared(), &Config::new());
        client.send(vec![0; 1_000_000]).unwrap();
        let mut wire = client.take_output();
        let end = wire.len() - 10;
        reader.read(&mut wire[..end]).unwrap();
        assert!(reader.part_length() > 500_000);
        reader.take_part().unwrap();
        assert_eq!(reader.assembly_capacity(), Some(2 * PART_CAPACITY));
    }

    /// The decompressor has to see it first.
    #[test]
    fn a_compressed_payload_is_not_read_into_the_buffer_of_its_message() {
        let (mut client, mut reader) = pair(Compression::shared(), &Config::new());
        client.send(text(100_000, 0)).unwrap();
        let mut wire = client.take_output();
        let half = wire.len() / 2;
        reader.read(&mut wire[..half]).unwrap();
        assert!(reader.is_within_payload());
        assert!(reader.payload_buffer(1).unwrap().is_none());
    }
}
