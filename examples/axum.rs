//! A WebSocket route in axum, with a shutdown that sockets take part in.
//!
//!     cargo run --release --example axum
//!
//! A copy of it needs the feature `axum`.

use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::{any, get};
use hyper_ws::tracker::Tracker;
use hyper_ws::{CloseCode, Upgrade, WebSocket};
use tokio::net::TcpListener;

async fn socket(State(tracker): State<Tracker>, upgrade: Upgrade) -> Response {
    upgrade
        .tracker(&tracker)
        .protocols(["echo.v1"])
        .on_upgrade(echo)
}

async fn echo(mut socket: WebSocket) -> Result<(), hyper_ws::Error> {
    while let Some(message) = socket.recv().await? {
        socket.send(message).await?;
    }
    Ok(())
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let tracker = Tracker::new();
    let app = Router::new()
        .route("/", get(|| async { "the socket is at /ws\n" }))
        // `any`, because over HTTP/2 a handshake is not a GET.
        .route("/ws", any(socket))
        .with_state(tracker.clone());
    let listener = TcpListener::bind("127.0.0.1:3000").await?;
    println!("listening on http://{}", listener.local_addr()?);
    axum::serve(listener, app)
        .with_graceful_shutdown(async move {
            let _ = tokio::signal::ctrl_c().await;
            // The sockets first, because the server does not know them.
            tracker
                .drain(CloseCode::GOING_AWAY, Duration::from_secs(10))
                .await;
        })
        .await
}
