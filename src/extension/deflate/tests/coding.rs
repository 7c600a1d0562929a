//! What the layers above ask of an extension.

use super::*;
use crate::extension::Coding;

#[test]
fn messages_without_a_context_can_be_encoded_for_many_connections() {
    let payload = text(2_000, 1);
    let mut codec = server(shared());
    let terms = codec.coding().independent().expect("it has no context");
    let mut out = vec![];
    assert_eq!(terms.encode(&payload, &mut out), Some(Rsv::RSV1));
    assert_eq!(encode(&mut codec, &payload), Some(out));
    assert_eq!(terms.encode(&noise(2_000), &mut vec![]), None);
    assert_eq!(codec.coding().unshared(), Coding::InContext);
    let in_context = server(dedicated()).coding();
    assert_eq!(in_context, Coding::InContext);
    assert_eq!(in_context.independent(), None);
    assert_eq!(in_context.unshared(), Coding::InContext);
}

#[test]
fn messages_below_the_threshold_and_empty_ones_are_not_wanted() {
    for compression in [shared(), dedicated()] {
        let codec = server(compression.clone().threshold(100));
        assert!(!codec.wants(99));
        assert!(codec.wants(100));
        let codec = server(compression.threshold(0));
        assert!(!codec.wants(0));
        assert!(codec.wants(1));
    }
}

#[test]
fn agreements_compare_by_what_both_sides_do_and_by_the_settings() {
    let agreed = |compression| accept(compression, "").unwrap();
    assert_eq!(agreed(shared()), agreed(shared()));
    assert_ne!(agreed(shared()), agreed(dedicated()));
    assert_ne!(agreed(shared()), agreed(shared().level(9)));
    assert_ne!(agreed(shared()), agreed(shared().window_bits(9)));
    assert_eq!(agreed(shared()).name(), "permessage-deflate");
    assert_eq!(
        extension::Extension(agreed(shared())).name(),
        "permessage-deflate"
    );
}

#[test]
fn only_the_first_reserved_bit_is_used() {
    assert_eq!(server(shared()).reserved_bits(), Rsv::RSV1);
}

/// A connection that has ended keeps nothing of what it received.
#[test]
fn a_decoder_that_is_stopped_forgets_its_context() {
    let hello = &[0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00][..];
    let context = &[0xf2, 0x00, 0x11, 0x00, 0x00][..];
    let mut codec = server(dedicated());
    assert_eq!(decode(&mut codec, hello).unwrap(), b"Hello");
    assert_eq!(decode(&mut codec, context).unwrap(), b"Hello");
    codec.stop_decoding();
    let decoded = decode(&mut codec, context);
    assert_eq!(decoded, Err(Violation::InvalidCompression));
}

/// Its length is there, and the tail would be its content.
#[test]
fn a_block_without_its_content_is_refused() {
    let block = &[0x00, 0x04, 0x00, 0xfb, 0xff][..];
    for compression in [shared(), dedicated()] {
        let decoded = decode(&mut server(compression), block);
        assert_eq!(decoded, Err(Violation::InvalidCompression));
    }
}
