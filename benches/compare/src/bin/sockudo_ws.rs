//! sockudo-ws, as its example `simple_echo` has it, without hyper; `--batch`: as
//! its README writes an echo that queues answers until the input is exhausted.

use futures_util::{SinkExt, StreamExt};
use sockudo_ws::handshake::{build_response, generate_accept_key, parse_request};
use sockudo_ws::{Config, Error, Message, Result, WebSocketStream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

async fn echo(mut stream: TcpStream) -> Result<()> {
    shake_hands(&mut stream).await?;
    let mut socket = WebSocketStream::server(stream, Config::default());
    let batch = compare::has_flag("batch");
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
