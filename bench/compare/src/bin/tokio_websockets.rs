//! tokio-websockets, as in its example `echo_server`, without hyper. `--batch`:
//! flushed when no more messages are ready. `--broadcast`: the same with a channel.

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio_websockets::{Error, Message, ServerBuilder};

async fn echo(stream: TcpStream) -> Result<(), Error> {
    let (_request, mut socket) = ServerBuilder::new().accept(stream).await?;
    if compare::has_flag("broadcast") {
        let payload = |message: Result<Message, Error>| {
            Some(message.ok().filter(is_data)?.into_payload().into())
        };
        compare::broadcast(socket, payload, Message::binary::<Bytes>).await;
        return Ok(());
    }
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

fn main() -> std::io::Result<()> {
    compare::run(|stream| tokio::task::unconstrained(async { _ = echo(stream).await }))
}
