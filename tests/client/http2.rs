//! The client on an HTTP/2 connection that carries other requests as well.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http2::{self, SendRequest};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_ws::client::{ConnectErrorKind, connect_over_http2};
use hyper_ws::config::Compression;
use hyper_ws::error::CloseCause;
use hyper_ws::{CloseCode, Config, Message, Upgrade, WebSocket, WebSocketService};
use tokio::net::TcpStream;

use crate::support::echo;
use crate::support::http2::{page, serve, server};

/// A connection to a server that echoes at `/ws`, and sends the request as it
/// arrived at `/seen`.
async fn connection() -> SendRequest<Empty<Bytes>> {
    let seen = |upgrade: Upgrade, request: Request<()>| async move {
        let upgrade = upgrade.protocols(["chat.v1"]);
        upgrade.on_upgrade(|mut socket: WebSocket| async move {
            let fields = request.headers().iter();
            let fields =
                fields.map(|(name, value)| format!("{name}: {}\n", value.to_str().unwrap()));
            let text = format!("{}\n{}", request.uri(), fields.collect::<String>());
            socket.send(text).await
        })
    };
    let service = WebSocketService::new(service_fn(page))
        .route("/ws", echo)
        .route("/seen", seen)
        .config(Config::new().compression(Compression::shared()));
    let address = serve(server(), service).await;
    let stream = TcpStream::connect(address).await.unwrap();
    let client = http2::Builder::new(TokioExecutor::new());
    let (mut sender, connection) = client.handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    // The server's settings arrive before its first answer.
    assert_eq!(get(&mut sender, "/").await, "GET /");
    sender
}

async fn get(sender: &mut SendRequest<Empty<Bytes>>, path: &str) -> String {
    let request = Request::get(format!("http://example.com{path}"));
    sender.ready().await.unwrap();
    let response: Response<_> = sender
        .send_request(request.body(Empty::new()).unwrap())
        .await
        .unwrap();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8(body.to_vec()).unwrap()
}

#[tokio::test]
async fn sockets_and_requests_share_a_connection() {
    let mut sender = connection().await;
    let mut sockets = Vec::new();
    for _ in 0..20 {
        sockets.push(
            connect_over_http2(sender.clone(), "ws://example.com/ws")
                .await
                .unwrap(),
        );
    }
    for (number, socket) in sockets.iter_mut().enumerate() {
        let message = Message::from(vec![number as u8; number * 10_000]);
        socket.send(message.clone()).await.unwrap();
        assert_eq!(socket.recv().await.unwrap(), Some(message));
        assert_eq!(get(&mut sender, "/page").await, "GET /page");
    }
    for mut socket in sockets {
        socket.close(CloseCode::NORMAL, "").await;
        let cause = Some(CloseCause::Local(CloseCode::NORMAL));
        assert_eq!(socket.close_cause(), cause);
    }
    assert_eq!(get(&mut sender, "/page").await, "GET /page");
}

#[tokio::test]
async fn fields_subprotocol_and_compression_work_as_over_http1() {
    let sender = connection().await;
    let (mut socket, response) = connect_over_http2(sender, "wss://example.com:8443/seen?a=b")
        .header("cookie", "c=d")
        .protocols(["chat.v2", "chat.v1"])
        .config(Config::new().compression(Compression::shared()))
        .with_response()
        .await
        .unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(socket.protocol(), Some("chat.v1"));
    let extensions = &response.headers()["sec-websocket-extensions"];
    assert!(
        extensions
            .to_str()
            .unwrap()
            .starts_with("permessage-deflate")
    );
    let Some(Message::Text(seen)) = socket.recv().await.unwrap() else {
        panic!("a text is expected");
    };
    assert!(
        seen.starts_with("https://example.com:8443/seen?a=b\n"),
        "{seen}"
    );
    assert!(seen.contains("cookie: c=d\n"), "{seen}");
    assert!(!seen.contains("sec-websocket-key"), "{seen}");
}

#[tokio::test]
async fn a_refusal_has_its_status_and_body() {
    let sender = connection().await;
    let error = connect_over_http2(sender.clone(), "ws://example.com/elsewhere")
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ConnectErrorKind::Refused);
    assert_eq!(error.status().unwrap(), 404);
    assert_eq!(&error.response().unwrap().body()[..], b"CONNECT /elsewhere");
    let error = connect_over_http2(sender, "ws://example.com/ws")
        .header("origin", "https://evil.example")
        .await
        .unwrap_err();
    assert_eq!(error.status().unwrap(), 403);
    assert!(error.to_string().contains("evil.example"), "{error}");
}

#[tokio::test]
async fn a_connection_that_has_ended_is_an_error() {
    let sender = connection().await;
    let (stream, peer) = tokio::io::duplex(4096);
    let client = http2::Builder::new(TokioExecutor::new());
    let (dead, running) = client
        .handshake::<_, Empty<Bytes>>(TokioIo::new(stream))
        .await
        .unwrap();
    drop(peer);
    let _ = running.await;
    let error = connect_over_http2(dead, "ws://example.com/ws").await;
    assert_eq!(error.unwrap_err().kind(), ConnectErrorKind::Http);
    drop(sender);
}

#[tokio::test(start_paused = true)]
async fn connecting_to_a_silent_server_times_out() {
    let (stream, _peer) = tokio::io::duplex(1 << 16);
    let client = http2::Builder::new(TokioExecutor::new());
    let (sender, running) = client
        .handshake::<_, Empty<Bytes>>(TokioIo::new(stream))
        .await
        .unwrap();
    tokio::spawn(running);
    let error = connect_over_http2(sender, "ws://example.com/ws")
        .handshake_timeout(Duration::from_secs(7))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ConnectErrorKind::Timeout);
}
