//! The example `proxy` between this crate's client and server.

#[allow(dead_code, unreachable_pub, reason = "it has a main of its own")]
#[path = "../../examples/proxy.rs"]
mod example;

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_ws::error::CloseCause;
use hyper_ws::message::Kind;
use hyper_ws::{CloseCode, Message, Upgrade, WebSocket, WebSocketService, connect};
use tokio::net::TcpListener;
use tokio::time::{sleep, timeout};

use crate::support::{listen, page};

async fn serve<F, Fut>(handler: F) -> SocketAddr
where
    F: Fn(Upgrade, Request<()>) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Response<String>> + Send + 'static,
{
    let service = WebSocketService::new(service_fn(page))
        .any_path(handler)
        .config(example::config());
    listen(service).await
}

/// The URL of a proxy to a server with this handler.
async fn proxied<F, Fut>(handler: F) -> String
where
    F: Fn(Upgrade, Request<()>) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Response<String>> + Send + 'static,
{
    let upstream = format!("ws://{}", serve(handler).await);
    let proxy = move |upgrade, request| example::proxy(upstream.clone(), upgrade, request);
    format!("ws://{}", serve(proxy).await)
}

async fn echo(mut socket: WebSocket) -> Result<(), hyper_ws::Error> {
    while let Some(message) = socket.recv().await? {
        socket.send(message).await?;
    }
    Ok(())
}

#[tokio::test]
async fn messages_go_both_ways_whole_and_in_chunks() {
    let url = proxied(|upgrade, _| async { upgrade.on_upgrade(echo) }).await;
    let mut socket = connect(format!("{url}/any?path"))
        .config(example::config())
        .await
        .unwrap();
    for message in [
        Message::from("hello"),
        Message::from(""),
        Message::from(Vec::new()),
        Message::from(vec![7; 1_000_000]),
        Message::from("€".repeat(100_000)),
    ] {
        socket.send(message.clone()).await.unwrap();
        assert!(socket.recv().await.unwrap() == Some(message));
    }
    let mut outgoing = socket.send_stream(Kind::Text);
    for at in 0..1000 {
        outgoing.write(format!("{at} ")).await.unwrap();
    }
    outgoing.finish().await.unwrap();
    let expected: String = (0..1000).map(|at| format!("{at} ")).collect();
    assert!(socket.recv().await.unwrap() == Some(expected.into()));
}

#[tokio::test]
async fn path_fields_and_subprotocol_go_there_and_the_answers_come_back() {
    let url = proxied(|upgrade, request| async move {
        let said = format!(
            "{} {:?} {:?}",
            request.uri(),
            request.headers().get("authorization"),
            request.headers().get("origin"),
        );
        let mut response = upgrade
            .protocols(["chat.v2"])
            .on_upgrade(|mut socket: WebSocket| async move { socket.send(said).await });
        let cookie = "session=1".parse().unwrap();
        response.headers_mut().append("set-cookie", cookie);
        response
    })
    .await;
    let (mut socket, response) = connect(format!("{url}/a/b?c=d"))
        .header("authorization", "Bearer token")
        .protocols(["chat.v1", "chat.v2"])
        .with_response()
        .await
        .unwrap();
    assert_eq!(socket.protocol(), Some("chat.v2"));
    assert_eq!(response.headers()["set-cookie"], "session=1");
    let said = socket.recv().await.unwrap();
    assert_eq!(said, Some("/a/b?c=d Some(\"Bearer token\") None".into()));
}

#[tokio::test]
async fn a_refusal_of_the_server_reaches_the_client_and_an_unreachable_server_is_a_502() {
    let url = proxied(|_, _| async {
        let mut response = Response::new("not you".to_owned());
        *response.status_mut() = StatusCode::FORBIDDEN;
        response
            .headers_mut()
            .append("x-why", "because".parse().unwrap());
        response
    })
    .await;
    let error = connect(&url).await.unwrap_err();
    let response = error.response().unwrap();
    assert_eq!(response.status(), StatusCode::FORBIDDEN);
    assert_eq!(response.headers()["x-why"], "because");
    assert_eq!(&response.body()[..], b"not you");

    let closed = TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap();
    let nowhere =
        serve(move |upgrade, request| example::proxy(format!("ws://{closed}"), upgrade, request));
    let error = connect(format!("ws://{}", nowhere.await))
        .await
        .unwrap_err();
    assert_eq!(error.status(), Some(StatusCode::BAD_GATEWAY));
}

#[tokio::test]
async fn close_codes_are_carried_over_both_ways() {
    let code = CloseCode::new(4321).unwrap();
    let (give, mut take) = tokio::sync::mpsc::unbounded_channel();
    let url = proxied(move |upgrade, _| {
        let give = give.clone();
        async move {
            upgrade.on_upgrade(move |mut socket: WebSocket| async move {
                match socket.recv().await.unwrap() {
                    Some(_) => _ = socket.close(code, "the server").await,
                    None => give.send(socket.close_cause()).unwrap(),
                }
            })
        }
    })
    .await;
    // The server closes first.
    let mut socket = connect(&url).await.unwrap();
    socket.send("close").await.unwrap();
    assert_eq!(socket.recv().await.unwrap(), None);
    let Some(CloseCause::Remote(Some(frame))) = socket.close_cause() else {
        panic!("{:?}", socket.close_cause());
    };
    assert_eq!((frame.code, &*frame.reason), (code, "the server"));
    // The client closes first, between messages and within one.
    for within in [false, true] {
        let mut socket = connect(&url).await.unwrap();
        let sender = socket.sender();
        let mut outgoing = socket.send_stream(Kind::Binary);
        if within {
            outgoing.write("half").await.unwrap();
        }
        sender.close(code, "the client");
        drop(outgoing);
        assert_eq!(socket.recv().await.unwrap(), None);
        let seen = take.recv().await.unwrap();
        let Some(CloseCause::Remote(Some(frame))) = seen else {
            panic!("{seen:?}");
        };
        assert_eq!(
            (frame.code, &*frame.reason),
            (code, "the client"),
            "{within}"
        );
    }
    // The client disappears without a close frame.
    let socket = connect(&url).await.unwrap();
    socket.abort();
    let Some(Some(CloseCause::Remote(Some(frame)))) = take.recv().await else {
        panic!("no close frame");
    };
    assert_eq!(frame.code, CloseCode::GOING_AWAY);
}

#[tokio::test]
async fn a_slow_reader_slows_down_the_sender() {
    let sent = Arc::new(AtomicUsize::new(0));
    let counted = sent.clone();
    let url = proxied(move |upgrade, _| {
        let sent = counted.clone();
        async move {
            upgrade.on_upgrade(move |mut socket: WebSocket| async move {
                let mut outgoing = socket.send_stream(Kind::Binary);
                for _ in 0..10_000 {
                    outgoing.write(vec![1; 10_000]).await?;
                    sent.fetch_add(10_000, Ordering::Relaxed);
                }
                outgoing.finish().await
            })
        }
    })
    .await;
    let mut socket = connect(&url).config(example::config()).await.unwrap();
    let mut incoming = socket.recv_stream().await.unwrap().unwrap();
    // The client does not read: the kernels' buffers fill up, and then the server
    // waits.
    let mut before = 0;
    let stopped = async {
        loop {
            sleep(Duration::from_millis(200)).await;
            let now = sent.load(Ordering::Relaxed);
            if now == before {
                return now;
            }
            before = now;
        }
    };
    let stopped = timeout(Duration::from_secs(60), stopped).await.unwrap();
    assert!(stopped < 50_000_000, "{stopped} of a hundred million bytes");
    let mut length = 0;
    while let Some(chunk) = incoming.chunk().await.unwrap() {
        length += chunk.len();
    }
    assert_eq!(length, 100_000_000);
}
