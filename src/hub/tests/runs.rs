//! Messages of rooms that stand one behind the other in a run: whatever is sent between them, to
//! the same socket, keeps its place.

use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};

use super::*;
use crate::config::Overflow;
use crate::protocol::Prepared;
use crate::socket::Sender;
use crate::socket::tests::peer::{Peer, serve_with};
use crate::tracker::Tracker;
use crate::{Config, Error, WebSocket};

/// A socket in these rooms whose peer reads nothing until it is told to: its pipe takes so many
/// bytes.
pub(super) async fn member(pipe: usize, config: Config, rooms: &[&Room]) -> (Peer, Sender) {
    let rooms: Vec<Room> = rooms.iter().map(|room| (*room).clone()).collect();
    let (give, given) = oneshot::channel();
    let (peer, _task) = serve_with(pipe, config, move |mut socket: WebSocket| async move {
        for room in &rooms {
            room.join(&socket);
        }
        assert!(give.send(socket.sender()).is_ok());
        while socket.recv().await?.is_some() {}
        Ok::<(), Error>(())
    });
    (peer, given.await.unwrap())
}

async fn expect(peer: &mut Peer, texts: &[&str]) {
    for text in texts {
        assert_eq!(peer.message().await, (*text).into());
    }
}

#[tokio::test(start_paused = true)]
async fn messages_of_two_rooms_and_of_the_own_socket_arrive_in_the_order_of_the_calls() {
    let hub = Hub::new();
    let (one, other) = (hub.room("one"), hub.room("other"));
    let (mut peer, sender) = member(1 << 16, Config::new(), &[&one, &other]).await;
    // The second member keeps the runs alive between the rounds: it has read nothing.
    let (_slow, _) = member(1, Config::new(), &[&one, &other]).await;
    for order in [
        "11", "12", "1212", "1122", "11s1", "1p12", "s1122p", "1L1", "12L",
    ] {
        // Once all at once, once with a turn of the driver after each.
        for turns in [false, true] {
            for (at, to) in order.chars().enumerate() {
                let text = format!("{order} {at}");
                match to {
                    '1' => assert_eq!(one.send(text).queued, 2),
                    '2' => assert_eq!(other.send(text).queued, 2),
                    'p' => sender.try_send_prepared(&Prepared::new(text)).unwrap(),
                    // Too long for a run.
                    'L' => assert_eq!(one.send(text + &"x".repeat(9_000)).queued, 2),
                    _ => sender.try_send(text).unwrap(),
                }
                if turns {
                    sleep(Duration::from_millis(1)).await;
                }
            }
            for at in 0..order.len() {
                let message = peer.message().await;
                let text = message.as_text().unwrap().trim_end_matches('x');
                assert_eq!(text, format!("{order} {at}"));
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn more_than_a_run_holds_arrives_complete_and_in_order() {
    let room = Hub::new().room("room");
    let mut peers = vec![];
    for _ in 0..3 {
        peers.push(member(1 << 20, Config::new(), &[&room]).await.0);
    }
    let text = |at: usize| format!("{at:0>100}");
    let mut read = 0;
    for sent in 0..400 {
        assert_eq!(room.send(text(sent)).queued, 3);
        // One reads at once, one now and then, one at the end.
        assert_eq!(peers[0].message().await, text(sent).into());
        if sent % 30 == 29 {
            while read <= sent {
                assert_eq!(peers[1].message().await, text(read).into());
                read += 1;
            }
        }
    }
    for at in 0..400 {
        assert_eq!(peers[2].message().await, text(at).into());
    }
}

#[tokio::test(start_paused = true)]
async fn the_oldest_of_a_run_are_dropped_and_the_order_stays() {
    let hub = Hub::new().overflow(Overflow::DropOldest);
    let room = hub.room("room");
    let config = Config::new()
        .output_limit(30)
        .overflow(Overflow::DropOldest);
    let (mut peer, sender) = member(1, config, &[&room]).await;
    // It is being written, and cannot be dropped.
    room.send("first");
    sleep(Duration::from_millis(1)).await;
    for at in 0..8 {
        match at % 4 {
            3 => sender
                .try_send_prepared(&Prepared::new(format!("own {at}")))
                .unwrap_or(()),
            _ => assert_eq!(room.send(format!("run {at}")).queued, 1),
        }
    }
    expect(&mut peer, &["first"]).await;
    let mut received = vec![];
    while let Ok(message) = timeout(Duration::from_secs(1), peer.message()).await {
        let text = message.as_text().unwrap();
        received.push(text[4..].parse::<usize>().unwrap());
    }
    assert!(received.is_sorted(), "{received:?}");
    assert!(received.contains(&6), "the newest stay: {received:?}");
    assert!((2..=4).contains(&received.len()), "{received:?}");
}

#[tokio::test(start_paused = true)]
async fn with_drop_newest_a_full_queue_keeps_what_it_has_of_a_run() {
    let hub = Hub::new().overflow(Overflow::DropNewest);
    let room = hub.room("room");
    let (mut peer, _) = member(1, Config::new().output_limit(15), &[&room]).await;
    room.send("first");
    sleep(Duration::from_millis(1)).await;
    let outcomes = [0, 1, 2, 3].map(|at| room.send(format!("run {at}")).queued);
    assert_eq!(outcomes, [1, 1, 0, 0]);
    expect(&mut peer, &["first", "run 0", "run 1"]).await;
    sleep(Duration::from_millis(1)).await;
    assert_eq!(room.send("later").queued, 1);
    expect(&mut peer, &["later"]).await;
}

#[tokio::test(start_paused = true)]
async fn a_flush_waits_for_all_of_a_run_that_was_queued_before_it() {
    let room = Hub::new().room("room");
    let (mut peer, sender) = member(4, Config::new(), &[&room]).await;
    room.send("first");
    sleep(Duration::from_millis(1)).await;
    for text in ["second", "third"] {
        room.send(text);
    }
    let flush = sender.flush();
    tokio::pin!(flush);
    let second = Duration::from_secs(1);
    assert!(timeout(second, &mut flush).await.is_err());
    expect(&mut peer, &["first"]).await;
    // Extends what the flush waits for, or is in the next batch: the flush ends all the same.
    room.send("fourth");
    assert!(timeout(second, &mut flush).await.is_err());
    expect(&mut peer, &["second", "third", "fourth"]).await;
    timeout(second, flush).await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_sends_to_its_room_and_to_its_socket_keeps_the_order() {
    let room = Hub::new().room("room");
    let (_slow, _) = member(1, Config::new(), &[&room]).await;
    let talking = room.clone();
    let (mut peer, _task) = serve_with(1 << 16, Config::new(), move |mut socket| async move {
        talking.join(&socket);
        socket.recv().await?;
        for at in 0..12 {
            match at % 6 {
                // Into the cork, behind which the part of the run stands.
                0 | 1 => socket.send(format!("{at}")).await?,
                2..=4 => drop(talking.send(format!("{at}"))),
                _ => socket.sender().send(format!("{at}")).await?,
            }
        }
        while socket.recv().await?.is_some() {}
        Ok::<(), Error>(())
    });
    peer.send("go").await;
    for at in 0..12 {
        assert_eq!(peer.message().await, format!("{at}").into());
    }
}

#[tokio::test(start_paused = true)]
async fn messages_in_runs_are_counted_and_a_member_that_leaves_keeps_those_that_are_queued() {
    let room = Hub::new().room("room");
    let tracker = Tracker::new();
    let (io, theirs) = tokio::io::duplex(1);
    let negotiated = crate::socket::tests::peer::start(Config::new());
    let negotiated = negotiated.tracker(&tracker).ok().unwrap();
    let (leaving, (leave, left)) = (room.clone(), oneshot::channel::<()>());
    let driver = crate::socket::managed(io, negotiated, move |mut socket: WebSocket| async move {
        leaving.join(&socket);
        left.await.unwrap();
        leaving.leave(&socket);
        while socket.recv().await?.is_some() {}
        Ok::<(), Error>(())
    });
    tokio::spawn(driver);
    let mut peer = Peer::new(theirs);
    while room.is_empty() {
        sleep(Duration::from_millis(1)).await;
    }
    for text in ["a", "bc", "def"] {
        assert_eq!(room.send(text).queued, 1);
        sleep(Duration::from_millis(1)).await;
    }
    let sent = tracker.stats().sent;
    assert_eq!((sent.messages, sent.bytes), (3, 6));
    leave.send(()).unwrap();
    sleep(Duration::from_millis(1)).await;
    assert_eq!(room.len(), 0);
    assert_eq!(room.send("not for it").queued, 0);
    expect(&mut peer, &["a", "bc", "def"]).await;
}

/// A codec would compress whatever it finds in the output without a mark that it must not.
#[cfg(feature = "deflate")]
#[tokio::test(start_paused = true)]
async fn a_member_that_compresses_does_so_unless_the_message_forbids_it() {
    use tokio::io::AsyncReadExt;

    use crate::config::Compression;
    use crate::socket::tests::peer::serve_compressed;

    let text = "secret ".repeat(100);
    for compression in [Compression::shared(), Compression::dedicated()] {
        let room = Hub::new().room("room");
        let talking = room.clone();
        let handler = move |mut socket: WebSocket| async move {
            talking.join(&socket);
            while socket.recv().await?.is_some() {}
            Ok::<(), Error>(())
        };
        let (mut peer, _task) = serve_compressed(Config::new(), compression, handler);
        let (mut plain, _) = member(1 << 16, Config::new(), &[&room]).await;
        while room.len() != 2 {
            sleep(Duration::from_millis(1)).await;
        }
        room.send(Prepared::uncompressed(text.as_str()));
        room.send(Prepared::uncompressed(text.as_str()));
        room.send(text.as_str());
        let mut frame = vec![0; 4 + text.len()];
        for _ in 0..2 {
            peer.io.read_exact(&mut frame).await.unwrap();
            assert_eq!(frame[..4], [0x81, 126, 2, 188]);
            assert_eq!(&frame[4..], text.as_bytes());
        }
        peer.io.read_exact(&mut frame[..2]).await.unwrap();
        assert_eq!(frame[0], 0xc1);
        assert!(frame[1] < 126);
        expect(&mut plain, &[&text, &text, &text]).await;
    }
}
