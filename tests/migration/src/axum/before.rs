use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::ConnectInfo;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade, close_code};
use axum::http::HeaderMap;
use axum::response::Response;
use axum::routing::{any, get};
use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpListener;
use tokio::time::sleep;

async fn handler(
    upgrade: WebSocketUpgrade,
    headers: HeaderMap,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
) -> Response {
    let browser = headers.get("user-agent").and_then(|it| it.to_str().ok());
    println!("{peer} comes with {}", browser.unwrap_or("something"));
    upgrade.on_upgrade(move |socket| converse(socket, peer))
}

async fn converse(mut socket: WebSocket, peer: SocketAddr) {
    let ping = Message::Ping(Bytes::from_static(b"there?"));
    if socket.send(ping).await.is_err() {
        println!("{peer} left at once");
        return;
    }
    for count in 1..=3 {
        let greeting = Message::text(format!("hello {count}"));
        if socket.send(greeting).await.is_err() {
            println!("{peer} left during the greeting");
            return;
        }
        sleep(Duration::from_millis(100)).await;
    }
    let (mut sink, mut stream) = socket.split();
    let mut sending = tokio::spawn(async move {
        for count in 1..=20 {
            let news = Message::text(format!("news {count}"));
            if sink.send(news).await.is_err() {
                return;
            }
            sleep(Duration::from_millis(300)).await;
        }
        let goodbye = CloseFrame {
            code: close_code::NORMAL,
            reason: "goodbye".into(),
        };
        let _ = sink.send(Message::Close(Some(goodbye))).await;
    });
    let mut receiving = tokio::spawn(async move {
        while let Some(Ok(message)) = stream.next().await {
            match message {
                Message::Text(text) => println!("{peer} says {text:?}"),
                Message::Binary(bytes) => println!("{peer} sends {} bytes", bytes.len()),
                Message::Close(frame) => {
                    println!("{peer} leaves: {frame:?}");
                    return;
                }
                Message::Ping(_) | Message::Pong(_) => {}
            }
        }
    });
    tokio::select! {
        _ = &mut sending => receiving.abort(),
        _ = &mut receiving => sending.abort(),
    }
    println!("{peer} is gone");
}

pub async fn serve(
    listener: TcpListener,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    let app = Router::new()
        .route("/", get(async || "a page\n"))
        .route("/slow", get(async || sleep(Duration::from_secs(2)).await))
        .route("/ws", any(handler))
        .into_make_service_with_connect_info::<SocketAddr>();
    axum::serve(listener, app)
        .with_graceful_shutdown(shutdown)
        .await
}
