//! A room that remembers: every page sees the lines that any page sends, in one order; one that
//! loses its connection comes back, and gets what it has missed.
//!
//!     cargo run --release --example rooms
//!
//! A copy of it needs the feature `hub`.
//!
//! Open http://127.0.0.1:3000 in two windows, or run `reconnect` beside it. `chat` adds names, and answers to what is sent.

use std::convert::Infallible;

use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, header};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_ws::hub::{History, Hub};
use hyper_ws::{WebSocket, WebSocketService, error::BoxError};
use tokio::net::TcpListener;

const PAGE: &str = r#"<!doctype html>
<meta charset="utf-8"><title>Lobby</title>
<form><input autofocus> <button>Send</button></form>
<ul></ul>
<script>
  const list = document.querySelector("ul"), form = document.querySelector("form");
  let socket, position = "";
  (function connect() {
    socket = new WebSocket(`ws://${location.host}/ws`);
    socket.onopen = () => socket.send(position); // "" is a first visit
    socket.onmessage = ({ data }) => {
      let line;
      if (data.startsWith("clear ")) return (position = data.slice(6)), list.replaceChildren();
      [, position, line] = data.match(/^(\S+) (.*)$/s);
      list.appendChild(document.createElement("li")).textContent = line;
    };
    socket.onclose = () => setTimeout(connect, 500 + 1000 * Math.random());
  })();
  form.onsubmit = () => (socket.readyState === 1 && (socket.send(form[0].value), form.reset()), false);
</script>"#;

async fn chat(mut socket: WebSocket, hub: Hub) -> Result<(), BoxError> {
    let room = hub.room("lobby");
    let first = socket.recv().await?;
    let from = first.and_then(|after| after.as_text()?.parse().ok());
    let begin = |start| format!("clear {start}"); // too much was missed, or a first visit
    room.join_recent(&socket, from, 50, begin).await?;
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
    let hub = Hub::new()
        .history(History::last(500))
        .stamp(|_, at, message| format!("{at} {}", message.as_text().unwrap_or_default()));
    let service = WebSocketService::new(service_fn(page))
        .route("/ws", move |socket: WebSocket| chat(socket, hub.clone()));
    let address = std::env::args().nth(1);
    let listener = TcpListener::bind(address.as_deref().unwrap_or("127.0.0.1:3000")).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .serve_connection(TokioIo::new(stream), service.clone());
        tokio::spawn(connection.with_upgrades());
    }
}
