//! Masking (RFC 6455, section 5.3).

use super::super::mask::*;

fn byte_by_byte(key: [u8; 4], offset: usize, payload: &mut [u8]) {
    for (at, byte) in payload.iter_mut().enumerate() {
        *byte ^= key[(offset + at) % 4];
    }
}

#[test]
fn words_and_bytes_agree_at_every_length_and_offset() {
    let key = [0x37, 0xfa, 0x21, 0x3d];
    for length in (0..200_usize).chain(500..530) {
        for offset in 0..9 {
            let payload: Vec<u8> = (0..length).map(|it| (it * 7) as u8).collect();
            let (mut fast, mut slow) = (payload.clone(), payload.clone());
            apply(after(key, offset), &mut fast);
            byte_by_byte(key, offset, &mut slow);
            assert_eq!(fast, slow, "length {length}, offset {offset}");
            assert_eq!(copy(after(key, offset), &payload), slow);
            apply(after(key, offset), &mut fast);
            assert_eq!(fast, payload);
        }
    }
}

#[test]
fn the_example_of_the_rfc() {
    // Section 5.7: a masked "Hello".
    let mut payload = [0x7f, 0x9f, 0x4d, 0x51, 0x58];
    apply([0x37, 0xfa, 0x21, 0x3d], &mut payload);
    assert_eq!(&payload, b"Hello");
}

#[test]
fn parts_are_masked_as_the_whole_is_wherever_it_is_cut() {
    let key = [0x37, 0xfa, 0x21, 0x3d];
    let payload: Vec<u8> = (0..21).map(|it| it * 7).collect();
    let mut whole = payload.clone();
    byte_by_byte(key, 0, &mut whole);
    for cut in 0..=payload.len() {
        let (first, second) = payload.split_at(cut);
        let (mut next, mut appended) = (key, vec![]);
        append_next(&mut next, first, &mut appended);
        append_next(&mut next, second, &mut appended);
        assert_eq!(appended, whole, "cut at {cut}");

        let (mut next, mut parts) = (key, payload.clone());
        apply_next(&mut next, &mut parts[..cut]);
        apply_next(&mut next, &mut parts[cut..]);
        assert_eq!(parts, whole, "cut at {cut}");
    }
}
