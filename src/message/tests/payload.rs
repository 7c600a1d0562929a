//! Inline and shared payloads.

use bytes::Bytes;

use super::super::payload::{INLINE, Payload};

#[test]
fn a_payload_is_as_large_as_bytes_are() {
    assert_eq!(size_of::<Payload>(), size_of::<Bytes>());
}

#[test]
fn a_payload_of_any_length_is_what_was_put_in() {
    for length in 0..100 {
        let plain: Vec<u8> = (0..length).collect();
        let copied = Payload::copy_from_slice(&plain);
        let shared = Payload::from(plain.clone());
        assert!(copied == shared);
        if plain.len() <= INLINE {
            let mut words = [9; INLINE + 1];
            words[..plain.len()].copy_from_slice(&plain);
            assert!(copied == Payload::inline(&words, plain.len(), 0));
            let key = [1, 2, 3, 200, 1, 2, 3, 200];
            let masked = std::array::from_fn(|at| words[at] ^ key[at % 8]);
            let key = u64::from_ne_bytes(key);
            assert!(copied == Payload::inline(&masked, plain.len(), key));
        }
        for payload in [copied, shared] {
            assert_eq!(payload.as_slice(), plain);
            assert_eq!(payload.into_bytes(), plain);
        }
    }
}
