//! Without a function around the handler, the compiler says which one to write.
//~ is not a WebSocket handler
//~ `hyper_ws::middleware::handler::socket(..)` around
//~ handler::socket_with(state, handler)

use hyper_ws::{WebSocket, WebSocketLayer};

async fn chat(_: WebSocket) -> Option<()> {
    None
}

fn main() {
    let _ = WebSocketLayer::new().route("/ws", chat);
}
