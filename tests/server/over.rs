//! A socket on a stream that another server than hyper's hands out.

use std::convert::Infallible;
use std::future::{Ready, pending, ready};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use hyper::{Request, Response};
use hyper_ws::error::ErrorKind;
use hyper_ws::protocol::Role;
use hyper_ws::socket::Negotiated;
use hyper_ws::tracker::Tracker;
use hyper_ws::{CloseCode, Config, Message, Upgrade, WebSocket};
use tokio::io::DuplexStream;
use tokio::sync::oneshot;

use crate::support::echo;

fn request(origin: Option<&str>) -> Request<()> {
    let request = Request::get("/ws")
        .header("host", "example.com")
        .header("connection", "upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
        .header("sec-websocket-protocol", "chat.v1");
    let request = match origin {
        Some(origin) => request.header("origin", origin),
        None => request,
    };
    request.body(()).unwrap()
}

fn client(io: DuplexStream) -> WebSocket {
    let role = Role::Client {
        masking_key: || [1, 2, 3, 4],
    };
    WebSocket::from_stream(io, Negotiated::new(role))
}

#[tokio::test]
async fn the_conversation_begins_when_the_stream_is_there() {
    let (give, take) = oneshot::channel();
    let tracker = Tracker::new();
    let upgrade = Upgrade::over(&request(None), take).unwrap();
    let response: Response<String> = upgrade
        .config(Config::new().max_message_size(10))
        .protocols(["chat.v1"])
        .tracker(&tracker)
        .on_upgrade(echo);
    assert_eq!(response.status(), 101);
    assert_eq!(
        response.headers()["sec-websocket-accept"],
        "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
    );
    assert_eq!(response.headers()["sec-websocket-protocol"], "chat.v1");
    assert_eq!(tracker.len(), 1);
    let (ours, theirs) = tokio::io::duplex(4096);
    give.send(theirs).unwrap();
    let mut client = client(ours);
    client.send("hello").await.unwrap();
    assert_eq!(client.recv().await.unwrap(), Some(Message::from("hello")));
    client.send("more than ten bytes").await.unwrap();
    assert_eq!(client.recv().await.unwrap(), None);
    let cause = client.close_cause().unwrap().to_string();
    assert!(cause.contains("1009"), "{cause}");
}

#[tokio::test]
async fn the_bare_socket_and_the_conversation_to_spawn_have_the_stream_too() {
    for bare in [true, false] {
        let (ours, theirs) = tokio::io::duplex(4096);
        let stream: Ready<Result<_, Infallible>> = ready(Ok(theirs));
        let upgrade = Upgrade::over(&request(None), stream).unwrap();
        if bare {
            let (response, accepted) = upgrade.accept::<String>();
            assert_eq!(response.status(), 101);
            tokio::spawn(async { echo(accepted.await.unwrap()).await });
        } else {
            let (response, conversation) = upgrade.accept_with::<String, _, _>(echo);
            assert_eq!(response.status(), 101);
            tokio::spawn(conversation);
        }
        let mut client = client(ours);
        client.send("hello").await.unwrap();
        assert_eq!(client.recv().await.unwrap(), Some(Message::from("hello")));
        client.close(CloseCode::NORMAL, "").await;
    }
}

#[tokio::test]
async fn a_stream_that_never_comes_is_a_failed_upgrade() {
    let (failed, reported) = oneshot::channel();
    let tracker = Tracker::new();
    let failure: Ready<Result<DuplexStream, _>> = ready(Err(io::Error::other("gone")));
    let response: Response<String> = Upgrade::over(&request(None), failure)
        .unwrap()
        .tracker(&tracker)
        .on_failed_upgrade(|error| failed.send(error).unwrap())
        .on_upgrade(echo);
    assert_eq!(response.status(), 101);
    let error = reported.await.unwrap();
    assert_eq!(error.kind(), ErrorKind::Io);
    assert_eq!(tracker.len(), 0);
}

#[tokio::test]
async fn after_a_refusal_the_stream_is_given_back_unpolled() {
    struct Guard(Arc<AtomicBool>);
    impl Drop for Guard {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
    for (origin, status) in [("https://evil.example", 403), ("no origin", 403)] {
        let is_dropped = Arc::new(AtomicBool::new(false));
        let guard = Guard(is_dropped.clone());
        let stream = async move {
            let _guard = guard;
            panic!("it was polled");
            #[allow(unreachable_code)]
            pending::<Result<DuplexStream, Infallible>>().await
        };
        let response: Response<String> = Upgrade::over(&request(Some(origin)), stream)
            .unwrap()
            .on_upgrade(echo);
        assert_eq!(response.status(), status);
        assert!(is_dropped.load(Ordering::Relaxed));
    }
    let not_a_handshake = Request::get("/").body(()).unwrap();
    let stream: Ready<Result<DuplexStream, Infallible>> = ready(Ok(tokio::io::duplex(1).0));
    let rejection = Upgrade::over(&not_a_handshake, stream).unwrap_err();
    assert_eq!(rejection.status(), 426);
}
