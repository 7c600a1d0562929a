//! Members that lag, over sockets in memory: bursts, slow peers, large welcomes, and all ways in
//! which a member that lags may end.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::*;
use crate::close::CloseFrame;
use crate::config::Overflow;
use crate::protocol::Event;
use crate::socket::tests::peer::{Peer, Task, serve, serve_with};
use crate::testing::Engine;
use crate::{CloseCode, Config, Error, Message, WebSocket};

/// More than a socket and its pipe hold, and less than a room keeps.
const BURST: usize = 1000;

fn text(number: usize) -> Message {
    format!("{number:0>1024}").into()
}

fn number(message: &Message) -> usize {
    message.as_text().unwrap().parse().unwrap()
}

/// A member whose peer reads when it is told to.
async fn member(room: &Room, config: Config) -> (Peer, Task) {
    let before = room.len();
    let talking = room.clone();
    let (peer, task) = serve_with(4096, config, move |mut socket: WebSocket| async move {
        talking.join(&socket);
        while let Some(message) = socket.recv().await? {
            talking.send_to_others(&socket, message);
        }
        Ok::<_, Error>(())
    });
    until(|| room.len() > before).await;
    (peer, task)
}

async fn until(mut is_so: impl FnMut() -> bool) {
    let looks = async {
        while !is_so() {
            sleep(Duration::from_millis(1)).await;
        }
    };
    let minutes = Duration::from_secs(120);
    timeout(minutes, looks)
        .await
        .expect("it has not come to that");
}

/// The numbers that a peer receives from now on, until it has so many or is closed.
fn reading(mut peer: Peer, count: usize) -> JoinHandle<(Vec<usize>, Option<CloseFrame>, Peer)> {
    tokio::spawn(async move {
        let mut numbers = vec![];
        while numbers.len() < count {
            match peer.event().await {
                Some(Event::Message(message)) => numbers.push(number(&message)),
                Some(Event::Close(frame)) => return (numbers, frame, peer),
                Some(_) => {}
                None => panic!("the connection ended after {} messages", numbers.len()),
            }
        }
        (numbers, None, peer)
    })
}

fn all(count: usize) -> Vec<usize> {
    (0..count).collect()
}

fn histories() -> [Hub; 2] {
    [Hub::new(), Hub::new().history(History::last(10))]
}

#[tokio::test(start_paused = true)]
async fn a_burst_closes_no_member_that_reads_and_all_get_it_once_in_order() {
    for hub in histories() {
        let room = hub.room("lobby");
        let mut members = vec![];
        for _ in 0..20 {
            members.push(member(&room, Config::new()).await);
        }
        for number in 0..BURST {
            let sent = room.send(text(number));
            assert_eq!((sent.queued, sent.missed), (20, 0));
        }
        assert_eq!(hub.counters().lagged, 20);
        assert_eq!(room.len(), 20);
        let peers = members
            .into_iter()
            .map(|(peer, _)| reading(peer, BURST + 1));
        let peers: Vec<_> = peers.collect();
        until(|| hub.counters().lag_bytes == 0).await;
        room.send(text(BURST));
        for peer in peers {
            let (numbers, closed, _) = peer.await.unwrap();
            assert!(closed.is_none(), "{closed:?}");
            assert_eq!(numbers, all(BURST + 1));
        }
        assert_eq!(hub.counters().too_slow, 0);
    }
}

/// What a server has missed comes at once, when the engine is back.
#[tokio::test(start_paused = true)]
async fn a_repair_closes_no_member_that_reads() {
    let engine = Engine::new();
    let hub = |link| {
        let history = History::last(2000).bytes(4 * 1024 * 1024);
        Hub::new().history(history).backplane(link)
    };
    let (here, link) = (hub(engine.link()), engine.link());
    let there = hub(link.clone());
    let mut members = vec![];
    for _ in 0..10 {
        members.push(member(&there.room("lobby"), Config::new()).await);
    }
    let room = here.room("lobby");
    there.room("lobby").position().await.unwrap();
    link.cut();
    for number in 0..BURST {
        room.publish(text(number)).await.unwrap();
    }
    let peers = members.into_iter().map(|(peer, _)| reading(peer, BURST));
    let peers: Vec<_> = peers.collect();
    link.restore();
    for peer in peers {
        let (numbers, closed, _) = peer.await.unwrap();
        assert!(closed.is_none(), "{closed:?}");
        assert_eq!(numbers, all(BURST));
    }
    assert_eq!(there.counters().lagged, 10);
    until(|| there.counters().lag_bytes == 0).await;
}

#[tokio::test(start_paused = true)]
async fn a_slow_member_lags_and_catches_up_while_the_room_goes_on() {
    for hub in histories() {
        let room = hub.room("lobby");
        let (mut slow, _task) = member(&room, Config::new().output_limit(5000)).await;
        let (fast, _fast_task) = member(&room, Config::new()).await;
        let fast = reading(fast, BURST);
        let mut next = 0;
        let mut times = 0;
        // It reads slower than the room says something, then faster, and again.
        for number_sent in 0..BURST {
            room.send(text(number_sent));
            sleep(Duration::from_millis(1)).await;
            let count = if number_sent / 100 % 2 == 0 { 0 } else { 3 };
            for _ in 0..count {
                if next <= number_sent {
                    assert_eq!(number(&slow.message().await), next);
                    next += 1;
                }
            }
            if next > number_sent && hub.counters().lag_bytes == 0 {
                times += 1;
            }
        }
        while next < BURST {
            assert_eq!(number(&slow.message().await), next);
            next += 1;
        }
        assert!(times > 1, "it has caught up");
        assert!(hub.counters().lagged >= 5, "{:?}", hub.counters());
        assert_eq!(fast.await.unwrap().0, all(BURST));
        assert_eq!((hub.counters().too_slow, room.len()), (0, 2));
        until(|| hub.counters().lag_bytes == 0).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_member_that_reads_nothing_is_closed_when_it_is_too_far_behind() {
    for hub in histories() {
        let room = hub.lag_limit(100 * 1024).room("lobby");
        let (peer, _task) = member(&room, Config::new().write_timeout(None)).await;
        let (fast, _fast_task) = member(&room, Config::new()).await;
        let fast = reading(fast, BURST);
        let mut closed_at = None;
        for number in 0..BURST {
            let sent = room.send(text(number));
            assert_eq!(sent.queued + sent.missed, 2);
            if sent.missed == 1 {
                closed_at.get_or_insert(number);
            }
            sleep(Duration::from_millis(1)).await;
        }
        // 4 KiB in the pipe, 64 KiB in the queue, then what the room keeps.
        let closed_at = closed_at.expect("it has read nothing");
        assert!((120..180).contains(&closed_at), "{closed_at}");
        let (numbers, frame, peer) = reading(peer, BURST).await.unwrap();
        let frame = frame.expect("it is told");
        assert_eq!(
            (frame.code.value(), frame.reason.as_str()),
            (1013, "too slow")
        );
        assert_eq!(numbers, all(numbers.len()), "without a hole");
        let (numbers, _, _fast) = fast.await.unwrap();
        assert_eq!(numbers, all(BURST));
        drop(peer);
        until(|| room.len() == 1).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_member_that_reads_nothing_in_a_quiet_room_is_closed_by_the_write_timeout() {
    let hub = Hub::new();
    let room = hub.room("lobby");
    let (_peer, task) = member(&room, Config::new()).await;
    for number in 0..100 {
        room.send(text(number));
    }
    until(|| hub.counters().lag_bytes > 0).await;
    sleep(Duration::from_secs(29)).await;
    assert_eq!(room.len(), 1);
    sleep(Duration::from_secs(15)).await;
    assert_eq!((room.len(), hub.counters().lag_bytes), (0, 0));
    drop(task);
}

#[tokio::test(start_paused = true)]
async fn without_a_limit_for_it_nothing_is_kept() {
    let hub = Hub::new().lag_limit(0);
    let room = hub.room("lobby");
    let (_peer, _task) = member(&room, Config::new()).await;
    let missed = (0..100).position(|number| room.send(text(number)).missed == 1);
    assert_eq!(missed, Some(64), "64 KiB are queued");
    assert_eq!(hub.counters().lagged, 0);
}

/// The welcome fills the queue, in either order with the join, and more than once.
#[tokio::test(start_paused = true)]
async fn a_newcomer_with_a_large_welcome_gets_it_and_every_message_of_the_room() {
    for (hub, joins_first) in histories()
        .into_iter()
        .flat_map(|hub| [(hub.clone(), true), (hub, false)])
    {
        let room = hub.room("lobby");
        for _visit in 0..3 {
            let (tell, is_there) = oneshot::channel();
            let visited = room.clone();
            let (mut peer, _task) = serve_with(
                4096,
                Config::new(),
                move |mut socket: WebSocket| async move {
                    if joins_first {
                        visited.join(&socket);
                    }
                    socket.send("w".repeat(200 * 1024)).await?;
                    visited.join(&socket);
                    let _ = tell.send(());
                    while socket.recv().await?.is_some() {}
                    Ok::<_, Error>(())
                },
            );
            is_there.await.unwrap();
            for number in 0..30 {
                let sent = room.send(text(number));
                assert_eq!((sent.queued, sent.missed), (1, 0));
                sleep(Duration::from_millis(10)).await;
            }
            let welcome = peer.message().await;
            assert!(welcome.as_text().unwrap().starts_with('w'));
            let (numbers, closed, peer) = reading(peer, 30).await.unwrap();
            assert_eq!((numbers, closed), (all(30), None));
            drop(peer);
            until(|| room.is_empty()).await;
        }
    }
}

/// Half of the queue is for the handler, which would wait for ever behind a room that always has more.
#[tokio::test(start_paused = true)]
async fn a_handler_sends_on_while_its_socket_lags() {
    let hub = Hub::new();
    let room = hub.room("lobby");
    let joined = room.clone();
    let (mut peer, _task) = serve_with(
        4096,
        Config::new(),
        move |mut socket: WebSocket| async move {
            joined.join(&socket);
            while let Some(message) = socket.recv().await? {
                for _ in 0..200 {
                    socket.send(message.clone()).await?;
                }
            }
            Ok::<_, Error>(())
        },
    );
    until(|| room.len() == 1).await;
    for number in 0..500 {
        room.send(text(number));
    }
    let own = "own".repeat(300);
    peer.send(own.as_str()).await;
    let (mut numbers, mut own_count) = (vec![], 0);
    let mut last_own = 0;
    while numbers.len() < BURST {
        let message = peer.message().await;
        if message.as_text() == Some(&own) {
            own_count += 1;
            last_own = numbers.len();
        } else {
            numbers.push(number(&message));
            // The room always has more to say.
            if numbers.len() + 500 <= BURST {
                room.send(text(numbers.len() + 499));
            }
        }
    }
    assert_eq!((numbers, own_count), (all(BURST), 200));
    assert!(last_own < 900, "{last_own}");
}

/// A member that lags, with a peer that has read nothing yet; and its socket's sender.
async fn lagging(hub: &Hub) -> (Peer, Task, crate::Sender) {
    let room = hub.room("lobby");
    let (tell, told) = oneshot::channel();
    let joined = room.clone();
    let (peer, task) = serve_with(
        4096,
        Config::new(),
        move |mut socket: WebSocket| async move {
            let _ = tell.send(socket.sender());
            joined.join(&socket);
            while let Some(message) = socket.recv().await? {
                match message.as_text() {
                    Some("leave") => joined.leave(&socket),
                    Some("join") => joined.join(&socket),
                    _ => drop(joined.send_to_others(&socket, message)),
                }
            }
            Ok::<_, Error>(())
        },
    );
    let sender = told.await.unwrap();
    until(|| room.len() == 1).await;
    for number in 0..200 {
        room.send(text(number));
    }
    until(|| hub.counters().lag_bytes > 0).await;
    (peer, task, sender)
}

#[tokio::test(start_paused = true)]
async fn a_member_that_leaves_while_it_lags_gets_no_more_of_the_room() {
    for hub in histories() {
        let room = hub.room("lobby");
        let (mut peer, _task, _) = lagging(&hub).await;
        peer.send("leave").await;
        until(|| room.is_empty()).await;
        assert_eq!(hub.counters().lag_bytes, 0);
        peer.send("join").await;
        until(|| room.len() == 1).await;
        room.send(text(1000));
        let mut numbers = vec![];
        while numbers.last() != Some(&1000) {
            numbers.push(number(&peer.message().await));
        }
        let before = numbers.len() - 1;
        assert!((60..80).contains(&before), "what was queued: {before}");
        assert_eq!(numbers[..before], all(before));
        let more = timeout(Duration::from_secs(1), peer.message()).await;
        assert!(more.is_err(), "{more:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_member_that_joins_again_while_it_lags_stays_where_it_is() {
    for hub in histories() {
        let room = hub.room("lobby");
        let (mut peer, _task, _) = lagging(&hub).await;
        peer.send("join").await;
        sleep(Duration::from_secs(1)).await;
        assert_eq!(room.len(), 1);
        room.send(text(200));
        let (numbers, _, mut peer) = reading(peer, 201).await.unwrap();
        assert_eq!(numbers, all(201));
        let more = timeout(Duration::from_secs(1), peer.message()).await;
        assert!(more.is_err(), "{more:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_kept_for_a_connection_that_is_closing_or_gone() {
    for hub in histories() {
        let room = hub.room("lobby");
        // The peer does not read, so the closing handshake takes its time.
        let (peer, _task, sender) = lagging(&hub).await;
        sender.close(CloseCode::NORMAL, "");
        until(|| hub.counters().lag_bytes == 0).await;
        assert_eq!(room.len(), 1, "until it has ended");
        assert_eq!(room.send(text(0)).queued, 0);
        let (numbers, frame, peer) = reading(peer, BURST).await.unwrap();
        assert_eq!(frame.unwrap().code, CloseCode::NORMAL);
        assert_eq!(numbers, all(numbers.len()));
        drop(peer);
        until(|| room.is_empty()).await;

        let (peer, _task, _) = lagging(&hub).await;
        drop(peer);
        until(|| room.is_empty()).await;
        assert_eq!(hub.counters().lag_bytes, 0);

        let (_peer, task, _) = lagging(&hub).await;
        task.abort();
        until(|| room.is_empty()).await;
        assert_eq!(hub.counters().lag_bytes, 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_room_vanishes_with_its_last_member_though_that_one_lags() {
    let hub = Hub::new();
    let (peer, _task, _) = lagging(&hub).await;
    assert_eq!(hub.len(), 1);
    drop(peer);
    until(|| hub.is_empty()).await;
    assert_eq!(hub.counters().lag_bytes, 0);
    let (mut peer, _task, _) = lagging(&hub).await;
    peer.send("leave").await;
    until(|| hub.room("lobby").is_empty()).await;
    // Its handler has a handle on the room; nothing else has.
    drop(peer);
    until(|| hub.is_empty()).await;
}

#[tokio::test(start_paused = true)]
async fn a_member_that_lags_does_not_get_what_it_has_sent_to_others() {
    for hub in histories() {
        let room = hub.room("lobby");
        let (mut peer, _task, _) = lagging(&hub).await;
        let (other, _other_task) = member(&room, Config::new()).await;
        let other = reading(other, 3);
        room.send(text(200));
        peer.send(text(999)).await;
        sleep(Duration::from_millis(10)).await;
        room.send(text(201));
        assert_eq!(other.await.unwrap().0, [200, 999, 201]);
        assert_eq!(reading(peer, 202).await.unwrap().0, all(202));
    }
}

/// What is told of presence and of a gap is no message of the log. It comes in its place all the same.
#[tokio::test(start_paused = true)]
async fn a_member_that_lags_is_told_who_comes_between_the_messages() {
    let hub = Hub::new()
        .history(History::last(10))
        .on_presence(|_, change| match change {
            Change::Entered(_) => Some(text(200)),
            Change::Left(_) => None,
        });
    let room = hub.room("lobby");
    let (peer, _task, _) = lagging(&hub).await;
    let seat = Arc::new(Mutex::new(None));
    let (keep, entered) = (seat.clone(), room.clone());
    let (_other, _other_task) = serve(Config::new(), move |socket: WebSocket| async move {
        let taken = entered.enter(&socket, "key", "").await;
        *keep.lock().unwrap() = taken.ok();
        std::future::pending::<()>().await;
    });
    until(|| seat.lock().unwrap().is_some()).await;
    room.send(text(201));
    assert_eq!(reading(peer, 202).await.unwrap().0, all(202));
}

#[tokio::test(start_paused = true)]
async fn a_gap_closes_members_that_lag_too_or_is_told_to_them_in_its_place() {
    for tells in [true, false] {
        let engine = Engine::new();
        let link = engine.link();
        let gap = match tells {
            true => Gap::tell(|_, _| text(200)),
            false => Gap::Close,
        };
        let hub = Hub::new()
            .history(History::last(10))
            .gap(gap)
            .backplane(link.clone());
        let room = hub.room("lobby");
        let (tell, told) = oneshot::channel();
        let joined = room.clone();
        let (peer, _task) = serve_with(
            4096,
            Config::new(),
            move |mut socket: WebSocket| async move {
                joined.join(&socket);
                let _ = tell.send(());
                while socket.recv().await?.is_some() {}
                Ok::<_, Error>(())
            },
        );
        told.await.unwrap();
        room.position().await.unwrap();
        for number in 0..200 {
            room.publish(text(number)).await.unwrap();
        }
        until(|| hub.counters().lag_bytes > 0).await;
        link.cut();
        engine.flush();
        link.restore();
        until(|| hub.counters().gaps_lost == 1).await;
        if tells {
            room.publish(text(201)).await.unwrap();
            assert_eq!(reading(peer, 202).await.unwrap().0, all(202));
        } else {
            assert_eq!((room.len(), hub.counters().lag_bytes), (0, 0));
            let (numbers, frame, _) = reading(peer, BURST).await.unwrap();
            assert_eq!(frame.unwrap().code.value(), 1012);
            assert_eq!(numbers, all(numbers.len()));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_room_that_is_closed_closes_all_its_members_once_and_stays() {
    for hub in histories() {
        let room = hub.room("lobby");
        let (lagging, _task, _) = lagging(&hub).await;
        let (member, _member_task) = member(&room, Config::new()).await;
        let (_other, _other_task) = self::member(&hub.room("other"), Config::new()).await;
        assert_eq!(room.close(CloseCode::GOING_AWAY, "over"), 2);
        assert_eq!(room.close(CloseCode::NORMAL, ""), 0);
        for peer in [lagging, member] {
            let (_, frame, peer) = reading(peer, BURST).await.unwrap();
            let frame = frame.unwrap();
            assert_eq!(
                (frame.code, &*frame.reason),
                (CloseCode::GOING_AWAY, "over")
            );
            drop(peer);
        }
        until(|| room.is_empty()).await;
        assert_eq!((hub.room("other").len(), hub.counters().lag_bytes), (1, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn a_policy_that_drops_messages_keeps_none() {
    for overflow in [Overflow::DropNewest, Overflow::DropOldest] {
        let hub = Hub::new().overflow(overflow);
        let room = hub.room("lobby");
        let (_peer, _task) = member(&room, Config::new()).await;
        for number in 0..BURST {
            room.send(text(number));
        }
        let counters = hub.counters();
        assert_eq!((counters.lagged, counters.lag_bytes, room.len()), (0, 0, 1));
    }
}

#[tokio::test(start_paused = true)]
async fn a_socket_in_many_rooms_lags_in_each_and_gets_all_of_them() {
    let hub = Hub::new();
    let rooms: Vec<Room> = (0..5).map(|room| hub.room(&room.to_string())).collect();
    let joined = rooms.clone();
    let (mut peer, _task) = serve_with(
        4096,
        Config::new(),
        move |mut socket: WebSocket| async move {
            for room in &joined {
                room.join(&socket);
            }
            while socket.recv().await?.is_some() {}
            Ok::<_, Error>(())
        },
    );
    until(|| rooms[4].len() == 1).await;
    for number in 0..200 {
        for (index, room) in rooms.iter().enumerate() {
            room.send(format!("{index} {number} {}", "x".repeat(1000)));
        }
    }
    let mut next = [0; 5];
    for _ in 0..1000 {
        let message = peer.message().await;
        let mut words = message.as_text().unwrap().split(' ');
        let mut word = || words.next().unwrap().parse::<usize>().unwrap();
        let (room, number) = (word(), word());
        assert_eq!(number, next[room]);
        next[room] += 1;
    }
    assert_eq!(hub.counters().lagged, 5);
    until(|| hub.counters().lag_bytes == 0).await;
}

/// No wake is lost between a room that keeps messages and drivers that take them: each member gets
/// everything though nothing else ever happens on its connection.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn members_that_lag_are_sent_everything_while_many_threads_send() {
    const SENT: usize = 2000;
    let hub = Hub::new();
    let room = hub.room("lobby");
    let mut readers = vec![];
    for index in 0..20 {
        let config = Config::new().output_limit(1000 + 500 * index);
        let (mut peer, task) = member(&room, config).await;
        readers.push(tokio::spawn(async move {
            let mut last = [None::<usize>; 4];
            let mut order = vec![];
            for _ in 0..4 * SENT {
                let message = timeout(Duration::from_secs(100), peer.message()).await;
                let number = number(&message.expect("it is not left behind"));
                let (sender, number) = (number % 4, number / 4);
                assert_eq!(number, last[sender].map_or(0, |last| last + 1));
                last[sender] = Some(number);
                order.push((sender, number));
            }
            drop(task);
            order
        }));
    }
    let senders: Vec<_> = (0..4)
        .map(|sender| {
            let room = room.clone();
            std::thread::spawn(move || {
                for number in 0..SENT {
                    room.send(format!("{:0>100}", 4 * number + sender));
                    if number % 100 == 99 {
                        std::thread::sleep(Duration::from_millis(1));
                    }
                }
            })
        })
        .collect();
    for sender in senders {
        sender.join().unwrap();
    }
    let mut orders = vec![];
    for reader in readers {
        orders.push(reader.await.unwrap());
    }
    assert!(orders.windows(2).all(|pair| pair[0] == pair[1]));
    assert!(hub.counters().lagged > 0, "{:?}", hub.counters());
    assert_eq!(hub.counters().too_slow, 0);
}

#[tokio::test(start_paused = true)]
async fn rooms_that_share_a_socket_take_turns() {
    let hub = Hub::new();
    let (busy, quiet) = (hub.room("busy"), hub.room("quiet"));
    let rooms = [busy.clone(), quiet.clone()];
    let (mut peer, _task) = serve_with(
        4096,
        Config::new(),
        move |mut socket: WebSocket| async move {
            rooms.iter().for_each(|room| room.join(&socket));
            while socket.recv().await?.is_some() {}
            Ok::<_, Error>(())
        },
    );
    until(|| quiet.len() == 1).await;
    for _ in 0..BURST {
        busy.send(text(0));
    }
    quiet.send(text(1));
    // Whatever the peer reads, the busy room has more.
    for read in 0.. {
        if number(&peer.message().await) == 1 {
            break;
        }
        busy.send(text(0));
        assert!(read < BURST / 2, "the busy room takes every turn");
    }
}
