//! Payloads, without a connection.

use bytes::Bytes;
use proptest::prelude::*;

use crate::hub::backplane::{Arrival, Entry, RosterChange};
use crate::hub::position::Position;
use crate::hub::redis::wire::{Payload, Versions, parse, person, relayed, said_at};

const SERVER: &str = "00000000000000a1";

fn payload(text: impl AsRef<[u8]>) -> Option<Payload> {
    parse(Bytes::copy_from_slice(text.as_ref()), SERVER, Versions::OWN)
}

#[test]
fn messages_have_positions_in_a_row() {
    let text = b"m141 20:AAAAAAAABBBBBBBB5:\r\n16:BBBBBBBBCCCCCCCC";
    let tag = |byte| u64::from_be_bytes([byte; 8]);
    let arrival = |number, previous, own, text: &'static [u8]| Arrival {
        previous: Position::new(number, tag(previous)),
        position: Position::new(number + 1, tag(own)),
        envelope: Bytes::from_static(text),
    };
    let expected = vec![
        arrival(41, b'A', b'B', b"5:\r\n"),
        arrival(42, b'B', b'C', b""),
    ];
    assert_eq!(payload(text), Some(Payload::Messages(expected)));
    assert_eq!(payload("m10 "), Some(Payload::Messages(vec![])));
}

#[test]
fn what_this_server_relayed_is_its_own() {
    assert_eq!(payload(relayed(SERVER, 1, b"x")), Some(Payload::Own));
    let other = relayed("00000000000000a2", 1, b"x");
    assert_eq!(
        payload(other),
        Some(Payload::Relayed(Bytes::from_static(b"x")))
    );
}

#[test]
fn changes_of_a_roster_name_the_seat_of_this_server_only() {
    let text = format!(
        "p1l3:anne{SERVER}00000000000000073:bob2:\r\ne00000000000000a200000000000000073:eve0:"
    );
    let entered = |key: &str, info: &'static str, seat| {
        RosterChange::Entered(Entry {
            key: key.into(),
            info: Bytes::from_static(info.as_bytes()),
            seat,
        })
    };
    let expected = vec![
        RosterChange::Left("ann".into()),
        entered("bob", "\r\n", Some(7)),
        entered("eve", "", None),
    ];
    assert_eq!(payload(text), Some(Payload::Roster(expected)));
}

#[test]
fn malformed_payloads_are_refused() {
    for text in [
        "",
        "m",
        "m1",
        "m1 ",
        "m2 ",
        "m10",
        "m1-1 ",
        "m1+1 ",
        "m10 1",
        "m10 1:",
        "m10 :x",
        "m10 15:AAAAAAAABBBBBBB",
        "m10 17:AAAAAAAABBBBBBBB",
        "m118446744073709551615 16:AAAAAAAABBBBBBBB",
        "m118446744073709551616 ",
        "m10 99999999999999999999999:x",
        "r1",
        "r1short",
        "r2",
        "p1x",
        "p1e",
        "p1l",
        "p1l3:an",
        "p1l1:\u{ff}x",
        "x1",
        "p1e00000000000000a1000000000000000g1:a0:",
    ] {
        assert_eq!(payload(text), None, "{text:?}");
    }
    assert_eq!(payload(b"p1l1:\xff"), None);
    let text = |text: &'static str| Bytes::from_static(text.as_bytes());
    assert_eq!(person(&text("key"), &text("short"), SERVER), None);
    assert_eq!(said_at(&text("7 short")), None);
    assert_eq!(said_at(&text("")), None);
}

proptest! {
    #[test]
    fn any_bytes_are_parsed_without_a_panic(
        kind in "[mrp][12]", numbers in "[0-9 :el]{0,30}", rest in proptest::collection::vec(any::<u8>(), 0..100),
    ) {
        let bytes = [kind.as_bytes(), numbers.as_bytes(), &rest].concat();
        if let Some(Payload::Messages(arrivals)) = payload(&bytes) {
            let total: usize = arrivals.iter().map(|arrival| arrival.envelope.len()).sum();
            prop_assert!(total <= bytes.len());
        }
        payload(&rest);
    }
}
