//! Echoes every message, on every path, to pages of any origin.
//!
//! Over HTTP/1.1 and over HTTP/2 (prior knowledge), on one port.
//!
//!     cargo run --release --example echo -- --listen 127.0.0.1:9001
//!
//! A copy of it needs the features `http2`, `deflate`.

mod support;

use clap::Parser;
use hyper::service::service_fn;
use hyper_ws::tracker::Tracker;
use hyper_ws::{WebSocket, WebSocketService};

use support::{Options, no_page};

async fn echo(mut socket: WebSocket) -> Result<(), hyper_ws::Error> {
    while let Some(message) = socket.recv().await? {
        socket.send(message).await?;
    }
    Ok(())
}

fn main() -> std::io::Result<()> {
    let options = Options::parse();
    let tracker = Tracker::new();
    let service = WebSocketService::new(service_fn(no_page))
        .any_path(echo)
        .config(options.config())
        .tracker(&tracker);
    support::runtime(&options)?.block_on(support::serve(&options, service, &tracker))
}
