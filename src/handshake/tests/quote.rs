use crate::handshake::quote::{SHOWN, shown};

#[test]
fn what_a_peer_sent_is_escaped_and_cut() {
    assert_eq!(shown(b"a\r\n\"\x1b\xff"), r#"a\r\n\"\x1b\xff"#);
    assert_eq!(shown([b'a'; SHOWN]), "a".repeat(SHOWN));
    assert_eq!(shown([b'a'; 100_000]), "a".repeat(SHOWN) + "...");
}

#[cfg(feature = "client")]
#[test]
fn a_text_for_people_is_cut_and_stays_in_one_line() {
    use crate::handshake::excerpt;

    assert_eq!(
        excerpt("isn't\r\n\"größer\"".as_bytes()),
        "isn't  \"größer\""
    );
    assert_eq!(excerpt(&[b'a'; 300]), "a".repeat(300));
    assert_eq!(excerpt(&[b'a'; 301]), "a".repeat(300) + "...");
}
