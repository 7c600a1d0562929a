//! Following a room: every transition, and what the log and the subscription may do meanwhile.

use std::sync::Arc;

use bytes::Bytes;

use crate::hub::backplane::{Arrival, Budget, EngineError, Past, ReadFrom};
use crate::hub::follow::{Follower, Step, Want};
use crate::hub::position::Position;

use Step::{Answered, Begin, Broken, Deliver, Older, Read, Retry};

/// The position after message `number`, in the log that all was well with.
pub(super) fn at(number: u64) -> Position {
    Position::new(number, 1000 + number)
}

/// The position after message `number`, in a log that was written after some were lost.
pub(super) fn fork(number: u64) -> Position {
    Position::new(number, 2000 + number)
}

/// Message `number` of the log.
pub(super) fn message(number: u64) -> Arrival {
    follows(at(number - 1), at(number))
}

pub(super) fn follows(previous: Position, position: Position) -> Arrival {
    Arrival {
        previous,
        position,
        envelope: Bytes::from_static(b"message"),
    }
}

pub(super) fn messages(numbers: impl IntoIterator<Item = u64>) -> Vec<Arrival> {
    numbers.into_iter().map(message).collect()
}

pub(super) fn deliver(numbers: impl IntoIterator<Item = u64>) -> Vec<Step> {
    numbers.into_iter().map(|n| Deliver(message(n))).collect()
}

/// The answer to a read that found these messages of the log.
pub(super) fn past(messages: Vec<Arrival>, end: Position) -> Result<Past, EngineError> {
    Ok(Past::Messages { end, messages })
}

pub(super) fn other(end: Position) -> Result<Past, EngineError> {
    Ok(Past::DoesNotFollow { end })
}

pub(super) fn failed() -> Result<Past, EngineError> {
    Err(EngineError::new("it is away"))
}

/// A follower, and the positions that its ring would know: those of what was delivered, and of
/// what it began with.
pub(super) struct Room {
    pub(super) follower: Follower,
    pub(super) known: Vec<Position>,
    pub(super) budget: Arc<Budget>,
}

impl Room {
    pub(super) fn new() -> Self {
        Room::with_budget(1 << 20)
    }

    pub(super) fn with_budget(bytes: usize) -> Self {
        let budget = Budget::new(bytes);
        Room {
            follower: Follower::new(budget.clone()),
            known: vec![],
            budget,
        }
    }

    /// A room that is up to date, at position 10. One read was answered.
    pub(super) fn live() -> Self {
        let mut room = Room::new();
        room.follower.follow();
        assert_eq!(room.following(), [Read(1, ReadFrom::End)]);
        let steps = room.answered(1, past(vec![], at(10)));
        assert_eq!(steps, [Begin(at(10)), Older(vec![]), Answered]);
        assert!(room.follower.is_live());
        room
    }

    /// A room that has missed message 11: 12 waits for the read that is under way.
    pub(super) fn behind() -> Self {
        let mut room = Room::live();
        assert_eq!(
            room.arrived(message(12)),
            [Read(2, ReadFrom::After(at(10)))]
        );
        assert!(!room.follower.is_live());
        room
    }

    pub(super) fn steps(
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

    pub(super) fn expect(&mut self, position: Position) {
        self.follower.expect(position);
    }

    pub(super) fn following(&mut self) -> Vec<Step> {
        self.steps(|follower, _, steps| follower.following(steps))
    }

    pub(super) fn arrived(&mut self, arrival: Arrival) -> Vec<Step> {
        self.steps(|follower, known, steps| {
            follower.arrived(arrival, |position| known.contains(&position), steps);
        })
    }

    pub(super) fn answered(&mut self, number: u64, answer: Result<Past, EngineError>) -> Vec<Step> {
        self.steps(|follower, known, steps| {
            follower.answered(number, answer, |position| known.contains(&position), steps);
        })
    }

    pub(super) fn retry(&mut self) -> Vec<Step> {
        self.steps(|follower, _, steps| follower.retry(steps))
    }

    pub(super) fn want(&mut self, want: Want) -> (u64, Vec<Step>) {
        let mut read = 0;
        let steps = self.steps(|follower, _, steps| read = follower.want(want, steps));
        (read, steps)
    }
}

/// Steps, one list after the other.
pub(super) fn all(lists: impl IntoIterator<Item = Vec<Step>>) -> Vec<Step> {
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
