//! The order in which requests go out, without a connection.

use std::collections::HashMap;

use proptest::prelude::*;
use tokio::time::Instant;

use super::*;
use crate::hub::redis::call::{Appended, Call, Pending, PublishCall, Request};
use crate::hub::redis::queue::Queue;

type Outcomes = Arc<Mutex<Vec<(String, Result<Position, PublishError>)>>>;

const PATIENCE: Duration = Duration::from_secs(10);

fn request(name: &str, text: &str, outcomes: &Outcomes) -> Publish {
    let (outcomes, key) = (outcomes.clone(), text.to_owned());
    Publish {
        room: room(name),
        envelope: Bytes::copy_from_slice(text.as_bytes()),
        history: History::last(10),
        once: None,
        permit: None,
        reply: Reply::new(
            || Err(unknown()),
            move |answer| {
                let answer = answer.map(|published| published.position);
                outcomes.lock().unwrap().push((key, answer));
            },
        ),
    }
}

/// The calls that publish: the room, and the texts with their sequence numbers.
fn said(calls: &[Call]) -> Vec<(String, Vec<(String, u64)>)> {
    let said = calls.iter().filter_map(|call| match call {
        Call::Publish(call) => Some((call.room.to_string(), numbered(call))),
        _ => None,
    });
    said.collect()
}

/// The texts of a call with their sequence numbers.
fn numbered(call: &PublishCall) -> Vec<(String, u64)> {
    let messages = call.messages.iter().map(|message| {
        let text = message.request.envelope().to_vec();
        (String::from_utf8(text).unwrap(), message.seq)
    });
    messages.collect()
}

fn publishes(calls: Vec<Call>) -> Vec<PublishCall> {
    let calls = calls.into_iter().map(|call| match call {
        Call::Publish(call) => call,
        other => panic!("{other:?}"),
    });
    calls.collect()
}

#[test]
fn messages_of_a_room_travel_together_and_a_repeat_has_the_same_numbers_and_other_tags() {
    let (mut queue, now) = (Queue::new(PATIENCE), Instant::now());
    let outcomes = Outcomes::default();
    for (room, text) in [("a", "1"), ("b", "2"), ("a", "3")] {
        queue.publish(request(room, text, &outcomes), now);
    }
    let batch = queue.next(now);
    let expect = |texts: &[(&str, u64)]| -> Vec<_> {
        texts
            .iter()
            .map(|(text, seq)| ((*text).to_owned(), *seq))
            .collect()
    };
    let expected = [
        ("a".to_owned(), expect(&[("1", 1), ("3", 3)])),
        ("b".to_owned(), expect(&[("2", 2)])),
    ];
    assert_eq!(said(&batch), expected);
    assert!(queue.is_empty());
    // Nobody knows what became of them; meanwhile there are more.
    queue.publish(request("a", "4", &outcomes), now);
    queue.put_back(batch, true);
    let mut batch = queue.next(now);
    // Rooms have no order among each other.
    batch.sort_by_key(|call| said(std::slice::from_ref(call)));
    let mut expected = expected.to_vec();
    expected[0].1.push(("4".to_owned(), 4));
    assert_eq!(said(&batch), expected);

    let mut calls = publishes(batch);
    let b = calls.pop().unwrap();
    let a = calls.pop().unwrap();
    let first = &a.messages[0].tags;
    assert_eq!(first.len(), 2);
    assert_ne!(first[0], first[1]);
    // The first attempt at 1 and 3 is in the log.
    let tags: Vec<_> = a.messages.iter().map(|message| message.tags[0]).collect();
    let (own, old) = (a.messages[2].tag(), tags);
    let before = Appended::Before;
    queue.appended(
        a,
        Position::new(9, own),
        vec![before, before, Appended::Now],
    );
    assert_eq!(
        outcomes.lock().unwrap()[..],
        [("4".to_owned(), Ok(Position::new(9, own)))]
    );
    // Of which the end is recognised by any of its tags.
    let tag = b.messages[0].tags[0];
    queue.appended(b, Position::new(1, tag), vec![before]);
    assert_eq!(
        outcomes.lock().unwrap()[1],
        ("2".to_owned(), Ok(Position::new(1, tag)))
    );
    // The others are looked for in the log.
    let mut batch = queue.next(now);
    let Some(Call::Find(room, messages)) = batch.pop() else {
        panic!("{batch:?}")
    };
    assert_eq!((&*room, messages.len(), batch.len()), ("a", 2, 0));
    let arrival = Arrival {
        previous: Position::new(6, 0),
        position: Position::new(7, old[0]),
        envelope: Bytes::new(),
    };
    crate::hub::redis::queue::found(messages, &[arrival]);
    let expected = [
        ("1".to_owned(), Ok(Position::new(7, old[0]))),
        (
            "3".to_owned(),
            Err(PublishError::Unknown(EngineError::new(
                "the message was appended, and the log does not keep it any more",
            ))),
        ),
    ];
    assert_eq!(outcomes.lock().unwrap()[2..], expected);
}

#[test]
fn messages_do_not_overtake_those_of_their_room_that_were_refused() {
    let (mut queue, now) = (Queue::new(PATIENCE), Instant::now());
    let outcomes = Outcomes::default();
    queue.publish(request("a", "1", &outcomes), now);
    queue.publish(request("b", "2", &outcomes), now);
    let mut calls = publishes(queue.next(now));
    queue.publish(request("a", "3", &outcomes), now);
    queue.refused(calls.remove(0), &EngineError::new("OOM"), now);
    queue.publish(request("a", "4", &outcomes), now);
    assert_eq!(said(&queue.next(now)), []);
    let later = queue.wake().unwrap();
    assert!(later > now && later <= now + Duration::from_secs(1));
    let texts: Vec<_> = said(&queue.next(later)).remove(0).1;
    let expected = [
        ("1".to_owned(), 1),
        ("3".to_owned(), 3),
        ("4".to_owned(), 4),
    ];
    assert_eq!(texts, expected);
    assert!(queue.is_empty());
}

#[test]
fn what_has_waited_for_too_long_is_given_up_with_what_is_known() {
    let (mut queue, now) = (Queue::new(PATIENCE), Instant::now());
    let outcomes = Outcomes::default();
    for (room, text) in [("a", "sent"), ("b", "refused")] {
        queue.publish(request(room, text, &outcomes), now);
    }
    let mut calls = publishes(queue.next(now));
    queue.refused(calls.pop().unwrap(), &EngineError::new("OOM"), now);
    queue.put_back(vec![Call::Publish(calls.pop().unwrap())], true);
    queue.publish(request("c", "waiting", &outcomes), now);
    queue.publish(
        request("d", "later", &outcomes),
        now + Duration::from_secs(1),
    );
    queue.expire(now + PATIENCE, &EngineError::new("away"));
    let mut outcomes = outcomes.lock().unwrap().clone();
    outcomes.sort_by(|a, b| a.0.cmp(&b.0));
    let unavailable = |reason| Err(PublishError::Unavailable(EngineError::new(reason)));
    let expected = [
        ("refused".to_owned(), unavailable("OOM")),
        (
            "sent".to_owned(),
            Err(PublishError::Unknown(EngineError::new("away"))),
        ),
        ("waiting".to_owned(), unavailable("away")),
    ];
    assert_eq!(outcomes, expected);
    assert_eq!(said(&queue.next(now + PATIENCE)).len(), 1);
    assert!(queue.is_empty());
}

fn read_request(name: &str, outcomes: &Outcomes) -> Read {
    let (outcomes, key) = (outcomes.clone(), name.to_owned());
    Read {
        room: room(name),
        from: ReadFrom::End,
        reply: Reply::new(
            || Err(EngineError::new("dropped")),
            move |answer| {
                let reason = answer.map(|_| at_end()).map_err(PublishError::Unavailable);
                outcomes.lock().unwrap().push((key, reason));
            },
        ),
    }
}

fn at_end() -> Position {
    Position::new(0, 0)
}

/// The rooms that each call of a batch reads.
fn read_rooms(batch: &[Call]) -> Vec<Vec<String>> {
    let reads = batch.iter().filter_map(|call| match call {
        Call::Read(reads) => Some(reads),
        _ => None,
    });
    let rooms = |read: &Pending<Read>| read.request.room().to_string();
    reads
        .map(|reads| reads.iter().map(rooms).collect())
        .collect()
}

#[test]
fn logs_are_read_many_in_a_call_and_those_that_are_put_back_come_first() {
    let (mut queue, now) = (Queue::new(PATIENCE), Instant::now());
    let outcomes = Outcomes::default();
    let names: Vec<_> = (0..1000).map(|number| number.to_string()).collect();
    for name in &names {
        queue.read(read_request(name, &outcomes), now);
    }
    queue.publish(request("a", "said", &outcomes), now);
    let first = queue.next(now);
    // What is to be published does not wait for them.
    assert_eq!(said(&first).len(), 1);
    let sizes: Vec<_> = read_rooms(&first).iter().map(Vec::len).collect();
    assert_eq!(sizes, [128; 4]);
    queue.put_back(first, true);
    let mut read = vec![];
    while !queue.is_empty() {
        read.extend(read_rooms(&queue.next(now)).concat());
    }
    assert_eq!(read, names);

    // Long names: fewer in a call.
    let long = "x".repeat(30_000);
    for _ in 0..5 {
        queue.read(read_request(&long, &outcomes), now);
    }
    let sizes: Vec<_> = read_rooms(&queue.next(now)).iter().map(Vec::len).collect();
    assert_eq!(sizes, [2, 2, 1]);
    queue.read(read_request("late", &outcomes), now);
    queue.expire(now + PATIENCE, &EngineError::new("away"));
    assert!(queue.is_empty());
    let unavailable = Err(PublishError::Unavailable(EngineError::new("away")));
    assert!(
        outcomes
            .lock()
            .unwrap()
            .contains(&("late".to_owned(), unavailable))
    );
}

#[test]
fn batches_are_bounded_in_calls_messages_and_bytes() {
    let (mut queue, now) = (Queue::new(PATIENCE), Instant::now());
    let outcomes = Outcomes::default();
    for number in 0..5000 {
        queue.publish(request("a", &number.to_string(), &outcomes), now);
        queue.publish(
            request(&format!("room {}", number % 300), "x", &outcomes),
            now,
        );
    }
    let mut sizes = HashMap::new();
    let mut batches = 0;
    while !queue.is_empty() {
        let batch = queue.next(now);
        assert!(batch.len() <= 128);
        for (room, messages) in said(&batch) {
            assert!(messages.len() <= 1000);
            *sizes.entry(room).or_insert(0) += messages.len();
        }
        batches += 1;
    }
    assert_eq!((sizes["a"], sizes.len(), batches), (5000, 301, 6));

    let large = "x".repeat(400_000);
    for _ in 0..5 {
        queue.publish(request("a", &large, &outcomes), now);
        queue.publish(request("b", &large, &outcomes), now);
    }
    let first = said(&queue.next(now));
    assert_eq!(
        first
            .iter()
            .map(|(_, messages)| messages.len())
            .sum::<usize>(),
        3
    );
}

/// All answers to a batch must come within the time for one, and nobody knows how many people there are.
#[test]
fn few_rosters_are_read_in_a_batch() {
    let (mut queue, now) = (Queue::new(PATIENCE), Instant::now());
    for number in 0..100 {
        let people = ReadPeople {
            room: room(&number.to_string()),
            reply: Reply::new(|| Err(EngineError::new("dropped")), |_| {}),
        };
        queue.push(Request::People(people), now);
        let leave = Request::Leave {
            room: room("lobby"),
            key: "ann".into(),
            seat: number,
        };
        queue.push(leave, now);
    }
    let mut calls = vec![];
    while !queue.is_empty() {
        let batch = queue.next(now);
        let is_people = |call: &&Call| matches!(call, Call::Other(other) if matches!(other.request, Request::People(_)));
        assert!(batch.iter().filter(is_people).count() <= 16);
        calls.extend(batch);
    }
    // In the order in which they were asked.
    let seats = calls.iter().filter_map(|call| match call {
        Call::Other(other) => match &other.request {
            Request::Leave { seat, .. } => Some(*seat),
            _ => None,
        },
        _ => None,
    });
    assert!(seats.eq(0..100));
}

proptest! {
    /// A log takes each message once and in the order of its room, whatever is lost, refused,
    /// repeated or late.
    #[test]
    fn each_message_is_appended_once_and_in_order(steps in proptest::collection::vec((0..6u8, 0..3u8), 1..150)) {
        let mut queue = Queue::new(Duration::from_secs(100_000));
        let mut now = Instant::now();
        let outcomes = Outcomes::default();
        // As Redis does: the texts of each room, and the last sequence number.
        let mut logs: HashMap<String, (Vec<String>, u64)> = HashMap::new();
        let mut late: Vec<(String, Vec<(String, u64)>)> = vec![];
        let mut asked: HashMap<String, Vec<String>> = HashMap::new();
        let append = |logs: &mut HashMap<String, (Vec<String>, u64)>, room: &str, messages: &[(String, u64)]| {
            let (log, seen) = logs.entry(room.to_owned()).or_default();
            let outcomes: Vec<_> = messages.iter().map(|(text, seq)| {
                if seq <= seen {
                    return Appended::Before;
                }
                *seen = *seq;
                log.push(text.clone());
                Appended::Now
            }).collect();
            (log.len() as u64, outcomes)
        };
        let drain = [(1, 0), (5, 0)].repeat(60);
        for (number, (step, which)) in steps.into_iter().chain(drain).enumerate() {
            let name = ["a", "b", "c"][usize::from(which)];
            if step == 0 {
                let text = number.to_string();
                queue.publish(request(name, &text, &outcomes), now);
                asked.entry(name.to_owned()).or_default().push(text);
                continue;
            }
            if step == 5 {
                now = queue.wake().unwrap_or(now);
                // Bytes of an old connection.
                if let Some((room, messages)) = late.pop() {
                    append(&mut logs, &room, &messages);
                }
                continue;
            }
            let batch = queue.next(now);
            let texts = said(&batch);
            match step {
                // The connection breaks after some of the calls were carried out.
                2 => {
                    for (index, (room, messages)) in texts.into_iter().enumerate() {
                        if index < usize::from(which) {
                            append(&mut logs, &room, &messages);
                        } else {
                            late.push((room, messages));
                        }
                    }
                    queue.put_back(batch, true);
                }
                _ => for call in batch {
                    match call {
                        Call::Publish(call) if step == 3 && &*call.room == name => {
                            queue.refused(call, &EngineError::new("OOM"), now);
                        }
                        Call::Publish(call) => {
                            let (end, outcomes) = append(&mut logs, &call.room, &numbered(&call));
                            let is_new = outcomes.contains(&Appended::Now);
                            let tag = if is_new { call.messages.last().unwrap().tag() } else { 0 };
                            queue.appended(call, Position::new(end, tag), outcomes);
                        }
                        Call::Find(_, messages) => crate::hub::redis::queue::found(messages, &[]),
                        _ => {}
                    }
                },
            }
        }
        prop_assert!(queue.is_empty());
        for (room, texts) in &asked {
            prop_assert_eq!(&logs[room].0, texts);
        }
        let answered = outcomes.lock().unwrap().len();
        prop_assert_eq!(answered, asked.values().map(Vec::len).sum::<usize>());
    }
}
