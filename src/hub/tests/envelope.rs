//! The envelope: its form, which servers of other releases read too.

use bytes::Bytes;

use crate::Message;
use crate::hub::envelope::{Opened, Origin, Unreadable, open, seal};
use crate::protocol::Prepared;

const ORIGIN: Origin = Origin {
    server: 0x0102_0304_0506_0708,
    socket: u64::MAX,
};

fn sealed(message: impl Into<Message>, except: Option<Origin>) -> Vec<u8> {
    seal(&Prepared::new(message), except).to_vec()
}

fn opened(envelope: &[u8]) -> Opened {
    open(Bytes::copy_from_slice(envelope)).unwrap()
}

fn refused(envelope: &[u8]) -> Unreadable {
    open(Bytes::copy_from_slice(envelope)).unwrap_err()
}

#[test]
fn an_envelope_has_the_form_that_other_releases_read() {
    assert_eq!(sealed("hi", None), b"\x00hi");
    assert_eq!(sealed(vec![0xff, 0x00], None), b"\x01\xff\x00");
    let except =
        b"\x02\x12\x01\x10\x01\x02\x03\x04\x05\x06\x07\x08\xff\xff\xff\xff\xff\xff\xff\xffhi";
    assert_eq!(sealed("hi", Some(ORIGIN)), except);
    assert_eq!(sealed("", None), b"\x00");
}

#[test]
fn a_message_comes_out_of_its_envelope_as_it_went_in() {
    for message in [
        Message::from(""),
        Message::from("é"),
        Message::from(vec![0xff; 20_000]),
    ] {
        for except in [None, Some(ORIGIN)] {
            let out = opened(&sealed(message.clone(), except));
            assert_eq!(*out.message.message(), message);
            assert_eq!(out.except, except);
            assert!(!out.message.is_as_is());
        }
    }
}

#[cfg(feature = "deflate")]
#[test]
fn a_message_that_must_not_be_compressed_is_not_on_other_servers_either() {
    let envelope = seal(&Prepared::uncompressed("hi"), Some(ORIGIN));
    assert_eq!(envelope[0], 0b110);
    let out = opened(&envelope);
    assert!(out.message.is_as_is());
    assert_eq!(out.except, Some(ORIGIN));
    assert_eq!(seal(&out.message, out.except), envelope);
}

#[test]
fn what_a_newer_release_adds_is_skipped_if_it_may_be() {
    // Bit 3, and extras of an unknown kind before and behind the known one.
    assert_eq!(opened(b"\x08hi").message.message(), &Message::from("hi"));
    let known = &sealed("hi", Some(ORIGIN))[2..20];
    let extras = [b"\x02\x1a\x07\x02ab", known, b"\x08\x02cdhi"].concat();
    let out = opened(&extras);
    assert_eq!(out.except, Some(ORIGIN));
    assert_eq!(out.message.message(), &Message::from("hi"));
    // Of another length it is not the known one.
    assert_eq!(opened(b"\x02\x03\x01\x01xhi").except, None);
}

#[test]
fn what_cannot_be_read_is_refused_with_the_reason() {
    for bit in 4..8 {
        assert_eq!(refused(&[1 << bit, b'a']), Unreadable::Newer);
    }
    let whole = sealed("", Some(ORIGIN));
    for end in 0..whole.len() {
        assert_eq!(refused(&whole[..end]), Unreadable::Short, "{end}");
    }
    // A length of an extra that goes beyond the extras.
    assert_eq!(refused(b"\x02\x02\x01\x01hi"), Unreadable::Short);
    assert_eq!(refused(b"\x02\x01\x01hi"), Unreadable::Short);
    assert_eq!(refused(b"\x00\xff"), Unreadable::Utf8);
    assert_eq!(opened(b"\x01\xff").message.message().as_bytes(), b"\xff");
    for (unreadable, reason) in [
        (Unreadable::Short, "cut short"),
        (Unreadable::Newer, "update this server"),
        (Unreadable::Utf8, "UTF-8"),
    ] {
        assert!(unreadable.reason().contains(reason));
    }
}
