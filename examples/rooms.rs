//! A room: every page sees the lines that any page sends.
//!
//!     cargo run --release --example rooms
//!
//! Open http://127.0.0.1:3000 in two windows. `chat` adds names and reconnecting.

use std::convert::Infallible;

use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, header};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_ws::{Error, WebSocket, WebSocketService, hub::Hub};
use tokio::net::TcpListener;

const PAGE: &str = r#"<!doctype html>
<meta charset="utf-8"><title>Lobby</title>
<form><input autofocus> <button>Send</button></form>
<ul></ul>
<script>
  const socket = new WebSocket(`ws://${location.host}/ws`);
  socket.onmessage = ({ data }) =>
    document.querySelector("ul").appendChild(document.createElement("li")).textContent = data;
  document.querySelector("form").onsubmit = (event) => {
    event.preventDefault();
    socket.send(event.target[0].value);
    event.target.reset();
  };
</script>
"#;

async fn chat(mut socket: WebSocket, hub: Hub) -> Result<(), Error> {
    let room = hub.room("lobby");
    room.join(&socket);
    while let Some(message) = socket.recv().await? {
        room.send(message);
    }
    Ok(()) // leaves the room
}

async fn page(_: Request<Incoming>) -> Result<Response<String>, Infallible> {
    let response = Response::builder().header(header::CONTENT_TYPE, "text/html");
    Ok(response.body(PAGE.into()).expect("the header is valid"))
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let hub = Hub::new();
    let service = WebSocketService::new(service_fn(page))
        .route("/ws", move |socket: WebSocket| chat(socket, hub.clone()));
    let listener = TcpListener::bind("127.0.0.1:3000").await?;
    loop {
        let (stream, _) = listener.accept().await?;
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .serve_connection(TokioIo::new(stream), service.clone());
        tokio::spawn(connection.with_upgrades());
    }
}
