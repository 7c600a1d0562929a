use std::collections::HashSet;

use crate::client::random::{KEYS, masking_key, nonce};

#[test]
fn no_key_comes_twice_in_a_thread_or_in_two() {
    const COUNT: usize = 3 * KEYS;
    let keys = || {
        std::thread::spawn(|| (0..COUNT).map(|_| masking_key()).collect::<Vec<_>>())
            .join()
            .unwrap()
    };
    let all: HashSet<_> = keys().into_iter().chain(keys()).collect();
    // Of 1,536 random keys of 32 bits, two are equal once in 3,600 times; six
    // never are.
    assert!(all.len() > 2 * COUNT - 3, "{}", all.len());
}

#[test]
fn each_bit_of_a_key_is_as_often_one_as_zero() {
    const COUNT: u32 = 1 << 14;
    let mut ones = [0_u32; 32];
    for _ in 0..COUNT {
        let key = u32::from_ne_bytes(masking_key());
        for (bit, ones) in ones.iter_mut().enumerate() {
            *ones += key >> bit & 1;
        }
    }
    // Eight standard deviations (64) beside the middle.
    let middle = COUNT / 2 - 512..COUNT / 2 + 512;
    assert!(ones.iter().all(|ones| middle.contains(ones)), "{ones:?}");
}

#[test]
fn nonces_differ() {
    assert_ne!(nonce().unwrap(), nonce().unwrap());
}
