//! The closing handshake (RFC 6455, section 7).

use std::io::IoSlice;

use super::*;
use crate::message::Kind;

#[test]
fn the_codes_of_close_frames_are_checked_both_ways() {
    for code in 0..=5000u16 {
        for (mut connection, from) in both() {
            let bytes = from.frame(0x88, &code.to_be_bytes());
            let (events, violation) = feed(&mut connection, &bytes);
            match CloseCode::new(code) {
                Some(known) => {
                    assert_eq!(events, [Event::Close(Some(CloseFrame::new(known, "")))]);
                    assert_eq!(sent_close_code(&mut connection), Some(code));
                }
                None => {
                    assert_eq!(violation, Some(Violation::InvalidCloseFrame), "{code}");
                    assert_eq!(sent_close_code(&mut connection), Some(1002));
                }
            }
        }
    }
}

#[test]
fn an_empty_close_frame_is_answered_with_one() {
    for (mut connection, from) in both() {
        let (events, _) = feed(&mut connection, &from.frame(0x88, b""));
        assert_eq!(events, [Event::Close(None)]);
        let output = connection.take_output();
        assert_eq!(output[0], 0x88);
        assert_eq!(output[1] & 0x7f, 0);
        assert!(connection.is_finished());
    }
}

#[test]
fn a_close_reason_must_be_utf8() {
    for (mut connection, from) in both() {
        let bytes = from.frame(0x88, b"\x03\xe8\xff");
        assert_eq!(
            violation(&bytes, &mut connection),
            Some(Violation::InvalidUtf8)
        );
        assert_eq!(sent_close_code(&mut connection), Some(1007));
    }
}

#[test]
fn a_close_frame_carries_exactly_the_code_and_the_reason() {
    let mut server = server();
    server.close(CloseCode::GOING_AWAY, "so long").unwrap();
    assert_eq!(server.take_output(), b"\x88\x09\x03\xe9so long");
}

#[test]
fn after_a_close_frame_nothing_is_sent_and_input_is_discarded() {
    for (mut connection, from) in both() {
        connection.close(CloseCode::NORMAL, "").unwrap();
        assert_eq!(connection.send("late"), Err(Closed));
        assert_eq!(connection.ping(b""), Err(Closed));
        assert_eq!(connection.close(CloseCode::NORMAL, ""), Err(Closed));
        assert_eq!(sent_close_code(&mut connection), Some(1000));
        assert!(!connection.is_finished(), "the peer has not answered");
        // Messages still arrive; a ping is not answered any more.
        let (events, _) = feed(&mut connection, &from.frame(0x81, b"crossing"));
        assert_eq!(events, [Event::Message("crossing".into())]);
        feed(&mut connection, &from.frame(0x89, b"?"));
        feed(&mut connection, &from.frame(0x88, b"\x03\xe8"));
        assert!(connection.take_output().is_empty());
        assert!(connection.is_finished());
        let (events, violation) = feed(&mut connection, b"\xff\xff whatever");
        assert_eq!((events, violation), (vec![], None));
    }
}

#[test]
fn nothing_is_queued_behind_a_close_frame() {
    let message = Message::from("late");
    let prepared = Prepared::new(message.clone());
    for role in [Role::Server, CLIENT] {
        let mut writer = Writer::new(role);
        let mut outbox = Outbox::default();
        writer.close(CloseCode::NORMAL, "", &mut outbox).unwrap();
        let length = outbox.len();
        let out = &mut outbox;
        assert_eq!(writer.message(&message, out), Err(Closed));
        assert_eq!(writer.prepared(&prepared, out), Err(Closed));
        let coding = Coding::InContext;
        assert_eq!(writer.prepared_for(coding, &prepared, out), Err(Closed));
        let pieces = [IoSlice::new(b"late")];
        assert_eq!(writer.pieces(&pieces, 4, out), Err(Closed));
        let part = writer.part(Kind::Text, &message, Part::Last, out);
        assert_eq!(part, Err(Closed));
        assert_eq!(writer.ping(b"", out), Err(Closed));
        writer.pong(b"", out);
        assert_eq!(writer.close(CloseCode::NORMAL, "", out), Err(Closed));
        assert_eq!(outbox.len(), length);
    }
    assert_eq!(Closed.to_string(), "the WebSocket is closed");
}

#[test]
fn a_connection_whose_peer_has_gone_is_finished_and_sends_nothing() {
    for (mut connection, _) in both() {
        assert!(!connection.is_finished());
        connection.receive_end();
        assert!(connection.is_finished());
        assert_eq!(connection.send("late"), Err(Closed));
        assert!(connection.take_output().is_empty());
    }
}

/// RFC 6455, section 7.1.1: so that the server holds the state of the connection that TCP keeps.
#[test]
fn the_server_closes_the_stream_first() {
    let reader = |role| Reader::new(role, &Config::new());
    assert!(!reader(Role::Server).side().closes_tcp_last());
    assert!(reader(CLIENT).side().closes_tcp_last());
    assert_eq!(format!("{:?} {CLIENT:?}", Role::Server), "Server Client");
}

#[test]
fn an_empty_close_frame_begins_the_closing_handshake_once() {
    for (role, expected) in [
        (Role::Server, &b"\x88\x00"[..]),
        (CLIENT, &[0x88, 0x80, KEY[0], KEY[1], KEY[2], KEY[3]]),
    ] {
        let mut writer = Writer::new(role);
        let mut outbox = Outbox::default();
        assert_eq!(writer.close_empty(&mut outbox), Ok(()));
        assert_eq!(outbox.chunk(), expected);
        assert!(!writer.is_open());
        assert_eq!(writer.close_empty(&mut outbox), Err(Closed));
        assert_eq!(outbox.len(), expected.len());
    }
}
