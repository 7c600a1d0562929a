use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use axum::routing::any;
use hyper_ws::handshake::Rejection;
use hyper_ws::hub::{Hub, Room};
use hyper_ws::{Config, Message, Sender, Upgrade, WebSocket};

#[derive(Clone)]
pub struct App {
    room: Room,
    people: Arc<Mutex<HashMap<String, Sender>>>,
    config: Arc<Config>,
}

impl App {
    fn say(&self, name: &str, text: &str) {
        match text.strip_prefix("/to ").and_then(|it| it.split_once(' ')) {
            Some((whom, text)) => {
                if let Some(whom) = self.people.lock().unwrap().get(whom) {
                    whom.push(format!("{name} whispers {text}"));
                }
            }
            None => {
                self.room.send(format!("{name} says {text}"));
            }
        }
    }
}

async fn handler(
    upgrade: Upgrade,
    headers: HeaderMap,
    State(app): State<App>,
) -> Result<Response, Rejection> {
    let upgrade = upgrade.config(app.config.clone()).check()?;
    let Some(name) = user(&headers) else {
        return Err(upgrade.refuse(StatusCode::UNAUTHORIZED, "who are you?"));
    };
    Ok(upgrade.on_upgrade(move |socket| converse(socket, name, app)))
}

fn user(headers: &HeaderMap) -> Option<String> {
    let cookie = headers.get("cookie")?.to_str().ok()?;
    cookie.strip_prefix("user=").map(str::to_owned)
}

async fn converse(mut socket: WebSocket, name: String, app: App) {
    let sender = socket.sender();
    app.people.lock().unwrap().insert(name.clone(), sender);
    app.room.join(&socket);
    app.room.send(format!("{name} joined"));
    while let Ok(Some(message)) = socket.recv().await {
        if let Message::Text(text) = message {
            app.say(&name, &text);
        }
    }
    app.people.lock().unwrap().remove(&name);
    app.room.send(format!("{name} left"));
}

pub fn app(config: Config) -> Router {
    let app = App {
        room: Hub::new().room("chat"),
        people: Arc::default(),
        config: Arc::new(config),
    };
    Router::new().route("/ws", any(handler)).with_state(app)
}
