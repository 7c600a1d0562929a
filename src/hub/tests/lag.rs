//! What is kept for members that lag, for which of them, and how much of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::hub::lag::{Lag, Limits};

/// What a message of no bytes takes.
const EACH: usize = 256;

const UNLIMITED: Limits = Limits {
    room: usize::MAX,
    total: usize::MAX,
    free: 0,
};

type Members = Lag<char, char, u32>;

fn lag() -> (Members, Arc<AtomicUsize>) {
    let total = Arc::new(AtomicUsize::new(0));
    (Lag::new(total.clone()), total)
}

fn begin(ids: &str) -> Vec<(char, char)> {
    ids.chars().map(|id| (id, id)).collect()
}

fn sorted(members: Vec<(char, char)>) -> String {
    let mut ids: Vec<char> = members.into_iter().map(|(id, _)| id).collect();
    ids.sort();
    ids.into_iter().collect()
}

/// Keeps an empty message without limits, for members that begin to lag and those that do.
fn keep(lag: &mut Members, message: u32, ids: &str) {
    let lost = lag.keep((message, 0), None, begin(ids), UNLIMITED);
    assert!(lost.is_empty());
}

fn messages(lag: &Members, id: char) -> Vec<u32> {
    let messages = lag.messages(id).expect("it lags");
    messages.map(|(_, message)| *message).collect()
}

/// Sends a member so many of its messages.
fn send(lag: &mut Members, id: char, count: usize) {
    let place = lag.messages(id).unwrap().nth(count - 1).unwrap().0;
    lag.advance(id, place);
}

#[test]
fn a_member_is_sent_what_is_kept_from_its_first_message_on() {
    let (mut lag, _) = lag();
    assert!(lag.is_empty());
    keep(&mut lag, 7, "a");
    keep(&mut lag, 8, "");
    keep(&mut lag, 9, "bc");
    assert!(!lag.is_empty());
    assert_eq!(messages(&lag, 'a'), [7, 8, 9]);
    assert_eq!(messages(&lag, 'b'), [9]);
    assert!(lag.messages('x').is_none());
    assert_eq!(lag.len(), 3);
    let members = lag.members().map(|(id, socket)| (*id, *socket)).collect();
    assert_eq!(sorted(members), "abc");
    send(&mut lag, 'a', 2);
    assert_eq!(messages(&lag, 'a'), [9]);
    assert_eq!(lag.remove('a'), Some('a'));
    assert_eq!(lag.remove('a'), None);
    assert!(lag.contains('b') && !lag.contains('a'));
    assert_eq!(sorted(lag.into_members()), "bc");
}

#[test]
fn what_all_have_been_sent_is_dropped_whoever_is_last() {
    let (mut lag, total) = lag();
    let used = || total.load(Ordering::Relaxed) / EACH;
    for message in 0..6 {
        keep(
            &mut lag,
            message,
            ["a", "", "b", "", "c", ""][message as usize],
        );
    }
    assert_eq!(used(), 6);
    send(&mut lag, 'b', 3);
    assert_eq!(used(), 6, "a waits for the first");
    send(&mut lag, 'a', 1);
    assert_eq!(used(), 5);
    lag.remove('a');
    assert_eq!(used(), 2, "c waits for the fifth, b for the sixth");
    lag.remove('c');
    assert_eq!(used(), 1);
    assert_eq!(messages(&lag, 'b'), [5]);
    lag.remove('b');
    assert!(lag.is_empty());
    assert_eq!(used(), 0);
    keep(&mut lag, 6, "a");
    assert_eq!((messages(&lag, 'a'), used()), (vec![6], 1));
    drop(lag);
    assert_eq!(used(), 0);
}

#[test]
fn the_exception_of_a_message_is_not_sent_it() {
    let (mut lag, _) = lag();
    keep(&mut lag, 1, "ab");
    lag.keep((2, 0), Some('a'), vec![], UNLIMITED);
    keep(&mut lag, 3, "");
    lag.keep((4, 0), Some('a'), vec![], UNLIMITED);
    assert_eq!(messages(&lag, 'a'), [1, 3]);
    assert_eq!(messages(&lag, 'b'), [1, 2, 3, 4]);
    send(&mut lag, 'a', 1);
    assert_eq!(messages(&lag, 'a'), [3]);
    // The place after the last message that it is sent is before the exception.
    send(&mut lag, 'a', 1);
    assert_eq!(messages(&lag, 'a'), [] as [u32; 0]);
    lag.remove('a');
    // Another member with the same name has come later: nothing that was kept before is for it.
    keep(&mut lag, 5, "a");
    assert_eq!(messages(&lag, 'a'), [5]);
}

#[test]
fn beyond_the_limit_of_a_room_the_members_that_are_furthest_behind_are_lost() {
    let (mut lag, total) = lag();
    let limits = Limits {
        room: 3 * EACH,
        ..UNLIMITED
    };
    let mut keep = |message, ids| sorted(lag.keep((message, 0), None, begin(ids), limits));
    assert_eq!(keep(1, "ab"), "");
    assert_eq!(keep(2, "c"), "");
    assert_eq!(keep(3, "d"), "");
    assert_eq!(keep(4, "e"), "ab");
    assert_eq!(keep(5, ""), "c");
    // The newest message is kept, however large it is, and nothing else beside it.
    assert_eq!(sorted(lag.keep((6, 9000), None, begin("f"), limits)), "de");
    assert_eq!(messages(&lag, 'f'), [6]);
    assert_eq!(total.load(Ordering::Relaxed), EACH + 9000);
}

#[test]
fn what_a_log_keeps_anyway_is_free() {
    let (mut lag, _) = lag();
    let limits = |free| Limits {
        room: 0,
        total: usize::MAX,
        free,
    };
    for message in 0..100 {
        let begin = begin(if message == 0 { "a" } else { "" });
        assert_eq!(lag.keep((message, 50), None, begin, limits(100)), []);
    }
    assert_eq!(messages(&lag, 'a').len(), 100);
    assert_eq!(sorted(lag.keep((100, 50), None, vec![], limits(100))), "a");
}

#[test]
fn rooms_in_which_members_stand_still_leave_something_to_the_others() {
    let total = Arc::new(AtomicUsize::new(0));
    let limits = Limits {
        room: 100 * EACH,
        total: 1000 * EACH,
        free: 0,
    };
    let fill = |room: &mut Members| {
        let mut kept = 0;
        let mut ids = begin("a");
        while kept < 1000
            && room
                .keep((0, 0), None, std::mem::take(&mut ids), limits)
                .is_empty()
        {
            kept += 1;
        }
        kept
    };
    // Each room stops when its member falls out, with what it kept for another that came late.
    let rooms: Vec<(Members, usize)> = (0..200)
        .map(|_| {
            let mut room = Lag::new(total.clone());
            let kept = fill(&mut room);
            lag_one(&mut room, kept, limits);
            (room, kept)
        })
        .collect();
    assert_eq!(rooms[0].1, 100);
    assert!(rooms.windows(2).all(|pair| pair[0].1 >= pair[1].1));
    let used = total.load(Ordering::Relaxed);
    assert!(used <= limits.total + rooms.len() * EACH, "{used}");
    // One that is slow does not keep the others from being waited for.
    drop(rooms);
    assert_eq!(total.load(Ordering::Relaxed), 0);
    assert_eq!(fill(&mut Lag::new(total.clone())), 100);
}

/// A member that begins to lag and stays, with so many messages behind it.
fn lag_one(room: &mut Members, count: usize, limits: Limits) {
    let mut ids = begin("b");
    for _ in 0..count {
        room.keep((0, 0), None, std::mem::take(&mut ids), limits);
    }
}

/// Members that begin to lag, are sent messages and leave at random, beside a list for each.
#[test]
fn whatever_happens_each_member_is_sent_its_messages_once_and_in_order() {
    let mut random = 1_u64;
    let mut next = |below: u64| {
        random = random.wrapping_mul(6364136223846793005).wrapping_add(1);
        (random >> 33) % below
    };
    for round in 0..40 {
        let (mut lag, total) = lag();
        let limits = Limits {
            room: (10 + 5 * round as usize) * EACH,
            total: usize::MAX,
            free: next(8) as usize,
        };
        let mut expected: Vec<(char, Vec<u32>)> = vec![];
        for message in 0..300 {
            let id = char::from(b'a' + next(26) as u8);
            let known = expected.iter().position(|(known, _)| *known == id);
            match (next(4), known) {
                (0, Some(at)) => {
                    lag.remove(id).unwrap();
                    expected.remove(at);
                }
                (1, Some(at)) => {
                    let list = &mut expected[at].1;
                    assert_eq!(messages(&lag, id), *list, "{round}");
                    let count = next(list.len() as u64) as usize;
                    if count > 0 {
                        send(&mut lag, id, count);
                        list.drain(..count);
                    }
                }
                _ => {
                    let except = known.filter(|_| next(2) == 0).map(|_| id);
                    let mut ids = vec![];
                    if known.is_none() && next(2) == 0 {
                        ids.push((id, id));
                        expected.push((id, vec![]));
                    }
                    if expected.is_empty() {
                        continue;
                    }
                    let lost = lag.keep((message, 0), except, ids, limits);
                    for (id, list) in &mut expected {
                        if Some(*id) != except {
                            list.push(message);
                        }
                    }
                    expected.retain(|(id, _)| !lost.contains(&(*id, *id)));
                }
            }
            expected.retain(|(id, list)| {
                // The shell takes a member out that has been sent everything.
                let is_behind = !list.is_empty();
                if !is_behind {
                    lag.remove(*id);
                }
                is_behind
            });
            assert_eq!(lag.len(), expected.len(), "{round}");
            for (id, list) in &expected {
                assert_eq!(messages(&lag, *id), *list, "{round}");
            }
            let used = total.load(Ordering::Relaxed);
            assert!(used <= limits.room.max(limits.free.max(1) * EACH));
        }
    }
}

#[test]
fn what_is_free_is_bounded_for_all_rooms_together() {
    let total = Arc::new(AtomicUsize::new(0));
    let limits = Limits {
        room: 1000,
        total: 10_000,
        free: 1,
    };
    let mut rooms: Vec<Lag<u32, (), ()>> = (0..50).map(|_| Lag::new(total.clone())).collect();
    for room in &mut rooms {
        room.keep(((), 3000), None, vec![(1, ())], limits);
        let most = limits.total + 3000 + 1000;
        assert!(total.load(Ordering::Relaxed) <= most, "{total:?}");
    }
    drop(rooms);
    assert_eq!(total.load(Ordering::Relaxed), 0);
}
