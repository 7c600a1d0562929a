//! Following a room: every transition, and what the log and the subscription may do meanwhile.

use std::sync::Arc;

use bytes::Bytes;

use crate::hub::backplane::{Arrival, Budget, EngineError, Past, ReadFrom};
use crate::hub::follow::{Follower, Step, Want};
use crate::hub::position::Position;

use Step::{Answered, Begin, Broken, Deliver, Older, Read, Retry};

/// The position after message `number`, in the log that all was well with.
fn at(number: u64) -> Position {
    Position::new(number, 1000 + number)
}

/// The position after message `number`, in a log that was written after some were lost.
fn fork(number: u64) -> Position {
    Position::new(number, 2000 + number)
}

/// Message `number` of the log.
fn message(number: u64) -> Arrival {
    follows(at(number - 1), at(number))
}

fn follows(previous: Position, position: Position) -> Arrival {
    Arrival {
        previous,
        position,
        envelope: Bytes::from_static(b"message"),
    }
}

fn messages(numbers: impl IntoIterator<Item = u64>) -> Vec<Arrival> {
    numbers.into_iter().map(message).collect()
}

fn deliver(numbers: impl IntoIterator<Item = u64>) -> Vec<Step> {
    numbers.into_iter().map(|n| Deliver(message(n))).collect()
}

/// The answer to a read that found these messages of the log.
fn past(messages: Vec<Arrival>, end: Position) -> Result<Past, EngineError> {
    Ok(Past::Messages { end, messages })
}

fn other(end: Position) -> Result<Past, EngineError> {
    Ok(Past::DoesNotFollow { end })
}

fn failed() -> Result<Past, EngineError> {
    Err(EngineError::new("it is away"))
}

/// A follower, and the positions that its ring would know: those of what was delivered, and of
/// what it began with.
struct Room {
    follower: Follower,
    known: Vec<Position>,
    budget: Arc<Budget>,
}

impl Room {
    fn new() -> Self {
        Room::with_budget(1 << 20)
    }

    fn with_budget(bytes: usize) -> Self {
        let budget = Budget::new(bytes);
        Room {
            follower: Follower::new(budget.clone()),
            known: vec![],
            budget,
        }
    }

    /// A room that is up to date, at position 10. One read was answered.
    fn live() -> Self {
        let mut room = Room::new();
        room.follower.follow();
        assert_eq!(room.following(), [Read(1, ReadFrom::End)]);
        let steps = room.answered(1, past(vec![], at(10)));
        assert_eq!(steps, [Begin(at(10)), Older(vec![]), Answered]);
        assert!(room.follower.is_live());
        room
    }

    /// A room that has missed message 11: 12 waits for the read that is under way.
    fn behind() -> Self {
        let mut room = Room::live();
        assert_eq!(
            room.arrived(message(12)),
            [Read(2, ReadFrom::After(at(10)))]
        );
        assert!(!room.follower.is_live());
        room
    }

    fn steps(
        &mut self,
        event: impl FnOnce(&mut Follower, &[Position], &mut Vec<Step>),
    ) -> Vec<Step> {
        let mut steps = vec![];
        event(&mut self.follower, &self.known, &mut steps);
        for step in &steps {
            match step {
                Begin(position) | Broken(position) => self.known = vec![*position],
                Deliver(arrival) => {
                    assert_eq!(self.known.last(), Some(&arrival.previous));
                    self.known.push(arrival.position);
                }
                Older(_) | Read(..) | Retry(_) | Answered => {}
            }
        }
        steps
    }

    fn expect(&mut self, position: Position) {
        self.follower.expect(position);
    }

    fn following(&mut self) -> Vec<Step> {
        self.steps(|follower, _, steps| follower.following(steps))
    }

    fn arrived(&mut self, arrival: Arrival) -> Vec<Step> {
        self.steps(|follower, known, steps| {
            follower.arrived(arrival, |position| known.contains(&position), steps);
        })
    }

    fn answered(&mut self, number: u64, answer: Result<Past, EngineError>) -> Vec<Step> {
        self.steps(|follower, known, steps| {
            follower.answered(number, answer, |position| known.contains(&position), steps);
        })
    }

    fn retry(&mut self) -> Vec<Step> {
        self.steps(|follower, _, steps| follower.retry(steps))
    }

    fn want(&mut self, want: Want) -> (u64, Vec<Step>) {
        let mut read = 0;
        let steps = self.steps(|follower, _, steps| read = follower.want(want, steps));
        (read, steps)
    }
}

/// Steps, one list after the other.
fn all(lists: impl IntoIterator<Item = Vec<Step>>) -> Vec<Step> {
    lists.into_iter().flatten().collect()
}

#[test]
fn a_room_that_is_not_followed_takes_no_notice() {
    let mut room = Room::new();
    assert_eq!(room.arrived(message(1)), []);
    assert_eq!(room.following(), []);
    assert_eq!(room.retry(), []);
    assert_eq!(room.answered(0, past(vec![], at(0))), []);
    room.follower.interrupted();
    assert!(!room.follower.is_followed());
    assert!(!room.follower.is_live());
}

#[test]
fn a_room_begins_at_the_end_of_the_log() {
    let room = Room::live();
    assert_eq!(room.known, [at(10)]);
}

#[test]
fn what_arrives_before_the_engine_follows_is_not_taken() {
    let mut room = Room::new();
    room.follower.follow();
    assert!(room.follower.is_followed());
    assert_eq!(room.arrived(message(1)), []);
    assert_eq!(room.following(), [Read(1, ReadFrom::End)]);
}

#[test]
fn what_arrives_while_the_room_is_opened_is_delivered_if_it_follows() {
    let mut room = Room::new();
    room.follower.follow();
    room.following();
    for number in 9..=12 {
        assert_eq!(room.arrived(message(number)), []);
    }
    let steps = room.answered(1, past(vec![], at(10)));
    let begin = vec![Begin(at(10)), Older(vec![]), Answered];
    assert_eq!(steps, all([begin, deliver([11, 12])]));
    assert!(room.follower.is_live());
}

#[test]
fn a_message_that_follows_is_delivered() {
    let mut room = Room::live();
    assert_eq!(room.arrived(message(11)), deliver([11]));
    assert_eq!(room.arrived(message(12)), deliver([12]));
}

#[test]
fn a_message_that_was_delivered_is_ignored() {
    let mut room = Room::live();
    room.arrived(message(11));
    assert_eq!(room.arrived(message(11)), []);
    assert_eq!(room.arrived(message(10)), []);
    assert!(room.follower.is_live());
}

#[test]
fn a_gap_is_read() {
    let mut room = Room::behind();
    assert_eq!(room.arrived(message(13)), []);
    let steps = room.answered(2, past(messages([11, 12]), at(12)));
    let read = vec![Older(vec![]), Deliver(message(11)), Deliver(message(12))];
    assert_eq!(steps, all([read, vec![Answered], deliver([13])]));
    assert!(room.follower.is_live());
}

/// The engine forgot the position, so what is missing cannot be read.
#[test]
fn a_gap_that_cannot_be_read_is_told_and_the_room_goes_on() {
    let mut room = Room::behind();
    room.arrived(message(13));
    let steps = room.answered(2, other(at(12)));
    let broken = vec![Broken(at(12)), Older(vec![]), Answered];
    assert_eq!(steps, all([broken, deliver([13])]));
    assert!(room.follower.is_live());
}

/// Number 10 is lost, and another message has it. By their numbers nothing is missing.
#[test]
fn a_log_that_went_back_and_on_is_noticed_at_its_first_message() {
    let mut room = Room::live();
    room.arrived(message(11));
    let first = follows(at(9), fork(10));
    assert_eq!(room.arrived(first), [Read(2, ReadFrom::After(at(11)))]);
    let steps = room.answered(2, other(fork(10)));
    assert_eq!(steps, [Broken(fork(10)), Older(vec![]), Answered]);
    assert!(room.follower.is_live());
    let second = follows(fork(10), fork(11));
    assert_eq!(room.arrived(second.clone()), [Deliver(second)]);
}

/// Hole 5. By their numbers 11 and 12 would follow 10 of the other log.
#[test]
fn what_waits_is_taken_by_its_predecessor() {
    let mut room = Room::behind();
    let steps = room.answered(2, other(fork(11)));
    assert_eq!(steps, [Broken(fork(11)), Older(vec![]), Answered]);
    assert!(
        room.follower.is_live(),
        "12 arrived before the read, which did not find it: it is lost"
    );
    let next = follows(fork(11), fork(12));
    assert_eq!(room.arrived(next.clone()), [Deliver(next)]);
}

#[test]
fn a_second_gap_during_a_read_is_read_too() {
    let mut room = Room::behind();
    assert_eq!(room.arrived(message(15)), []);
    let steps = room.answered(2, past(messages([11, 12, 13]), at(13)));
    let read = all([vec![Older(vec![])], deliver([11, 12, 13]), vec![Answered]]);
    assert_eq!(
        steps,
        all([read, vec![Read(3, ReadFrom::After(at(13)))]]),
        "the room has got on, so there is no pause"
    );
    assert!(!room.follower.is_live());
    let steps = room.answered(3, past(messages([14, 15]), at(15)));
    let read = all([vec![Older(vec![])], deliver([14, 15]), vec![Answered]]);
    assert_eq!(steps, read);
    assert!(room.follower.is_live());
}

/// The read was carried out by a server of the engine that lags behind the one that passes on
/// messages, or holds another log.
#[test]
fn a_read_that_brings_nothing_is_repeated_after_a_pause_and_then_believed() {
    let mut room = Room::behind();
    room.arrived(message(13));
    assert_eq!(
        room.answered(2, past(vec![], at(10))),
        [Older(vec![]), Answered, Retry(1)]
    );
    assert!(!room.follower.is_live());
    assert_eq!(room.arrived(message(14)), []);
    assert_eq!(room.retry(), [Read(3, ReadFrom::After(at(10)))]);
    assert_eq!(
        room.answered(3, past(vec![], at(10))),
        [Older(vec![]), Answered]
    );
    assert!(room.follower.is_live(), "the log does not have them");
    assert_eq!(
        room.arrived(message(15)),
        [Read(4, ReadFrom::After(at(10)))]
    );
}

/// Hole 6.
#[test]
fn a_read_that_failed_is_repeated_after_a_pause_that_grows() {
    let mut room = Room::behind();
    assert_eq!(room.answered(2, failed()), [Retry(1)]);
    assert_eq!(room.retry(), [Read(3, ReadFrom::After(at(10)))]);
    assert_eq!(room.retry(), [], "one at a time");
    assert_eq!(room.answered(3, failed()), [Retry(2)]);
    assert_eq!(room.retry(), [Read(4, ReadFrom::After(at(10)))]);
    room.answered(4, past(messages([11, 12]), at(12)));
    assert!(room.follower.is_live());
    room.arrived(message(14));
    assert_eq!(room.answered(5, failed()), [Retry(1)]);
}

#[test]
fn an_opening_read_that_failed_is_repeated_too() {
    let mut room = Room::new();
    room.follower.follow();
    room.following();
    assert_eq!(room.answered(1, failed()), [Retry(1)]);
    assert_eq!(room.retry(), [Read(2, ReadFrom::End)]);
}

/// Hole 7. The answer comes from before the subscription held, so it may be short.
#[test]
fn an_answer_from_before_the_interruption_is_ignored() {
    let mut room = Room::behind();
    room.follower.interrupted();
    assert_eq!(room.answered(2, past(messages([11, 12]), at(12))), []);
    assert_eq!(room.arrived(message(13)), [], "it may not be the next");
    assert_eq!(room.following(), [Read(3, ReadFrom::After(at(10)))]);
    assert_eq!(room.answered(2, past(messages([11, 12]), at(12))), []);
    assert!(!room.follower.is_live());
    let steps = room.answered(3, past(messages(11..=14), at(14)));
    assert_eq!(
        steps,
        all([vec![Older(vec![])], deliver(11..=14), vec![Answered]])
    );
}

/// Hole 12.
#[test]
fn an_interruption_while_the_room_is_opened_begins_again() {
    let mut room = Room::new();
    room.follower.follow();
    room.following();
    room.follower.interrupted();
    assert_eq!(room.answered(1, past(vec![], at(10))), []);
    assert_eq!(room.retry(), []);
    assert_eq!(room.following(), [Read(2, ReadFrom::End)]);
    room.answered(2, past(vec![], at(10)));
    assert!(room.follower.is_live());
}

#[test]
fn an_interruption_of_a_room_that_is_up_to_date_is_looked_up() {
    let mut room = Room::live();
    room.follower.interrupted();
    assert!(!room.follower.is_live());
    assert_eq!(room.arrived(message(11)), []);
    assert_eq!(room.following(), [Read(2, ReadFrom::After(at(10)))]);
    assert_eq!(
        room.answered(2, past(messages([11]), at(11))),
        [Older(vec![]), Deliver(message(11)), Answered]
    );
}

/// An engine that had two interruptions in quick succession.
#[test]
fn following_twice_reads_twice() {
    let mut room = Room::behind();
    assert_eq!(room.following(), [Read(3, ReadFrom::After(at(10)))]);
    assert_eq!(room.answered(2, past(vec![], at(10))), []);
    assert!(!room.follower.is_live());
    room.answered(3, past(messages([11, 12]), at(12)));
    assert!(room.follower.is_live());
    assert_eq!(room.following(), [Read(4, ReadFrom::After(at(12)))]);
}

#[test]
fn an_interruption_ends_a_pause() {
    let mut room = Room::behind();
    room.answered(2, failed());
    room.follower.interrupted();
    assert_eq!(room.retry(), []);
    assert_eq!(room.following(), [Read(3, ReadFrom::After(at(10)))]);
    assert_eq!(room.retry(), []);
}

#[test]
fn a_room_that_is_followed_again_begins_anew_since_nobody_was_here() {
    let mut room = Room::behind();
    room.follower.unfollow();
    assert!(!room.follower.is_followed());
    assert_eq!(room.answered(2, past(messages([11, 12]), at(12))), []);
    assert_eq!(room.arrived(message(11)), []);
    room.follower.follow();
    room.follower.follow();
    assert_eq!(room.following(), [Read(3, ReadFrom::End)]);
    assert_eq!(room.answered(2, past(messages([11, 12]), at(12))), []);
    assert_eq!(
        room.answered(3, past(vec![], at(13))),
        [Begin(at(13)), Older(vec![]), Answered]
    );
    assert!(room.follower.is_live());
}

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

/// Hole 5: every link of an answer is looked at.
#[test]
fn an_answer_that_breaks_the_contract_is_not_used() {
    let unlinked = messages([11, 13]);
    let elsewhere = vec![message(11), follows(fork(11), at(12))];
    let miscounted = vec![message(11), follows(at(11), at(13))];
    let wrapped = vec![follows(Position::new(u64::MAX, 7), at(0))];
    let answers = [
        past(unlinked, at(13)),
        past(elsewhere, at(12)),
        past(miscounted, at(13)),
        past(messages([11]), at(12)),
        past(wrapped, at(0)),
    ];
    for answer in answers {
        let mut room = Room::behind();
        assert_eq!(room.answered(2, answer), [Retry(1)]);
        assert_eq!(room.known, [at(10)]);
    }
}

/// The ring finds positions by counting.
#[test]
fn a_message_with_a_wrong_number_counts_as_lost() {
    let mut room = Room::live();
    assert_eq!(room.arrived(follows(at(10), at(12))), []);
    assert_eq!(room.arrived(follows(at(10), at(10))), []);
    let highest = Position::new(u64::MAX, 1);
    assert_eq!(room.arrived(follows(highest, Position::new(0, 1))), []);
    assert!(room.follower.is_live());
    assert_eq!(room.arrived(message(11)), deliver([11]));
}

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
