//! hyper-tungstenite, as in its README. `--batch`: flushed when no more messages
//! are ready. `--broadcast`: the same with a channel.

use futures_util::{SinkExt, StreamExt};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::{Request, Response};
use hyper_tungstenite::{HyperWebsocket, tungstenite::Error, tungstenite::Message};

async fn broadcast(socket: HyperWebsocket) -> Result<(), Error> {
    let payload = |message: Result<Message, Error>| Some(message.ok().filter(is_data)?.into_data());
    compare::broadcast(socket.await?, payload, Message::Binary).await;
    Ok(())
}

async fn echo(socket: HyperWebsocket) -> Result<(), Error> {
    let mut socket = socket.await?;
    if compare::has_flag("batch") {
        let as_answer = |message: Result<Message, Error>| message.ok().filter(is_data);
        return compare::echo_in_batches(&mut socket, as_answer).await;
    }
    while let Some(message) = socket.next().await {
        let message = message?;
        if is_data(&message) {
            socket.send(message).await?;
        }
    }
    Ok(())
}

fn is_data(message: &Message) -> bool {
    message.is_text() || message.is_binary()
}

type AnyError = Box<dyn std::error::Error + Send + Sync>;

async fn app(mut request: Request<Incoming>) -> Result<Response<Full<Bytes>>, AnyError> {
    let (response, socket) = hyper_tungstenite::upgrade(&mut request, None)?;
    if compare::has_flag("broadcast") {
        tokio::spawn(async { _ = broadcast(socket).await })
    } else {
        tokio::spawn(async { _ = echo(socket).await })
    };
    Ok(response)
}

fn main() -> std::io::Result<()> {
    compare::run_hyper(app)
}
