//! What a handler sends during its own poll goes past the lock, and no program can
//! observe that.

use std::collections::HashMap;
use std::pin::pin;
use std::task::Waker;
use std::thread;

use super::peer::{Peer, serve, serve_with, start};
use super::*;
use crate::config::Overflow;
use crate::protocol::Prepared;

const SENT: usize = 2000;

/// Awaits on a thread of its own, to the end, while the caller's poll goes on.
fn elsewhere<R: Send>(future: impl Future<Output = R> + Send) -> R {
    thread::scope(|scope| {
        let thread = scope.spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().build();
            runtime.unwrap().block_on(future)
        });
        thread.join().unwrap()
    })
}

fn now<R>(future: impl Future<Output = R>) -> Poll<R> {
    pin!(future).poll(&mut Context::from_waker(Waker::noop()))
}

/// Messages `source number` from the handler, by two handles in turn, and from
/// tasks on other threads; with what comes to a room among them. Returns the
/// numbers that the peer has got, by source.
async fn storm(overflow: Overflow) -> HashMap<String, Vec<usize>> {
    let config = Config::new().overflow(overflow).output_limit(2000);
    let (mut peer, task) = serve_with(4096, config, |mut socket| async move {
        let mut others = vec![];
        for source in ["a task", "another task"] {
            let sender = socket.sender();
            others.push(tokio::spawn(async move {
                for at in 0..SENT {
                    sender.send(format!("{source}:{at}")).await.unwrap();
                    if at % 7 == 0 {
                        tokio::task::yield_now().await;
                    }
                }
            }));
        }
        let sender = socket.sender();
        others.push(tokio::spawn(async move {
            for at in 0..SENT {
                let message = Prepared::new(format!("a room:{at}"));
                let item = Item::Prepared(&message);
                sender.shared().deliver(item, Overflow::DropOldest);
                if at % 5 == 0 {
                    tokio::task::yield_now().await;
                }
            }
        }));
        let sender = socket.sender();
        for at in 0..SENT {
            let message = format!("the handler:{at}");
            match at % 4 {
                0 | 1 => socket.send(message).await.unwrap(),
                2 => sender.send(message).await.unwrap(),
                _ => {
                    let permit = socket.reserve().await.unwrap();
                    permit.send(message).unwrap();
                }
            }
            if at % 11 == 0 {
                tokio::task::yield_now().await;
            }
        }
        for other in others {
            other.await.unwrap();
        }
        socket.close(CloseCode::NORMAL, "").await;
    });
    let mut received = HashMap::<String, Vec<usize>>::new();
    while let Some(event) = peer.event().await {
        let Event::Message(message) = event else {
            assert!(matches!(event, Event::Close(_)), "{event:?}");
            break;
        };
        let (source, number) = message.as_text().unwrap().split_once(':').unwrap();
        let numbers = received.entry(source.to_owned()).or_default();
        numbers.push(number.parse().unwrap());
    }
    peer.flush_quietly().await;
    drop(peer);
    task.await.unwrap();
    received
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn each_tasks_messages_leave_in_call_order_while_senders_wait() {
    let received = storm(Overflow::Wait).await;
    for (source, numbers) in &received {
        assert!(numbers.is_sorted_by(|a, b| a < b), "{source}: {numbers:?}");
    }
    for source in ["the handler", "a task", "another task"] {
        // A message to a room may push out messages of other tasks.
        assert!(!received[source].is_empty(), "{source}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn each_tasks_messages_leave_in_call_order_while_the_oldest_are_dropped() {
    for (source, numbers) in storm(Overflow::DropOldest).await {
        assert!(numbers.is_sorted_by(|a, b| a < b), "{source}: {numbers:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn messages_from_everywhere_arrive_complete_and_each_tasks_in_call_order() {
    let config = Config::new().output_limit(500);
    let (mut peer, _task) = serve_with(1000, config, |mut socket| async move {
        for source in 1..4 {
            let sender = socket.sender();
            tokio::spawn(async move {
                for at in 0..SENT {
                    sender.send(format!("{source}:{at}")).await.unwrap();
                }
            });
        }
        let sender = socket.sender();
        for at in 0..SENT {
            match at % 3 {
                0 => sender.send(format!("0:{at}")).await.unwrap(),
                _ => socket.send(format!("0:{at}")).await.unwrap(),
            }
        }
        while socket.recv().await.unwrap().is_some() {}
    });
    let mut next = [0; 4];
    for _ in 0..4 * SENT {
        let message = peer.message().await;
        let (source, number) = message.as_text().unwrap().split_once(':').unwrap();
        let source: usize = source.parse().unwrap();
        assert_eq!(number.parse(), Ok(next[source]));
        next[source] += 1;
    }
}

#[tokio::test(start_paused = true)]
async fn what_other_threads_send_in_the_middle_of_a_poll_keeps_its_place() {
    let (mut peer, _task) = serve(Config::new(), |mut socket| async move {
        let sender = socket.sender();
        socket.send("1").await.unwrap();
        elsewhere(sender.send("2")).unwrap();
        socket.send("3").await.unwrap();
        elsewhere(async { sender.try_send("4") }).unwrap();
        sender.send("5").await.unwrap();
        // The socket itself goes to another thread and comes back.
        let mut socket = elsewhere(async move {
            socket.send("6").await.unwrap();
            socket
        });
        socket.send("7").await.unwrap();
        elsewhere(async move {
            socket.send("8").await.unwrap();
            drop(socket);
        });
        let _ = sender.try_send("9");
    });
    for text in ["1", "2", "3", "4", "5", "6", "7", "8", "9"] {
        assert_eq!(peer.message().await, text.into());
    }
    assert_eq!(peer.close_frame().await, Some(1000));
}

#[tokio::test(start_paused = true)]
async fn a_socket_may_leave_for_another_task_in_the_middle_of_a_poll() {
    let (mut peer, _task) = serve(Config::new(), |mut socket| async move {
        socket.send("before").await.unwrap();
        let sender = socket.sender();
        tokio::spawn(async move {
            socket.send("after").await.unwrap();
            while let Some(message) = socket.recv().await.unwrap() {
                socket.send(message).await.unwrap();
            }
        });
        sender.send("still before").await.unwrap();
    });
    for text in ["before", "still before", "after"] {
        assert_eq!(peer.message().await, text.into());
    }
    peer.send("echo").await;
    assert_eq!(peer.message().await, "echo".into());
}

#[tokio::test(start_paused = true)]
async fn a_connection_may_be_driven_within_the_poll_of_anothers_handler() {
    let (inner, theirs) = tokio::io::duplex(4096);
    let mut inner_peer = Peer::new(theirs);
    let (mut peer, _task) = serve(Config::new(), |mut socket| async move {
        socket.send("1").await.unwrap();
        let outer = socket.sender();
        let mut drive = pin!(managed(inner, start(Config::new()), |mut inner| {
            async move {
                inner.send("one").await.unwrap();
                outer.send("2").await.unwrap();
                inner.send("two").await.unwrap();
                tokio::task::yield_now().await;
                outer.send("4").await.unwrap();
                inner.send("three").await.unwrap();
                if true {
                    panic!("{BUG}");
                }
            }
        }));
        // Driven by hand; in the second poll its handler panics.
        assert!(now(&mut drive).is_pending());
        socket.send("3").await.unwrap();
        assert!(now(&mut drive).is_pending());
        socket.send("5").await.unwrap();
        drive.await;
        socket.send("6").await.unwrap();
    });
    for text in ["1", "2", "3", "4", "5"] {
        assert_eq!(peer.message().await, text.into());
    }
    for text in ["one", "two", "three"] {
        assert_eq!(inner_peer.message().await, text.into());
    }
    assert_eq!(inner_peer.close_frame().await, Some(1011));
    drop(inner_peer);
    assert_eq!(peer.message().await, "6".into());
    assert_eq!(peer.close_frame().await, Some(1000));
}

#[tokio::test(start_paused = true)]
async fn what_was_sent_before_a_panic_leaves_before_the_close_frame() {
    for _ in 0..2 {
        let (mut peer, _task) = serve(Config::new(), |mut socket| async move {
            socket.send("last words").await.unwrap();
            socket.sender().send("and more").await.unwrap();
            if true {
                panic!("{BUG}");
            }
        });
        assert_eq!(peer.message().await, "last words".into());
        assert_eq!(peer.message().await, "and more".into());
        assert_eq!(peer.close_frame().await, Some(1011));
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_sent_in_the_same_poll_after_a_close_or_an_abort() {
    let (mut peer, _task) = serve(Config::new(), |mut socket| async move {
        socket.send("before").await.unwrap();
        socket.sender().close(CloseCode::NORMAL, "");
        assert_eq!(
            socket.send("after").await.unwrap_err().kind(),
            crate::error::ErrorKind::Closed
        );
        assert!(matches!(
            socket.sender().try_send("after"),
            Err(TrySendError::Closed(_))
        ));
    });
    assert_eq!(peer.message().await, "before".into());
    assert_eq!(peer.close_frame().await, Some(1000));

    let (mut peer, _task) = serve(Config::new(), |mut socket| async move {
        let sender = socket.sender();
        socket.send("before").await.unwrap();
        elsewhere(async { sender.abort() });
        assert!(socket.send("after").await.is_err());
    });
    while let Some(event) = peer.event().await {
        assert_eq!(event, Event::Message("before".into()));
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_handler_sends_within_a_poll_counts_at_once() {
    let config = Config::new().output_limit(1000);
    let (mut peer, _task) = serve(config, |mut socket| async move {
        let sender = socket.sender();
        let mut count = 0;
        while socket.try_send("0123456789").is_ok() {
            count += 1;
        }
        // Frames of 12 bytes, up to the limit and one more.
        assert_eq!(count, 84);
        let pushed = elsewhere(async { sender.try_send("x") });
        assert!(matches!(pushed, Err(TrySendError::Full(_))));
        assert!(now(socket.reserve()).is_pending());
        // Nothing has been handed to the transport, whichever thread asks.
        assert!(elsewhere(async { now(sender.flush()).is_pending() }));
        assert!(now(sender.flush()).is_pending());
        let (_, sent) = sender.shared().traffic();
        assert_eq!((sent.messages, sent.bytes), (84, 840));
        socket.flush().await.unwrap();
        socket.send("flushed").await.unwrap();
    });
    for _ in 0..84 {
        assert_eq!(peer.message().await, "0123456789".into());
    }
    assert_eq!(peer.message().await, "flushed".into());
}

#[tokio::test(start_paused = true)]
async fn the_policies_hold_for_what_a_handler_sends_within_a_poll() {
    for (overflow, expected) in [
        (Overflow::DropOldest, 11..20),
        (Overflow::DropNewest, 0..9),
        (Overflow::Close, 0..9),
    ] {
        let config = Config::new().output_limit(100).overflow(overflow);
        let (mut peer, _task) = serve(config, |mut socket| async move {
            for at in 0..20 {
                let _ = socket.send(format!("message {at:2}")).await;
            }
            std::future::pending::<()>().await;
        });
        let mut received = vec![];
        while let Ok(Some(Event::Message(message))) =
            timeout(Duration::from_secs(1), peer.event()).await
        {
            received.push(message);
        }
        let expected: Vec<_> = expected
            .map(|at| format!("message {at:2}").into())
            .collect();
        assert_eq!(received, expected, "{overflow:?}");
    }
}
