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
