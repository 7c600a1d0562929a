//! Bursts, slow peers and large welcomes.

use super::*;

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

/// The reverse: a handler that always has more to send leaves the other half to the rooms.
#[tokio::test(start_paused = true)]
async fn a_room_goes_on_while_the_handler_of_a_member_sends_without_end() {
    let hub = Hub::new();
    let room = hub.room("lobby");
    let joined = room.clone();
    let own = "own".repeat(300);
    let more = own.clone();
    let (mut peer, _task) = serve_with(
        4096,
        Config::new(),
        move |mut socket: WebSocket| async move {
            joined.join(&socket);
            loop {
                socket.send(more.as_str()).await?;
            }
            #[expect(unreachable_code, reason = "says what the handler returns")]
            Ok::<_, Error>(())
        },
    );
    until(|| room.len() == 1).await;
    for number in 0..BURST {
        room.send(text(number));
    }
    assert!(hub.counters().lagged > 0);
    let (mut numbers, mut own_count) = (vec![], 0);
    while numbers.len() < BURST {
        let message = peer.message().await;
        if message.as_text() == Some(&own) {
            own_count += 1;
        } else {
            numbers.push(number(&message));
        }
        assert!(
            own_count < 4 * BURST,
            "{} messages of the room",
            numbers.len()
        );
    }
    assert_eq!(numbers, all(BURST));
}
