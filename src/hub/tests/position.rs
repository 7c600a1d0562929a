//! The text form of positions, which clients keep.

use std::collections::HashSet;

use crate::hub::position::{Position, Tags};

#[test]
fn a_position_has_one_spelling() {
    for (text, number, tag) in [
        ("0-0000000000000000", 0, 0),
        ("42-9c3f1a2b00000017", 42, 0x9c3f_1a2b_0000_0017),
        ("18446744073709551615-ffffffffffffffff", u64::MAX, u64::MAX),
    ] {
        let position = Position::new(number, tag);
        assert_eq!(position.to_string(), text);
        assert_eq!(format!("{position:?}"), text);
        assert_eq!(text.parse(), Ok(position));
        assert_eq!((position.number(), position.tag()), (number, tag));
    }
    for text in [
        "",
        "-",
        "42",
        "42-",
        "-9c3f1a2b00000017",
        "042-9c3f1a2b00000017",
        "+42-9c3f1a2b00000017",
        "42-9C3F1A2B00000017",
        "42-+c3f1a2b00000017",
        "42-c3f1a2b00000017",
        "42-09c3f1a2b00000017",
        "42-9c3f1a2b00000017 ",
        "42-9c3f1a2b0000-017",
        "18446744073709551616-ffffffffffffffff",
    ] {
        let error = text.parse::<Position>().unwrap_err().to_string();
        assert!(error.contains("16 hexadecimal digits"), "{text:?}");
    }
}

#[test]
fn tags_differ_within_a_source_and_between_two() {
    let (one, other) = (Tags::new(), Tags::new());
    let tags: HashSet<u64> = (0..1000).flat_map(|_| [one.next(), other.next()]).collect();
    assert_eq!(tags.len(), 2000);
}
