//! Two workers of a runtime share the connections. While one of them runs a turn, the other
//! may note that the same socket is ready, or push a message to it. A wake that is lost
//! between the two is a connection that hangs, which no test of one thread can show.
//!
//! What is known to go wrong: the runtime notes an event and calls the waker in two steps.
//! Between them a turn on the other worker may read everything and leave its waker, which
//! the second step takes. So a turn must not rely on a waker that it left before: each ends
//! with an IO that was asked and has nothing.

use std::env;
use std::thread;

use hyper::service::service_fn;
use hyper_ws::{WebSocket, WebSocketService};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc::unbounded_channel;
use tokio::task::JoinSet;

use crate::support::{BINARY, Client, echo, frame, listen, page};

const CONNECTIONS: usize = 50;
const MESSAGES: usize = 400;

/// How often all connections talk. (`WORKER_RUNS=1000 cargo test --release --test server workers`)
fn runs() -> usize {
    env::var("WORKER_RUNS").map_or(1, |runs| runs.parse().unwrap())
}

/// Has a task beside the handler answer, so that most messages are pushed to a connection
/// that parks at this moment.
async fn relay(mut socket: WebSocket) {
    let (pass_on, mut passed_on) = unbounded_channel();
    let sender = socket.sender();
    tokio::spawn(async move {
        while let Some(message) = passed_on.recv().await
            && sender.send(message).await.is_ok()
        {}
    });
    while let Ok(Some(message)) = socket.recv().await {
        pass_on.send(message).unwrap();
    }
}

/// Sends and receives, with so many messages on their way at any time.
async fn talk(mut client: Client, in_flight: usize) {
    let message = frame(BINARY, &[7; 20]);
    client.send(message.repeat(in_flight)).await;
    for received in 0..MESSAGES {
        client.expect(BINARY, [7; 20]).await;
        if received + in_flight < MESSAGES {
            client.send(&message).await;
        }
    }
    client.close().await;
}

async fn all_talk(address: std::net::SocketAddr, path: &'static str, in_flight: usize) {
    for _ in 0..runs() {
        let mut clients = JoinSet::new();
        for _ in 0..CONNECTIONS {
            clients.spawn(async move { talk(Client::open(address, path).await, in_flight).await });
        }
        clients.join_all().await;
    }
}

/// The clients are in another thread, or they would pace the server.
fn with_two_workers(path: &'static str, in_flight: usize) {
    let server: Runtime = Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let service = WebSocketService::new(service_fn(page))
        .route("/echo", echo)
        .route("/relay", relay);
    let address = server.block_on(listen(service));
    let clients = thread::spawn(move || {
        let clients = Builder::new_current_thread().enable_all().build().unwrap();
        clients.block_on(all_talk(address, path, in_flight));
    });
    clients.join().expect("no connection hangs");
}

#[test]
fn no_message_waits_for_ever_between_two_workers() {
    with_two_workers("/echo", 1);
    with_two_workers("/echo", 16);
}

#[test]
fn no_push_of_the_other_worker_is_overlooked() {
    with_two_workers("/relay", 1);
    with_two_workers("/relay", 16);
}
