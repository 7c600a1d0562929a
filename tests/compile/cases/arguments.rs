//! A handler takes more than the socket.
//~ to take 1 argument

use hyper_ws::middleware::handler;
use hyper_ws::{WebSocket, WebSocketLayer};

async fn chat(_: WebSocket, _: String) {}

fn main() {
    let _ = WebSocketLayer::new().route("/ws", handler::socket(chat));
}
