//! Sends every message to every connected socket, including the sender's.
//!
//! Over HTTP/1.1 and over HTTP/2 (prior knowledge), on one port.
//!
//!     cargo run --release --example broadcast -- --listen 127.0.0.1:9001
//!
//! A copy of it needs the features `hub`, `http2`, `deflate`.

mod support;

use clap::Parser;
use hyper::service::service_fn;
use hyper_ws::hub::{Hub, Room};
use hyper_ws::tracker::Tracker;
use hyper_ws::{WebSocket, WebSocketService};

use support::{Options, no_page};

async fn broadcast(mut socket: WebSocket, room: Room) -> Result<(), hyper_ws::Error> {
    room.join(&socket);
    while let Some(message) = socket.recv().await? {
        room.send(message);
    }
    Ok(())
}

fn main() -> std::io::Result<()> {
    let options = Options::parse();
    let room = Hub::new().room("all");
    let tracker = Tracker::new();
    let service = WebSocketService::new(service_fn(no_page))
        .any_path(move |socket| broadcast(socket, room.clone()))
        .config(options.config())
        .tracker(&tracker);
    support::runtime(&options)?.block_on(support::serve(&options, service, &tracker))
}
