//! Whole messages that are taken past the reader.

use super::*;

/// Lengths of payloads around those where something changes: stored inline or not, short or
/// medium header.
const LENGTHS: [usize; 9] = [0, 1, 23, 24, 125, 126, 127, 1000, 65_535];

fn text(length: usize) -> Vec<u8> {
    (0..length).map(|at| b'a' + (at % 26) as u8).collect()
}

#[test]
fn a_whole_message_is_taken_whatever_follows_it() {
    for length in LENGTHS {
        let payload = text(length);
        for (first, expected) in [
            (
                0x81,
                Message::from(String::from_utf8(text(length)).unwrap()),
            ),
            (0x82, Message::from(payload.clone())),
        ] {
            let frame = From::Client.frame(first, &payload);
            for behind in [vec![], frame.clone(), vec![0xff; 300]] {
                let input = [&frame[..], &behind].concat();
                assert_eq!(whole_message(&input), Some((expected.clone(), frame.len())));
            }
            assert_eq!(whole_message(&frame[..frame.len() - 1]), None, "{length}");
        }
    }
}

#[test]
fn text_that_is_not_utf8_is_not_taken() {
    for length in [1, 24, 126] {
        let payload = vec![0xff; length];
        assert_eq!(whole_message(&From::Client.frame(0x81, &payload)), None);
        assert!(whole_message(&From::Client.frame(0x82, &payload)).is_some());
    }
}

/// The reader takes them, or refuses them.
#[test]
fn frames_of_another_shape_are_no_whole_messages() {
    let mut not_minimal = From::Client.frame(0x82, &text(126));
    not_minimal[3] = 125;
    for frame in [
        From::Server.frame(0x82, b"unmasked"),
        From::Server.frame(0x82, &text(200)),
        From::Client.frame(0x02, b"a fragment"),
        From::Client.frame(0x80, b"a fragment"),
        From::Client.frame(0x02, &text(200)),
        From::Client.frame(0x89, b"a ping"),
        From::Client.frame(0x88, b""),
        From::Client.frame(0xc2, b"compressed"),
        From::Client.frame(0xc2, &text(200)),
        From::Client.frame(0x82, &text(65_536)),
        not_minimal,
    ] {
        assert_eq!(whole_message(&frame), None, "{:?}", &frame[..4]);
        assert!(!are_whole_messages(&frame, 1 << 20, 10, 1 << 20));
    }
}

#[test]
fn input_consists_of_whole_messages_up_to_its_last_byte() {
    let input: Vec<u8> = LENGTHS
        .iter()
        .flat_map(|length| From::Client.frame(0x82, &text(*length)))
        .collect();
    let are = |input: &[u8]| are_whole_messages(input, 65_535, 100, 1 << 20);
    assert!(are(&input));
    assert!(!are(&input[..input.len() - 1]), "the last is cut");
    assert!(!are(&[&input[..], &[0x82]].concat()));
    let ping = From::Client.frame(0x89, b"");
    assert!(!are(&[&ping[..], &input].concat()));
    // The longest has the limit.
    assert!(!are_whole_messages(&input, 65_534, 100, 1 << 20));
}

#[test]
fn only_the_last_of_whole_messages_reaches_the_number_or_the_bytes() {
    let three: Vec<u8> = [10, 200, 10]
        .iter()
        .flat_map(|length| From::Client.frame(0x82, &text(*length)))
        .collect();
    for (messages, bytes, expected) in [
        (3, 1000, true),
        (2, 1000, false),
        (3, 211, true),
        (3, 210, false),
        (3, 1, false),
    ] {
        let are = are_whole_messages(&three, 1000, messages, bytes);
        assert_eq!(are, expected, "{messages} {bytes}");
    }
}
