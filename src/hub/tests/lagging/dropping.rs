//! Sockets whose own policy drops messages, in a room that keeps them.

use super::*;

/// The socket drops its oldest messages, and the room keeps those of members that read slowly.
#[tokio::test(start_paused = true)]
async fn a_socket_that_drops_its_oldest_messages_drops_none_of_a_room() {
    for hub in histories() {
        let room = hub.room("lobby");
        let joined = room.clone();
        let (tell, told) = oneshot::channel();
        let config = Config::new().overflow(Overflow::DropOldest);
        let (peer, _task) = serve_with(4096, config, move |mut socket: WebSocket| async move {
            joined.join(&socket);
            let _ = tell.send(socket.sender());
            while socket.recv().await?.is_some() {}
            Ok::<_, Error>(())
        });
        let sender = told.await.unwrap();
        // Its own messages fill the queue again and again, between those of the room.
        let own = "own".repeat(1000);
        for number in 0..BURST {
            room.send(text(number));
            for _ in 0..3 {
                sender.push(own.clone());
            }
            if number % 50 == 0 {
                tokio::task::yield_now().await;
            }
        }
        assert!(hub.counters().lag_bytes > 0, "more than the queue takes");
        let mut peer = peer;
        let (mut numbers, mut others) = (vec![], 0);
        while numbers.last() != Some(&(BURST - 1)) {
            let message = peer.message().await;
            match message.as_text().unwrap().starts_with("own") {
                true => others += 1,
                false => numbers.push(number(&message)),
            }
        }
        assert_eq!(numbers, all(BURST));
        assert!((1..3 * BURST).contains(&others), "{others} of its own");
    }
}

/// Two hubs, of which one drops its oldest messages; and what the socket itself sends.
#[tokio::test(start_paused = true)]
async fn a_room_that_drops_its_oldest_messages_drops_none_of_others() {
    let (keeping, dropping) = (Hub::new(), Hub::new().overflow(Overflow::DropOldest));
    let (room, values) = (keeping.room("lobby"), dropping.room("values"));
    let (tell, told) = oneshot::channel();
    let rooms = [room.clone(), values.clone()];
    let (mut peer, _task) = serve_with(
        4096,
        Config::new(),
        move |mut socket: WebSocket| async move {
            rooms.iter().for_each(|room| room.join(&socket));
            let _ = tell.send(socket.sender());
            while socket.recv().await?.is_some() {}
            Ok::<_, Error>(())
        },
    );
    let sender = told.await.unwrap();
    let mut own = 0;
    for number in 0..100 {
        room.send(text(number));
        for value in 0..3 {
            values.send(format!("value {number} {value}"));
        }
        own += usize::from(sender.try_send(format!("own {number}")).is_ok());
    }
    assert!((1..100).contains(&own), "the queue was full: {own}");
    let (mut numbers, mut others, mut last) = (vec![], vec![], String::new());
    while numbers.len() < 100 || last != "value 99 2" {
        let message = peer.message().await;
        match message.as_text().unwrap() {
            it if it.starts_with("own") => others.push(it.to_owned()),
            it if it.starts_with("value") => it.clone_into(&mut last),
            _ => numbers.push(number(&message)),
        }
    }
    assert_eq!(numbers, all(100));
    assert_eq!(others.len(), own);
}

#[tokio::test(start_paused = true)]
async fn a_message_that_was_not_sent_by_the_policy_is_not_dropped_by_it() {
    fn send(sender: &crate::Sender) {
        for at in 0..10 {
            sender.push(format!("{at:>50}"));
            assert!(sender.try_send(format!("kept {at}")).is_ok());
        }
        for at in 10..70 {
            sender.push(format!("{at:>50}"));
        }
    }

    // From the handler, by the cork; and from elsewhere.
    for by_handler in [true, false] {
        let config = Config::new()
            .overflow(Overflow::DropOldest)
            .output_limit(2000);
        let (tell, told) = oneshot::channel();
        let handler = move |mut socket: WebSocket| async move {
            let sender = socket.sender();
            // The driver writes it, and waits for the peer.
            assert!(sender.try_send("x".repeat(500)).is_ok());
            socket.recv().await?;
            if by_handler {
                send(&sender);
            }
            let _ = tell.send(sender);
            while socket.recv().await?.is_some() {}
            Ok::<_, Error>(())
        };
        let (mut peer, _task) = serve_with(64, config, handler);
        peer.send("go").await;
        let sender = told.await.unwrap();
        if !by_handler {
            send(&sender);
        }
        assert_eq!(peer.message().await.len(), 500);
        let (mut kept, mut others) = (vec![], vec![]);
        while others.last() != Some(&69) {
            let message = peer.message().await;
            match message.as_text().unwrap().strip_prefix("kept ") {
                Some(at) => kept.push(at.parse::<usize>().unwrap()),
                None => others.push(message.as_text().unwrap().trim().parse().unwrap()),
            }
        }
        assert_eq!(kept, all(10), "{by_handler}");
        assert!(others.is_sorted() && others.len() < 40, "{others:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_sender_that_waits_for_room_is_woken_when_a_large_message_is_dropped() {
    for is_chunked in [false, true] {
        let config = Config::new()
            .overflow(Overflow::DropOldest)
            .output_limit(2000);
        let (tell, told) = oneshot::channel();
        let (_peer, _task) = serve_with(64, config, move |mut socket: WebSocket| async move {
            let sender = socket.sender();
            assert!(sender.try_send("x".repeat(500)).is_ok());
            if is_chunked {
                // Messages wait for the end of this one.
                let mut stream = sender.send_stream(crate::message::Kind::Text);
                stream.write("begun").await?;
                let _ = tell.send(sender.clone());
                let _stream = stream;
                while socket.recv().await?.is_some() {}
                return Ok(());
            }
            let _ = tell.send(sender);
            while socket.recv().await?.is_some() {}
            Ok::<_, Error>(())
        });
        let sender = told.await.unwrap();
        sleep(Duration::from_millis(1)).await;
        assert_eq!(
            sender.push("large".repeat(1000)),
            crate::socket::Pushed::Queued
        );
        // In a task of its own, which is polled only when it is woken.
        let waiting = sender.clone();
        let reserve = tokio::spawn(async move { waiting.reserve().await.is_ok() });
        sleep(Duration::from_secs(1)).await;
        assert!(!reserve.is_finished(), "it is full");
        assert_eq!(sender.push("small"), crate::socket::Pushed::Queued);
        let reserved = timeout(Duration::from_secs(1), reserve).await;
        assert!(reserved.expect("it is woken").unwrap(), "{is_chunked}");
    }
}

/// Two handles on one room: what is sent by one of them is to be lost if a member is slow.
#[tokio::test(start_paused = true)]
async fn messages_that_may_be_lost_close_no_member_that_lags() {
    for policy in [Overflow::DropNewest, Overflow::DropOldest] {
        let hub = Hub::new().lag_limit(64 * 1024);
        let keeping = hub.room("lobby");
        let dropping = hub.overflow(policy).room("lobby");
        let config = Config::new().output_limit(4096);
        let (_peer, member) = runs::member(256, config, &[&keeping]).await;
        let burst = async |count: usize| {
            for number in 0..count {
                dropping.send(text(number));
                tokio::task::yield_now().await;
            }
        };
        burst(10).await;
        assert_eq!(keeping.send("it lags from here on").queued, 1);
        burst(200).await;
        assert_eq!(member.close_cause(), None, "{policy:?}");
    }
}
