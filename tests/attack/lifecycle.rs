//! Attacks on the life of a connection: its beginning and its end, at the worst
//! moment, on several threads.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_ws::close::CloseFrame;
use hyper_ws::error::CloseCause;
use hyper_ws::hub::Hub;
use hyper_ws::tracker::Tracker;
use hyper_ws::{CloseCode, Config, Upgrade, WebSocket, WebSocketService};
use tokio::io::AsyncWriteExt;
use tokio::sync::{Notify, mpsc};

use crate::support::{Client, Server, close_frame, echo, frame, handshake, page, until};

/// No timeout hides a wake-up that was missed.
fn untimed() -> Config {
    Config::new()
        .no_keep_alive()
        .message_timeout(None)
        .write_timeout(None)
        .close_timeout(Duration::from_secs(3600))
}

#[tokio::test]
async fn a_frame_that_was_cut_where_the_inbox_was_full_is_read_to_its_end() {
    let tracker = Tracker::new();
    let go = Arc::new(Notify::new());
    let waiting = Arc::clone(&go);
    let service = WebSocketService::new(service_fn(page))
        .route("/ws", move |socket: WebSocket| {
            let go = Arc::clone(&waiting);
            async move {
                go.notified().await;
                echo(socket).await
            }
        })
        .config(untimed())
        .tracker(&tracker);
    let server = Server::start(service, tracker).await;
    for size in [10, 100, 20_000, 200_000] {
        for before in [63, 64, 65, 128] {
            let mut client = server.open().await;
            let last = frame(0x82, &vec![b'z'; size]);
            let (start, rest) = last.split_at(7);
            let batch = [&frame(0x82, b"x").repeat(before)[..], start].concat();
            client.send(batch).await;
            // The server has read as much as it reads ahead.
            tokio::time::sleep(Duration::from_millis(5)).await;
            go.notify_one();
            for _ in 0..before {
                client.expect(0x82, "x").await;
            }
            client.send(rest).await;
            client.expect(0x82, vec![b'z'; size]).await;
        }
    }
}

/// A server whose handlers never receive: `/ws` sends, `/sender` waits for the end, and
/// `/closed` too, discarding what arrives. They tell how their connections ended.
async fn deaf(config: Config) -> (Server, mpsc::UnboundedReceiver<CloseCause>) {
    let (tell, causes) = mpsc::unbounded_channel();
    let (first, second, third) = (tell.clone(), tell.clone(), tell);
    let tracker = Tracker::new();
    let service = WebSocketService::new(service_fn(page))
        .route("/ws", move |mut socket: WebSocket| {
            let tell = first.clone();
            async move {
                let sender = socket.sender();
                while socket.send("tick").await.is_ok() {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
                let _ = tell.send(sender.closed().await);
            }
        })
        .route("/sender", move |socket: WebSocket| {
            let tell = second.clone();
            async move { drop(tell.send(socket.sender().closed().await)) }
        })
        .route("/closed", move |mut socket: WebSocket| {
            let tell = third.clone();
            async move { drop(tell.send(socket.closed().await)) }
        })
        .config(config)
        .tracker(&tracker);
    (Server::start(service, tracker).await, causes)
}

/// The next control frame.
async fn control(client: &mut Client) -> crate::support::Frame {
    loop {
        match client.frame().await.unwrap() {
            frame if frame.first == 0x81 => {}
            frame => return frame,
        }
    }
}

#[tokio::test]
async fn a_ping_and_a_close_are_answered_behind_messages_that_the_handler_never_receives() {
    let (server, mut causes) = deaf(untimed()).await;
    // Behind any number if they are discarded: some 20 MB of them.
    for (path, count) in [("/ws", 100), ("/sender", 500), ("/closed", 1_000_000)] {
        let mut client = server.connect().await;
        client.upgrade(path).await;
        client
            .send(frame(0x81, b"a short text").repeat(count))
            .await;
        client.send(frame(0x89, b"there?")).await;
        let pong = control(&mut client).await;
        assert_eq!((pong.first, &pong.payload[..]), (0x8a, &b"there?"[..]));
        client.send(close_frame(1001, b"")).await;
        assert_eq!(control(&mut client).await.close_code(), Some(1001));
        drop(client);
        let cause = causes.recv().await.unwrap();
        assert!(
            matches!(cause, CloseCause::Remote(Some(_))),
            "{path}: {cause}"
        );
    }
    server.emptied().await;
}

#[tokio::test]
async fn no_connection_outlives_its_peer_however_much_is_not_received() {
    let config = untimed()
        .keep_alive(Duration::from_millis(20), Duration::from_secs(10))
        .close_timeout(Duration::from_millis(5));
    let (server, mut causes) = deaf(config).await;
    for path in ["/ws", "/sender", "/closed"] {
        for ends in ["close frame", "end", "reset"] {
            let mut client = server.connect().await;
            client.upgrade(path).await;
            let texts = frame(0x81, b"a short text").repeat(100_000);
            let flood = client.io.write_all(&texts);
            let _ = tokio::time::timeout(Duration::from_millis(200), flood).await;
            match ends {
                "close frame" => {
                    let frame = close_frame(1000, b"");
                    let sent = client.io.write_all(&frame);
                    let _ = tokio::time::timeout(Duration::from_millis(50), sent).await;
                    drop(client);
                }
                "end" => drop(client),
                _ => client.reset(),
            }
            let ended = tokio::time::timeout(Duration::from_secs(20), causes.recv()).await;
            assert!(ended.is_ok(), "{path}, {ends}");
        }
    }
    server.emptied().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_socket_that_is_dropped_in_another_task_is_closed_whenever_that_happens() {
    // A thread that is already running, so that it is as quick as possible.
    let (give, take) = std::sync::mpsc::channel::<(WebSocket, usize)>();
    let dropping = std::thread::spawn(move || {
        loop {
            match take.try_recv() {
                Ok((socket, pause)) => {
                    (0..pause).for_each(|_| std::hint::spin_loop());
                    drop(socket);
                }
                Err(std::sync::mpsc::TryRecvError::Empty) => std::hint::spin_loop(),
                Err(std::sync::mpsc::TryRecvError::Disconnected) => return,
            }
        }
    });
    let tracker = Tracker::new();
    let service = WebSocketService::new(service_fn(page))
        .route("/ws", move |mut socket: WebSocket| {
            let give = give.clone();
            async move {
                let pause = socket.recv().await.unwrap().unwrap().len();
                give.send((socket, pause)).unwrap();
            }
        })
        .config(untimed())
        .tracker(&tracker);
    let server = Server::start(service, tracker).await;
    for round in 0..2_000 {
        let mut client = server.open().await;
        client.send(frame(0x82, &vec![0; round % 500])).await;
        client.expect_close(1000).await;
        client.send(close_frame(1000, b"")).await;
        client.end().await;
    }
    server.emptied().await;
    drop(server);
    dropping.join().unwrap();
}

/// A server whose handler joins a room, says so, and then obeys: the next message
/// decides how the conversation ends.
async fn obedient(limit: usize) -> (Server, Hub, Arc<AtomicUsize>) {
    let hub = Hub::new();
    let tracker = Tracker::new().limit(limit);
    let running = Arc::new(AtomicUsize::new(0));
    let (rooms, counter) = (hub.clone(), Arc::clone(&running));
    let service = WebSocketService::new(service_fn(page))
        .route("/ws", move |mut socket: WebSocket| {
            let room = rooms.room("room");
            let counted = Counted::new(&counter);
            async move {
                let _counted = counted;
                room.join(&socket);
                socket.send("ready").await?;
                let _senders = [socket.sender(), socket.sender()];
                while let Some(order) = socket.recv().await? {
                    match order.as_text() {
                        Some("return") => return Ok(()),
                        Some("fail") => return Err("as ordered".into()),
                        Some("panic") => panic!("as ordered"),
                        Some("abort") => {
                            socket.abort();
                            return std::future::pending().await;
                        }
                        Some("close") => _ = socket.close(CloseCode::NORMAL, "as ordered").await,
                        Some("wait") => std::future::pending().await,
                        _ => {}
                    }
                }
                Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
            }
        })
        .route("/early", |_: WebSocket| -> std::future::Ready<()> {
            panic!("before there is a future")
        })
        .config(Config::new().close_timeout(Duration::from_millis(300)))
        .tracker(&tracker);
    (Server::start(service, tracker).await, hub, running)
}

/// Counts the handlers that exist.
struct Counted(Arc<AtomicUsize>);

impl Counted {
    fn new(counter: &Arc<AtomicUsize>) -> Self {
        counter.fetch_add(1, Ordering::SeqCst);
        Counted(Arc::clone(counter))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A client whose handler has joined the room.
async fn ready(server: &Server) -> Client {
    let mut client = server.open().await;
    client.expect(0x81, "ready").await;
    client
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn however_a_connection_ends_its_place_its_handler_and_its_membership_are_free_again() {
    // The limit is one socket: a single leak would refuse every later client.
    let (server, hub, running) = obedient(1).await;
    for round in 0..10 {
        for order in ["return", "fail", "panic", "close", "abort"] {
            let mut client = ready(&server).await;
            client.send(frame(0x81, order.as_bytes())).await;
            let expected = match order {
                "return" | "close" => Some(1000),
                "fail" | "panic" => Some(1011),
                _ => None,
            };
            match expected {
                Some(code) => client.expect_close(code).await,
                None => client.end().await,
            }
            if round % 2 == 0 {
                // Otherwise the client disappears without an answer.
                let _ = client.io.write_all(&close_frame(1000, b"")).await;
            }
            drop(client);
            server.emptied().await;
        }
        for violation in [
            frame(0x83, b""),
            frame(0x81, b"\xff"),
            close_frame(1001, b""),
        ] {
            let mut client = ready(&server).await;
            client.send(violation).await;
            assert!(client.close_code().await.is_some());
            drop(client);
            server.emptied().await;
        }
        for last in [&b""[..], b"\x81", &frame(0x82, &[0; 60_000])[..30_000]] {
            // RST and FIN, within a frame and between two.
            let mut client = ready(&server).await;
            client.send(last).await;
            client.reset();
            server.emptied().await;
            let mut client = ready(&server).await;
            client.send(last).await;
            client.io.shutdown().await.unwrap();
            client.end().await;
            server.emptied().await;
        }
    }
    until("the room is empty", || hub.is_empty()).await;
    until("no handler is left", || running.load(Ordering::SeqCst) == 0).await;
}

#[tokio::test]
async fn a_handler_that_panics_before_it_has_a_future_takes_nothing_with_it() {
    let (server, _, _) = obedient(1).await;
    for _ in 0..10 {
        let mut client = server.connect().await;
        client.send(handshake("/early", "")).await;
        assert_eq!(client.answer().await.status, 101);
        // The connection is gone and no longer counts, and the server lives.
        server.emptied().await;
    }
    ready(&server).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_over_the_limit_is_told_to_come_back() {
    let (server, _, _) = obedient(3).await;
    for _ in 0..3 {
        let mut clients = vec![];
        for _ in 0..3 {
            clients.push(ready(&server).await);
        }
        for _ in 0..10 {
            let mut refused = server.connect().await;
            refused.send(handshake("/ws", "")).await;
            let answer = refused.answer().await;
            assert_eq!(answer.status, 503);
            let seconds = answer.header("retry-after").unwrap();
            assert!(seconds.parse::<u32>().unwrap() > 0);
            // An ordinary request is served as before, on the same connection.
            refused
                .send("GET /page HTTP/1.1\r\nHost: localhost\r\n\r\n")
                .await;
            assert_eq!(refused.answer().await.body, "GET /page\n");
        }
        assert_eq!(server.tracker.len(), 3);
        // One socket ends, and another client takes its place.
        clients.pop().unwrap().reset();
        until("a place is free", || server.tracker.len() < 3).await;
        clients.push(ready(&server).await);
        drop(clients);
        server.emptied().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reset_between_the_request_and_the_first_frame_kills_nothing() {
    let (server, hub, running) = obedient(usize::MAX).await;
    for round in 0..300 {
        let mut client = server.connect().await;
        let request = handshake("/ws", "");
        match round % 5 {
            // Within the request, right behind it, and behind a frame that follows it.
            0 => client.send(&request[..request.len() - round % 50]).await,
            1 => client.send(&request).await,
            2 => {
                client
                    .send([request.as_bytes(), &frame(0x81, b"x")].concat())
                    .await
            }
            // Right after the 101, and within the first frame.
            3 => client.upgrade("/ws").await,
            _ => {
                client.upgrade("/ws").await;
                client.send(&frame(0x82, &[0; 100])[..round % 100]).await;
            }
        }
        client.reset();
    }
    server.emptied().await;
    until("the room is empty", || hub.is_empty()).await;
    until("no handler is left", || running.load(Ordering::SeqCst) == 0).await;
    ready(&server).await;
}

#[tokio::test]
async fn a_request_that_is_dropped_before_its_answer_leaves_nothing() {
    let (begun, mut beginnings) = mpsc::unbounded_channel();
    let tracker = Tracker::new();
    let service = WebSocketService::new(service_fn(page))
        // This handler holds the handshake and never answers.
        .route("/never", move |upgrade: Upgrade, _: Request<()>| {
            let begun = begun.clone();
            async move {
                let _upgrade = upgrade;
                begun.send(()).unwrap();
                std::future::pending::<Response<String>>().await
            }
        })
        // This one answers, and drops the future that would serve the connection.
        .route("/dropped", |upgrade: Upgrade, _: Request<()>| async move {
            let (response, conversation) = upgrade.accept_with(echo);
            drop(conversation);
            response
        })
        .route("/bare", |upgrade: Upgrade, _: Request<()>| async move {
            let (response, accepted) = upgrade.accept();
            drop(accepted);
            response
        })
        // This one takes the handshake and answers with another status.
        .route("/refused", |upgrade: Upgrade, _: Request<()>| async move {
            drop(upgrade);
            let mut response = Response::new("no\n".to_owned());
            *response.status_mut() = StatusCode::UNAUTHORIZED;
            response
        })
        .route("/ws", echo)
        .tracker(&tracker);
    let server = Server::start(service, tracker).await;
    for _ in 0..20 {
        let mut client = server.connect().await;
        client.send(handshake("/never", "")).await;
        beginnings.recv().await.unwrap();
        client.reset();
        for path in ["/dropped", "/bare"] {
            let mut client = server.connect().await;
            client.send(handshake(path, "")).await;
            assert_eq!(client.answer().await.status, 101);
            client.end().await;
        }
        let mut client = server.connect().await;
        client.send(handshake("/refused", "")).await;
        assert_eq!(client.answer().await.status, 401);
        client.upgrade("/ws").await;
    }
    server.emptied().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn eight_tasks_that_send_during_the_close_send_whole_messages_or_none() {
    let (server, mut senders) = Server::with_senders().await;
    for round in 0..40u32 {
        let mut client = server.open().await;
        let sender = senders.recv().await.unwrap();
        let mut tasks = vec![];
        for task in 0..8u32 {
            let sender = sender.clone();
            tasks.push(tokio::spawn(async move {
                let mut sent = 0u32;
                // Some are large enough to be written without being copied.
                let size = if task % 2 == 0 { 20 } else { 20_000 };
                loop {
                    let mut message = vec![task as u8; size];
                    message[..4].copy_from_slice(&sent.to_be_bytes());
                    match sender.send(message).await {
                        Ok(()) => sent += 1,
                        Err(error) => {
                            assert!(error.is_closed(), "{error}");
                            return sent;
                        }
                    }
                }
            }));
        }
        // Either side closes, or both, while messages are being sent.
        let mut received = [0u32; 8];
        let mut count = 0;
        let code = loop {
            let frame = client.frame().await.expect("a close frame");
            if frame.first == 0x88 {
                break frame.close_code();
            }
            let task = usize::from(frame.payload[19]);
            let size = if task % 2 == 0 { 20 } else { 20_000 };
            assert_eq!(frame.payload.len(), size);
            // The messages of each task arrive in its order, without a gap.
            assert_eq!(frame.payload[..4], received[task].to_be_bytes());
            assert!(
                frame.payload[4..]
                    .iter()
                    .all(|byte| usize::from(*byte) == task)
            );
            received[task] += 1;
            count += 1;
            if count == 10 + round {
                if round % 3 != 0 {
                    client.send(close_frame(1001, b"")).await;
                }
                if round % 3 != 1 {
                    sender.close(CloseCode::NORMAL, "");
                }
            }
        };
        assert!(matches!(code, Some(1000 | 1001)), "{code:?}");
        let _ = client.io.write_all(&close_frame(1000, b"")).await;
        client.end().await;
        for (task, received) in tasks.into_iter().zip(received) {
            // Messages accepted before the server's close frame were delivered;
            // those behind the peer's close frame may be lost.
            let sent = task.await.unwrap();
            assert!(received <= sent, "{received} of {sent}");
            if round % 3 == 0 {
                assert_eq!(received, sent);
            }
        }
    }
    server.emptied().await;
}

/// A peer that sends its last texts and a close frame and closes TCP at once answers the
/// first reply with RST. Its own bytes are in the kernel then.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_that_a_peer_sent_before_it_closed_tcp_is_received() {
    let (tell, mut told) = mpsc::unbounded_channel();
    let told_by = move |mut socket: WebSocket| {
        let tell = tell.clone();
        async move {
            let mut received = 0;
            while let Ok(Some(message)) = socket.recv().await {
                received += 1;
                let _ = socket.send(message).await;
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            tell.send((received, socket.close_cause())).unwrap();
        }
    };
    let tracker = Tracker::new();
    let service = WebSocketService::new(service_fn(page))
        .route("/ws", told_by)
        .tracker(&tracker);
    let server = Server::start(service, tracker).await;
    for _ in 0..3 {
        let mut client = server.open().await;
        let mut bytes = frame(0x81, b"a short text").repeat(1000);
        bytes.extend(close_frame(1000, b""));
        client.send(bytes).await;
        drop(client);
        let (received, cause) = told.recv().await.unwrap();
        let expected = CloseCause::Remote(Some(CloseFrame::new(CloseCode::NORMAL, "")));
        assert_eq!((received, cause), (1000, Some(expected)));
    }
    server.emptied().await;
}
