//! The client, against this crate's own server and against servers that are
//! written by hand, byte by byte.

use std::convert::Infallible;
use std::net::SocketAddr;

use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_ws::client::connect_over;
use hyper_ws::error::CloseCause;
use hyper_ws::{CloseCode, Message, Upgrade, WebSocket, WebSocketService, connect};
use tokio::net::{TcpListener, TcpStream};

async fn echo(mut socket: WebSocket) -> Result<(), hyper_ws::Error> {
    while let Some(message) = socket.recv().await? {
        socket.send(message).await?;
    }
    Ok(())
}

async fn app(request: Request<Incoming>) -> Result<Response<String>, Infallible> {
    let mut response = Response::new(format!("{} is no socket\n", request.uri()));
    *response.status_mut() = StatusCode::NOT_FOUND;
    Ok(response)
}

/// A server of this crate: `/echo`, and `/seen`, which sends what the request
/// said.
async fn server() -> SocketAddr {
    let seen = |upgrade: Upgrade, request: Request<()>| async move {
        let upgrade = upgrade.protocols(["chat.v1", "chat.v2"]);
        upgrade.on_upgrade(|mut socket: WebSocket| async move {
            let lines = request
                .headers()
                .iter()
                .map(|(name, value)| format!("{name}: {}\n", value.to_str().unwrap()));
            let text = format!("{}\n{}", request.uri(), lines.collect::<String>());
            socket.send(text).await
        })
    };
    let service = WebSocketService::new(service_fn(app))
        .route("/echo", echo)
        .route("/seen", seen);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .serve_connection(TokioIo::new(stream), service.clone());
            tokio::spawn(connection.with_upgrades());
        }
    });
    address
}

async fn text(socket: &mut WebSocket) -> String {
    match socket.recv().await.unwrap() {
        Some(Message::Text(text)) => text.to_string(),
        other => panic!("{other:?} is no text"),
    }
}

#[tokio::test]
async fn a_url_is_enough() {
    let address = server().await;
    let mut socket = connect(format!("ws://{address}/echo")).await.unwrap();
    socket.send("hello").await.unwrap();
    assert_eq!(text(&mut socket).await, "hello");
    let large = vec![7; 300_000];
    socket.send(large.clone()).await.unwrap();
    assert_eq!(socket.recv().await.unwrap(), Some(Message::from(large)));
    socket.close(CloseCode::NORMAL, "bye").await;
    assert_eq!(socket.recv().await.unwrap(), None);
    assert_eq!(
        socket.close_cause(),
        Some(CloseCause::Local(CloseCode::NORMAL))
    );
}

#[tokio::test]
async fn a_name_is_resolved() {
    let port = server().await.port();
    let mut socket = connect(format!("ws://localhost:{port}/echo"))
        .await
        .unwrap();
    socket.send("hello").await.unwrap();
    assert_eq!(text(&mut socket).await, "hello");
}

#[tokio::test]
async fn any_stream_will_do() {
    let stream = TcpStream::connect(server().await).await.unwrap();
    let mut socket = connect_over(stream, "ws://example.com/echo").await.unwrap();
    socket.send("hello").await.unwrap();
    assert_eq!(text(&mut socket).await, "hello");
}
