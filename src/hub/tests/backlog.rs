//! Following a room: what waits for a read, and its bounds.

use super::follow::{Room, at, follows, fork, message, messages, other, past};
use crate::hub::backplane::{Arrival, ReadFrom};
use crate::hub::follow::Step::{Answered, Begin, Broken, Deliver, Older, Read};

/// The log was emptied. By its number message 12 seems to be still to come, for as long as it
/// takes the new log to grow.
#[test]
fn a_message_of_a_lost_log_does_not_keep_a_room_behind() {
    let mut room = Room::behind();
    assert_eq!(room.arrived(message(13)), []);
    assert_eq!(
        room.answered(2, other(fork(0))),
        [
            Broken(fork(0)),
            Older(vec![]),
            Answered,
            Read(3, ReadFrom::After(fork(0)))
        ],
        "13 arrived during the read, so another one has to find it"
    );
    let next = follows(fork(0), fork(1));
    assert_eq!(room.arrived(next.clone()), []);
    assert_eq!(
        room.answered(3, past(vec![], fork(0))),
        [Older(vec![]), Answered, Deliver(next)]
    );
    assert!(room.follower.is_live());
}

#[test]
fn of_too_many_messages_that_wait_the_oldest_are_read() {
    let mut room = Room::behind();
    for number in 13..=312 {
        assert_eq!(room.arrived(message(number)), []);
    }
    // The last 256 waited.
    let mut rest = Room::behind();
    for number in 13..=312 {
        rest.arrived(message(number));
    }
    let steps = rest.answered(2, past(messages(11..=56), at(56)));
    assert_eq!(rest.known.last(), Some(&at(312)), "57 to 312 waited");
    assert!(!steps.contains(&Read(3, ReadFrom::After(at(312)))));
    assert!(rest.follower.is_live());

    let steps = room.answered(2, past(messages(11..=55), at(55)));
    assert_eq!(steps.last(), Some(&Read(3, ReadFrom::After(at(55)))));
    room.answered(3, past(messages(56..=312), at(312)));
    assert_eq!(room.known.last(), Some(&at(312)));
    assert!(room.follower.is_live());
}

#[test]
fn of_too_many_bytes_that_wait_the_oldest_are_read() {
    let large = |number: u64, bytes: usize| Arrival {
        envelope: vec![0; bytes].into(),
        ..message(number)
    };
    // The last two wait, to the byte; the others are read.
    let mut room = Room::live();
    for number in 12..=17 {
        room.arrived(large(number, 128 * 1024));
    }
    let budget = room.budget.clone();
    assert!(budget.take((1 << 20) - 2 * 128 * 1024 - 1000).is_some());
    assert!(
        budget.take((1 << 20) - 2 * 128 * 1024).is_none(),
        "two wait"
    );
    let steps = room.answered(2, past(messages(11..=15), at(15)));
    assert_eq!(steps.last(), Some(&Deliver(large(17, 128 * 1024))));
    assert!(room.follower.is_live());
}

/// Each takes some eighty bytes beside its own.
#[test]
fn small_messages_take_little_of_the_budget() {
    let mut room = Room::with_budget(1000);
    room.follower.follow();
    room.following();
    for number in 11..=18 {
        assert_eq!(room.arrived(message(number)), []);
    }
    room.answered(1, past(vec![], at(10)));
    assert_eq!(room.known.last(), Some(&at(18)), "all of them waited");
    assert!(room.follower.is_live());
}

/// Nothing arrives after it, so nothing else would show that it is missing.
#[test]
fn a_message_for_which_there_was_no_room_is_read() {
    let large = |number: u64, bytes: usize| Arrival {
        envelope: vec![0; bytes].into(),
        ..message(number)
    };
    // Too large for one room, or for all rooms together.
    for (bytes, budget) in [(300 * 1024, 1 << 20), (2000, 1000)] {
        let mut room = Room::with_budget(budget);
        room.follower.follow();
        room.following();
        let _others = room.budget.take(1);
        assert_eq!(room.arrived(large(11, bytes)), []);
        assert_eq!(
            room.arrived(message(10)),
            [],
            "an older one changes nothing"
        );
        assert_eq!(
            room.answered(1, past(vec![], at(10))),
            [
                Begin(at(10)),
                Older(vec![]),
                Answered,
                Read(2, ReadFrom::After(at(10)))
            ]
        );
        assert!(!room.follower.is_live());
        room.answered(2, past(vec![large(11, bytes)], at(11)));
        assert!(room.follower.is_live());
        assert_eq!(room.known, [at(10), at(11)]);
    }
}

#[test]
fn what_has_waited_gives_its_bytes_back() {
    let bytes = 3000;
    type End = fn(&mut Room);
    let ends: [End; 4] = [
        |room| drop(room.answered(2, past(messages([11, 12]), at(12)))),
        |room| room.follower.interrupted(),
        |room| room.follower.unfollow(),
        |room| drop(room.following()),
    ];
    for end in ends {
        let mut room = Room::with_budget(bytes);
        room.follower.follow();
        room.following();
        room.answered(1, past(vec![], at(10)));
        room.arrived(message(12));
        room.arrived(message(13));
        let _one = room.budget.take(1).unwrap();
        assert!(room.budget.take(bytes - 1).is_none());
        end(&mut room);
        assert!(room.budget.take(bytes - 1).is_some());
    }
}
