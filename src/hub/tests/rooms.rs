//! Rooms over sockets in memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::time::timeout;

use super::*;
use crate::config::Overflow;
use crate::error::{CloseCause, Error};
use crate::message::Kind;
use crate::protocol::Event;
use crate::socket::managed;
use crate::socket::tests::peer::{BUG, Counted, Peer, serve, serve_with, start};
use crate::{CloseCode, Config, Message, WebSocket};

async fn talk(mut socket: WebSocket, room: Room) -> Result<(), Error> {
    room.join(&socket);
    while let Some(message) = socket.recv().await? {
        room.send(message);
    }
    Ok(())
}

fn member(room: &Room) -> Peer {
    let room = room.clone();
    serve(Config::new(), move |socket| talk(socket, room)).0
}

async fn wait_for(room: &Room, members: usize) {
    while room.len() != members {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_reaches_every_member_of_its_room_and_no_other_socket() {
    let hub = Hub::new();
    let (here, there) = (hub.room("here"), hub.room("there"));
    let mut members = [member(&here), member(&here), member(&here)];
    let mut other = member(&there);
    wait_for(&here, 3).await;
    wait_for(&there, 1).await;
    members[0].send("hello").await;
    for member in &mut members {
        assert_eq!(member.message().await, "hello".into());
    }
    assert!(
        timeout(Duration::from_secs(1), other.message())
            .await
            .is_err()
    );
    assert_eq!(
        here.send("again"),
        Sent {
            queued: 3,
            missed: 0,
            passed_on: false
        }
    );
}

#[tokio::test(start_paused = true)]
async fn all_members_get_the_messages_of_all_members_in_the_same_order() {
    let hub = Hub::new();
    let room = hub.room("lobby");
    let mut members: Vec<_> = (0..8).map(|_| member(&room)).collect();
    wait_for(&room, 8).await;
    for at in 0..20 {
        for (who, member) in members.iter_mut().enumerate() {
            member.send(format!("{who}:{at}")).await;
        }
    }
    let mut orders = vec![];
    for member in &mut members {
        let mut order: Vec<Message> = vec![];
        for _ in 0..160 {
            order.push(member.message().await);
        }
        orders.push(order);
    }
    assert!(orders.windows(2).all(|pair| pair[0] == pair[1]));
}

#[tokio::test(start_paused = true)]
async fn membership_ends_with_the_connection_for_whatever_reason_that_ends() {
    let hub = Hub::new();
    let room = hub.room("lobby");
    let mut closing = member(&room);
    let vanishing = member(&room);
    let panicking = serve(Config::new(), {
        let room = room.clone();
        move |socket| async move {
            room.join(&socket);
            tokio::time::sleep(Duration::from_secs(1)).await;
            if true {
                panic!("{BUG}");
            }
        }
    });
    let staying = member(&room);
    wait_for(&room, 4).await;
    closing
        .connection
        .close(crate::CloseCode::NORMAL, "")
        .unwrap();
    closing.flush().await;
    closing.close_frame().await;
    drop(closing);
    wait_for(&room, 3).await;
    drop(vanishing);
    wait_for(&room, 2).await;
    drop(panicking);
    wait_for(&room, 1).await;
    drop(staying);
    wait_for(&room, 0).await;
}

#[tokio::test(start_paused = true)]
async fn a_room_vanishes_with_its_last_member_and_handle() {
    let hub = Hub::new();
    let room = hub.room("lobby");
    assert_eq!((hub.len(), room.name()), (1, "lobby"));
    let peer = member(&room);
    wait_for(&room, 1).await;
    drop(room);
    assert_eq!(hub.len(), 1);
    assert_eq!(hub.room("lobby").len(), 1, "it is the same room");
    drop(peer);
    while !hub.is_empty() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// A socket that goes from room to room for days.
#[tokio::test(start_paused = true)]
async fn a_socket_that_has_left_keeps_no_room() {
    let hub = Hub::new();
    let rooms = hub.clone();
    let (_peer, task) = serve(Config::new(), |socket: WebSocket| async move {
        for number in 0..10 {
            let room = rooms.room(&number.to_string());
            room.join(&socket);
            let seat = room.enter(&socket, "ann", "").await.unwrap();
            assert_eq!(rooms.len(), 1);
            room.leave(&socket);
            drop(seat);
            drop(room);
            assert_eq!(rooms.len(), 0, "room {number}");
        }
    });
    task.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn joining_twice_counts_once_and_a_member_that_left_gets_nothing() {
    let hub = Hub::new();
    let room = hub.room("lobby");
    let (mut peer, _task) = serve(Config::new(), {
        let room = room.clone();
        move |socket| async move {
            room.join(&socket);
            room.join(&socket);
            room.send("once");
            room.leave(&socket);
            room.leave(&socket);
            assert_eq!(room.send("to no member"), Sent::default());
            room.join(&socket);
            room.send_to_others(&socket, "not for me");
            room.send("back");
            std::future::pending::<()>().await;
        }
    });
    assert_eq!(peer.message().await, "once".into());
    assert_eq!(peer.message().await, "back".into());
    assert_eq!(room.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_slow_member_is_closed_and_the_other_members_get_every_message() {
    let hub = Hub::new().lag_limit(100 * 1024);
    let room = hub.room("lobby");
    let mut fast = member(&room);
    let (mut slow, _task) = serve_with(1024, Config::new(), {
        let room = room.clone();
        move |socket| talk(socket, room)
    });
    wait_for(&room, 2).await;
    for at in 0..1000 {
        room.send(format!("{at:0>1000}"));
        assert_eq!(fast.message().await, format!("{at:0>1000}").into());
    }
    let code = loop {
        match slow.event().await {
            Some(Event::Message(_)) => {}
            Some(Event::Close(frame)) => break frame.map(|it| it.code.value()),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(code, Some(1013));
    drop(slow);
    wait_for(&room, 1).await;
}

#[tokio::test(start_paused = true)]
async fn with_drop_oldest_a_slow_member_misses_the_oldest_messages_and_stays() {
    let hub = Hub::new().overflow(Overflow::DropOldest);
    let room = hub.room("lobby");
    let (mut slow, _task) = serve_with(1024, Config::new(), {
        let room = room.clone();
        move |socket| talk(socket, room)
    });
    wait_for(&room, 1).await;
    for at in 0..1000 {
        room.send(format!("{at:0>1000}"));
        tokio::task::yield_now().await;
    }
    let last: Message = format!("{:0>1000}", 999).into();
    let mut received = 0;
    while slow.message().await != last {
        received += 1;
    }
    assert!(received < 200, "{received}");
    assert_eq!(room.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn messages_queued_between_two_turns_of_a_member_are_one_write() {
    let hub = Hub::new();
    let room = hub.room("lobby");
    let (io, theirs) = tokio::io::duplex(1 << 20);
    let writes = Arc::new(AtomicUsize::new(0));
    let counted = Counted {
        io,
        writes: writes.clone(),
        vectored: true,
    };
    let talking = {
        let room = room.clone();
        move |socket| talk(socket, room)
    };
    tokio::spawn(managed(counted, start(Config::new()), talking));
    let mut peer = Peer::new(theirs);
    wait_for(&room, 1).await;
    for at in 0..40 {
        room.send(format!("{at}"));
    }
    for at in 0..40 {
        assert_eq!(peer.message().await, format!("{at}").into());
    }
    assert_eq!(writes.load(Ordering::Relaxed), 1);
}

#[tokio::test(start_paused = true)]
async fn messages_queued_after_a_message_to_a_room_are_sent_after_it() {
    for size in [10, 20_000] {
        let room = Hub::new().room("lobby");
        let (give, given) = tokio::sync::oneshot::channel();
        let config = Config::new().output_limit(1 << 20);
        let (mut peer, _task) = serve(config, {
            let room = room.clone();
            move |socket| async move {
                let _ = give.send(socket.sender());
                talk(socket, room).await
            }
        });
        let sender = given.await.unwrap();
        wait_for(&room, 1).await;
        let message = |text: &str| Message::from(text.repeat(size));
        for order in ["abc", "xabc", "ayzbc", "abc"] {
            if order.starts_with('x') {
                sender.try_send(message("x")).unwrap();
            }
            room.send(message("a"));
            if order.contains('y') {
                let mut chunks = sender.send_stream(Kind::Text);
                chunks.write(message("y")).await.unwrap();
                // This message is deferred until the message above is finished.
                room.send(message("b"));
                chunks.write(message("z")).await.unwrap();
                chunks.finish().await.unwrap();
            } else {
                sender.try_send(message("b")).unwrap();
            }
            room.send(message("c"));
            let expected = match order {
                "ayzbc" => vec!["a", "yz", "b", "c"],
                "xabc" => vec!["x", "a", "b", "c"],
                _ => vec!["a", "b", "c"],
            };
            for letters in expected {
                let letters: Vec<_> = letters.chars().map(|it| it.to_string()).collect();
                let whole: String = letters.iter().map(|it| it.repeat(size)).collect();
                assert!(peer.message().await == whole.into(), "{order}, {size}");
            }
        }
        room.send(message("a"));
        sender.close(crate::CloseCode::NORMAL, "");
        assert_eq!(
            room.send("late"),
            Sent {
                queued: 0,
                missed: 1,
                passed_on: false
            }
        );
        assert!(peer.message().await == message("a"));
        assert_eq!(peer.close_frame().await, Some(1000));
    }
}

#[tokio::test(start_paused = true)]
async fn a_shared_message_counts_in_the_output_queue_of_each_member() {
    let room = Hub::new().lag_limit(0).room("lobby");
    let talking = |room: Room| move |socket| talk(socket, room);
    let (mut small, _) = serve(Config::new().output_limit(1000), talking(room.clone()));
    let (mut large, _) = serve(Config::new(), talking(room.clone()));
    wait_for(&room, 2).await;
    let text = "a".repeat(1000);
    let sent = |queued, missed| Sent {
        queued,
        missed,
        passed_on: false,
    };
    assert_eq!(room.send(text.as_str()), sent(2, 0));
    assert_eq!(room.send("more"), sent(1, 1));
    assert_eq!(small.message().await, text.as_str().into());
    assert_eq!(small.close_frame().await, Some(1013));
    assert_eq!(large.message().await, text.into());
    assert_eq!(large.message().await, "more".into());
}

#[tokio::test(start_paused = true)]
async fn a_socket_whose_connection_is_ending_does_not_become_a_member() {
    let hub = Hub::new();
    let room = hub.room("lobby");
    let (peer, task) = serve(Config::new(), {
        let room = room.clone();
        move |mut socket| async move {
            while socket.recv().await?.is_some() {}
            assert_eq!(socket.close_cause(), Some(CloseCause::Lost));
            room.join(&socket);
            assert_eq!(room.len(), 0);
            Ok::<(), Error>(())
        }
    });
    drop(peer);
    task.await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_threads_may_join_send_and_leave_at_once() {
    let hub = Hub::new();
    let tasks: Vec<_> = (0..16)
        .map(|who| {
            let hub = hub.clone();
            tokio::spawn(async move {
                for round in 0..20 {
                    let room = hub.room(&format!("{}", (who + round) % 3));
                    let mut peer = member(&room);
                    peer.send("x").await;
                    peer.message().await;
                    drop((room, peer));
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    for _ in 0..1000 {
        if hub.is_empty() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("{} rooms are left", hub.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn messages_to_a_room_and_to_the_own_socket_keep_both_orders() {
    const SENT: usize = 500;
    let room = Hub::new().room("lobby");
    let all_here = Arc::new(tokio::sync::Barrier::new(4));
    let peers: Vec<Peer> = (0..4)
        .map(|who| {
            let (room, all_here) = (room.clone(), all_here.clone());
            let config = Config::new().output_limit(1 << 20);
            let handler = move |mut socket: WebSocket| async move {
                room.join(&socket);
                all_here.wait().await;
                for at in 0..SENT {
                    socket.send(format!("own:{at}")).await?;
                    room.send(format!("room:{who}:{at}"));
                    if at % 9 == 0 {
                        tokio::task::yield_now().await;
                    }
                }
                while socket.recv().await?.is_some() {}
                Ok::<(), Error>(())
            };
            serve(config, handler).0
        })
        .collect();
    let mut orders = vec![];
    for (who, mut peer) in peers.into_iter().enumerate() {
        let (mut own, mut own_to_room) = (0, 0);
        let mut order = vec![];
        for _ in 0..5 * SENT {
            let message = peer.message().await;
            let text = message.as_text().unwrap();
            if let Some(at) = text.strip_prefix("own:") {
                assert_eq!((own, own_to_room), (at.parse().unwrap(), own));
                own += 1;
                continue;
            }
            if text.starts_with(&format!("room:{who}:")) {
                own_to_room += 1;
                assert_eq!(own_to_room, own);
            }
            order.push(text.to_owned());
        }
        orders.push(order);
    }
    for order in &orders[1..] {
        assert!(*order == orders[0]);
    }
}

#[tokio::test(start_paused = true)]
async fn members_are_closed_all_or_one_by_its_id() {
    let hub = Hub::new();
    let room = hub.room("room");
    let (give, mut ids) = tokio::sync::mpsc::unbounded_channel();
    let enter = |room: &Room| {
        let (room, give) = (room.clone(), give.clone());
        let handler = async move |mut socket: WebSocket| {
            room.join(&socket);
            give.send(socket.sender().id()).unwrap();
            while socket.recv().await?.is_some() {}
            Ok::<_, Error>(())
        };
        serve(Config::new(), handler).0
    };
    let mut first = enter(&room);
    let first_id = ids.recv().await.unwrap();
    let (mut second, mut third) = (enter(&room), enter(&room));
    wait_for(&room, 3).await;

    assert!(room.close_member(first_id, CloseCode::POLICY_VIOLATION, "enough"));
    assert_eq!(first.close_frame().await, Some(1008));
    wait_for(&room, 2).await;
    assert!(!room.close_member(first_id, CloseCode::NORMAL, ""));

    room.send("bye");
    assert_eq!(room.close(CloseCode::GOING_AWAY, "closed"), 2);
    for member in [&mut second, &mut third] {
        assert_eq!(member.message().await, "bye".into());
        assert_eq!(member.close_frame().await, Some(1001));
    }
    wait_for(&room, 0).await;
}
