//! How conversations end: once, with one cause, within their deadlines.

use tokio::sync::oneshot;

use super::peer::serve_with;
use super::*;
use crate::error::ErrorKind;

/// Runs a socket until its end: what `recv` said, and the cause.
async fn until_the_end(mut socket: WebSocket) -> (Option<ErrorKind>, CloseCause) {
    let mut failed = None;
    loop {
        match socket.recv().await {
            Ok(Some(_)) => {}
            Ok(None) => break,
            Err(error) => {
                assert_eq!(failed, None, "an error is reported once");
                failed = Some(error.kind());
            }
        }
    }
    assert_eq!(socket.recv().await.unwrap(), None);
    (failed, socket.close_cause().unwrap())
}

pub(super) type Ended = oneshot::Receiver<(Option<ErrorKind>, CloseCause)>;

pub(super) fn serve_until_the_end(config: Config) -> (Peer, Ended, Task) {
    let (give, take) = oneshot::channel();
    let (peer, task) = serve_with(1024, config, |socket| async move {
        give.send(until_the_end(socket).await).unwrap();
    });
    (peer, take, task)
}

#[tokio::test(start_paused = true)]
async fn the_peer_closes() {
    let (mut peer, ended, task) = serve_until_the_end(Config::new());
    peer.connection.close(CloseCode::GOING_AWAY, "bye").unwrap();
    peer.flush().await;
    assert_eq!(peer.close_frame().await, Some(1001));
    let frame = crate::close::CloseFrame::new(CloseCode::GOING_AWAY, "bye");
    assert_eq!(
        ended.await.unwrap(),
        (None, CloseCause::Remote(Some(frame)))
    );
    // The server ends the stream, and waits for the peer to do the same.
    assert_eq!(peer.event().await, None);
    drop(peer);
    task.await.unwrap();
}

/// The time is looked at: the end of the stream would tell it too, some seconds later.
#[tokio::test(start_paused = true)]
async fn a_receiver_in_another_task_learns_of_the_end_before_the_stream_has_ended() {
    for violates in [false, true] {
        let (give, take) = oneshot::channel();
        let (mut peer, _task) = serve(Config::new(), |socket| async move {
            give.send(socket).unwrap();
        });
        let mut socket = take.await.unwrap();
        let receiving = tokio::spawn(async move {
            let received = socket.recv().await;
            (received.map_err(|error| error.kind()), socket)
        });
        tokio::task::yield_now().await;
        let begin = Instant::now();
        if violates {
            peer.io.write_all(&[0xff; 8]).await.unwrap();
        } else {
            peer.connection.close(CloseCode::NORMAL, "").unwrap();
            peer.flush().await;
        }
        let (received, _socket) = receiving.await.unwrap();
        assert_eq!(received.is_err(), violates, "{received:?}");
        assert_eq!(begin.elapsed(), Duration::ZERO);
    }
}

#[tokio::test(start_paused = true)]
async fn the_peer_just_goes_away() {
    let (peer, ended, task) = serve_until_the_end(Config::new());
    drop(peer);
    assert_eq!(ended.await.unwrap(), (None, CloseCause::Lost));
    task.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_aborted_task_tells_every_handle() {
    let (give, take) = oneshot::channel();
    let (_peer, task) = serve(Config::new(), |socket| async move {
        give.send(socket).unwrap();
    });
    let mut socket = take.await.unwrap();
    let sender = socket.sender();
    let receiving = tokio::spawn(async move { socket.recv().await.unwrap() });
    tokio::task::yield_now().await;
    task.abort();
    assert_eq!(sender.closed().await, CloseCause::Aborted);
    assert_eq!(receiving.await.unwrap(), None);
}

#[tokio::test(start_paused = true)]
async fn abort_ends_the_handler_too() {
    let (give, take) = oneshot::channel();
    let (alive, dead) = oneshot::channel::<()>();
    let (mut peer, task) = serve(Config::new(), |socket| async move {
        give.send(socket.sender()).unwrap();
        let _alive = alive;
        let _socket = socket;
        std::future::pending::<()>().await;
    });
    take.await.unwrap().abort();
    dead.await.unwrap_err();
    assert_eq!(peer.event().await, None);
    task.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn senders_do_not_keep_a_connection_open() {
    let (give, take) = oneshot::channel();
    let (mut peer, _task) = serve(Config::new(), |socket| async move {
        give.send(socket.sender()).unwrap();
    });
    let _sender = take.await.unwrap();
    assert_eq!(peer.close_frame().await, Some(1000));
}

#[tokio::test(start_paused = true)]
async fn a_handlers_error_after_the_end_changes_nothing() {
    let (give, take) = oneshot::channel();
    let (mut peer, task) = serve(Config::new(), |mut socket| async move {
        give.send(socket.sender()).unwrap();
        while socket.recv().await?.is_some() {}
        socket.send("too late").await
    });
    let sender = take.await.unwrap();
    peer.connection.close(CloseCode::NORMAL, "").unwrap();
    peer.flush().await;
    assert_eq!(peer.close_frame().await, Some(1000));
    drop(peer);
    task.await.unwrap();
    assert!(matches!(sender.closed().await, CloseCause::Remote(Some(_))));
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_goes_on_after_the_end_is_left_to_finish() {
    let (give, take) = oneshot::channel();
    let (peer, task) = serve(Config::new(), |socket| async move {
        let _socket = socket;
        tokio::time::sleep(Duration::from_secs(500)).await;
        give.send(()).unwrap();
    });
    drop(peer);
    take.await.unwrap();
    task.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn messages_that_arrived_before_the_end_are_still_received() {
    let (give, take) = oneshot::channel();
    let (mut peer, task) = serve(Config::new(), |socket| async move {
        give.send(socket).unwrap();
    });
    for text in ["one", "two"] {
        peer.send(text).await;
    }
    drop(peer);
    task.await.unwrap();
    let mut socket = take.await.unwrap();
    assert_eq!(socket.recv().await.unwrap(), Some("one".into()));
    assert_eq!(socket.recv().await.unwrap(), Some("two".into()));
    assert_eq!(socket.recv().await.unwrap(), None);
}

#[tokio::test(start_paused = true)]
async fn eight_tasks_may_send_while_the_conversation_ends() {
    senders_during_the_close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn eight_tasks_may_send_while_the_conversation_ends_on_several_threads() {
    senders_during_the_close().await;
}

async fn senders_during_the_close() {
    for round in 0..20 {
        let (give, take) = oneshot::channel();
        let (mut peer, task) = serve(Config::new(), |mut socket| async move {
            give.send(socket.sender()).unwrap();
            while socket.recv().await?.is_some() {}
            Ok::<(), Error>(())
        });
        let sender = take.await.unwrap();
        let senders: Vec<_> = (0..8)
            .map(|_| {
                let sender = sender.clone();
                tokio::spawn(async move {
                    let mut sent = 0;
                    while sender.send("x").await.is_ok() {
                        sent += 1;
                        tokio::task::yield_now().await;
                    }
                    sent
                })
            })
            .collect();
        for _ in 0..round * 10 {
            peer.message().await;
        }
        match round % 3 {
            0 => sender.close(CloseCode::NORMAL, ""),
            1 => {
                peer.connection.close(CloseCode::NORMAL, "").unwrap();
                peer.flush().await;
            }
            _ => sender.abort(),
        }
        // Whole messages, then the close frame (or nothing, after an abort).
        let mut received = round * 10;
        let code = loop {
            match peer.event().await {
                Some(Event::Message(message)) => {
                    assert_eq!(message, "x".into());
                    received += 1;
                }
                Some(Event::Close(frame)) => break frame.map(|it| it.code.value()),
                Some(_) => {}
                None => break None,
            }
        };
        let mut sent = 0;
        for sender in senders {
            sent += sender.await.unwrap();
        }
        if round % 3 == 2 {
            assert!(received <= sent);
        } else {
            assert_eq!((code, received), (Some(1000), sent), "round {round}");
        }
        drop(peer);
        task.await.unwrap();
    }
}
