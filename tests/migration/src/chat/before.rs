use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use futures_util::{SinkExt, StreamExt};
use tokio::sync::broadcast;
use tokio::sync::mpsc::{self, UnboundedSender};

#[derive(Clone)]
pub struct App {
    room: broadcast::Sender<String>,
    people: Arc<Mutex<HashMap<String, UnboundedSender<String>>>>,
}

impl App {
    fn say(&self, name: &str, text: &str) {
        match text.strip_prefix("/to ").and_then(|it| it.split_once(' ')) {
            Some((whom, text)) => {
                if let Some(whom) = self.people.lock().unwrap().get(whom) {
                    let _ = whom.send(format!("{name} whispers {text}"));
                }
            }
            None => {
                let _ = self.room.send(format!("{name} says {text}"));
            }
        }
    }
}

async fn handler(
    upgrade: WebSocketUpgrade,
    headers: HeaderMap,
    State(app): State<App>,
) -> Response {
    let Some(name) = user(&headers) else {
        return (StatusCode::UNAUTHORIZED, "who are you?\n").into_response();
    };
    upgrade.on_upgrade(move |socket| converse(socket, name, app))
}

fn user(headers: &HeaderMap) -> Option<String> {
    let cookie = headers.get("cookie")?.to_str().ok()?;
    cookie.strip_prefix("user=").map(str::to_owned)
}

async fn converse(socket: WebSocket, name: String, app: App) {
    let (mut sink, mut stream) = socket.split();
    let (sender, mut private) = mpsc::unbounded_channel();
    app.people.lock().unwrap().insert(name.clone(), sender);
    let mut room = app.room.subscribe();
    let _ = app.room.send(format!("{name} joined"));
    let mut sending = tokio::spawn(async move {
        loop {
            let text = tokio::select! {
                text = private.recv() => text,
                // One that lags behind is gone.
                text = room.recv() => text.ok(),
            };
            let Some(text) = text else { return };
            if sink.send(Message::text(text)).await.is_err() {
                return;
            }
        }
    });
    let mut receiving = tokio::spawn({
        let (app, name) = (app.clone(), name.clone());
        async move {
            while let Some(Ok(message)) = stream.next().await {
                if let Message::Text(text) = message {
                    app.say(&name, &text);
                }
            }
        }
    });
    tokio::select! {
        _ = &mut sending => receiving.abort(),
        _ = &mut receiving => sending.abort(),
    }
    app.people.lock().unwrap().remove(&name);
    let _ = app.room.send(format!("{name} left"));
}

pub fn app() -> Router {
    let app = App {
        room: broadcast::Sender::new(100),
        people: Arc::default(),
    };
    Router::new().route("/ws", any(handler)).with_state(app)
}
