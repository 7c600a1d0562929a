//! UTF-8 in pieces.

use super::super::utf8::*;
use crate::error::Violation;

const SAMPLES: &[&[u8]] = &[
    b"",
    b"plain",
    "é€𝄞 mixed ß text 漢字 🎉".as_bytes(),
    b"\xc3",
    b"\xe2\x82",
    b"\xf0\x9d\x84",
    b"\xff",
    b"ok\xc3\x28",
    b"\xe0\x80\x80",
    b"\xed\xa0\x80",
    b"\xf4\x90\x80\x80",
    b"\xf5\x80\x80\x80",
    b"\xf0\x80\x80\x80",
    b"\x80",
    b"\xc0\xaf",
];

fn in_pieces(pieces: &[&[u8]]) -> bool {
    let mut validator = Validator::default();
    pieces.iter().all(|piece| validator.push(piece).is_ok()) && validator.finish().is_ok()
}

#[test]
fn every_cut_agrees_with_the_standard_library() {
    for sample in SAMPLES {
        let valid = std::str::from_utf8(sample).is_ok();
        assert_eq!(is_valid(sample), valid, "{sample:x?}");
        for first in 0..=sample.len() {
            for second in first..=sample.len() {
                let pieces = [&sample[..first], &sample[first..second], &sample[second..]];
                assert_eq!(
                    in_pieces(&pieces),
                    valid,
                    "{sample:x?} at {first}, {second}"
                );
            }
        }
    }
}

#[test]
fn fails_on_the_first_bad_byte() {
    // (sample, how many bytes are still the beginning of some text)
    for (sample, good) in [
        (&b"\xe0\x80\x80"[..], 1),
        (b"\xed\xa0\x80", 1),
        (b"\xf4\x90\x80\x80", 1),
        (b"ab\xff", 2),
        (b"\xf0\x9d\x84x", 3),
    ] {
        let mut validator = Validator::default();
        for byte in &sample[..good] {
            validator.push(std::slice::from_ref(byte)).unwrap();
        }
        assert_eq!(
            validator.push(&sample[good..=good]),
            Err(Violation::InvalidUtf8)
        );
    }
}

#[test]
fn says_how_many_bytes_of_a_character_have_come() {
    let mut validator = Validator::default();
    for (piece, unfinished) in [
        (&b"plain"[..], 0),
        (b"a\xf0", 1),
        (b"\x9d", 2),
        (b"", 2),
        (b"\x84", 3),
        (b"\x9e\xe2\x82", 2),
        (b"\xac", 0),
    ] {
        validator.push(piece).unwrap();
        assert_eq!(validator.unfinished(), unfinished, "after {piece:x?}");
    }
}
