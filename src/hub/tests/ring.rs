//! The ring: what it keeps, what it drops, and where it finds a position.

use std::fmt::Debug;

use crate::hub::position::Position;
use crate::hub::ring::{Entry, Limits, Ring};

fn at(number: u64) -> Position {
    Position::new(number, 1000 + number)
}

/// Message `number`, of ten bytes.
fn entry(number: u64) -> Entry<u64> {
    sized(number, 10)
}

fn sized(number: u64, bytes: usize) -> Entry<u64> {
    Entry {
        position: at(number),
        message: number,
        bytes,
    }
}

fn limits(messages: usize, bytes: usize) -> Limits {
    Limits { messages, bytes }
}

/// A ring that holds the messages after `start`, up to `last`.
fn ring(start: u64, last: u64, limits: Limits) -> Ring<u64> {
    let mut ring = Ring::new(at(start), limits);
    for number in start + 1..=last {
        ring.push(entry(number));
    }
    ring
}

fn older(numbers: impl IntoIterator<Item = u64>) -> Vec<Entry<u64>> {
    numbers.into_iter().map(entry).collect()
}

/// The messages of a ring, checked against everything else that it says of itself.
fn messages<M: Copy + Debug>(ring: &Ring<M>) -> Vec<M> {
    let entries: Vec<&Entry<M>> = ring.from(0).collect();
    assert_eq!(ring.len(), entries.len());
    assert_eq!(ring.find(ring.start()), Some(0));
    assert_eq!(ring.find(ring.last()), Some(ring.len()));
    for (index, entry) in entries.iter().enumerate() {
        assert_eq!(ring.find(entry.position), Some(index + 1));
        let number = ring.start().number() + index as u64 + 1;
        assert_eq!(entry.position.number(), number, "they are contiguous");
    }
    let bytes: usize = entries.iter().map(|entry| entry.bytes).sum();
    assert_eq!(ring.bytes(), bytes);
    entries.iter().map(|entry| entry.message).collect()
}

#[test]
fn an_empty_ring_has_one_position() {
    let ring = ring(7, 7, limits(3, 100));
    assert_eq!((ring.start(), ring.last()), (at(7), at(7)));
    assert!(messages(&ring).is_empty());
    assert_eq!(ring.find(at(7)), Some(0));
    assert_eq!(ring.find(at(6)), None);
    assert_eq!(ring.find(at(8)), None);
}

#[test]
fn the_oldest_messages_are_dropped_when_there_are_too_many() {
    let mut ring = ring(0, 3, limits(3, 1000));
    assert_eq!(messages(&ring), [1, 2, 3]);
    ring.push(entry(4));
    assert_eq!(messages(&ring), [2, 3, 4]);
    assert_eq!(ring.start(), at(1), "from there it can replay");
    assert_eq!(ring.find(at(0)), None);
}

#[test]
fn the_oldest_messages_are_dropped_when_they_have_too_many_bytes() {
    let mut ring = ring(0, 3, limits(100, 35));
    ring.push(sized(4, 16));
    assert_eq!(messages(&ring), [3, 4]);
    assert_eq!(ring.bytes(), 26);
    ring.push(sized(5, 9));
    assert_eq!(messages(&ring), [3, 4, 5], "as many as are allowed");
}

#[test]
fn the_newest_message_is_kept_whatever_its_size() {
    let mut ring = ring(0, 3, limits(100, 35));
    ring.push(sized(4, 1000));
    assert_eq!(messages(&ring), [4]);
    ring.push(entry(5));
    assert_eq!(messages(&ring), [5]);

    let mut empty = Ring::new(at(4), limits(100, 35));
    empty.prepend(at(2), vec![entry(3), sized(4, 1000)]);
    assert_eq!(messages(&empty), [4], "also one that was read");
}

#[test]
fn a_position_is_found_by_its_number_and_its_tag() {
    let ring = ring(3, 8, limits(100, 1000));
    assert_eq!(ring.find(at(3)), Some(0));
    assert_eq!(ring.find(at(5)), Some(2));
    assert_eq!(ring.find(at(8)), Some(5));
    assert_eq!(ring.find(at(2)), None);
    assert_eq!(ring.find(at(9)), None);
    for number in [0, 3, 5, 8, u64::MAX] {
        assert_eq!(ring.find(Position::new(number, 1)), None, "of another log");
    }
    let rest: Vec<u64> = ring.from(3).map(|entry| entry.message).collect();
    assert_eq!(rest, [7, 8]);
    assert_eq!(ring.from(5).count(), 0);
}

#[test]
fn the_highest_numbers_do_not_overflow() {
    let highest = Position::new(u64::MAX, 0);
    let mut ring = Ring::<u64>::new(highest, limits(3, 100));
    assert_eq!(ring.find(highest), Some(0));
    assert_eq!(ring.find(Position::new(u64::MAX, 1)), None);
    assert_eq!(ring.find(at(0)), None);
    ring.reset(at(0));
    assert_eq!(ring.find(highest), None);
}

#[test]
fn older_messages_come_before_the_first() {
    let mut ring = ring(5, 7, limits(100, 1000));
    ring.prepend(at(2), older(3..=5));
    assert_eq!(messages(&ring), [3, 4, 5, 6, 7]);
    assert_eq!(ring.start(), at(2));
}

#[test]
fn of_the_older_messages_the_newest_are_kept_as_the_limits_allow() {
    let mut by_count = ring(5, 7, limits(4, 1000));
    by_count.prepend(at(2), older(3..=5));
    assert_eq!(messages(&by_count), [4, 5, 6, 7]);
    assert_eq!(by_count.start(), at(3));

    let mut by_bytes = ring(5, 7, limits(100, 39));
    by_bytes.prepend(at(2), older(3..=5));
    assert_eq!(messages(&by_bytes), [5, 6, 7]);

    let mut to_the_byte = ring(5, 7, limits(100, 40));
    to_the_byte.prepend(at(2), older(3..=5));
    assert_eq!(messages(&to_the_byte), [4, 5, 6, 7]);

    let mut full = ring(5, 7, limits(2, 1000));
    full.prepend(at(2), older(3..=5));
    assert_eq!(messages(&full), [6, 7]);
}

/// An answer to a read of the whole log overlaps with what is here already.
#[test]
fn older_messages_that_are_in_the_ring_already_are_passed_over() {
    let mut ring = ring(5, 7, limits(100, 1000));
    ring.prepend(at(2), older(3..=9));
    assert_eq!(messages(&ring), [3, 4, 5, 6, 7], "no message is skipped to");
    ring.prepend(at(2), older(3..=7));
    assert_eq!(messages(&ring), [3, 4, 5, 6, 7]);
    ring.prepend(at(0), older(1..=7));
    assert_eq!(messages(&ring), [1, 2, 3, 4, 5, 6, 7]);
}

#[test]
fn messages_that_do_not_lead_up_to_the_first_are_ignored() {
    let mut ring = ring(5, 7, limits(100, 1000));
    ring.prepend(at(2), older(3..=4));
    assert_eq!(messages(&ring), [6, 7]);
    ring.prepend(at(7), older(8..=9));
    assert_eq!(messages(&ring), [6, 7]);
    ring.prepend(at(2), vec![]);
    assert_eq!(messages(&ring), [6, 7]);
    let mut other_log = older(3..=5);
    other_log[2].position = Position::new(5, 1);
    ring.prepend(at(2), other_log);
    assert_eq!(messages(&ring), [6, 7]);
}

#[test]
fn a_ring_that_is_cleared_goes_on_where_it_was() {
    let mut ring = ring(5, 7, limits(100, 1000));
    ring.clear();
    assert!(messages(&ring).is_empty());
    assert_eq!((ring.start(), ring.last()), (at(7), at(7)));
    assert_eq!(ring.find(at(6)), None);
    ring.push(entry(8));
    assert_eq!(messages(&ring), [8]);
    ring.prepend(at(5), older(6..=7));
    assert_eq!(messages(&ring), [6, 7, 8], "it can be filled again");
}

#[test]
fn a_ring_that_is_reset_goes_on_elsewhere() {
    let mut ring = ring(5, 7, limits(100, 1000));
    let elsewhere = Position::new(6, 77);
    ring.reset(elsewhere);
    assert!(messages(&ring).is_empty());
    assert_eq!((ring.start(), ring.last()), (elsewhere, elsewhere));
    assert_eq!(ring.find(at(6)), None);
    assert_eq!(ring.find(at(7)), None);
    ring.push(Entry {
        position: Position::new(7, 78),
        message: 7,
        bytes: 10,
    });
    assert_eq!(messages(&ring), [7]);
}
