//! Messages, texts and their bytes.

mod payload;

use super::*;

#[test]
fn text_accepts_only_utf8() {
    assert!(Text::try_from(vec![0xff]).is_err());
    assert_eq!(Text::try_from("é".as_bytes().to_vec()).unwrap(), "é");
}

#[test]
fn debug_shows_long_payloads_by_their_length() {
    let text = format!("{:?}", Message::from("é".repeat(100)));
    assert!(text.contains("(200 bytes)"), "{text}");
    let binary = format!("{:?}", Message::from(vec![0; 100]));
    assert!(binary.contains("(100 bytes)"), "{binary}");
    assert_eq!(format!("{:?}", Message::from("a\"b")), r#"Text("a\"b")"#);
}

#[test]
fn a_message_is_small_to_move() {
    assert!(size_of::<Message>() <= 40);
}

#[test]
fn a_text_compares_with_strings_both_ways() {
    let text = Text::from("é");
    let string = String::from("é");
    assert_eq!(text, *"é");
    assert_eq!(*"é", text);
    assert_eq!(text, "é");
    assert_eq!("é", text);
    assert_eq!(text, string);
    assert_eq!(string, text);
    assert_ne!(text, "e");
    assert_ne!(String::new(), text);
}

#[test]
fn strings_become_texts_and_texts_strings() {
    let long = "é".repeat(100);
    for text in ["", "short", &long] {
        let string = text.to_owned();
        for made in [
            Text::from(text),
            Text::from(&string),
            Text::from(string.clone()),
            Text::from(Cow::Borrowed(text)),
            Text::from(Cow::Owned(string.clone())),
            Text::try_from(Bytes::from(string.clone())).unwrap(),
        ] {
            assert_eq!(made, text);
            assert_eq!(Bytes::from(made.clone()), text.as_bytes());
            assert_eq!(String::from(made), string);
        }
        for made in [
            Message::text(text),
            Message::from(text),
            Message::from(&string),
            Message::from(Cow::Borrowed(text)),
            Message::from(string),
        ] {
            assert!(made.is_text() && !made.is_binary());
            assert_eq!(made.as_text(), Some(text));
            assert_eq!(made.into_text().unwrap(), text);
        }
    }
}

#[test]
fn bytes_become_binary_messages_and_messages_bytes() {
    let bytes = b"\xff\0\x01";
    for made in [
        Message::binary(bytes),
        Message::binary(&bytes[..]),
        Message::binary(bytes.to_vec()),
        Message::from(bytes),
        Message::from(&bytes[..]),
        Message::from(bytes.to_vec()),
        Message::from(Bytes::from_static(bytes)),
        Message::from(Binary::from_static(bytes)),
    ] {
        assert!(made.is_binary() && !made.is_text());
        assert_eq!(made.as_text(), None);
        assert_eq!(Bytes::from(made.clone()), &bytes[..]);
        assert_eq!(Vec::from(made.clone()), bytes);
        let Message::Binary(binary) = made else {
            panic!("it is binary")
        };
        assert_eq!(Bytes::from(binary.clone()), &bytes[..]);
        assert_eq!(Vec::from(binary), bytes);
    }
}

#[test]
fn static_payloads_are_not_copied() {
    static TEXT: &str = "short";
    let text = Text::from_static(TEXT);
    assert_eq!(text.as_bytes().as_ptr(), TEXT.as_ptr());
    let binary = Binary::from_static(TEXT.as_bytes());
    assert_eq!(binary.as_ptr(), TEXT.as_ptr());
}

#[test]
fn an_unshared_text_becomes_a_string_without_a_copy() {
    let string = "x".repeat(1000);
    let place = string.as_ptr();
    let string = String::from(Message::from(string).into_text().unwrap());
    assert_eq!(string.as_ptr(), place);
}

#[test]
fn texts_and_bytes_are_what_they_hold() {
    let text = Text::from("b\u{e9}");
    let (bytes, string): (&[u8], &str) = (text.as_ref(), text.as_ref());
    assert_eq!(bytes, string.as_bytes());
    assert_eq!(format!("{text:>4}|"), "  b\u{e9}|");
    let binary = Binary::from(vec![1, 2]);
    assert_eq!(AsRef::<[u8]>::as_ref(&binary), [1, 2]);
    assert_eq!(Message::from(binary).into_text(), None);
    // Inline or not, they have one order.
    let long = |last: &str| Text::from("a".repeat(100) + last);
    let mut sorted = [long("b"), Text::from("b"), long("a"), Text::default()];
    sorted.sort();
    assert_eq!(sorted, [Text::default(), long("a"), long("b"), "b".into()]);
    let short = Text::from("a");
    assert!(short < long("a"));
    let seen = std::collections::HashSet::from([long("a"), Text::from("b")]);
    assert!(seen.contains(&long("a")) && !seen.contains(&long("b")));
}
