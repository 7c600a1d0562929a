//! The history of a direction.

use super::super::history::{History, tail};

#[test]
fn the_history_is_the_last_bytes_up_to_the_window() {
    let mut history = History::new(9);
    let mut all = vec![];
    for length in [0, 1, 100, 300, 200, 511, 512, 513, 5_000, 3, 0, 700, 1, 400] {
        let message: Vec<_> = (0..length).map(|at| (at + all.len()) as u8).collect();
        history.add(&message);
        all.extend_from_slice(&message);
        assert_eq!(history.pieces().concat(), tail(&all, 512), "{length}");
        assert!(history.capacity() <= 512);
    }
}

#[test]
fn a_history_grows_when_a_message_does_not_fit() {
    let mut history = History::new(9);
    for (length, capacity) in [(100, 100), (50, 200), (50, 200), (1, 400), (400, 512)] {
        history.add(&vec![7; length]);
        assert_eq!(history.capacity(), capacity, "{length}");
    }
}
