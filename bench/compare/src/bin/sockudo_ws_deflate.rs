//! sockudo-ws with compression, without hyper. Its `WebSocketServer::accept`
//! accepts no extension, so this negotiates with the crate's own function for that,
//! as its axum integration does. `--dedicated`, or else the shared mode.

use futures_util::{SinkExt, StreamExt};
use sockudo_ws::deflate::negotiate_server_deflate;
use sockudo_ws::handshake::{build_response, generate_accept_key, parse_request};
use sockudo_ws::{
    CompressedWebSocketStream, Compression, Config, DeflateConfig, Error, Message, Result,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

async fn echo(mut stream: TcpStream) -> Result<()> {
    let mode = if compare::has_flag("dedicated") {
        Compression::Dedicated
    } else {
        Compression::Shared
    };
    let deflate = shake_hands(&mut stream, mode).await?;
    let config = Config::builder().compression(mode).build();
    let mut socket = CompressedWebSocketStream::server(stream, config, deflate);
    while let Some(message) = socket.next().await {
        match message? {
            message @ (Message::Text(_) | Message::Binary(_)) => socket.send(message).await?,
            Message::Close(_) => break,
            _ => {}
        }
    }
    Ok(())
}

async fn shake_hands(stream: &mut TcpStream, mode: Compression) -> Result<DeflateConfig> {
    let policy = mode.to_deflate_config().expect("compression is on");
    let mut request = Vec::with_capacity(4096);
    loop {
        if stream.read_buf(&mut request).await? == 0 {
            return Err(Error::ConnectionClosed);
        }
        if let Some((request, _)) = parse_request(&request)? {
            let agreed = request
                .extensions
                .and_then(|offers| negotiate_server_deflate(offers, &policy))
                .ok_or(Error::HandshakeFailed("no offer of compression"))?;
            let accept = generate_accept_key(request.key);
            let answer = agreed.to_response_header();
            let response = build_response(&accept, None, Some(&answer));
            stream.write_all(&response).await?;
            return Ok(agreed.config);
        }
    }
}

fn main() -> std::io::Result<()> {
    compare::run(|stream| async { _ = echo(stream).await })
}
