//! The limits of a history, and the policy for gaps.

use std::panic::catch_unwind;
use std::time::Duration;

use crate::hub::history::{Gap, History};

#[test]
fn a_history_has_the_limits_that_are_documented() {
    let history = History::last(500);
    assert_eq!(history.max_messages(), 500);
    assert_eq!(history.max_bytes(), 500 * 4096);
    assert_eq!(history.max_age(), Duration::from_secs(600));
    assert_eq!(history.max_total_bytes(), 64 * 1024 * 1024);
    let limits = history.limits();
    assert_eq!((limits.messages, limits.bytes), (500, 500 * 4096));
    assert_eq!(History::last(1).max_bytes(), 64 * 1024);
    assert_eq!(History::last(16).max_bytes(), 64 * 1024);
    assert_eq!(History::last(17).max_bytes(), 17 * 4096);
    let history = history.bytes(1).age(Duration::from_secs(2)).total_bytes(3);
    assert_eq!((history.max_bytes(), history.max_total_bytes()), (1, 3));
    assert_eq!(history.max_age(), Duration::from_secs(2));
}

#[test]
fn limits_that_make_no_sense_are_refused() {
    let day = Duration::from_secs(24 * 3600);
    History::last(1).age(Duration::from_secs(1));
    History::last(100_000).age(30 * day);
    let refused: [fn() -> History; 6] = [
        || History::last(0),
        || History::last(100_001),
        || History::last(1).bytes(0),
        || History::last(1).total_bytes(0),
        || History::last(1).age(Duration::from_millis(999)),
        || History::last(1).age(Duration::from_secs(30 * 24 * 3600 + 1)),
    ];
    for history in refused {
        assert!(catch_unwind(history).is_err());
    }
}

#[test]
fn a_policy_for_gaps_has_a_name() {
    assert_eq!(format!("{:?}", Gap::default()), "Close");
    let tell = Gap::tell(|room, _| format!("reload {room}").into());
    assert_eq!(format!("{tell:?}"), "Tell");
}
