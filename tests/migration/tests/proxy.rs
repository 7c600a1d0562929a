//! What arrives through the proxies is the same, message by message. And the clients.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ::tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use ::tokio_tungstenite::tungstenite::protocol::CloseFrame;
use ::tokio_tungstenite::tungstenite::{Error, Message};
use ::tokio_tungstenite::{MaybeTlsStream, WebSocketStream, accept_hdr_async, connect_async};
use futures_util::{SinkExt, StreamExt};
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_ws::WebSocketService;
use migration::proxy::{Show, after, before};
use migration::tokio_tungstenite;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::timeout;

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

const PATIENCE: Duration = Duration::from_secs(120);

/// What goes through a proxy, as `> length hash`.
type Shown = Arc<Mutex<Vec<(String, Vec<u8>)>>>;

struct World {
    name: &'static str,
    proxy: SocketAddr,
    /// How the conversations ended that the server upstream has had.
    ends: mpsc::UnboundedReceiver<Option<(u16, String)>>,
    shown: Shown,
}

/// Both proxies, each with a server of its own.
async fn worlds() -> [World; 2] {
    [world("before").await, world("after").await]
}

async fn world(name: &'static str) -> World {
    let (upstream, ends) = server().await;
    let shown = Shown::default();
    let show: Show = {
        let shown = shown.clone();
        Arc::new(move |way, bytes| shown.lock().unwrap().push((way.to_owned(), bytes.to_vec())))
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let io = TokioIo::new(listener.accept().await.unwrap().0);
            let mut http = http1::Builder::new();
            http.timer(TokioTimer::new());
            let show = show.clone();
            if name == "before" {
                let app = move |request| before::app(request, upstream, show.clone());
                let connection = http.serve_connection(io, service_fn(app));
                tokio::spawn(connection.with_upgrades());
            } else {
                let page = service_fn(async |_| {
                    Ok::<_, std::convert::Infallible>(hyper::Response::new(Full::new(Bytes::from(
                        "a page\n",
                    ))))
                });
                let service = WebSocketService::new(page)
                    .any_path(move |upgrade, request| {
                        after::proxy(upgrade, request, upstream, show.clone())
                    })
                    .config(after::config());
                let connection = http.serve_connection(io, service);
                tokio::spawn(connection.with_upgrades());
            }
        }
    });
    World {
        name,
        proxy,
        ends,
        shown,
    }
}

/// The server upstream, of tungstenite. It echoes; sends so many numbered messages of 4 KB
/// after the text `flood 3000`; closes with 4001 after `close`; and refuses `/no` with 403.
async fn server() -> (SocketAddr, mpsc::UnboundedReceiver<Option<(u16, String)>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (tell, ends) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let tell = tell.clone();
            tokio::spawn(async move {
                let Ok(mut socket) = accept_hdr_async(stream, answer).await else {
                    return;
                };
                let mut end = None;
                while let Some(Ok(message)) = socket.next().await {
                    match message {
                        Message::Text(text) if text.starts_with("flood ") => {
                            let count = text["flood ".len()..].parse().unwrap();
                            for number in 0..count {
                                if socket.send(numbered(number)).await.is_err() {
                                    break;
                                }
                            }
                        }
                        Message::Text(text) if text == "close" => {
                            let frame = CloseFrame {
                                code: 4001.into(),
                                reason: "asked to".into(),
                            };
                            let _ = socket.close(Some(frame)).await;
                        }
                        Message::Text(_) | Message::Binary(_) => {
                            let _ = socket.send(message).await;
                        }
                        Message::Close(frame) => {
                            end = frame.map(|frame| (frame.code.into(), frame.reason.to_string()));
                        }
                        _ => {}
                    }
                }
                let _ = tell.send(end);
            });
        }
    });
    (address, ends)
}

#[allow(clippy::result_large_err, reason = "tungstenite's")]
fn answer(request: &Request, mut response: Response) -> Result<Response, ErrorResponse> {
    if request.uri().path() == "/no" {
        let mut refused = ErrorResponse::new(Some("not you".to_owned()));
        *refused.status_mut() = hyper::StatusCode::FORBIDDEN;
        return Err(refused);
    }
    if let Some(offered) = request.headers().get("sec-websocket-protocol") {
        let headers = response.headers_mut();
        headers.insert("sec-websocket-protocol", offered.clone());
    }
    Ok(response)
}

fn numbered(number: u32) -> Message {
    let text = format!("{number} ");
    Message::text(text + &"x".repeat(4096))
}

async fn open(world: &World) -> Socket {
    let url = format!("ws://{}/chat", world.proxy);
    connect_async(url).await.unwrap().0
}

async fn next(socket: &mut Socket) -> Option<Result<Message, Error>> {
    timeout(PATIENCE, socket.next()).await.unwrap()
}

#[tokio::test]
async fn each_message_arrives_as_it_was_sent() {
    let mut messages = vec![
        Message::text(""),
        Message::text("grüße, 世界"),
        Message::binary(vec![]),
        Message::binary(vec![0, 255, 127]),
    ];
    for length in [125, 126, 65_535, 65_536, 1 << 20, 8 << 20] {
        messages.push(Message::binary(vec![length as u8; length]));
        messages.push(Message::text("t".repeat(length)));
    }
    let mut shown = Vec::new();
    for world in worlds().await {
        let mut socket = open(&world).await;
        for message in &messages {
            socket.send(message.clone()).await.unwrap();
            let arrived = next(&mut socket).await.unwrap().unwrap();
            assert!(
                arrived == *message,
                "{}: {} bytes",
                world.name,
                message.len()
            );
        }
        shown.push(std::mem::take(&mut *world.shown.lock().unwrap()));
    }
    assert_eq!(shown[0].len(), 2 * messages.len());
    assert!(shown[0] == shown[1]);
}

#[tokio::test]
async fn a_peer_that_reads_slowly_gets_every_message() {
    const COUNT: u32 = 3000;
    for world in worlds().await {
        let mut socket = open(&world).await;
        socket
            .send(Message::text(format!("flood {COUNT}")))
            .await
            .unwrap();
        // It reads nothing until the flood stands still: 12 MB are more than all buffers hold.
        let mut seen = 0;
        loop {
            tokio::time::sleep(Duration::from_millis(300)).await;
            let now = world.shown.lock().unwrap().len();
            if now > 1 && now == seen {
                break;
            }
            seen = now;
        }
        assert!(
            seen < COUNT as usize,
            "{}: nothing has held it back",
            world.name
        );
        for number in 0..COUNT {
            if number % 500 == 0 {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            let arrived = next(&mut socket).await.unwrap().unwrap();
            assert!(arrived == numbered(number), "{}: {number}", world.name);
        }
    }
}

#[tokio::test]
async fn close_frames_go_through_both_ways() {
    for mut world in worlds().await {
        let mut socket = open(&world).await;
        socket.send(Message::text("close")).await.unwrap();
        let frame = loop {
            match next(&mut socket).await.unwrap().unwrap() {
                Message::Close(frame) => break frame.unwrap(),
                other => panic!("{}: {other:?}", world.name),
            }
        };
        let frame = (u16::from(frame.code), frame.reason.to_string());
        assert_eq!(frame, (4001, "asked to".to_owned()), "{}", world.name);
        // The reply.
        while next(&mut socket)
            .await
            .is_some_and(|message| message.is_ok())
        {}
        timeout(PATIENCE, world.ends.recv()).await.unwrap().unwrap();

        let mut socket = open(&world).await;
        let frame = CloseFrame {
            code: 4002.into(),
            reason: "enough".into(),
        };
        socket.close(Some(frame)).await.unwrap();
        while next(&mut socket)
            .await
            .is_some_and(|message| message.is_ok())
        {}
        let end = timeout(PATIENCE, world.ends.recv()).await.unwrap().unwrap();
        assert_eq!(end, Some((4002, "enough".to_owned())), "{}", world.name);
    }
}

#[tokio::test]
async fn only_hyper_ws_passes_refusals_and_subprotocols_on() {
    for world in worlds().await {
        let is_after = world.name == "after";
        let refused = connect_async(format!("ws://{}/no", world.proxy)).await;
        match refused {
            Ok((mut socket, _)) => {
                // "Connected", and then nothing.
                assert!(!is_after);
                assert!(
                    next(&mut socket)
                        .await
                        .is_none_or(|message| message.is_err())
                );
            }
            Err(Error::Http(response)) => {
                assert!(is_after);
                assert_eq!(response.status(), 403);
            }
            Err(error) => panic!("{}: {error}", world.name),
        }

        use ::tokio_tungstenite::tungstenite::client::IntoClientRequest;
        let mut request = format!("ws://{}/chat", world.proxy)
            .into_client_request()
            .unwrap();
        let offered = "chat.v1".parse().unwrap();
        request
            .headers_mut()
            .insert("sec-websocket-protocol", offered);
        match connect_async(request).await {
            Ok((_, response)) => {
                let chosen = response.headers().get("sec-websocket-protocol");
                assert_eq!(chosen.is_some(), is_after, "{}", world.name);
            }
            // tungstenite's client insists on an answer to its offer.
            Err(error) => assert!(!is_after, "{error}"),
        }
    }
}

/// What a client has heard, and how it ended.
type Heard = (Vec<String>, Option<(u16, String)>);

async fn talk(before: bool, url: &str, lines: &[&str]) -> Heard {
    let (say, said) = mpsc::channel(1);
    let (hear, mut heard) = mpsc::channel(1);
    let url = url.to_owned();
    let client = tokio::spawn(async move {
        if before {
            tokio_tungstenite::before::converse(&url, "token", said, hear).await
        } else {
            tokio_tungstenite::after::converse(&url, "token", said, hear).await
        }
    });
    let mut answers = Vec::new();
    for line in lines {
        say.send((*line).to_owned()).await.unwrap();
        // The last one closes.
        if let Some(answer) = timeout(PATIENCE, heard.recv()).await.unwrap() {
            answers.push(answer);
        }
    }
    drop(say);
    let end = timeout(PATIENCE, client).await.unwrap().unwrap().unwrap();
    (answers, end)
}

#[tokio::test]
async fn the_clients_hear_the_same_and_end_the_same() {
    let (server, _ends) = server().await;
    let url = format!("ws://{server}/chat");
    let lines = ["one", "zwei", "三"];
    let conversations = [
        talk(true, &url, &lines).await,
        talk(false, &url, &lines).await,
    ];
    assert_eq!(conversations[0].0, lines);
    assert_eq!(conversations[0].0, conversations[1].0);
    // Closed by the server.
    let lines = ["one", "close"];
    let conversations = [
        talk(true, &url, &lines).await,
        talk(false, &url, &lines).await,
    ];
    assert_eq!(conversations[0], conversations[1]);
    assert_eq!(conversations[0].1, Some((4001, "asked to".to_owned())));
}
