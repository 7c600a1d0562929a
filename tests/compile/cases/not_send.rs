//! A handler keeps a value across an `.await` that must not change its thread.
//~ cannot be sent between threads safely
//~ Rc<i32>
//~ `counter` maybe used later

use std::rc::Rc;

use hyper_ws::middleware::handler;
use hyper_ws::{WebSocket, WebSocketLayer};

async fn chat(mut socket: WebSocket) {
    let counter = Rc::new(0);
    let _ = socket.recv().await;
    drop(counter);
}

fn main() {
    let _ = WebSocketLayer::new().route("/ws", handler::socket(chat));
}
