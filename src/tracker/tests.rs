//! Trackers over sockets in memory.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::*;
use crate::CloseCode;
use crate::error::CloseCause;
use crate::socket::tests::peer::{Peer, start};
use crate::socket::{WebSocket, managed};
use crate::{Config, Error};

async fn listen(mut socket: WebSocket) -> Result<(), Error> {
    while socket.recv().await?.is_some() {}
    Ok(())
}

fn connect<F: Future<Output = Result<(), Error>> + Send + 'static>(
    tracker: &Tracker,
    handler: impl FnOnce(WebSocket) -> F,
) -> Peer {
    let (ours, theirs) = tokio::io::duplex(1024);
    let mut start = start(Config::new());
    start.permit = Some(tracker.admit().unwrap());
    tokio::spawn(managed(ours, start, handler));
    Peer::new(theirs)
}

#[tokio::test(start_paused = true)]
async fn sockets_beyond_the_limit_are_refused_until_one_ends() {
    let tracker = Tracker::new().limit(2);
    let first = connect(&tracker, listen);
    let _second = connect(&tracker, listen);
    assert_eq!(tracker.admit().err(), Some(Refused::Full));
    drop(first);
    while tracker.len() > 1 {
        tokio::task::yield_now().await;
    }
    let _third = connect(&tracker, listen);
    assert_eq!(tracker.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn stats_count_open_sockets_and_those_that_have_ended() {
    async fn echo(mut socket: WebSocket) -> Result<(), Error> {
        while let Some(message) = socket.recv().await? {
            socket.send(message).await?;
        }
        Ok(())
    }
    let tracker = Tracker::new();
    let mut peers: Vec<_> = (0..3).map(|_| connect(&tracker, echo)).collect();
    let traffic = |messages, bytes| Traffic { messages, bytes };
    for (at, peer) in peers.iter_mut().enumerate() {
        for _ in 0..=at {
            peer.send("hello").await;
            peer.message().await;
        }
    }
    let mut expected = Stats {
        accepted: 3,
        open: 3,
        received: traffic(6, 30),
        sent: traffic(6, 30),
        ..Stats::default()
    };
    assert_eq!(tracker.stats(), expected);

    peers.pop();
    tokio::time::sleep(Duration::from_millis(1)).await;
    (expected.open, expected.ended) = (2, [("lost", 1)].into());
    assert_eq!(tracker.stats(), expected);

    let drain = tracker.drain(CloseCode::GOING_AWAY, Duration::from_secs(5));
    assert_eq!(drain.await.aborted, 2);
    assert_eq!(tracker.admit().err(), Some(Refused::Draining));
    (expected.open, expected.ended) = (0, [("drained", 2), ("lost", 1)].into());
    assert_eq!(tracker.stats(), expected);
}

#[tokio::test(start_paused = true)]
async fn the_observer_is_called_once_for_each_end_and_may_panic() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let tracker = Tracker::new().on_end({
        let seen = seen.clone();
        move |ended| {
            seen.lock().unwrap().push(ended.clone());
            std::panic::panic_any("an observer's mistake");
        }
    });
    let peer = connect(&tracker, listen);
    // The client leaves before the connection is upgraded.
    drop(tracker.admit());
    tokio::time::sleep(Duration::from_secs(5)).await;
    drop(peer);
    while !tracker.is_empty() {
        tokio::task::yield_now().await;
    }
    let seen = std::mem::take(&mut *seen.lock().unwrap_or_else(PoisonError::into_inner));
    let ended: Vec<_> = seen.iter().map(|it| (&it.cause, it.duration)).collect();
    let expected = [
        (&CloseCause::Lost, Duration::ZERO),
        (&CloseCause::Lost, Duration::from_secs(5)),
    ];
    assert_eq!(ended, expected);
    assert_eq!(tracker.stats().ended["lost"], 2);
}

#[test]
fn an_observer_that_is_replaced_may_ask_the_tracker_as_it_is_dropped() {
    struct Asks(Tracker);

    impl Drop for Asks {
        fn drop(&mut self) {
            assert!(self.0.is_empty());
        }
    }

    let tracker = Tracker::new();
    let asks = Asks(tracker.clone());
    let tracker = tracker.on_end(move |_| _ = &asks);
    // In a thread of its own: it would wait for itself.
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || tell.send(tracker.on_end(|_| {})));
    assert!(told.recv_timeout(Duration::from_secs(10)).is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_drain_closes_all_sockets_and_aborts_those_that_do_not_answer() {
    let tracker = Tracker::new();
    let mut answering: Vec<_> = (0..2000).map(|_| connect(&tracker, listen)).collect();
    let _silent: Vec<_> = (0..500).map(|_| connect(&tracker, listen)).collect();
    let _deaf = connect(&tracker, |socket| async move {
        let _socket = socket;
        std::future::pending().await
    });
    tokio::task::yield_now().await;
    let began = Instant::now();
    let peers = tokio::spawn(async move {
        for peer in &mut answering {
            assert_eq!(peer.close_frame().await, Some(1001));
        }
    });
    let drained = tracker
        .drain(CloseCode::GOING_AWAY, Duration::from_secs(5))
        .await;
    assert_eq!(
        drained,
        Drained {
            closed: 2000,
            aborted: 501
        }
    );
    assert_eq!(began.elapsed().as_secs(), 5);
    assert_eq!(tracker.len(), 0);
    assert_eq!(tracker.admit().err(), Some(Refused::Draining));
    peers.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_drain_in_many_batches_takes_no_longer_than_its_timeout() {
    let tracker = Tracker::new();
    let _silent: Vec<_> = (0..10_000).map(|_| connect(&tracker, listen)).collect();
    tokio::task::yield_now().await;
    let began = Instant::now();
    let timeout = Duration::from_millis(4);
    let drained = tracker.drain(CloseCode::GOING_AWAY, timeout).await;
    assert_eq!((drained.closed, drained.aborted), (0, 10_000));
    // The timer has a resolution of a millisecond.
    let elapsed = began.elapsed();
    assert!(elapsed <= timeout + Duration::from_millis(2), "{elapsed:?}");
}

#[tokio::test(start_paused = true)]
async fn a_drain_without_sockets_is_over_at_once() {
    let tracker = Tracker::new();
    let began = Instant::now();
    tracker
        .drain(CloseCode::GOING_AWAY, Duration::from_secs(5))
        .await;
    assert_eq!(began.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_socket_whose_handshake_was_accepted_before_the_drain_is_closed_too() {
    let tracker = Tracker::new();
    let permit = tracker.admit().unwrap();
    let drain = tokio::spawn({
        let tracker = tracker.clone();
        async move {
            tracker
                .drain(CloseCode::GOING_AWAY, Duration::from_secs(5))
                .await
        }
    });
    tokio::task::yield_now().await;
    let (ours, theirs) = tokio::io::duplex(1024);
    let mut start = start(Config::new());
    start.permit = Some(permit);
    tokio::spawn(managed(ours, start, listen));
    let mut peer = Peer::new(theirs);
    assert_eq!(peer.close_frame().await, Some(1001));
    drop(peer);
    assert_eq!(
        drain.await.unwrap(),
        Drained {
            closed: 1,
            aborted: 0
        }
    );
}
