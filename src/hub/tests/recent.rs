//! Sockets that join with the last messages of a room.

use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::timeout;

use super::resume::{parts, stamped};
use super::*;
use crate::socket::tests::peer::{Peer, serve_with};
use crate::{Config, Error, WebSocket};

type Told = oneshot::Receiver<Result<Position, HubError>>;

fn join(room: &Room, from: Option<Position>, last: usize) -> (Peer, Told) {
    let (tell, told) = oneshot::channel();
    let room = room.clone();
    let peer = serve_with(
        4096,
        Config::new(),
        move |mut socket: WebSocket| async move {
            let _ = tell.send(room.join_recent(&socket, from, last, clear).await);
            while socket.recv().await?.is_some() {}
            Ok::<_, Error>(())
        },
    );
    (peer.0, told)
}

fn clear(start: Position) -> String {
    format!("{start} clear")
}

#[tokio::test(start_paused = true)]
async fn a_first_visit_begins_with_the_last_messages_and_goes_on() {
    let room = stamped(History::last(10)).room("lobby");
    for number in 0..5 {
        room.send(format!("{number}"));
    }
    let (mut peer, told) = join(&room, None, 3);
    let (start, clear) = parts(&peer.message().await);
    assert_eq!((start.number(), clear.as_str()), (2, "clear"));
    for number in 2..5 {
        assert_eq!(parts(&peer.message().await).1, number.to_string());
    }
    assert_eq!(told.await.unwrap(), Ok(room.position().await.unwrap()));
    room.send("5");
    assert_eq!(parts(&peer.message().await).1, "5");
}

#[tokio::test(start_paused = true)]
async fn a_client_with_a_position_gets_what_it_missed_and_is_not_told_to_forget() {
    let room = stamped(History::last(10)).room("lobby");
    room.send("0");
    let from = room.position().await.unwrap();
    room.send("1");
    let (mut peer, told) = join(&room, Some(from), 50);
    let (position, first) = parts(&peer.message().await);
    assert_eq!(first, "1");
    assert_eq!(told.await.unwrap(), Ok(position));
}

#[tokio::test(start_paused = true)]
async fn a_position_that_is_gone_is_a_first_visit() {
    let room = stamped(History::last(3)).room("lobby");
    let from = room.position().await.unwrap();
    for number in 0..9 {
        room.send(format!("{number}"));
    }
    let (mut peer, _told) = join(&room, Some(from), 50);
    let (start, clear) = parts(&peer.message().await);
    assert_eq!((start.number(), clear.as_str()), (6, "clear"));
    for number in 6..9 {
        assert_eq!(parts(&peer.message().await).1, number.to_string());
    }
}

/// The page that is alone in a room, and whose connection breaks before anything is said.
#[tokio::test(start_paused = true)]
async fn a_client_comes_back_to_a_room_in_which_nothing_was_said() {
    let room = stamped(History::last(3)).room("lobby");
    let (mut peer, _told) = join(&room, None, 50);
    let (start, _) = parts(&peer.message().await);
    room.send("0");
    let (mut again, _told) = join(&room, Some(start), 50);
    assert_eq!(parts(&again.message().await).1, "0");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_always_loses_its_place_is_too_slow() {
    let room = stamped(History::last(3).bytes(1 << 20)).room("lobby");
    // More than the pipe and the queue hold, so the join waits for the peer.
    let large = "x".repeat(200_000);
    let say = |count| {
        for _ in 0..count {
            room.send(large.as_str());
        }
    };
    say(3);
    let (mut peer, mut told) = join(&room, None, 3);
    let mut clears = 0;
    let outcome = loop {
        let event = timeout(Duration::from_secs(1), peer.message()).await;
        if event.is_ok_and(|message| parts(&message).1 == "clear") {
            clears += 1;
            // One more than the room keeps.
            say(4);
        }
        if let Ok(outcome) = told.try_recv() {
            break outcome;
        }
        assert!(clears < 10);
    };
    assert_eq!((outcome, clears), (Err(HubError::TooSlow), 3));
    assert!(room.is_empty());
}

#[tokio::test(start_paused = true)]
async fn without_a_history_and_on_a_closed_socket_it_is_an_error() {
    let (_peer, told) = join(&Hub::new().room("lobby"), None, 1);
    assert_eq!(told.await.unwrap(), Err(HubError::NoHistory));
    let room = stamped(History::last(1)).room("lobby");
    room.send("0");
    let (tell, told) = oneshot::channel();
    let closing = room.clone();
    let _peer = serve_with(4096, Config::new(), move |socket: WebSocket| async move {
        socket.sender().close(crate::CloseCode::NORMAL, "");
        let _ = tell.send(closing.join_recent(&socket, None, 1, clear).await);
    });
    assert_eq!(told.await.unwrap(), Err(HubError::Closed));
    assert!(room.is_empty());
}

/// As with `join_from`, the call waits for the peer, whatever the socket does with its own messages.
#[tokio::test(start_paused = true)]
async fn none_of_the_last_messages_is_lost_whatever_the_policy_of_the_socket() {
    use crate::config::Overflow::{Close, DropNewest, DropOldest, Wait};
    for policy in [Wait, DropNewest, DropOldest, Close] {
        let room = stamped(History::last(100)).room("lobby");
        for number in 0..100 {
            room.send(format!("{number:0>500}"));
        }
        let (tell, told) = oneshot::channel();
        let joining = room.clone();
        let config = Config::new().output_limit(2000).overflow(policy);
        let handler = move |mut socket: WebSocket| async move {
            let _ = tell.send(joining.join_recent(&socket, None, 100, clear).await);
            while socket.recv().await?.is_some() {}
            Ok::<_, Error>(())
        };
        let (mut peer, _task) = serve_with(1024, config, handler);
        assert_eq!(parts(&peer.message().await).1, "clear");
        for number in 0..100 {
            let message = timeout(Duration::from_secs(1), peer.message()).await;
            let message = message.expect("it follows");
            assert_eq!(parts(&message).1, format!("{number:0>500}"), "{policy:?}");
        }
        assert!(told.await.unwrap().is_ok());
    }
}

/// They hold a secret together with what an attacker can choose.
#[cfg(feature = "deflate")]
#[tokio::test(start_paused = true)]
async fn what_must_not_be_compressed_is_not_when_it_is_one_of_the_last_messages() {
    use tokio::io::AsyncReadExt;

    use crate::Prepared;
    use crate::config::Compression;
    use crate::socket::tests::peer::serve_compressed_over;

    for compression in [Compression::shared(), Compression::dedicated()] {
        let room = Hub::new().history(History::last(10)).room("lobby");
        room.send(Prepared::uncompressed("secret ".repeat(500)));
        let handler = move |mut socket: WebSocket| async move {
            let joined = room.join_recent(&socket, None, 10, |_| "").await;
            assert!(joined.is_ok());
            while socket.recv().await?.is_some() {}
            Ok::<_, Error>(())
        };
        let (mut peer, _task) = serve_compressed_over(1 << 16, Config::new(), compression, handler);
        assert_eq!(peer.io.read_u16().await.unwrap(), 0x8100, "an empty text");
        assert_eq!(peer.io.read_u8().await.unwrap(), 0x81, "RSV1 is not set");
    }
}
