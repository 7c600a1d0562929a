//! A server with ws-kit's rooms over Redis, as its documentation shows them: the subscriber is
//! started again when it ends, and a socket forwards what its room's receiver gets.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{RawQuery, State};
use axum::response::Response;
use axum::routing::get;
use futures_util::{SinkExt, StreamExt};
use rooms::{parameter, value};
use tokio::net::TcpListener;
use tokio::sync::broadcast::error::RecvError;
use ws_kit::codec::Frame;
use ws_kit::redis_rooms::RedisRoomRegistry;
use ws_kit::room::RoomRegistry;

type Rooms = Arc<RedisRoomRegistry>;

async fn serve(socket: WebSocket, rooms: Rooms, query: String) {
    let name = parameter(&query, "room").unwrap_or("all").to_owned();
    let (mut output, mut input) = socket.split();
    if parameter(&query, "role") == Some("say") {
        while let Some(Ok(message)) = input.next().await {
            let Message::Text(text) = message else {
                continue;
            };
            if let Err(error) = rooms.broadcast(&name, Frame::from(text.as_str())).await {
                let _ = output.send(Message::text(format!("failed {error}"))).await;
            }
        }
        return;
    }
    if let Some(count) = parameter(&query, "count").and_then(|it| it.parse().ok()) {
        let all = (0_usize..count).map(|number| {
            let room = rooms.get_or_create(&format!("{name}-{number}"));
            room.join(1, "a".to_owned());
            room.subscribe()
        });
        let all: Vec<_> = all.collect();
        let _ = output.send(Message::text("ready")).await;
        while input.next().await.is_some() {}
        drop(all);
        return;
    }
    let room = rooms.get_or_create(&name);
    let mut receiver = room.subscribe();
    let _ = output.send(Message::text("ready")).await;
    loop {
        let frame = tokio::select! {
            frame = receiver.recv() => frame,
            message = input.next() => match message {
                Some(Ok(_)) => continue,
                _ => return,
            },
        };
        let sent = match frame {
            Ok(Frame::Text(text)) => output.send(Message::text(text)).await,
            // What is lost here is lost in silence unless a server says so: it is not told.
            Ok(_) | Err(RecvError::Lagged(_)) => continue,
            Err(RecvError::Closed) => return,
        };
        if sent.is_err() {
            return;
        }
    }
}

async fn upgrade(
    State(rooms): State<Rooms>,
    RawQuery(query): RawQuery,
    upgrade: WebSocketUpgrade,
) -> Response {
    upgrade.on_upgrade(|socket| serve(socket, rooms, query.unwrap_or_default()))
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let url: String = value("redis").ok_or("--redis URL is missing")?;
    let rooms = Arc::new(RedisRoomRegistry::connect(&url).await?);
    let subscriber = rooms.clone();
    tokio::spawn(async move {
        loop {
            let _ = subscriber.run_subscriber().await;
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    });
    let app = Router::new().route("/ws", get(upgrade)).with_state(rooms);
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?.port());
    use axum::serve::ListenerExt;
    let listener = listener.tap_io(|stream| drop(stream.set_nodelay(true)));
    axum::serve(listener, app).await?;
    Ok(())
}
