//! Attacks on the life of a connection: its beginning and its end, at the worst
//! moment, on several threads.

mod attacker;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use attacker::{Client, Server, close_frame, echo, frame, handshake, page, until};
use hyper::service::service_fn;
use hyper_ws::hub::Hub;
use hyper_ws::tracker::Tracker;
use hyper_ws::{CloseCode, Config, Sender, WebSocket, WebSocketService};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::{Notify, mpsc};

/// No timer repairs what was forgotten.
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
            // The server has read as far as it wants to.
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_socket_that_is_dropped_in_another_task_is_closed_whenever_that_happens() {
    // A thread that is already running, so that it is as quick as can be.
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
