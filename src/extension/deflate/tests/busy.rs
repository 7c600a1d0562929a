//! Compressors that stay with busy connections.

use super::super::busy::kept;
use super::*;

#[test]
fn contexts_hold_whoever_takes_turns_and_in_whatever_thread() {
    let other = std::sync::mpsc::channel::<Box<dyn FnOnce() + Send>>();
    std::thread::scope(|scope| {
        let (work, jobs) = other;
        scope.spawn(move || jobs.into_iter().for_each(|job| job()));
        // More than have a compressor of their own, of two kinds.
        let mut pairs: Vec<_> = (0..24)
            .map(|at| {
                let mode = dedicated().threshold(0).window_bits(9 + at % 4);
                Some(pair(mode.clone(), mode))
            })
            .collect();
        let mut random = 1_u64;
        for turn in 0..3_000 {
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            // Few of them for a while, then others, then all.
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

#[test]
fn who_sends_now_and_then_gets_no_compressor_of_its_own() {
    let mut codecs: Vec<_> = (0..40).map(|_| server(dedicated())).collect();
    for turn in 0..3 {
        for codec in &mut codecs {
            encode(codec, &text(1_000, turn)).unwrap();
        }
    }
    assert_eq!(kept(), 0);
    for _ in 0..2 {
        for codec in &mut codecs[..10] {
            encode(codec, &text(1_000, 3)).unwrap();
        }
    }
    assert_eq!(kept(), 10);
    drop(codecs);
    assert_eq!(kept(), 0);
}

#[test]
fn what_does_not_get_smaller_does_not_take_one_compressor_after_the_other() {
    let mut codec = server(dedicated());
    for _ in 0..20 {
        assert_eq!(encode(&mut codec, &noise(1_000)), None);
    }
    assert_eq!(kept(), 1);
}
