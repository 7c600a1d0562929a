//! Headers (RFC 6455, section 5.2).

use super::super::*;
use crate::error::Violation;

fn decode(bytes: &[u8]) -> Result<Option<(Header, usize)>, Violation> {
    Header::decode(bytes)
}

#[test]
fn every_header_round_trips_and_is_incomplete_until_its_last_byte() {
    for length in [
        0,
        1,
        125,
        126,
        127,
        0xffff,
        0x1_0000,
        1 << 40,
        (1 << 63) - 1,
    ] {
        for masking_key in [None, Some([1, 2, 3, 4])] {
            for fin in [true, false] {
                let header = Header {
                    fin,
                    rsv: Rsv::RSV1,
                    opcode: Opcode::Text,
                    masking_key,
                    length,
                };
                let mut bytes = vec![];
                header.encode(&mut bytes);
                assert_eq!(decode(&bytes), Ok(Some((header, bytes.len()))));
                for end in 0..bytes.len() {
                    assert_eq!(decode(&bytes[..end]), Ok(None), "{header:?} cut at {end}");
                }
                // What follows is no part of the header.
                let end = bytes.len();
                bytes.extend_from_slice(b"payload");
                assert_eq!(decode(&bytes), Ok(Some((header, end))));
            }
        }
    }
}

#[test]
fn any_two_bytes_decode_or_are_refused() {
    for first in 0..=255u8 {
        for second in 0..=255u8 {
            let mut bytes = [0x7f; MAX_HEADER];
            bytes[..2].copy_from_slice(&[first, second]);
            let opcode = first & 0xf;
            let known = matches!(opcode, 0..=2 | 8..=10);
            let control = opcode & 8 != 0;
            let valid = known && (!control || first & 0x80 != 0 && second & 0x7f <= 125);
            assert_eq!(decode(&bytes).is_ok(), valid, "{first:#x} {second:#x}");
        }
    }
}

#[test]
fn lengths_must_be_minimal_and_positive() {
    let sixteen = |length: u16| [&[0x82, 126][..], &length.to_be_bytes()].concat();
    let long = |length: u64| [&[0x82, 127][..], &length.to_be_bytes()].concat();
    assert_eq!(decode(&sixteen(125)), Err(Violation::NonMinimalLength));
    assert!(decode(&sixteen(126)).is_ok());
    assert_eq!(decode(&long(0xffff)), Err(Violation::NonMinimalLength));
    assert!(decode(&long(0x1_0000)).is_ok());
    assert!(decode(&long(u64::MAX >> 1)).is_ok());
    assert_eq!(decode(&long(1 << 63)), Err(Violation::InvalidLength));
    assert_eq!(decode(&long(u64::MAX)), Err(Violation::InvalidLength));
}

#[test]
fn reserved_bits_are_allowed_if_each_of_them_is() {
    let rsv = |bits: u8| decode(&[0x82 | bits, 0]).unwrap().unwrap().0.rsv;
    let both = 0x50;
    for (bits, allowed, within) in [
        (0, 0, true),
        (0, both, true),
        (0x40, 0, false),
        (0x40, 0x40, true),
        (0x40, 0x10, false),
        (0x40, both, true),
        (both, 0x40, false),
        (both, both, true),
    ] {
        assert_eq!(
            rsv(bits).within(rsv(allowed)),
            within,
            "{bits:#x} {allowed:#x}"
        );
        assert_eq!(rsv(bits).is_none(), bits == 0, "{bits:#x}");
    }
}

#[test]
fn reserved_bits_are_set_beside_those_that_are_set() {
    for (before, after) in [(0x01, 0x41), (0x81, 0xc1), (0x41, 0x41)] {
        let mut first = before;
        Rsv::RSV1.set_on(&mut first);
        assert_eq!(first, after);
    }
}

#[test]
fn only_a_final_frame_of_text_or_binary_is_a_whole_message() {
    use Opcode::*;
    for opcode in [Continuation, Text, Binary, Close, Ping, Pong] {
        for fin in [true, false] {
            let header = Header {
                fin,
                rsv: Rsv::NONE,
                opcode,
                masking_key: None,
                length: 0,
            };
            let whole = fin && (opcode == Text || opcode == Binary);
            assert_eq!(header.is_message(), whole, "{header:?}");
        }
    }
}
