//! A proxy that shows what goes through it: server and client by hyper-ws.

use std::net::SocketAddr;

use hyper::{Request, Response, StatusCode};
use hyper_ws::client::ConnectError;
use hyper_ws::{Config, Sender, Upgrade, WebSocket, connect};

use super::Show;

/// What a proxy must set: its pages come from anywhere, and the sizes are the server's affair.
pub fn config() -> Config {
    Config::new()
        .danger_allow_any_origin()
        .max_message_size(64 << 20)
}

/// For `WebSocketService::any_path`.
pub async fn proxy(
    upgrade: Upgrade,
    request: Request<()>,
    upstream: SocketAddr,
    show: Show,
) -> Response<String> {
    let url = format!("ws://{upstream}{}", request.uri().path());
    let connect = connect(url)
        .config(config())
        .protocols(upgrade.offered_protocols());
    let server = match connect.await {
        Ok(server) => server,
        Err(error) => return refuse(&error),
    };
    // That of the server, which a client would miss otherwise.
    let protocol = server.protocol().map(str::to_owned);
    upgrade
        .protocols(protocol)
        .on_upgrade(move |client| intercept(client, server, show))
}

/// Without an answer of the server: 502.
fn refuse(error: &ConnectError) -> Response<String> {
    let mut response = Response::new(format!("{error}\n"));
    *response.status_mut() = error.status().unwrap_or(StatusCode::BAD_GATEWAY);
    response
}

async fn intercept(mut client: WebSocket, mut server: WebSocket, show: Show) {
    let (to_client, to_server) = (client.sender(), server.sender());
    tokio::join!(
        forward(&mut client, &to_server, ">", &show),
        forward(&mut server, &to_client, "<", &show),
    );
}

async fn forward(from: &mut WebSocket, to: &Sender, way: &str, show: &Show) {
    while let Ok(Some(message)) = from.recv().await {
        show(way, message.as_bytes());
        if to.send(message).await.is_err() {
            break;
        }
    }
    // Pings and close frames are not messages; the end is carried on.
    if let Some(cause) = from.close_cause() {
        to.close_as(&cause);
    }
}
