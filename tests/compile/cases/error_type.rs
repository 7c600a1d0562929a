//! The error of a handler is not an error.
//~ MyError
//~ Error` is not implemented for `MyError`

use hyper_ws::middleware::handler;
use hyper_ws::{WebSocket, WebSocketLayer};

struct MyError;

async fn chat(_: WebSocket) -> Result<(), MyError> {
    Ok(())
}

fn main() {
    let _ = WebSocketLayer::new().route("/ws", handler::socket(chat));
}
