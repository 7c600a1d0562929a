//! axum's own WebSocket, as in its documentation. `--batch`: flushed when no more
//! messages are ready. `--broadcast`: as in its example `chat`.

use axum::Router;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::response::Response;
use axum::routing::any;
use axum::serve::ListenerExt;

async fn handler(upgrade: WebSocketUpgrade) -> Response {
    if compare::has_flag("broadcast") {
        upgrade.on_upgrade(broadcast)
    } else {
        upgrade.on_upgrade(echo)
    }
}

async fn echo(mut socket: WebSocket) {
    if compare::has_flag("batch") {
        let as_answer = |message: Result<Message, axum::Error>| message.ok().filter(is_data);
        _ = compare::echo_in_batches(&mut socket, as_answer).await;
        return;
    }
    while let Some(Ok(message)) = socket.recv().await {
        if is_data(&message) && socket.send(message).await.is_err() {
            return;
        }
    }
}

async fn broadcast(socket: WebSocket) {
    let payload =
        |message: Result<Message, axum::Error>| Some(message.ok().filter(is_data)?.into_data());
    compare::broadcast(socket, payload, Message::Binary).await;
}

fn is_data(message: &Message) -> bool {
    matches!(message, Message::Text(_) | Message::Binary(_))
}

fn main() -> std::io::Result<()> {
    compare::listen(async |listener| {
        let app = Router::new().route("/", any(handler));
        let listener = listener.tap_io(|stream| _ = stream.set_nodelay(true));
        axum::serve(listener, app).await
    })
}
