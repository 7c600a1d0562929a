//! Futures that are dropped: at any poll nothing is lost and nothing doubled.

use std::future::Future;
use std::pin::pin;

use tokio::sync::oneshot;

use super::incoming::{frame, payload, write};
use super::peer::serve_with;
use super::*;

/// Polls a future `polls` times at most, then drops it.
async fn poll_and_drop<F: Future>(polls: usize, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    for _ in 0..polls {
        let output = poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx))).await;
        if let Poll::Ready(output) = output {
            return Some(output);
        }
        tokio::task::yield_now().await;
    }
    None
}

async fn receive_with_dropped_futures(mut socket: WebSocket, polls: usize) -> Vec<Message> {
    let mut messages = vec![];
    loop {
        match poll_and_drop(polls, socket.recv()).await {
            Some(received) => match received.unwrap() {
                Some(message) => messages.push(message),
                None => return messages,
            },
            None => tokio::task::yield_now().await,
        }
    }
}

async fn drip(mut peer: Peer, expected: &[Message]) {
    for message in expected {
        peer.connection.send(message.clone()).unwrap();
    }
    let bytes = peer.connection.take_output();
    for piece in bytes.chunks(700) {
        peer.io.write_all(piece).await.unwrap();
        tokio::task::yield_now().await;
    }
}

fn messages() -> Vec<Message> {
    (0..60usize)
        .map(|at| Message::from(vec![at as u8; [0, 1, 10, 126, 3000, 20_000][at % 6]]))
        .collect()
}

#[tokio::test(start_paused = true)]
async fn a_recv_that_is_dropped_at_any_poll_loses_nothing() {
    for polls in 1..4 {
        let (give, take) = oneshot::channel();
        let (peer, _task) = serve(Config::new(), move |socket| async move {
            let received = receive_with_dropped_futures(socket, polls).await;
            assert!(give.send(received).is_ok());
        });
        drip(peer, &messages()).await;
        assert!(take.await.unwrap() == messages(), "{polls} polls");

        let (ours, theirs) = tokio::io::duplex(5000);
        let socket = bare(ours, start(Config::new()));
        let received = tokio::spawn(receive_with_dropped_futures(socket, polls));
        drip(Peer::new(theirs), &messages()).await;
        assert!(received.await.unwrap() == messages(), "bare, {polls} polls");
    }
}

#[tokio::test(start_paused = true)]
async fn a_send_that_is_dropped_has_queued_the_whole_message_or_nothing() {
    for polls in 1..4 {
        let (give, take) = oneshot::channel();
        let config = Config::new().output_limit(2000);
        let (mut peer, _task) = serve_with(256, config, move |mut socket| async move {
            let mut queued = vec![];
            for at in 0..200u8 {
                // Dropped with a full queue, the message is not sent; then the
                // peer gets time to read.
                match poll_and_drop(polls, socket.send(vec![at; 500])).await {
                    Some(sent) => {
                        sent.unwrap();
                        queued.push(at);
                    }
                    None => tokio::task::yield_now().await,
                }
            }
            socket.close(CloseCode::NORMAL, "").await;
            give.send(queued).unwrap();
        });
        let mut received = vec![];
        loop {
            match peer.event().await {
                Some(Event::Message(message)) => {
                    let bytes = message.as_bytes();
                    assert!(bytes.len() == 500 && bytes.iter().all(|it| *it == bytes[0]));
                    received.push(bytes[0]);
                }
                Some(Event::Close(_)) => break,
                other => panic!("{other:?}"),
            }
        }
        drop(peer);
        let queued = take.await.unwrap();
        assert_eq!(received, queued, "{polls} polls");
        assert!(queued.len() > 4);
    }
}

#[tokio::test(start_paused = true)]
async fn dropped_reserves_and_flushes_have_no_effect() {
    let (mut peer, _task) = serve_with(
        256,
        Config::new().output_limit(1000),
        |mut socket| async move {
            for at in 0..50u8 {
                let _ = poll_and_drop(1, socket.reserve()).await;
                let _ = poll_and_drop(1, socket.flush()).await;
                socket.reserve().await.unwrap().send(vec![at; 300]).unwrap();
            }
            socket.flush().await.unwrap();
            std::future::pending::<()>().await;
        },
    );
    for at in 0..50u8 {
        assert_eq!(peer.message().await, vec![at; 300].into());
    }
}

async fn select_with_a_ticking_interval(socket: &mut WebSocket) -> usize {
    let mut tick = tokio::time::interval(Duration::from_millis(1));
    let mut ticks = 0;
    let mut messages = 0;
    loop {
        tokio::select! {
            biased;
            _ = tick.tick(), if ticks < 10_000 => {
                ticks += 1;
                // The peer may have left; `recv` says so.
                let _ = socket.send("tick").await;
            }
            message = socket.recv() => match message.unwrap() {
                Some(message) => {
                    messages += 1;
                    let _ = socket.send(message).await;
                }
                None => return messages,
            },
        }
    }
}

async fn a_socket_in_select() {
    let (give, take) = oneshot::channel();
    let (mut peer, _task) = serve(Config::new(), |mut socket| async move {
        give.send(select_with_a_ticking_interval(&mut socket).await)
            .unwrap();
    });
    for at in 0..200 {
        peer.send(format!("message {at}")).await;
        // Nothing is lost, doubled or reordered between the ticks.
        loop {
            let message = peer.message().await;
            if message != "tick".into() {
                assert_eq!(message, format!("message {at}").into());
                break;
            }
        }
        if at % 20 == 0 {
            tokio::time::sleep(Duration::from_millis(3)).await;
        }
    }
    drop(peer);
    assert_eq!(take.await.unwrap(), 200);
}

#[tokio::test(start_paused = true)]
async fn a_socket_in_select_with_a_ticking_interval_loses_nothing() {
    a_socket_in_select().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_socket_in_select_with_a_ticking_interval_loses_nothing_on_several_threads() {
    a_socket_in_select().await;
}

#[tokio::test(start_paused = true)]
async fn a_close_that_is_dropped_at_any_poll_goes_on() {
    for polls in 1..4 {
        for managed in [true, false] {
            let (ours, theirs) = tokio::io::duplex(256);
            let mut peer = Peer::new(theirs);
            let handler = move |mut socket: WebSocket| async move {
                socket.send("before").await.unwrap();
                let _ = poll_and_drop(polls, socket.close(CloseCode::GOING_AWAY, "enough")).await;
                assert!(socket.send("after").await.is_err());
            };
            let bare = bare(ours, start(Config::new()));
            let _task = Task::run(managed, bare, handler);
            assert_eq!(peer.message().await, "before".into());
            assert_eq!(peer.close_frame().await, Some(1001), "{polls} polls");
            assert_eq!(peer.event().await, None, "one close frame, and the end");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_bare_send_and_a_senders_send_are_whole_or_nothing_too() {
    for polls in 1..4 {
        let (ours, theirs) = tokio::io::duplex(256);
        let mut peer = Peer::new(theirs);
        let task = tokio::spawn(async move {
            let mut socket = bare(ours, start(Config::new().output_limit(2000)));
            let sender = socket.sender();
            let mut queued = vec![];
            for at in 0..100u8 {
                // The bare socket's is queued with the first poll, if at all: a
                // dropped one has been sent in part or not, but is whole on the conn.
                let _ = poll_and_drop(polls, socket.send(vec![at; 300])).await;
                if let Some(sent) = poll_and_drop(polls, sender.send(vec![at + 100; 300])).await {
                    sent.unwrap();
                    queued.push(at + 100);
                }
                let _ = poll_and_drop(polls, sender.flush()).await;
                assert!(poll_and_drop(polls, sender.closed()).await.is_none());
            }
            socket.close(CloseCode::NORMAL, "").await;
            queued
        });
        let mut received = vec![];
        loop {
            match peer.event().await {
                Some(Event::Message(message)) => {
                    let bytes = message.as_bytes();
                    assert!(bytes.len() == 300 && bytes.iter().all(|it| *it == bytes[0]));
                    received.push(bytes[0]);
                }
                Some(Event::Close(_)) => break,
                other => panic!("{other:?}"),
            }
        }
        drop(peer);
        let (from_socket, from_sender): (Vec<u8>, Vec<u8>) =
            received.into_iter().partition(|it| *it < 100);
        assert!(from_socket.is_sorted_by(|a, b| a < b), "nothing is doubled");
        assert_eq!(from_sender, task.await.unwrap(), "{polls} polls");
    }
}

/// Receives every second message in chunks, dropping each future after some polls.
async fn receive_in_chunks_with_dropped_futures(
    mut socket: WebSocket,
    polls: usize,
) -> Vec<Vec<u8>> {
    let mut received = vec![];
    loop {
        if received.len() % 3 == 2 {
            // Given up a few times, then waited for in the other way.
            for _ in 0..3 {
                if let Some(whole) = poll_and_drop(polls, socket.recv()).await {
                    match whole.unwrap() {
                        Some(message) => received.push(message.into_bytes().to_vec()),
                        None => return received,
                    }
                    break;
                }
            }
        }
        match poll_and_drop(polls, socket.recv_stream()).await {
            None => tokio::task::yield_now().await,
            Some(incoming) => {
                let Some(mut incoming) = incoming.unwrap() else {
                    return received;
                };
                let mut bytes = vec![];
                loop {
                    match poll_and_drop(polls, incoming.chunk()).await {
                        None => tokio::task::yield_now().await,
                        Some(chunk) => match chunk.unwrap() {
                            Some(chunk) => bytes.extend_from_slice(chunk.as_bytes()),
                            None => break,
                        },
                    }
                }
                received.push(bytes);
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn chunks_of_futures_that_are_dropped_at_any_poll_are_not_lost() {
    let messages: Vec<_> = (0..40)
        .map(|at| payload([0, 1, 10, 126, 3000, 40_000][at % 6], at))
        .collect();
    let conn: Vec<u8> = messages
        .iter()
        .flat_map(|it| {
            let (first, second) = it.split_at(it.len() / 2);
            [frame(0x02, first), frame(0x80, second)].concat()
        })
        .collect();
    for polls in 1..4 {
        for managed in [true, false] {
            let (give, take) = oneshot::channel();
            let (ours, theirs) = tokio::io::duplex(5000);
            let handler = move |socket| async move {
                give.send(receive_in_chunks_with_dropped_futures(socket, polls).await)
                    .unwrap();
            };
            let socket = bare(ours, start(Config::new()));
            let _task = Task::run(managed, socket, handler);
            let mut peer = Peer::new(theirs);
            for piece in conn.chunks(700) {
                write(&mut peer, piece).await;
                tokio::task::yield_now().await;
            }
            drop(peer);
            let received = take.await.unwrap();
            assert!(received == messages, "{polls} polls, managed: {managed}");
        }
    }
}
