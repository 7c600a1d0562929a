//! Compressors that stay with busy connections.

use super::super::busy::kept;
use super::*;

#[test]
fn contexts_hold_across_turns_and_threads() {
    let other = std::sync::mpsc::channel::<Box<dyn FnOnce() + Send>>();
    std::thread::scope(|scope| {
        let (work, jobs) = other;
        scope.spawn(move || jobs.into_iter().for_each(|job| job()));
        // More than have a compressor of their own, of two kinds.
        let mut pairs: Vec<_> = (0..24)
            .map(|at| {
                let mode = dedicated()
                    .threshold(0)
                    .window_bits(9 + at % 7)
                    .level(1 + at % 3);
                Some(pair(mode.clone(), mode))
            })
            .collect();
        let mut random = 1_u64;
        for turn in 0..3_000 {
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            // A few of them for a while, then more, then all.
            let busy = [4, 20, 24][turn / 100 % 3];
            let at = (random >> 33) as usize % busy;
            let (mut sender, mut receiver) = pairs[at].take().unwrap();
            let message = match random >> 60 {
                0 => noise(700),
                _ => text(100 + turn % 900, turn),
            };
            let job = move || {
                if let Some(payload) = encode(&mut sender, &message) {
                    assert_eq!(decode(&mut receiver, &payload).unwrap(), message);
                }
                (sender, receiver)
            };
            pairs[at] = Some(match random >> 40 & 7 {
                0 => {
                    let (done, result) = std::sync::mpsc::channel();
                    work.send(Box::new(move || done.send(job()).unwrap()))
                        .unwrap();
                    result.recv().unwrap()
                }
                _ => job(),
            });
        }
        assert!(kept() > 8);
        drop(work);
    });
}

/// Lets each send a message, this many times.
fn in_turn(codecs: &mut [Codec], times: usize) {
    for turn in 0..times {
        for codec in &mut *codecs {
            encode(codec, &text(1_000, turn)).unwrap();
        }
    }
}

#[test]
fn a_connection_that_sends_rarely_keeps_no_compressor() {
    let mut codecs: Vec<_> = (0..40).map(|_| server(dedicated())).collect();
    in_turn(&mut codecs, 3);
    assert_eq!(kept(), 0);
    in_turn(&mut codecs[..10], 2);
    assert_eq!(kept(), 10);
    drop(codecs);
    assert_eq!(kept(), 0);
}

#[test]
fn a_fast_level_with_a_large_window_keeps_more_compressors() {
    let mode = dedicated().level(1).window_bits(15);
    let mut codecs: Vec<_> = (0..80).map(|_| server(mode.clone())).collect();
    in_turn(&mut codecs, 3);
    assert_eq!(kept(), 0);
    in_turn(&mut codecs[..60], 2);
    assert_eq!(kept(), 60);
}

#[test]
fn messages_that_do_not_get_smaller_use_one_compressor_again() {
    let mut codec = server(dedicated());
    for _ in 0..20 {
        assert_eq!(encode(&mut codec, &noise(1_000)), None);
    }
    assert_eq!(kept(), 1);
}

#[test]
fn a_connection_that_is_gone_leaves_no_compressor() {
    let busy = || {
        let mut codecs: Vec<_> = (0..16).map(|_| server(dedicated())).collect();
        in_turn(&mut codecs, 3);
        assert_eq!(kept(), 16);
        codecs
    };
    // Not even if its last message did not get smaller.
    let mut codecs = busy();
    for codec in &mut codecs {
        assert_eq!(encode(codec, &noise(1_000)), None);
    }
    drop(codecs);
    assert_eq!(kept(), 0);
    // The compressor of one that was dropped in another thread is freed later.
    let codecs = busy();
    std::thread::spawn(move || drop(codecs)).join().unwrap();
    for turn in 0..1_200 {
        encode(&mut server(dedicated()), &text(1_000, turn)).unwrap();
    }
    assert_eq!(kept(), 0);
}

/// The compressor of one with a large window would refer further back than the peer keeps.
#[test]
fn a_compressor_of_other_settings_is_not_taken_over() {
    let mut large: Vec<_> = (0..4)
        .map(|_| server(dedicated().window_bits(15)))
        .collect();
    in_turn(&mut large, 3);
    // So many messages later they are no longer busy.
    for turn in 0..20 {
        encode(&mut server(dedicated()), &text(1_000, turn)).unwrap();
    }
    let small = dedicated().window_bits(9).threshold(0);
    // The client: the server tells it the window.
    let (mut receiver, mut sender) = pair(small.clone(), small);
    // The same text comes again after more than 512 bytes.
    for turn in 0..60 {
        let message = text(400, turn % 3);
        let encoded = encode(&mut sender, &message).unwrap();
        assert_eq!(decode(&mut receiver, &encoded).unwrap(), message, "{turn}");
    }
    assert_eq!(kept(), 4, "it has taken the place of one");
}

#[test]
fn connections_that_send_later_use_the_compressors_of_earlier_ones() {
    let mut codecs: Vec<_> = (0..30).map(|_| server(dedicated())).collect();
    for codecs in codecs.chunks_mut(10) {
        in_turn(codecs, 6);
        assert_eq!(kept(), 10);
    }
}
