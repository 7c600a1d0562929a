//! Thousands of connections that end in every possible way leave neither memory
//! nor file descriptors behind.

use std::fs;
use std::time::Duration;

use hyper::service::service_fn;
use hyper_ws::hub::Hub;
use hyper_ws::tracker::Tracker;
use hyper_ws::{Config, WebSocket, WebSocketService};
use tokio::io::AsyncWriteExt;

use crate::support::{Client, Server, close_frame, frame, handshake, page, until};
use crate::{Clock, alone, live};

fn file_descriptors() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count()
}

async fn in_a_room(mut socket: WebSocket, hub: Hub) -> Result<(), hyper_ws::Error> {
    let room = hub.room("room");
    room.join(&socket);
    let sender = socket.sender();
    while let Some(message) = socket.recv().await? {
        if message.as_text() == Some("panic") {
            panic!("as ordered");
        }
        sender.send(message).await?;
    }
    Ok(())
}

/// One connection from its beginning to one of its ends.
async fn cycle(server: &Server, way: usize) {
    let mut client = server.connect().await;
    let request = handshake("/ws", "");
    match way {
        0 => {
            client.upgrade("/ws").await;
            client.send(frame(0x81, b"hello")).await;
            client.expect(0x81, "hello").await;
            client.send(close_frame(1000, b"")).await;
            assert_eq!(client.close_code().await, Some(1000));
        }
        // The client disappears within a header, a payload, a control frame, a message.
        1 => leave_within(client, &frame(0x82, &[0; 300])[..3]).await,
        2 => leave_within(client, &frame(0x81, &[b'a'; 30_000])[..20_000]).await,
        3 => leave_within(client, &frame(0x89, &[0; 100])[..50]).await,
        4 => leave_within(client, &frame(0x01, &[b'a'; 5_000])).await,
        5 => {
            client.upgrade("/ws").await;
            client.send(frame(0x83, b"")).await;
            assert_eq!(client.close_code().await, Some(1002));
        }
        6 => {
            client.upgrade("/ws").await;
            client.send(frame(0x81, b"panic")).await;
            client.expect_close(1011).await;
        }
        7 => {
            client.send(&request).await;
            client.reset();
        }
        8 => {
            client.send(&request[..100]).await;
            client.reset();
        }
        // The client does not read its echo.
        _ => {
            client.upgrade("/ws").await;
            client.send(frame(0x82, &[0; 40_000])).await;
            client.reset();
        }
    }
}

async fn leave_within(mut client: Client, bytes: &[u8]) {
    client.upgrade("/ws").await;
    client.send(bytes).await;
    match bytes.len() % 2 {
        0 => client.reset(),
        _ => client.io.shutdown().await.unwrap(),
    }
}

#[test]
fn twenty_thousand_connections_leave_neither_memory_nor_file_descriptors() {
    // The panics are intended, and their backtraces would be most of the work.
    std::panic::set_hook(Box::new(|info| {
        if info.payload().downcast_ref::<&str>() != Some(&"as ordered") {
            eprintln!("{info}");
        }
    }));
    alone(Clock::Real, || async {
        let hub = Hub::new();
        let rooms = hub.clone();
        let tracker = Tracker::new();
        let service = WebSocketService::new(service_fn(page))
            .route("/ws", move |socket: WebSocket| {
                in_a_room(socket, rooms.clone())
            })
            .config(Config::new().close_timeout(Duration::from_millis(100)))
            .tracker(&tracker);
        let server = Server::start(service, tracker).await;
        let descriptors = file_descriptors();
        let mut baseline = None;
        for round in 0..2_000 {
            for way in 0..10 {
                cycle(&server, way).await;
            }
            if round % 100 != 99 {
                continue;
            }
            server.emptied().await;
            until("the room is empty", || hub.is_empty()).await;
            // Requests that did not become sockets end a moment later.
            until("the descriptors are closed", || {
                file_descriptors() <= descriptors
            })
            .await;
            tokio::time::sleep(Duration::from_millis(5)).await;
            match baseline {
                // The first thousand cycles have filled the pools.
                None => baseline = Some(live()),
                Some(bytes) => {
                    let more = live().saturating_sub(bytes);
                    // Less than a byte for each connection that has ended since.
                    assert!(more < 8 * 1024, "{more} bytes after {round} rounds");
                }
            }
        }
    });
}
