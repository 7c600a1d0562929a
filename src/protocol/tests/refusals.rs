//! Violations, and the codes that answer them.

use super::*;

#[test]
fn every_malformed_frame_is_answered_with_1002() {
    let ping_126 = [0; 126];
    for from in [From::Client, From::Server] {
        let cases: &[(&str, Vec<u8>, Violation)] = &[
            (
                "RSV1 without an extension",
                from.frame(0xc1, b"a"),
                Violation::ReservedBits,
            ),
            ("RSV2", from.frame(0xa1, b"a"), Violation::ReservedBits),
            ("RSV3", from.frame(0x92, b"a"), Violation::ReservedBits),
            (
                "RSV1 on a ping",
                from.frame(0xc9, b"a"),
                Violation::ReservedBits,
            ),
            (
                "opcode 3",
                from.frame(0x83, b""),
                Violation::ReservedOpcode(3),
            ),
            (
                "opcode 11",
                from.frame(0x8b, b""),
                Violation::ReservedOpcode(11),
            ),
            (
                "a fragmented ping",
                from.frame(0x09, b""),
                Violation::FragmentedControlFrame,
            ),
            (
                "a fragmented close",
                from.frame(0x08, b""),
                Violation::FragmentedControlFrame,
            ),
            (
                "a long ping",
                from.frame(0x89, &ping_126),
                Violation::LongControlFrame,
            ),
            (
                "a continuation of nothing",
                from.frame(0x80, b""),
                Violation::UnexpectedContinuation,
            ),
            (
                "a fragment of nothing",
                from.frame(0x00, b""),
                Violation::UnexpectedContinuation,
            ),
            (
                "a message inside another",
                [from.frame(0x01, b"a"), from.frame(0x82, b"b")].concat(),
                Violation::InterruptedMessage,
            ),
            (
                "half a close code",
                from.frame(0x88, b"\x03"),
                Violation::InvalidCloseFrame,
            ),
        ];
        for (name, bytes, expected) in cases {
            let mut connection = match from {
                From::Client => server(),
                From::Server => client(),
            };
            assert_eq!(violation(bytes, &mut connection), Some(*expected), "{name}");
            assert_eq!(sent_close_code(&mut connection), Some(1002), "{name}");
            assert!(connection.is_finished());
        }
    }
}

#[test]
fn a_server_refuses_every_kind_of_unmasked_frame() {
    for first in [0x81, 0x82, 0x01, 0x80, 0x00, 0x88, 0x89, 0x8a] {
        for payload in [&b""[..], b"ab"] {
            let mut server = server();
            let bytes = raw_frame(first, payload, None);
            assert_eq!(
                violation(&bytes, &mut server),
                Some(Violation::UnmaskedFrame)
            );
            assert_eq!(sent_close_code(&mut server), Some(1002));
        }
    }
}

#[test]
fn a_client_refuses_masked_frames() {
    let mut client = client();
    let bytes = raw_frame(0x81, b"hi", Some(KEY));
    assert_eq!(violation(&bytes, &mut client), Some(Violation::MaskedFrame));
    assert_eq!(sent_close_code(&mut client), Some(1002));
}

#[test]
fn text_must_be_utf8_and_fails_on_the_first_bad_byte() {
    for (mut connection, from) in both() {
        let bytes = from.frame(0x81, b"ok\xff");
        assert_eq!(
            violation(&bytes, &mut connection),
            Some(Violation::InvalidUtf8)
        );
        assert_eq!(sent_close_code(&mut connection), Some(1007));
    }
    for (mut connection, from) in both() {
        // A frame of which only the beginning has arrived.
        let payload = b"\xce\xba\xf4\x90\x80\x80 and more that never comes";
        let bytes = from.frame(0x81, payload);
        let header = bytes.len() - payload.len();
        assert_eq!(violation(&bytes[..header + 3], &mut connection), None);
        let next = &bytes[header + 3..header + 4];
        assert_eq!(
            violation(next, &mut connection),
            Some(Violation::InvalidUtf8)
        );
    }
    for (mut connection, from) in both() {
        let bytes = [from.frame(0x01, b"\xce"), from.frame(0x80, b"")].concat();
        assert_eq!(
            violation(&bytes, &mut connection),
            Some(Violation::InvalidUtf8)
        );
    }
}

#[test]
fn limits_are_enforced_by_the_header_alone() {
    for (mut connection, from) in with(Config::new().max_message_size(1000)) {
        assert_eq!(
            violation(&from.frame(0x82, &[0; 1000]), &mut connection),
            None
        );
        let bytes = from.frame(0x82, &[0; 1001]);
        let header = bytes.len() - 1001;
        let refused = Violation::FrameTooLarge { limit: 1000 };
        assert_eq!(violation(&bytes[..header], &mut connection), Some(refused));
        assert_eq!(sent_close_code(&mut connection), Some(1009));
    }
    for (mut connection, from) in with(Config::new().max_message_size(1000)) {
        assert_eq!(
            violation(&from.frame(0x02, &[0; 600]), &mut connection),
            None
        );
        let bytes = from.frame(0x00, &[0; 401]);
        let header = bytes.len() - 401;
        let refused = Violation::MessageTooLarge { limit: 1000 };
        assert_eq!(violation(&bytes[..header], &mut connection), Some(refused));
        assert_eq!(sent_close_code(&mut connection), Some(1009));
    }
    let config = Config::new().max_frame_size(10);
    for (mut connection, from) in with(config) {
        let refused = Violation::FrameTooLarge { limit: 10 };
        assert_eq!(
            violation(&from.frame(0x82, &[0; 11]), &mut connection),
            Some(refused)
        );
    }
}

#[test]
fn announced_lengths_near_2_to_the_64_do_not_overflow() {
    for length in [
        1 << 40,
        1 << 62,
        (1 << 63) - 1,
        1 << 63,
        u64::MAX - 1,
        u64::MAX,
    ] {
        let mut server = server();
        assert_eq!(
            violation(&From::Client.frame(0x01, b"part"), &mut server),
            None
        );
        let mut bytes = vec![0x80, 0xff];
        bytes.extend_from_slice(&length.to_be_bytes());
        bytes.extend_from_slice(&KEY);
        assert!(violation(&bytes, &mut server).is_some());
        let code = if length >> 63 == 1 { 1002 } else { 1009 };
        assert_eq!(sent_close_code(&mut server), Some(code));
    }
}

#[test]
fn empty_fragments_are_accepted_up_to_a_limit() {
    for (mut connection, from) in both() {
        assert_eq!(violation(&from.frame(0x01, b""), &mut connection), None);
        let fragments = from.frame(0x00, b"").repeat(1023);
        assert_eq!(violation(&fragments, &mut connection), None);
        assert_eq!(violation(&from.frame(0x00, b"x"), &mut connection), None);
        assert_eq!(
            violation(&from.frame(0x00, b"").repeat(1024), &mut connection),
            None
        );
        let refused = violation(&from.frame(0x00, b""), &mut connection);
        assert_eq!(refused, Some(Violation::EmptyFragments));
        assert_eq!(sent_close_code(&mut connection), Some(1008));
    }
}

#[test]
fn counters_restart_with_every_message() {
    let mut connection = Connection::new(Role::Server, &Config::new().max_message_size(64));
    let from = From::Client;
    let message = [
        from.frame(0x01, &[b'a'; 40]),
        from.frame(0x00, b""),
        from.frame(0x80, b"b"),
    ]
    .concat();
    let (events, violation) = feed(&mut connection, &message.repeat(10_000));
    assert_eq!((events.len(), violation), (10_000, None));
}
