//! The ways in which a member that lags may end, and what it gets until then.

use super::*;

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
