//! Which channels are wanted and held, without a connection.

use proptest::prelude::*;

use super::room;
use crate::hub::redis::interest::{Command, Interest, MAX_CHANNELS};

fn rooms(names: &[&str]) -> Vec<std::sync::Arc<str>> {
    names.iter().map(|name| room(name)).collect()
}

#[test]
fn a_room_is_subscribed_confirmed_and_unsubscribed() {
    let mut interest = Interest::default();
    assert!(interest.follow(&room("a")));
    assert!(!interest.follow(&room("a")));
    assert!(!interest.may_arrive("a"));
    assert_eq!(interest.next(), Some(Command::Subscribe(rooms(&["a"]))));
    assert!(interest.may_arrive("a"));
    assert!(interest.subscribed("a"));
    assert_eq!(interest.next(), None);
    assert!(interest.unfollow(&room("a")));
    assert_eq!(interest.next(), Some(Command::Unsubscribe(rooms(&["a"]))));
    // Messages that are on their way still come.
    assert!(interest.may_arrive("a"));
    interest.unsubscribed("a");
    assert!(!interest.may_arrive("a"));
    assert_eq!(interest.next(), None);
}

#[test]
fn what_is_wanted_counts_when_the_command_is_made() {
    let mut interest = Interest::default();
    interest.follow(&room("a"));
    interest.unfollow(&room("a"));
    assert_eq!(interest.next(), None);
    // Wanted again while its channel is held: it is followed, without a command.
    interest.follow(&room("a"));
    interest.next();
    assert!(interest.subscribed("a"));
    interest.unfollow(&room("a"));
    interest.follow(&room("a"));
    assert_eq!(interest.next(), Some(Command::Following(rooms(&["a"]))));
    // But not while it is being unsubscribed.
    interest.unfollow(&room("a"));
    interest.next();
    interest.follow(&room("a"));
    interest.unsubscribed("a");
    assert_eq!(interest.next(), Some(Command::Subscribe(rooms(&["a"]))));
}

#[test]
fn a_lost_connection_is_made_up_for_in_commands_of_limited_size() {
    let mut interest = Interest::default();
    let all: Vec<_> = (0..1200).map(|number| room(&number.to_string())).collect();
    for room in &all {
        interest.follow(room);
    }
    while let Some(Command::Subscribe(rooms)) = interest.next() {
        rooms
            .iter()
            .for_each(|room| assert!(interest.subscribed(room)));
    }
    interest.unfollow(&all[0]);
    interest.lost();
    let mut subscribed = 0;
    while let Some(Command::Subscribe(rooms)) = interest.next() {
        assert!(rooms.len() <= MAX_CHANNELS);
        subscribed += rooms.len();
    }
    assert_eq!(subscribed, 1199);
}

/// While a command is under way, one room is followed and another is not any more, again and again.
#[test]
fn no_room_waits_for_ever_for_rooms_that_come_later() {
    let mut interest = Interest::default();
    for number in 0..10 {
        interest.follow(&room(&number.to_string()));
    }
    if let Some(Command::Subscribe(rooms)) = interest.next() {
        for room in rooms {
            interest.subscribed(&room);
        }
    }
    let mut number = 0;
    let mut come_and_go = |interest: &mut Interest| {
        interest.follow(&room(&(number + 10).to_string()));
        interest.unfollow(&room(&number.to_string()));
        number += 1;
    };
    interest.follow(&room("old"));
    for _ in 0..100 {
        come_and_go(&mut interest);
        match interest.next() {
            Some(Command::Subscribe(rooms)) => {
                for room in &rooms {
                    interest.subscribed(room);
                }
                if rooms.contains(&room("old")) {
                    return;
                }
            }
            Some(Command::Unsubscribe(rooms)) => {
                rooms.iter().for_each(|room| interest.unsubscribed(room));
            }
            other => panic!("{other:?}"),
        }
    }
    panic!("it is not subscribed yet");
}

proptest! {
    /// Whatever happens in whatever order, in the end the connection has what is wanted, and each
    /// room that is wanted was said to be followed since it was.
    #[test]
    fn the_connection_has_what_is_wanted(steps in proptest::collection::vec((0..5u8, 0..4u8), 1..200)) {
        let mut interest = Interest::default();
        let mut wanted = [false; 4];
        let mut told = [false; 4];
        let mut held = [false; 4];
        let mut under_way: Option<Command> = None;
        let drain = [(3, 0), (4, 0)].repeat(12);
        for (step, which) in steps.into_iter().chain(drain) {
            let name = room(&which.to_string());
            let index = |room: &str| room.parse::<usize>().unwrap();
            match step {
                0 => {
                    interest.follow(&name);
                    if !wanted[usize::from(which)] {
                        told[usize::from(which)] = false;
                    }
                    wanted[usize::from(which)] = true;
                }
                1 => {
                    interest.unfollow(&name);
                    wanted[usize::from(which)] = false;
                }
                2 if which == 0 => {
                    interest.lost();
                    under_way = None;
                    held = [false; 4];
                    told = [false; 4];
                }
                3 if under_way.is_none() => {
                    under_way = interest.next();
                    if let Some(Command::Following(rooms)) = &under_way {
                        for room in rooms {
                            prop_assert!(held[index(room)]);
                            told[index(room)] = true;
                        }
                        under_way = None;
                    }
                }
                4 => match under_way.take() {
                    Some(Command::Subscribe(rooms)) => for room in rooms {
                        prop_assert!(!held[index(&room)], "subscribed twice");
                        held[index(&room)] = true;
                        told[index(&room)] |= interest.subscribed(&room);
                    },
                    Some(Command::Unsubscribe(rooms)) => for room in rooms {
                        prop_assert!(held[index(&room)], "unsubscribed twice");
                        held[index(&room)] = false;
                        interest.unsubscribed(&room);
                    },
                    Some(Command::Following(_)) | None => {}
                },
                _ => {}
            }
        }
        prop_assert_eq!(held, wanted);
        prop_assert_eq!(interest.next(), None);
        for index in 0..4 {
            prop_assert!(!wanted[index] || told[index], "room {} was not said to be followed", index);
        }
    }
}
