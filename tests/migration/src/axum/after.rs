use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::extract::{ConnectInfo, State};
use axum::http::HeaderMap;
use axum::response::Response;
use axum::routing::{any, get};
use hyper_ws::tracker::Tracker;
use hyper_ws::{CloseCode, Error, Message, Upgrade, WebSocket};
use tokio::net::TcpListener;
use tokio::time::sleep;

async fn handler(
    upgrade: Upgrade,
    headers: HeaderMap,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    State(tracker): State<Tracker>,
) -> Response {
    let browser = headers.get("user-agent").and_then(|it| it.to_str().ok());
    println!("{peer} comes with {}", browser.unwrap_or("something"));
    let upgrade = upgrade.tracker(&tracker);
    upgrade.on_upgrade(move |socket| converse(socket, peer))
}

async fn converse(mut socket: WebSocket, peer: SocketAddr) -> Result<(), Error> {
    for count in 1..=3 {
        socket.send(format!("hello {count}")).await?;
        sleep(Duration::from_millis(100)).await;
    }
    let sender = socket.sender();
    tokio::spawn(async move {
        for count in 1..=20 {
            sender.send(format!("news {count}")).await?;
            sleep(Duration::from_millis(300)).await;
        }
        sender.close(CloseCode::NORMAL, "goodbye");
        Ok::<(), Error>(())
    });
    while let Some(message) = socket.recv().await? {
        match message {
            Message::Text(text) => println!("{peer} says {text:?}"),
            Message::Binary(bytes) => println!("{peer} sends {} bytes", bytes.len()),
        }
    }
    println!("{peer} is gone: {:?}", socket.close_cause());
    Ok(())
}

pub async fn serve(
    listener: TcpListener,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    let tracker = Tracker::new();
    let app = Router::new()
        .route("/", get(async || "a page\n"))
        .route("/slow", get(async || sleep(Duration::from_secs(2)).await))
        .route("/ws", any(handler))
        .with_state(tracker.clone())
        .into_make_service_with_connect_info::<SocketAddr>();
    let shutdown = async move {
        shutdown.await;
        let patience = Duration::from_secs(10);
        tracker.drain(CloseCode::GOING_AWAY, patience).await;
    };
    axum::serve(listener, app)
        .with_graceful_shutdown(shutdown)
        .await
}
