//! Histories, and sockets that resume.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};

use super::*;
use crate::config::Overflow;
use crate::socket::tests::peer::{Peer, serve, serve_with};
use crate::{Config, Error, Message, WebSocket};

/// A hub whose messages begin with their position.
pub(super) fn stamped(history: History) -> Hub {
    Hub::new()
        .history(history)
        .stamp(|_, position, message| format!("{position} {}", message.as_text().unwrap_or("?")))
}

pub(super) fn parts(message: &Message) -> (Position, String) {
    let text = message.as_text().expect("rooms send text here");
    let (position, rest) = text.split_once(' ').expect("there is a stamp");
    (position.parse().unwrap(), rest.to_owned())
}

/// A socket that joins from a position, and what that returned.
pub(super) fn resume(
    room: &Room,
    from: Option<Position>,
    config: Config,
) -> (Peer, oneshot::Receiver<Result<Joined, HubError>>) {
    let (tell, joined) = oneshot::channel();
    let room = room.clone();
    let peer = serve_with(4096, config, move |socket: WebSocket| {
        hold(socket, room, from, tell)
    })
    .0;
    (peer, joined)
}

pub(super) async fn hold(
    mut socket: WebSocket,
    room: Room,
    from: Option<Position>,
    tell: oneshot::Sender<Result<Joined, HubError>>,
) -> Result<(), Error> {
    let joined = room.join_from(&socket, from).await;
    let _ = tell.send(joined);
    while socket.recv().await?.is_some() {}
    Ok(())
}

pub(super) async fn texts(peer: &mut Peer, count: usize) -> Vec<String> {
    let mut texts = vec![];
    for _ in 0..count {
        texts.push(parts(&peer.message().await).1);
    }
    texts
}

pub(super) async fn nothing_more(peer: &mut Peer) {
    let more = timeout(Duration::from_secs(1), peer.message()).await;
    assert!(more.is_err(), "{more:?}");
}

#[tokio::test(start_paused = true)]
async fn a_socket_gets_what_it_missed_and_then_what_is_sent() {
    let hub = stamped(History::last(10));
    let room = hub.room("lobby");
    let start = room.position().await.unwrap();
    let one = room.publish("one").await.unwrap();
    let two = room.publish("two").await.unwrap();
    let three = room.publish("three").await.unwrap();
    assert_eq!([one, two, three].map(Position::number), [1, 2, 3]);
    for (from, missed) in [(start, 3), (one, 2), (two, 1), (three, 0)] {
        let (mut peer, joined) = resume(&room, Some(from), Config::new());
        let joined = joined.await.unwrap().unwrap();
        assert_eq!(
            joined,
            Joined::Resumed {
                replayed: missed,
                position: room.position().await.unwrap()
            }
        );
        let all = ["one", "two", "three"];
        assert_eq!(texts(&mut peer, missed).await, all[3 - missed..]);
        nothing_more(&mut peer).await;
    }
    let (mut peer, joined) = resume(&room, Some(two), Config::new());
    joined.await.unwrap().unwrap();
    let four = room.publish("four").await.unwrap();
    assert_eq!(texts(&mut peer, 1).await, ["three"]);
    assert_eq!(parts(&peer.message().await), (four, "four".to_owned()));
    nothing_more(&mut peer).await;
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_shown_to_be_complete_is_missed_and_the_socket_is_no_member() {
    let hub = stamped(History::last(3));
    let room = hub.room("lobby");
    let old = room.position().await.unwrap();
    for text in ["a", "b", "c", "d"] {
        room.send(text);
    }
    let now = room.position().await.unwrap();
    let foreign = Position::new(now.number(), now.tag() ^ 1);
    let ahead = Position::new(now.number() + 1, now.tag());
    let far = Position::new(u64::MAX, 0);
    for from in [None, Some(old), Some(foreign), Some(ahead), Some(far)] {
        let (mut peer, joined) = resume(&room, from, Config::new());
        assert_eq!(
            joined.await.unwrap(),
            Ok(Joined::Missed { now }),
            "{from:?}"
        );
        assert_eq!(room.len(), 0);
        nothing_more(&mut peer).await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_last_messages_and_the_position_after_them_are_a_first_visit() {
    let hub = stamped(History::last(10));
    let room = hub.room("lobby");
    for text in ["a", "b", "c"] {
        room.send(text);
    }
    let recent = room.history(2).await.unwrap();
    let texts: Vec<_> = recent.messages.iter().map(|it| parts(it).1).collect();
    assert_eq!(texts, ["b", "c"]);
    assert_eq!(recent.position, room.position().await.unwrap());
    assert_eq!(parts(&recent.messages[1]).0, recent.position);
    assert_eq!(room.history(0).await.unwrap().messages.len(), 0);
    assert_eq!(room.history(usize::MAX).await.unwrap().messages.len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_hub_without_history_says_so() {
    let room = Hub::new().room("lobby");
    let (_peer, joined) = resume(&room, None, Config::new());
    assert_eq!(joined.await.unwrap(), Err(HubError::NoHistory));
    assert_eq!(room.position().await, Err(HubError::NoHistory));
    assert_eq!(room.history(1).await, Err(HubError::NoHistory));
    assert_eq!(room.publish("a").await, Err(PublishError::NoHistory));
}

#[tokio::test(start_paused = true)]
async fn a_message_with_a_key_is_appended_once() {
    let hub = stamped(History::last(10));
    let room = hub.room("lobby");
    let first = room.publish_once("k1", "a").await.unwrap();
    assert!(!first.repeated);
    let other = room.publish_once("k2", "b").await.unwrap();
    let again = room.publish_once("k1", "a").await.unwrap();
    assert_eq!((again.position, again.repeated), (first.position, true));
    assert_eq!(room.position().await, Ok(other.position));
    tokio::time::advance(Duration::from_secs(301)).await;
    let later = room.publish_once("k1", "a").await.unwrap();
    assert_eq!((later.position.number(), later.repeated), (3, false));
}

#[tokio::test(start_paused = true)]
async fn the_exception_gets_the_message_when_it_resumes() {
    let hub = stamped(History::last(10));
    let room = hub.room("lobby");
    let start = room.position().await.unwrap();
    let mut peer = serve(Config::new(), {
        let room = room.clone();
        move |mut socket: WebSocket| async move {
            room.join(&socket);
            while let Some(message) = socket.recv().await? {
                room.send_to_others(&socket, message);
            }
            Ok::<_, Error>(())
        }
    })
    .0;
    peer.send("mine").await;
    nothing_more(&mut peer).await;
    let (mut again, joined) = resume(&room, Some(start), Config::new());
    joined.await.unwrap().unwrap();
    assert_eq!(texts(&mut again, 1).await, ["mine"]);
}

#[tokio::test(start_paused = true)]
async fn a_slow_socket_is_waited_for_and_not_closed() {
    // The output of the socket holds a few messages only, and the policy of its handler would
    // drop what does not fit.
    let config = Config::new()
        .output_limit(1000)
        .overflow(Overflow::DropNewest);
    let hub = stamped(History::last(1000).bytes(1 << 20));
    let room = hub.room("lobby");
    let start = room.position().await.unwrap();
    for number in 0..300 {
        room.send(format!("{number} {}", "x".repeat(100)));
    }
    let (mut peer, mut joined) = resume(&room, Some(start), config);
    sleep(Duration::from_secs(5)).await;
    let early = joined.try_recv();
    assert!(early.is_err(), "the peer has read nothing yet: {early:?}");
    assert_eq!(room.len(), 0);
    // What is sent meanwhile is missed too.
    for number in 300..400 {
        room.send(format!("{number} {}", "x".repeat(100)));
    }
    for number in 0..400 {
        let (position, text) = parts(&peer.message().await);
        assert_eq!(position.number(), number + 1);
        assert!(text.starts_with(&format!("{number} ")));
    }
    let joined = joined.await.unwrap();
    assert!(
        matches!(joined, Ok(Joined::Resumed { replayed: 400, .. })),
        "{joined:?}"
    );
    assert_eq!(room.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_socket_that_falls_out_of_the_ring_has_missed_something() {
    let config = Config::new().output_limit(1000);
    let hub = stamped(History::last(50));
    let room = hub.room("lobby");
    let start = room.position().await.unwrap();
    for number in 0..50 {
        room.send(format!("{number} {}", "x".repeat(1000)));
    }
    let (mut peer, joined) = resume(&room, Some(start), config);
    sleep(Duration::from_secs(1)).await;
    for number in 50..150 {
        room.send(format!("{number} {}", "x".repeat(1000)));
    }
    // It gets the messages up to where the ring overtook it, without a hole.
    let joined = tokio::spawn(joined);
    let mut next = 1;
    while let Ok(message) = timeout(Duration::from_secs(1), peer.message()).await {
        assert_eq!(parts(&message).0.number(), next);
        next += 1;
    }
    assert!(next < 150);
    let now = room.position().await.unwrap();
    assert_eq!(joined.await.unwrap().unwrap(), Ok(Joined::Missed { now }));
}

#[tokio::test(start_paused = true)]
async fn a_dropped_future_leaves_no_member_behind() {
    let config = Config::new().output_limit(1000);
    let hub = stamped(History::last(1000).bytes(1 << 20));
    let room = hub.room("lobby");
    let start = room.position().await.unwrap();
    for _ in 0..100 {
        room.send("x".repeat(1000));
    }
    let (tell, over) = oneshot::channel();
    let mut peer = serve_with(4096, config, {
        let room = room.clone();
        move |mut socket: WebSocket| async move {
            let joined = timeout(Duration::from_secs(1), room.join_from(&socket, Some(start)));
            let _ = tell.send(joined.await.is_err());
            while socket.recv().await?.is_some() {}
            Ok::<_, Error>(())
        }
    })
    .0;
    assert!(over.await.unwrap(), "the peer did not read");
    assert_eq!(room.len(), 0);
    room.send("later");
    let mut last = 0;
    while let Ok(message) = timeout(Duration::from_secs(1), peer.message()).await {
        last = parts(&message).0.number();
    }
    assert!(last < 100, "the position says what the client has: {last}");
}

#[tokio::test(start_paused = true)]
async fn a_socket_that_is_closing_does_not_become_a_member() {
    let hub = stamped(History::last(10));
    let room = hub.room("lobby");
    let start = room.position().await.unwrap();
    for (position, expected) in [
        (start, Err(HubError::Closed)),
        (room.publish("a").await.unwrap(), Err(HubError::Closed)),
    ] {
        let (tell, joined) = oneshot::channel();
        let _peer = serve(Config::new(), {
            let room = room.clone();
            move |socket: WebSocket| async move {
                socket.sender().close(crate::CloseCode::NORMAL, "");
                let _ = tell.send(room.join_from(&socket, Some(position)).await);
            }
        });
        assert_eq!(joined.await.unwrap(), expected);
        assert_eq!(room.len(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_second_join_begins_anew() {
    let hub = stamped(History::last(10));
    let room = hub.room("lobby");
    let start = room.position().await.unwrap();
    room.send("a");
    let mut peer = serve(Config::new(), {
        let room = room.clone();
        move |mut socket: WebSocket| async move {
            room.join_from(&socket, Some(start)).await.unwrap();
            room.join_from(&socket, Some(start)).await.unwrap();
            socket.send("0-0000000000000000 joined").await?;
            while socket.recv().await?.is_some() {}
            Ok::<_, Error>(())
        }
    })
    .0;
    assert_eq!(texts(&mut peer, 3).await, ["a", "a", "joined"]);
    room.send("b");
    assert_eq!(texts(&mut peer, 1).await, ["b"]);
    nothing_more(&mut peer).await;
    assert_eq!(room.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_stamp_may_send_to_its_room_and_to_others_and_may_panic() {
    let (a, b) = (
        Arc::new(Mutex::new(None::<Room>)),
        Arc::new(Mutex::new(None::<Room>)),
    );
    let others = [a.clone(), b.clone()];
    let hub = Hub::new()
        .history(History::last(100))
        .stamp(move |room, position, message| {
            let text = message.as_text().unwrap().to_owned();
            let [a, b] = &others;
            let (a, b) = (
                a.lock().unwrap().clone().unwrap(),
                b.lock().unwrap().clone().unwrap(),
            );
            match (room, &text[..]) {
                ("a", "say") => drop((a.send("to a"), b.send("to b"), a.len())),
                ("b", "to b") => drop(a.send("back to a")),
                (_, "panic") => panic!("a bug in the stamp"),
                _ => {}
            }
            format!("{position} {text}")
        });
    let (room_a, room_b) = (hub.room("a"), hub.room("b"));
    *a.lock().unwrap() = Some(room_a.clone());
    *b.lock().unwrap() = Some(room_b.clone());
    room_a.send("say");
    room_a.send("panic");
    room_a.send("end");
    let texts = |recent: Recent| -> Vec<String> {
        let text = |message: &Message| message.as_text().unwrap().to_owned();
        recent.messages.iter().map(text).collect()
    };
    let in_a = texts(room_a.history(9).await.unwrap());
    let in_a: Vec<_> = in_a
        .iter()
        .map(|text| text.split_once(' ').map_or(&text[..], |it| it.1))
        .collect();
    // The message whose stamp panicked is there, without a stamp.
    assert_eq!(in_a, ["say", "to a", "back to a", "panic", "end"]);
    assert_eq!(texts(room_b.history(9).await.unwrap()).len(), 1);
    *a.lock().unwrap() = None;
    *b.lock().unwrap() = None;
}

#[test]
fn settings_that_come_too_late_or_contradict_each_other_panic_with_the_reason() {
    let panics = |make: fn()| {
        let panic = std::panic::catch_unwind(make).unwrap_err();
        panic.downcast_ref::<String>().cloned().unwrap()
    };
    let late = panics(|| drop(Hub::new().clone().history(History::last(1))));
    assert!(late.contains("too late"), "{late}");
    for drops in [
        || {
            drop(
                Hub::new()
                    .history(History::last(1))
                    .overflow(Overflow::DropNewest),
            )
        },
        || {
            drop(
                Hub::new()
                    .overflow(Overflow::DropOldest)
                    .history(History::last(1)),
            )
        },
    ] as [fn(); 2]
    {
        assert!(panics(drops).contains("use `Overflow::Close`"));
    }
    let zero = panics(|| {
        History::last(0);
    });
    assert!(zero.contains("0 messages"), "{zero}");
}

#[tokio::test(start_paused = true)]
async fn a_message_from_a_stamp_does_not_wait_for_the_next() {
    let place = Arc::new(Mutex::new(None::<Room>));
    let known = place.clone();
    let hub = Hub::new()
        .history(History::last(100_000).bytes(1 << 24))
        .stamp(move |_, _, message| {
            if message.as_text() == Some("say") {
                let room = known.lock().unwrap().clone().unwrap();
                room.send("more");
            }
            message
        });
    let room = hub.room("lobby");
    *place.lock().unwrap() = Some(room.clone());
    // Others look at the room all the time, and take no turn for it.
    let is_over = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let lookers: Vec<_> = (0..2)
        .map(|_| {
            let (room, is_over) = (room.clone(), is_over.clone());
            std::thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_time()
                    .build()
                    .unwrap();
                while !is_over.load(Ordering::Relaxed) {
                    runtime.block_on(room.position()).unwrap();
                }
            })
        })
        .collect();
    for number in 1..=2000 {
        room.send("say");
        let position = room.position().await.unwrap();
        assert_eq!(position.number(), 2 * number);
    }
    is_over.store(true, Ordering::Relaxed);
    for looker in lookers {
        looker.join().unwrap();
    }
    *place.lock().unwrap() = None;
}

#[tokio::test]
async fn the_socket_of_an_exception_is_known_by_a_number_and_not_by_its_address() {
    let limits = History::last(1).limits();
    let ring = crate::hub::ring::Ring::new(Position::new(0, 1), limits);
    let mut log = crate::hub::log::Log::new(ring, None);
    let mut sockets = vec![];
    for _ in 0..3 {
        let (tell, given) = oneshot::channel();
        let peer = serve(Config::new(), move |socket: WebSocket| async move {
            let _ = tell.send(socket.shared().clone());
        });
        sockets.push(given.await.unwrap());
        drop(peer);
    }
    for (number, socket) in (0..).zip(&sockets) {
        log.except(number, Arc::downgrade(socket));
    }
    assert!(log.take_excepted(7).is_none());
    let found = log.take_excepted(1).and_then(|socket| socket.upgrade());
    assert!(Arc::ptr_eq(&found.unwrap(), &sockets[1]));
    assert!(
        log.take_excepted(0).is_none(),
        "an earlier message was lost"
    );
    assert!(log.take_excepted(1).is_none());
    for number in 10..2000 {
        log.except(number, Arc::downgrade(&sockets[0]));
    }
    assert!(log.take_excepted(10).is_none(), "bounded");
    assert!(log.take_excepted(1999).is_some());
}
