//! The differences between before and after are those that the guide names.

use std::future::pending;
use std::net::SocketAddr;

use futures_util::{SinkExt, StreamExt};
use hyper::body::{Body, Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::{HttpService, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_ws::WebSocketService;
use migration::{axum, fastwebsockets, hyper_tungstenite};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

type Socket = WebSocketStream<TcpStream>;

#[tokio::test]
async fn the_servers_give_the_same_client_the_same_answers() {
    for (name, address) in servers().await {
        let (status, body) = ask(address, "GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
        assert_eq!((status, &*body), (200, "a page\n"), "{name}");

        let mut socket = connect(address, None).await.unwrap();
        socket.send(Message::text("[1, 2, 3.5]")).await.unwrap();
        assert_eq!(text(&mut socket).await, "6.5", "{name}");
        socket.close(None).await.unwrap();
        while let Some(message) = socket.next().await {
            message.unwrap_or_else(|error| panic!("{name}: {error}"));
        }
    }
}

#[tokio::test]
async fn only_hyper_ws_refuses_a_page_of_another_origin() {
    for (name, address) in servers().await {
        let status = match connect(address, Some("https://evil.example")).await {
            Ok(_) => 101,
            Err(Error::Http(response)) => response.status().as_u16(),
            Err(error) => panic!("{name}: {error}"),
        };
        assert_eq!(status, if is_after(name) { 403 } else { 101 }, "{name}");
    }
}

#[tokio::test]
async fn only_hyper_ws_answers_a_handshake_of_another_version() {
    let request = "GET /ws HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
                   sec-websocket-version: 8\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    for (name, address) in servers().await {
        let (status, body) = ask(address, request).await;
        if is_after(name) {
            assert_eq!(status, 426, "{name}");
            assert!(body.contains("expected `13`"), "{name}: {body}");
        } else {
            // On an error of the service hyper closes the connection.
            assert_eq!((status, &*body), (0, ""), "{name}");
        }
    }
    let (address, _stop) = serve_axum(axum::before::serve).await;
    assert_eq!(ask(address, request).await.0, 400);
    let (address, _stop) = serve_axum(axum::after::serve).await;
    assert_eq!(ask(address, request).await.0, 426);
}

#[tokio::test]
async fn only_hyper_ws_refuses_a_message_of_two_megabytes() {
    // White space, so that it is still JSON.
    let long = format!("[1, {} 2]", " ".repeat(2 << 20));
    for (name, address) in servers().await {
        let mut socket = connect(address, None).await.unwrap();
        // The end may arrive before the whole message is written.
        let sent = socket.send(Message::text(long.clone())).await;
        if is_after(name) {
            assert_eq!(
                close_code(&mut socket).await,
                Some(CloseCode::Size),
                "{name}"
            );
        } else {
            sent.unwrap();
            assert_eq!(text(&mut socket).await, "3.0", "{name}");
        }
    }
}

#[tokio::test]
async fn only_hyper_ws_closes_with_1011_after_invalid_json() {
    for (name, address) in servers().await {
        let mut socket = connect(address, None).await.unwrap();
        socket.send(Message::text("one and two")).await.unwrap();
        let code = close_code(&mut socket).await;
        let expected = is_after(name).then_some(CloseCode::Error);
        assert_eq!(code, expected, "{name}");
    }
}

#[tokio::test]
async fn the_example_of_axum_sends_the_same_before_and_after() {
    let mut conversations = Vec::new();
    for (address, _stop) in [
        serve_axum(axum::before::serve).await,
        serve_axum(axum::after::serve).await,
    ] {
        let mut socket = connect(address, None).await.unwrap();
        let mut said = Vec::new();
        while said.len() < 5 {
            said.push(text(&mut socket).await);
        }
        conversations.push(said);
    }
    let expected = ["hello 1", "hello 2", "hello 3", "news 1", "news 2"];
    assert_eq!(conversations, [expected, expected]);
}

#[tokio::test]
async fn only_hyper_ws_closes_sockets_on_a_graceful_shutdown() {
    let (address, stop) = serve_axum(axum::before::serve).await;
    let mut socket = connect(address, None).await.unwrap();
    assert_eq!(text(&mut socket).await, "hello 1");
    stop.shut_down().await;
    // The server is gone, and this socket would end with the process.
    assert_eq!(text(&mut socket).await, "hello 2");

    let (address, stop) = serve_axum(axum::after::serve).await;
    let mut socket = connect(address, None).await.unwrap();
    assert_eq!(text(&mut socket).await, "hello 1");
    let stopping = tokio::spawn(stop.shut_down());
    assert_eq!(close_code(&mut socket).await, Some(CloseCode::Away));
    drop(socket);
    stopping.await.unwrap();
}

/// The servers that sum numbers, before and after.
async fn servers() -> [(&'static str, SocketAddr); 4] {
    let page = service_fn(fastwebsockets::after::app);
    let after = WebSocketService::new(page).route("/ws", fastwebsockets::after::sums);
    [
        (
            "hyper-tungstenite, before",
            serve(service_fn(hyper_tungstenite::before::app)).await,
        ),
        (
            "hyper-tungstenite, after",
            serve(service_fn(hyper_tungstenite::after::app)).await,
        ),
        (
            "fastwebsockets, before",
            serve(service_fn(fastwebsockets::before::app)).await,
        ),
        ("fastwebsockets, after", serve(after).await),
    ]
}

fn is_after(name: &str) -> bool {
    name.ends_with("after")
}

async fn serve<S, B>(service: S) -> SocketAddr
where
    S: HttpService<Incoming, ResBody = B> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    B: Body<Data = Bytes, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .serve_connection(TokioIo::new(stream), service.clone());
            tokio::spawn(connection.with_upgrades());
        }
    });
    address
}

/// A running server of axum, and the sender that stops it.
struct Stop {
    signal: oneshot::Sender<()>,
    server: tokio::task::JoinHandle<std::io::Result<()>>,
}

impl Stop {
    async fn shut_down(self) {
        self.signal.send(()).unwrap();
        self.server.await.unwrap().unwrap();
    }
}

async fn serve_axum<F, Fut>(serve: F) -> (SocketAddr, Stop)
where
    F: FnOnce(TcpListener, Signal) -> Fut,
    Fut: Future<Output = std::io::Result<()>> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (signal, shutdown) = oneshot::channel();
    let shutdown: Signal = Box::pin(async move {
        if shutdown.await.is_err() {
            // A test that does not stop the server lets it run.
            pending::<()>().await;
        }
    });
    let server = tokio::spawn(serve(listener, shutdown));
    (address, Stop { signal, server })
}

type Signal = std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;

async fn connect(address: SocketAddr, origin: Option<&str>) -> Result<Socket, Error> {
    let mut request = format!("ws://{address}/ws").into_client_request()?;
    if let Some(origin) = origin {
        let origin = origin.parse().unwrap();
        request.headers_mut().insert("origin", origin);
    }
    let stream = TcpStream::connect(address).await?;
    client_async(request, stream)
        .await
        .map(|(socket, _)| socket)
}

/// The next text that is not the clock's.
async fn text(socket: &mut Socket) -> String {
    loop {
        match socket.next().await.unwrap().unwrap() {
            Message::Text(text) if text != "tick" => return text.to_string(),
            _ => {}
        }
    }
}

/// The close frame of the server; `None` if it disconnects without one.
async fn close_code(socket: &mut Socket) -> Option<CloseCode> {
    let mut code = None;
    // To the end: this client answers a close frame in the call after it.
    while let Some(Ok(message)) = socket.next().await {
        if let Message::Close(Some(frame)) = message {
            code = Some(frame.code);
        }
    }
    code
}

/// The status and the body of an answer; status 0 if there is none.
async fn ask(address: SocketAddr, request: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    let mut length = None;
    loop {
        let mut buffer = [0; 4096];
        let count = stream.read(&mut buffer).await.unwrap_or(0);
        answer.push_str(std::str::from_utf8(&buffer[..count]).unwrap());
        if let Some((head, body)) = answer.split_once("\r\n\r\n") {
            let find = |name| head.lines().find_map(|line| line.strip_prefix(name));
            length = length.or_else(|| find("content-length: ")?.parse::<usize>().ok());
            if count == 0 || length.is_some_and(|length| body.len() >= length) {
                let status = head.split(' ').nth(1).unwrap().parse().unwrap();
                return (status, body.to_owned());
            }
        } else if count == 0 {
            return (0, answer);
        }
    }
}
