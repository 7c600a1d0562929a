//! The seats of a room that belong to this server, and its copy of the roster.

use std::sync::Arc;

use crate::hub::backplane::{Entry, RosterChange};
use crate::hub::people::{Change, People, Person};
use crate::hub::seats::{OwnSeats, Presence, SeatShared, SeatState};

fn entry(key: &str, info: &'static str, seat: Option<u64>) -> Entry {
    Entry {
        key: key.into(),
        info: info.into(),
        seat,
    }
}

/// Someone on another server.
fn elsewhere(key: &str) -> Entry {
    entry(key, "", None)
}

fn seat(presence: &mut Presence, number: u64, key: &str) -> Arc<SeatShared> {
    let seat = Arc::new(SeatShared::new(number, key.into(), bytes::Bytes::new()));
    presence.add(&seat);
    seat
}

/// `+` and the key of those who entered, with their info, `-` and the key of those who left.
fn told(changes: impl IntoIterator<Item = Change>) -> Vec<String> {
    let text = |person: &Person| format!("{}{}", person.key, String::from_utf8_lossy(&person.info));
    let mut told: Vec<_> = changes
        .into_iter()
        .map(|change| match change {
            Change::Entered(person) => format!("+{}", text(&person)),
            Change::Left(person) => format!("-{}", text(&person)),
        })
        .collect();
    told.sort();
    told
}

fn keys(people: &People) -> Vec<String> {
    let mut keys: Vec<_> = people.list().into_iter().map(|it| it.key.into()).collect();
    keys.sort();
    keys
}

#[test]
fn a_roster_is_compared_with_the_people_who_are_known() {
    let mut people = People::default();
    let first = [
        entry("ann", "1", Some(7)),
        entry("bob", "1", None),
        elsewhere("eve"),
    ];
    let changes = people.compare(first.to_vec());
    assert_eq!(told(changes), ["+ann1", "+bob1", "+eve"]);
    assert_eq!(people.seat("ann"), Some(7));
    assert_eq!(people.seat("bob"), None);
    // The seat of ann is another one, the info of bob has changed, eve has left, joe has come.
    let second = [
        entry("ann", "1", Some(8)),
        entry("bob", "2", None),
        elsewhere("joe"),
    ];
    let changes = people.compare(second.to_vec());
    assert_eq!(told(changes), ["+bob2", "+joe", "-eve"]);
    assert_eq!(people.seat("ann"), Some(8));
    assert!(people.contains("joe") && !people.contains("eve"));
    assert_eq!(keys(&people), ["ann", "bob", "joe"]);
    assert_eq!(told(people.compare(vec![])), ["-ann1", "-bob2", "-joe"]);
    assert_eq!(keys(&people), [""; 0]);
}

#[test]
fn a_change_that_is_known_is_not_told() {
    let mut people = People::default();
    let entered = |info| RosterChange::Entered(entry("ann", info, None));
    assert_eq!(told(people.change(entered("1"))), ["+ann1"]);
    assert_eq!(told(people.change(entered("1"))), [""; 0]);
    assert_eq!(told(people.change(entered("2"))), ["+ann2"]);
    let left = || RosterChange::Left("ann".into());
    assert_eq!(told(people.change(left())), ["-ann2"]);
    assert_eq!(told(people.change(left())), [""; 0]);
}

#[test]
fn what_a_copy_lacked_before_its_first_read_is_no_news() {
    let mut presence = Presence::default();
    assert!(presence.needs_read() && !presence.is_current());
    // An interruption before the first read changes nothing of that.
    presence.interrupted();
    assert!(!presence.is_read_anyway(), "nobody has asked for it");
    presence.begin_read();
    assert!(presence.is_being_read() && presence.is_read_anyway());
    assert!(!presence.needs_read(), "it is being read");
    let roster = presence.brought_up_to_date(vec![elsewhere("ann")]).unwrap();
    assert_eq!(told(presence.compare(roster)), [""; 0]);
    assert!(presence.is_current() && !presence.needs_read());
    assert!(!presence.is_being_read() && !presence.is_read_anyway());
    assert_eq!(keys(&presence.people), ["ann"]);
}

#[test]
fn what_changed_during_an_interruption_is_told() {
    let mut presence = Presence::default();
    presence.compare(vec![elsewhere("ann"), elsewhere("bob")]);
    presence.interrupted();
    assert!(presence.needs_read() && !presence.is_current());
    assert!(presence.is_read_anyway(), "when changes are heard again");
    assert_eq!(keys(&presence.people), ["ann", "bob"]);
    let changes = presence.compare(vec![elsewhere("bob"), elsewhere("eve")]);
    assert_eq!(told(changes), ["+eve", "-ann"]);
    assert!(presence.is_current());
}

#[test]
fn a_room_that_was_not_followed_begins_with_an_empty_copy() {
    let mut presence = Presence::default();
    presence.compare(vec![elsewhere("ann")]);
    presence.unfollowed();
    assert!(presence.needs_read() && !presence.is_current());
    assert_eq!(keys(&presence.people), [""; 0]);
    assert_eq!(told(presence.compare(vec![elsewhere("bob")])), [""; 0]);
}

#[test]
fn an_answer_to_an_earlier_read_is_not_taken_for_the_latest() {
    type Event = fn(&mut Presence);
    let events: [Event; 3] = [Presence::interrupted, Presence::unfollowed, |presence| {
        presence.begin_read();
    }];
    for event in events {
        let mut presence = Presence::default();
        let first = presence.begin_read();
        assert!(presence.is_latest(first));
        event(&mut presence);
        assert!(!presence.is_latest(first));
        let second = presence.begin_read();
        assert!(presence.is_latest(second) && !presence.is_latest(first));
    }
    // What an interruption ended is read again.
    let mut presence = Presence::default();
    presence.begin_read();
    presence.interrupted();
    assert!(presence.needs_read());
    assert_eq!(presence.brought_up_to_date(vec![]), None);
    presence.begin_read();
    presence.unfollowed();
    assert!(presence.needs_read());
}

#[test]
fn seats_are_known_while_they_are_held() {
    let mut presence = Presence::default();
    assert!(!presence.has_seats() && presence.seats().is_empty());
    let (ann, bob) = (seat(&mut presence, 1, "ann"), seat(&mut presence, 2, "bob"));
    assert!(presence.has_seats());
    assert_eq!(presence.seats().len(), 2);
    presence.remove(&ann);
    let left: Vec<_> = presence.seats().iter().map(|seat| seat.number).collect();
    assert_eq!(left, [2]);
    // A seat that was dropped is counted until it is removed.
    drop(bob);
    assert!(presence.has_seats() && presence.seats().is_empty());
}

#[test]
fn a_seat_ends_once() {
    let mut presence = Presence::default();
    let seat = seat(&mut presence, 1, "ann");
    assert!(seat.is_held());
    assert!(seat.end(SeatState::Lost));
    assert!(!seat.is_held());
    assert!(!seat.end(SeatState::Left), "it was lost");
    assert!(!seat.is_left());
    let seat = self::seat(&mut presence, 2, "bob");
    assert!(!seat.is_left());
    assert!(seat.end(SeatState::Left) && seat.is_left());
}

#[test]
fn a_seat_whose_key_somebody_else_has_is_lost() {
    for (entered, is_held) in [
        (entry("ann", "", Some(1)), true),
        (entry("bob", "", Some(2)), true),
        (entry("ann", "", Some(2)), false),
        (elsewhere("ann"), false),
    ] {
        let mut presence = Presence::default();
        let ann = seat(&mut presence, 1, "ann");
        let own = RosterChange::Entered(ann.entry());
        assert_eq!(told(presence.change(own)), ["+ann"]);
        presence.change(RosterChange::Entered(entered));
        assert_eq!(ann.is_held(), is_held);
        assert_eq!(presence.has_seats(), is_held);
    }
}

#[test]
fn a_roster_lacks_seats_and_has_some_that_were_left() {
    let mut presence = Presence::default();
    let there = seat(&mut presence, 1, "there");
    let missing = seat(&mut presence, 2, "missing");
    let ended = seat(&mut presence, 3, "ended");
    ended.end(SeatState::Left);
    let roster = [there.entry(), entry("left", "", Some(4)), elsewhere("ann")];
    let OwnSeats {
        unknown,
        missing: lacks,
    } = presence.own_seats(&roster);
    assert_eq!(unknown, [entry("left", "", Some(4))]);
    let lacks: Vec<_> = lacks.iter().map(|seat| seat.number).collect();
    assert_eq!(lacks, [missing.number]);
}

#[test]
fn keys_that_left_while_the_roster_was_read_are_not_in_it() {
    let entry = |key: &str| Entry {
        key: key.into(),
        info: bytes::Bytes::new(),
        seat: None,
    };
    let mut presence = Presence::default();
    presence.begin_read();
    presence.change(RosterChange::Left("a".into()));
    presence.change(RosterChange::Entered(entry("c")));
    let answer = ["a", "b", "c"].map(entry).to_vec();
    let keys = presence.brought_up_to_date(answer).unwrap();
    let keys: Vec<_> = keys.iter().map(|entry| &*entry.key).collect();
    assert_eq!(keys, ["b", "c"]);
}

#[test]
fn a_roster_that_changes_too_often_while_it_is_read_is_read_again() {
    let mut presence = Presence::default();
    let left = |key: usize| RosterChange::Left(key.to_string().into());
    presence.begin_read();
    for key in 0..1024 {
        presence.change(left(key));
    }
    assert_eq!(presence.brought_up_to_date(vec![]), Some(vec![]));
    presence.begin_read();
    for key in 0..1025 {
        presence.change(left(key));
    }
    assert_eq!(presence.brought_up_to_date(vec![]), None);
    assert!(presence.needs_read());
    presence.begin_read();
    assert_eq!(presence.brought_up_to_date(vec![]), Some(vec![]));
}

/// The first read was under way, and its answer is lost. Members know of who has entered since.
#[test]
fn who_was_told_before_the_first_read_and_is_gone_in_it_has_left() {
    let mut presence = Presence::default();
    presence.begin_read();
    let told = presence.change(RosterChange::Entered(elsewhere("ann")));
    assert!(matches!(&told[..], [Change::Entered(_)]));
    presence.interrupted();
    presence.begin_read();
    let roster = presence.brought_up_to_date(vec![elsewhere("bob")]).unwrap();
    let told = presence.compare(roster);
    // Of bob, who was there before, nothing is said.
    assert!(
        matches!(&told[..], [Change::Left(person)] if &*person.key == "ann"),
        "{told:?}"
    );
}
