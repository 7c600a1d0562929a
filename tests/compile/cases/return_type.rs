//! A handler returns something that no handler returns.
//~ a WebSocket handler cannot return `Option<()>`

use hyper_ws::middleware::handler;
use hyper_ws::{WebSocket, WebSocketLayer};

async fn chat(_: WebSocket) -> Option<()> {
    None
}

fn main() {
    let _ = WebSocketLayer::new().route("/ws", handler::socket(chat));
}
