//! sockudo-ws, as in its example `simple_echo`, without hyper. `--batch`: as the
//! echo in its README that queues answers until the input is exhausted.
//! `--broadcast`: as in its example `pubsub_echo`; with `--batch` by a channel, since
//! its own writing half cannot queue.

use std::sync::LazyLock;

use futures_util::{SinkExt, StreamExt};
use sockudo_ws::handshake::{build_response, generate_accept_key, parse_request};
use sockudo_ws::pubsub::PubSub;
use sockudo_ws::{Config, Error, Message, Result, WebSocketStream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

async fn echo(mut stream: TcpStream) -> Result<()> {
    shake_hands(&mut stream).await?;
    let mut socket = WebSocketStream::server(stream, Config::default());
    let batch = compare::has_flag("batch");
    match compare::has_flag("broadcast") {
        true if batch => {
            let payload = |message: Result<Message>| match message {
                Ok(Message::Text(payload) | Message::Binary(payload)) => Some(payload),
                _ => None,
            };
            compare::broadcast(socket, payload, Message::Binary).await;
            return Ok(());
        }
        true => return broadcast(socket).await,
        false => {}
    }
    while let Some(message) = socket.next().await {
        match message? {
            message @ (Message::Text(_) | Message::Binary(_)) if batch => {
                socket.feed(message).await?;
            }
            message @ (Message::Text(_) | Message::Binary(_)) => socket.send(message).await?,
            Message::Close(_) => break,
            _ => {}
        }
    }
    Ok(())
}

static PUBSUB: LazyLock<PubSub> = LazyLock::new(PubSub::new);

async fn broadcast(socket: WebSocketStream<TcpStream>) -> Result<()> {
    let (mut reader, mut writer) = socket.split();
    let (sender, mut news) = mpsc::unbounded_channel();
    let subscriber = PUBSUB.create_subscriber(sender);
    PUBSUB.subscribe(subscriber, "everybody");
    loop {
        tokio::select! {
            message = reader.next() => match message {
                Some(Ok(message @ (Message::Text(_) | Message::Binary(_)))) => {
                    PUBSUB.publish("everybody", message);
                }
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                _ => break,
            },
            Some(message) = news.recv() => if writer.send(message).await.is_err() {
                break;
            },
        }
    }
    PUBSUB.remove_subscriber(subscriber);
    Ok(())
}

async fn shake_hands(stream: &mut TcpStream) -> Result<()> {
    let mut request = Vec::with_capacity(4096);
    loop {
        if stream.read_buf(&mut request).await? == 0 {
            return Err(Error::ConnectionClosed);
        }
        if let Some((request, _)) = parse_request(&request)? {
            let accept = generate_accept_key(request.key);
            stream
                .write_all(&build_response(&accept, None, None))
                .await?;
            return Ok(());
        }
    }
}

fn main() -> std::io::Result<()> {
    compare::run(|stream| async { _ = echo(stream).await })
}
