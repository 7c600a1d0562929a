//! The compressors and decompressors that a thread keeps, for any connection.

use allocation_counter::measure;

use super::super::zlib::{Settings, compress};
use super::*;

/// A new compressor or decompressor takes more than this, everything else less.
const LARGE: u64 = 30_000;

/// Runs on a thread of its own, which keeps nothing yet.
fn on_a_new_thread(test: impl FnOnce() + Send + 'static) {
    std::thread::spawn(test).join().unwrap();
}

#[test]
fn a_compressor_is_used_again_for_the_same_settings() {
    on_a_new_thread(|| {
        let encode_new = || drop(encode(&mut server(shared()), &text(2_000, 1)).unwrap());
        assert!(measure(encode_new).bytes_total > LARGE);
        assert!(measure(encode_new).bytes_total < LARGE);
    });
}

#[test]
fn a_compressor_is_not_used_for_other_settings() {
    on_a_new_thread(|| {
        let payload = text(20_000, 1);
        let fast = shared().level(1).memory_level(1);
        let good = shared().level(9).memory_level(9);
        let fast_length = encode(&mut server(fast.clone()), &payload).unwrap().len();
        let good_length = encode(&mut server(good.clone()), &payload).unwrap().len();
        assert!(good_length < fast_length, "{good_length} {fast_length}");
        for _ in 0..2 {
            let fast = encode(&mut server(fast.clone()), &payload).unwrap();
            let good = encode(&mut server(good.clone()), &payload).unwrap();
            assert_eq!((fast.len(), good.len()), (fast_length, good_length));
        }
    });
}

#[test]
fn the_level_and_the_memory_level_are_used() {
    let payload = text(50_000, 1);
    let length = |compression| encode(&mut server(compression), &payload).unwrap().len();
    let usual = length(shared().level(5).memory_level(8));
    assert!(length(shared().level(1).memory_level(8)) > usual);
    assert!(length(shared().level(5).memory_level(1)) > usual);
}

#[test]
fn four_decompressors_are_used_again() {
    on_a_new_thread(|| {
        let encoded = encode(&mut server(shared()), &text(2_000, 1)).unwrap();
        let (head, rest) = encoded.split_at(10);
        // All messages are begun before the first is ended.
        let decode_all = |count: usize| {
            let mut codecs: Vec<_> = (0..count).map(|_| server(shared())).collect();
            for codec in &mut codecs {
                let out = &mut Vec::new();
                codec.decode(Rsv::RSV1, head, false, out, 4_000).unwrap();
            }
            for codec in &mut codecs {
                let out = &mut Vec::new();
                codec.decode(Rsv::RSV1, rest, true, out, 4_000).unwrap();
            }
        };
        let new = |count| measure(|| decode_all(count)).bytes_total;
        assert!(new(1) > LARGE);
        assert!(new(1) < LARGE, "it was kept");
        decode_all(8);
        assert!(new(4) < LARGE, "four were kept");
        decode_all(8);
        assert!(new(5) > LARGE, "and no more");
    });
}

/// It would be sent in that form for nothing.
#[test]
fn a_message_that_gets_no_smaller_is_not_sent_compressed() {
    let settings = Settings::of(&shared());
    let mut is_equal = false;
    for seed in 0..2_000 {
        let payload = text(1 + seed % 60, seed);
        let mut out = vec![];
        let smaller = compress(&mut settings.compressor(), &payload, &mut out);
        assert_eq!(smaller, out.len() < payload.len());
        is_equal |= out.len() == payload.len();
    }
    assert!(is_equal, "one of them has the same length");
}

/// The room that is made for it is half of its size.
#[test]
fn a_message_that_gets_smaller_by_a_quarter_is_compressed() {
    for length in [1_000, 10_000, 100_000] {
        let letters: Vec<u8> = noise(length).iter().map(|it| b'0' + it % 64).collect();
        let (mut server, mut client) = pair(shared(), shared());
        let encoded = encode(&mut server, &letters).unwrap();
        assert!((length / 2 + 64..length).contains(&encoded.len()));
        assert!(decode(&mut client, &encoded).unwrap() == letters);
    }
}
