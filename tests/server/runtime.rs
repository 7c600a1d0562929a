//! A runtime that ends while its connections are in every state that they come through.

use std::cell::RefCell;
use std::future::Future;
use std::panic;
use std::pin::pin;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use http_body_util::Empty;
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_ws::hub::{History, Hub, Joined, Seat};
use hyper_ws::message::Kind;
use hyper_ws::tracker::Tracker;
use hyper_ws::{CloseCode, Error, Message, Sender, WebSocket, WebSocketService, testing};
use tokio::task::yield_now;
use tokio::time::timeout;

/// What outlives the runtime.
#[derive(Default)]
struct Kept {
    senders: Mutex<Vec<Sender>>,
    seats: Mutex<Vec<Seat>>,
}

/// Passes through what a handler can wait for.
async fn handler(mut socket: WebSocket, hub: Hub, kept: Arc<Kept>) -> Result<(), Error> {
    let room = hub.room("lobby");
    kept.senders.lock().unwrap().push(socket.sender());
    if let Ok(Joined::Missed { now }) = room.join_from(&socket, None).await {
        let _ = room.join_from(&socket, Some(now)).await;
    }
    if let Ok(seat) = room.enter(&socket, "me", "info").await {
        kept.seats.lock().unwrap().push(seat);
    }
    let sender = socket.sender();
    tokio::spawn(async move {
        while sender.send("from another task").await.is_ok() {
            yield_now().await;
        }
    });
    let _ = room.publish("hello").await;
    loop {
        match socket.recv_stream().await? {
            None => return Ok(()),
            Some(mut message) => while message.chunk().await?.is_some() {},
        }
        let _ = room.people().await;
        let mut parts = socket.send_stream(Kind::Text);
        parts.write("first ").await?;
        parts.write("second").await?;
        parts.finish().await?;
        socket.flush().await?;
    }
}

/// Runs two clients for this many turns of the scheduler, and then drops the runtime.
/// Returns whether they came to their end.
fn run_for(turns: usize, kept: &Arc<Kept>, hub: &Hub, tracker: &Tracker) -> bool {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        // A turn is one poll of one task.
        .event_interval(1)
        .build()
        .unwrap();
    let page =
        |_: Request<Incoming>| async { Ok::<_, Error>(Response::new(Empty::<Bytes>::new())) };
    let (hub, kept) = (hub.clone(), kept.clone());
    let (handlers_hub, kept) = (hub.clone(), kept.clone());
    let service = WebSocketService::new(service_fn(page))
        .route("/ws", move |socket| {
            handler(socket, handlers_hub.clone(), kept.clone())
        })
        .tracker(tracker);
    let ended = Arc::new(AtomicUsize::new(0));
    runtime.block_on(async {
        // With an engine, the hub needs a runtime for its first room.
        hub.room("lobby");
        // A short pipe, so that writes wait too.
        let server = Arc::new(testing::serve(service).pipe(256));
        for _ in 0..2 {
            let (server, ended) = (server.clone(), ended.clone());
            tokio::spawn(async move {
                let Ok(mut client) = server.connect("/ws").await else {
                    return;
                };
                for _ in 0..3 {
                    let _ = client.send("x".repeat(1000)).await;
                    let _ = client.recv().await;
                }
                client.close(CloseCode::NORMAL, "").await;
                ended.fetch_add(1, Ordering::Relaxed);
            });
        }
        for _ in 0..turns {
            yield_now().await;
        }
    });
    drop(runtime);
    ended.load(Ordering::Relaxed) == 2
}

/// Polls a future outside of any runtime; it must be ready at once.
fn now<T>(what: &str, future: impl Future<Output = T>) -> T {
    let mut context = Context::from_waker(Waker::noop());
    match pin!(future).poll(&mut context) {
        Poll::Ready(done) => done,
        Poll::Pending => panic!("{what} waits for a runtime that is gone"),
    }
}

#[test]
fn the_runtime_may_end_at_any_moment() {
    thread_local! {
        static PANICS: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
    }
    // tokio catches the panics of tasks; all tasks run on this thread.
    let test = thread::current().id();
    let usual = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        if thread::current().id() == test {
            PANICS.with(|panics| panics.borrow_mut().push(info.to_string()));
        }
        usual(info);
    }));

    let mut turns = 0;
    loop {
        let kept = Arc::new(Kept::default());
        let tracker = Tracker::new();
        let engine = testing::Engine::new();
        let hub = Hub::new()
            .history(History::last(100))
            .backplane(engine.link());
        let has_ended = run_for(turns, &kept, &hub, &tracker);

        // What is left says that the connections are over, and waits for nothing.
        assert_eq!(tracker.len(), 0, "after {turns} turns");
        assert_eq!(hub.room("lobby").len(), 0, "after {turns} turns");
        for sender in kept.senders.lock().unwrap().iter() {
            assert!(sender.close_cause().is_some(), "after {turns} turns");
            assert!(sender.try_send("too late").is_err());
            assert!(now("send", sender.send("too late")).is_err());
        }
        hub.room("lobby").send(Message::from("to nobody"));
        drop(kept);
        drop(hub);
        PANICS.with(|panics| assert_eq!(*panics.borrow(), [""; 0], "after {turns} turns"));
        if has_ended {
            break;
        }
        turns += 1;
        assert!(turns < 5000, "the clients never come to their end");
    }
    // The states in between were met.
    assert!(turns > 50, "{turns} turns");
}

/// A hub in a `static`, say, used by one `#[tokio::test]` after another.
#[test]
fn a_hub_whose_runtime_has_ended_answers_with_errors() {
    let engine = testing::Engine::new();
    let hub = Hub::new()
        .history(History::last(100))
        .backplane(engine.link());
    run_for(1000, &Arc::default(), &hub, &Tracker::new());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let calls = async {
        let room = hub.room("lobby");
        let _ = room.publish("hello").await;
        let _ = room.position().await;
        let _ = room.history(3).await;
        let _ = room.people().await;
        let other = hub.room("other");
        assert!(other.publish("hello").await.is_err());
        assert!(other.position().await.is_err());
        assert!(other.people().await.is_err());
    };
    let ended = runtime.block_on(async { timeout(Duration::from_secs(60), calls).await });
    assert!(ended.is_ok(), "a call waits for a runtime that is gone");
}
