//! Frames that are queued, written and dropped.

use std::io::IoSlice;

use proptest::prelude::*;

use super::super::*;
use crate::Message;

fn outbox(messages: &[usize]) -> Outbox {
    let mut outbox = Outbox::default();
    let mut writer = Writer::new(Role::Server);
    for (at, &length) in messages.iter().enumerate() {
        writer
            .message(&Message::from(vec![at as u8; length]), &mut outbox)
            .unwrap();
    }
    outbox
}

fn drain(mut outbox: Outbox, step: usize) -> Vec<u8> {
    let mut all = vec![];
    while !outbox.is_empty() {
        let mut slices = [IoSlice::new(&[]); 3];
        let count = outbox.chunks(&mut slices);
        assert_eq!(slices[0].as_ptr(), outbox.chunk().as_ptr());
        let mut left = step;
        for slice in &slices[..count] {
            let part = &slice[..slice.len().min(left)];
            all.extend_from_slice(part);
            left -= part.len();
        }
        let written = step.min(slices[..count].iter().map(|it| it.len()).sum());
        let before = outbox.len();
        outbox.advance(written);
        assert_eq!(outbox.len(), before - written);
    }
    assert!(outbox.chunk().is_empty());
    all
}

#[test]
fn frames_leave_in_order_however_many_bytes_a_write_takes() {
    let lengths = [3, LARGE, 0, LARGE + 5, 200, LARGE, LARGE];
    let whole = drain(outbox(&lengths), usize::MAX);
    assert_eq!(whole.len(), outbox(&lengths).len());
    for step in [7, 1000, LARGE - 1, LARGE, LARGE + 1, 100_000] {
        assert!(drain(outbox(&lengths), step) == whole, "step {step}");
    }
}

#[test]
fn a_buffer_is_made_for_what_is_copied_and_kept_when_it_is_written() {
    assert_eq!(Outbox::default().capacity(), 0);
    let mut outbox = outbox(&[1000, LARGE]);
    assert!((1014..LARGE).contains(&outbox.capacity()));
    outbox.advance(outbox.len());
    assert!(outbox.is_empty());
    assert!(outbox.capacity() >= 1014);
}

#[test]
fn a_payload_of_16_kib_is_written_from_where_it_is_and_a_shorter_one_is_copied() {
    for (length, is_copied) in [(16 * 1024 - 1, true), (16 * 1024, false)] {
        let message = Message::from(vec![7; length]);
        let prepared = Prepared::new(message.clone());
        let place = message.as_bytes().as_ptr();
        let mut writer = Writer::new(Role::Server);
        for which in 0..3 {
            let mut outbox = Outbox::default();
            let out = &mut outbox;
            match which {
                0 => writer.message(&message, out).unwrap(),
                1 => writer.prepared(&prepared, out).unwrap(),
                _ => writer
                    .part(message.kind(), &message, Part::Last, out)
                    .unwrap(),
            }
            assert_eq!(outbox.is_scattered(), !is_copied, "{length}");
            let mut slices = [IoSlice::new(&[]); 3];
            let count = outbox.chunks(&mut slices);
            assert_eq!(count, if is_copied { 1 } else { 2 });
            assert_eq!(slices[1].as_ptr() == place, !is_copied, "{length}");
        }
    }
}

#[test]
fn drop_oldest_drops_whole_frames_only() {
    let lengths = [3, LARGE, 10, LARGE, 4];
    let total = outbox(&lengths).len();
    for limit in 0..=total {
        let mut cut = outbox(&lengths);
        cut.allow_drop(Mark::default());
        let dropped = cut.drop_oldest(limit);
        assert!(cut.len() <= limit);
        if let Some(last) = dropped.checked_sub(1) {
            assert!(outbox(&lengths[last..]).len() > limit, "one less is enough");
        }
        let kept: Vec<usize> = lengths[dropped..].to_vec();
        let expected: usize = outbox(&kept).len();
        assert_eq!(cut.len(), expected, "limit {limit}");
        let bytes = drain(cut, usize::MAX);
        assert!(drain(outbox(&lengths), usize::MAX).ends_with(&bytes));
    }
}

proptest! {
    /// Whatever stands where: messages of both kinds and control frames, in two outboxes that are
    /// joined between two times of dropping.
    #[test]
    fn drop_oldest_drops_what_may_be_dropped_and_leaves_the_others_in_order(
        messages in prop::collection::vec((0..4_usize, 0..3_usize, any::<bool>()), 1..30),
        cut in any::<prop::sample::Index>(),
        limits in [0..100_000_usize, 0..100_000_usize],
    ) {
        let mut writer = Writer::new(Role::Server);
        let mut boxes = [Outbox::default(), Outbox::default()];
        let mut expected = [vec![], vec![]];
        let cut = cut.index(messages.len());
        for (at, (length, kind, pong)) in messages.into_iter().enumerate() {
            let which = usize::from(at >= cut);
            let (out, expected) = (&mut boxes[which], &mut expected[which]);
            let message = Message::from(vec![at as u8; [0, 3, 200, LARGE][length]]);
            let start = out.mark();
            writer.message(&message, out).unwrap();
            if kind > 0 {
                out.allow_drop(start);
            }
            expected.push((drain(message_alone(&message), usize::MAX), kind > 0));
            if pong {
                writer.pong(&[at as u8], out);
                expected.push((vec![0x8a, 1, at as u8], false));
            }
        }
        let drop = |out: &mut Outbox, expected: &mut Vec<(Vec<u8>, bool)>, limit| {
            let before = expected.len();
            while expected.iter().map(|it| it.0.len()).sum::<usize>() > limit
                && let Some(oldest) = expected.iter().position(|it| it.1)
            {
                expected.remove(oldest);
            }
            assert_eq!(out.drop_oldest(limit), before - expected.len());
        };
        let [mut first, mut second] = boxes;
        let [mut all, rest] = expected;
        drop(&mut first, &mut all, limits[0]);
        first.append(&mut second);
        all.extend(rest);
        drop(&mut first, &mut all, limits[1]);
        let all: Vec<_> = all.into_iter().flat_map(|it| it.0).collect();
        assert!(drain(first, 1000) == all);
    }
}

fn message_alone(message: &Message) -> Outbox {
    let mut out = Outbox::default();
    Writer::new(Role::Server)
        .message(message, &mut out)
        .unwrap();
    out
}

#[test]
fn drop_oldest_keeps_control_frames_and_drops_messages_behind_them() {
    let mut outbox = Outbox::default();
    let mut writer = Writer::new(Role::Server);
    writer.pong(b"first", &mut outbox);
    for length in [10, LARGE, 20] {
        let message = Message::from(vec![7; length]);
        writer.message(&message, &mut outbox).unwrap();
    }
    writer.pong(b"second", &mut outbox);
    writer
        .message(&Message::from(vec![8; LARGE]), &mut outbox)
        .unwrap();
    writer.message(&Message::from("last"), &mut outbox).unwrap();
    outbox.allow_drop(Mark::default());
    assert_eq!(outbox.drop_oldest(30), 4);
    assert_eq!(drain(outbox, 3), b"\x8a\x05first\x8a\x06second\x81\x04last");
}

#[test]
fn drop_oldest_leaves_large_messages_behind_control_frames_in_their_place() {
    let mut outbox = Outbox::default();
    let mut writer = Writer::new(Role::Server);
    writer.pong(b"first", &mut outbox);
    for length in [LARGE + 1, 10, LARGE, 20] {
        let message = Message::from(vec![7; length]);
        writer.message(&message, &mut outbox).unwrap();
    }
    outbox.allow_drop(Mark::default());
    assert_eq!(outbox.drop_oldest(LARGE + 60), 1);
    let kept = [
        &b"\x8a\x05first\x82\x0a"[..],
        &[7; 10],
        b"\x82\x7e\x40\x00",
        &[7; LARGE],
        b"\x82\x14",
        &[7; 20],
    ];
    assert!(drain(outbox, 1000) == kept.concat());
}

#[test]
fn what_is_put_before_or_behind_leaves_before_or_behind() {
    let whole = drain(outbox(&[3, LARGE, 10, LARGE]), usize::MAX);
    for is_prepended in [false, true] {
        let mut front = outbox(&[3, LARGE]);
        let mut back = Outbox::default();
        let mut writer = Writer::new(Role::Server);
        for (at, length) in [(2, 10), (3, LARGE)] {
            let message = Message::from(vec![at; length]);
            writer.message(&message, &mut back).unwrap();
        }
        let joined = if is_prepended {
            back.prepend(&mut front);
            assert!(front.is_empty());
            back
        } else {
            front.append(&mut back);
            assert!(back.is_empty());
            front
        };
        assert_eq!(joined.len(), whole.len());
        assert!(drain(joined, 1000) == whole);
    }
}

#[test]
fn a_prepared_frame_knows_its_length() {
    for (length, expected) in [(5, 7), (125, 127), (126, 130), (LARGE, LARGE + 4)] {
        let prepared = Prepared::new(vec![1; length]);
        assert_eq!(prepared.plain().len(), expected);
    }
}
