//! Following a room: reads that somebody wants, and answers that the room has overtaken.

use super::follow::{
    Room, all, at, deliver, failed, follows, fork, message, messages, other, past,
};
use crate::hub::backplane::ReadFrom;
use crate::hub::follow::Step::{Answered, Begin, Broken, Deliver, Older, Read, Retry};
use crate::hub::follow::Want;

#[test]
fn a_wanted_read_begins_at_once_in_a_room_that_is_up_to_date() {
    let mut room = Room::live();
    assert_eq!(room.want(Want::All), (2, vec![Read(2, ReadFrom::Start)]));
    assert!(room.follower.is_live());
    assert!(!room.follower.has_answered(2));
    assert_eq!(
        room.answered(2, past(messages(7..=10), at(10))),
        [Older(messages(7..=10)), Answered]
    );
    assert!(room.follower.has_answered(2));
}

#[test]
fn a_read_that_is_wanted_during_a_read_comes_after_it() {
    let mut room = Room::behind();
    assert_eq!(room.want(Want::Newer), (3, vec![]));
    assert_eq!(room.want(Want::All), (3, vec![]), "one read for both");
    let steps = room.answered(2, past(messages([11, 12]), at(12)));
    assert_eq!(steps.last(), Some(&Read(3, ReadFrom::Start)));
    assert!(room.follower.has_answered(2));
    assert!(!room.follower.has_answered(3));
    room.answered(3, past(messages(5..=12), at(12)));
    assert!(room.follower.has_answered(3));
    assert_eq!(room.retry(), [], "nothing is wanted any more");
}

/// A member that resumes from before the ring would be told that it has missed something,
/// though the log has it.
#[test]
fn what_a_read_was_wanted_for_outlives_it() {
    // An interruption.
    let mut room = Room::live();
    assert_eq!(room.want(Want::All).0, 2);
    room.follower.interrupted();
    assert_eq!(room.following(), [Read(3, ReadFrom::Start)]);

    // Another `following`.
    assert_eq!(room.following(), [Read(4, ReadFrom::Start)]);

    // A failure.
    assert_eq!(room.answered(4, failed()), [Retry(1)]);
    assert_eq!(room.retry(), [Read(5, ReadFrom::Start)]);
    assert_eq!(
        room.answered(5, past(messages(7..=11), at(11))),
        [Older(messages(7..=10)), Deliver(message(11)), Answered]
    );
    assert!(room.follower.is_live() && room.follower.has_answered(2));

    // A gap.
    assert_eq!(room.want(Want::All), (6, vec![Read(6, ReadFrom::Start)]));
    assert_eq!(room.arrived(message(13)), [Read(7, ReadFrom::Start)]);

    // The end of it all.
    room.follower.unfollow();
    room.follower.follow();
    assert_eq!(room.following(), [Read(8, ReadFrom::End)]);
}

#[test]
fn a_wanted_read_waits_until_the_engine_follows() {
    let mut room = Room::new();
    room.follower.follow();
    assert_eq!(room.want(Want::All), (1, vec![]));
    assert_eq!(room.following(), [Read(1, ReadFrom::Start)]);
    assert_eq!(
        room.answered(1, past(messages([9, 10]), at(10))),
        [Begin(at(10)), Older(messages([9, 10])), Answered]
    );
}

/// Hole 10.
#[test]
fn an_answer_that_the_room_has_overtaken_changes_nothing() {
    let mut room = Room::live();
    room.want(Want::Newer);
    room.arrived(message(11));
    room.arrived(message(12));
    assert_eq!(
        room.answered(2, past(messages([11]), at(11))),
        [Older(messages([11])), Answered]
    );
    assert!(room.follower.is_live());
    assert_eq!(room.known.last(), Some(&at(12)));
    assert_eq!(room.arrived(message(13)), deliver([13]));
}

#[test]
fn an_answer_may_overtake_the_room() {
    let mut room = Room::live();
    room.want(Want::All);
    room.arrived(message(11));
    assert_eq!(
        room.answered(2, past(messages(8..=13), at(13))),
        all([
            vec![Older(messages(8..=11))],
            deliver([12, 13]),
            vec![Answered]
        ])
    );
    assert_eq!(room.arrived(message(12)), [], "late");
    assert!(room.follower.is_live());
}

/// The room moved while it was read, and what the read found is not on its way. Another read
/// decides: this one may be from before what has arrived.
#[test]
fn an_answer_that_contradicts_a_room_that_moved_is_looked_up() {
    let mut room = Room::live();
    room.want(Want::Newer);
    room.arrived(message(11));
    let steps = room.answered(2, other(fork(10)));
    assert_eq!(steps, [Read(3, ReadFrom::After(at(11)))]);
    assert!(!room.follower.has_answered(2));
    assert_eq!(
        room.answered(3, other(fork(10))),
        [Broken(fork(10)), Older(vec![]), Answered]
    );
    assert!(room.follower.has_answered(2));
}

#[test]
fn an_answer_that_contradicts_a_room_that_did_not_move_breaks_it() {
    let mut room = Room::live();
    room.want(Want::Newer);
    assert_eq!(
        room.answered(2, other(fork(10))),
        [Broken(fork(10)), Older(vec![]), Answered]
    );
    let next = follows(fork(10), fork(11));
    assert_eq!(room.arrived(next.clone()), [Deliver(next)]);
}

#[test]
fn the_first_read_is_of_what_follows_the_position_that_somebody_comes_with() {
    let mut room = Room::new();
    room.follower.follow();
    room.expect(at(8));
    room.expect(at(3));
    assert_eq!(room.following(), [Read(1, ReadFrom::After(at(8)))]);
    let steps = room.answered(1, past(messages([9, 10]), at(10)));
    assert_eq!(steps, [Begin(at(10)), Older(messages([9, 10])), Answered]);
    // From then on, the room reads on from where it stands.
    room.follower.interrupted();
    room.expect(at(8));
    assert_eq!(room.following(), [Read(2, ReadFrom::After(at(10)))]);

    // A position that is not in the log: the room begins at the end.
    let mut room = Room::new();
    room.follower.follow();
    room.expect(fork(8));
    assert_eq!(room.following(), [Read(1, ReadFrom::After(fork(8)))]);
    let steps = room.answered(1, other(at(10)));
    assert_eq!(steps, [Begin(at(10)), Older(vec![]), Answered]);
}

#[test]
fn who_wants_the_whole_log_shares_the_read_that_is_under_way() {
    let mut room = Room::live();
    let (first, steps) = room.want(Want::All);
    assert_eq!(steps, [Read(2, ReadFrom::Start)]);
    assert_eq!(room.want(Want::All), (first, vec![]));
    // What is newer may have come since it began.
    assert_eq!(room.want(Want::Newer), (first + 1, vec![]));
    let steps = room.answered(2, past(messages([9, 10]), at(10)));
    assert_eq!(
        steps,
        [
            Older(messages([9, 10])),
            Answered,
            Read(3, ReadFrom::After(at(10)))
        ]
    );
}
