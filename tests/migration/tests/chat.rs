//! A chat with axum's `ws` and with this crate: the same people say the same things, and what each
//! of them gets is compared message by message.

use std::net::SocketAddr;

use axum::Router;
use futures_util::{SinkExt, StreamExt};
use hyper_ws::Config;
use migration::chat::{after, before};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

type Socket = WebSocketStream<TcpStream>;

async fn serve(app: Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    address
}

async fn connect(address: SocketAddr, name: Option<&str>) -> Result<Socket, Error> {
    let mut request = format!("ws://{address}/ws").into_client_request()?;
    if let Some(name) = name {
        let cookie = format!("user={name}").parse().unwrap();
        request.headers_mut().insert("cookie", cookie);
    }
    let stream = TcpStream::connect(address).await?;
    Ok(client_async(request, stream).await?.0)
}

async fn join(address: SocketAddr, name: &str) -> Socket {
    let mut socket = connect(address, Some(name)).await.unwrap();
    assert_eq!(text(&mut socket).await, format!("{name} joined"));
    socket
}

async fn say(socket: &mut Socket, text: impl Into<String>) {
    socket.send(Message::text(text.into())).await.unwrap();
}

/// The next text.
async fn text(socket: &mut Socket) -> String {
    loop {
        match socket.next().await {
            Some(Ok(Message::Text(text))) => return text.to_string(),
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
            other => panic!("{other:?}"),
        }
    }
}

/// What a person gets from now on until the text that ends with `last`, or the end of the
/// connection and its close code.
async fn until(socket: &mut Socket, last: &str) -> (Vec<String>, Option<Option<CloseCode>>) {
    let mut texts = vec![];
    loop {
        match socket.next().await {
            Some(Ok(Message::Text(text))) => {
                texts.push(text.to_string());
                if text.ends_with(last) {
                    return (texts, None);
                }
            }
            Some(Ok(Message::Close(frame))) => {
                return (texts, Some(frame.map(|frame| frame.code)));
            }
            Some(Ok(_)) => {}
            Some(Err(_)) | None => return (texts, Some(None)),
        }
    }
}

/// A conversation of three; returns what each of them got.
async fn conversation(address: SocketAddr) -> [Vec<String>; 3] {
    let mut ann = join(address, "ann").await;
    let mut bob = join(address, "bob").await;
    assert_eq!(text(&mut ann).await, "bob joined");
    let mut cid = join(address, "cid").await;
    let (mut of_ann, mut of_bob, mut of_cid) = (vec![], vec![], vec![]);
    of_ann.push(text(&mut ann).await);
    of_bob.push(text(&mut bob).await);
    for (number, to) in [(1, "bob"), (2, "cid"), (3, "nobody"), (4, "bob")] {
        say(&mut ann, format!("to all {number}")).await;
        for (socket, texts) in [
            (&mut ann, &mut of_ann),
            (&mut bob, &mut of_bob),
            (&mut cid, &mut of_cid),
        ] {
            texts.push(text(socket).await);
        }
        say(&mut bob, format!("/to {to} secret {number}")).await;
        match to {
            "bob" => of_bob.push(text(&mut bob).await),
            "cid" => of_cid.push(text(&mut cid).await),
            _ => {}
        }
    }
    // A burst, and things that are no messages of the chat.
    ann.send(Message::Ping(vec![1, 2, 3].into())).await.unwrap();
    ann.send(Message::binary(vec![1, 2, 3])).await.unwrap();
    for number in 0..50 {
        say(&mut cid, format!("burst {number} é")).await;
    }
    for (socket, texts) in [
        (&mut ann, &mut of_ann),
        (&mut bob, &mut of_bob),
        (&mut cid, &mut of_cid),
    ] {
        let (burst, end) = until(socket, "burst 49 é").await;
        assert_eq!(end, None);
        texts.extend(burst);
    }
    // One leaves with a closing handshake, the other without.
    cid.close(None).await.unwrap();
    of_ann.push(text(&mut ann).await);
    of_bob.push(text(&mut bob).await);
    drop(bob);
    of_ann.push(text(&mut ann).await);
    [of_ann, of_bob, of_cid]
}

#[tokio::test]
async fn everybody_gets_the_same_messages_in_the_same_order() {
    let before = conversation(serve(before::app()).await).await;
    let after = conversation(serve(after::app(Config::new())).await).await;
    assert!(before.iter().all(|texts| texts.len() > 50), "{before:?}");
    assert_eq!(before, after);
}

#[tokio::test]
async fn who_has_no_cookie_is_refused_in_the_same_way() {
    for app in [before::app(), after::app(Config::new())] {
        let address = serve(app).await;
        match connect(address, None).await.map(drop) {
            Err(Error::Http(response)) => assert_eq!(response.status(), 401),
            other => panic!("{other:?}"),
        }
    }
}

/// Ann whispers to somebody who does not read, a thousand bytes over and over. Returns what the
/// other one gets afterwards.
async fn whispered(app: Router) -> (Vec<String>, Option<Option<CloseCode>>) {
    let address = serve(app).await;
    let mut ann = join(address, "ann").await;
    let mut slow = join(address, "slow").await;
    assert_eq!(text(&mut ann).await, "slow joined");
    for number in 0..MANY {
        say(&mut ann, format!("/to slow {number} {}", "x".repeat(4000))).await;
    }
    say(&mut ann, "/to slow done").await;
    // All of it has been handled when this comes back. (Or the slow one has left by then.)
    say(&mut ann, "done").await;
    let (_, end) = until(&mut ann, "ann says done").await;
    assert_eq!(end, None);
    let got = until(&mut slow, "ann whispers done").await;
    for (number, text) in got.0.iter().filter(|it| it.contains("xx")).enumerate() {
        assert!(
            text.starts_with(&format!("ann whispers {number} ")),
            "{number}: {text}"
        );
    }
    got
}

const MANY: usize = 3000;

#[tokio::test]
async fn an_unbounded_channel_became_a_bounded_queue_that_closes_and_loses_nothing_silently() {
    let whispers = |texts: &[String]| texts.iter().filter(|it| it.contains("xx")).count();

    let (texts, end) = whispered(before::app()).await;
    assert_eq!(
        (whispers(&texts), end),
        (MANY, None),
        "it grows without a bound"
    );

    // The same, if that is what is wanted.
    let unbounded = Config::new().output_limit(usize::MAX);
    let (texts, end) = whispered(after::app(unbounded)).await;
    assert_eq!((whispers(&texts), end), (MANY, None));

    // By default whoever reads nothing is closed, behind all that was queued.
    let (texts, end) = whispered(after::app(Config::new())).await;
    assert_eq!(end, Some(Some(CloseCode::Again)), "{} texts", texts.len());
    assert!(whispers(&texts) < MANY);
}

/// Ann talks to a room in which somebody does not read. Returns what that one gets afterwards.
async fn lagged(app: Router) -> (Vec<String>, Option<Option<CloseCode>>) {
    let last = format!("ann says {} {}", MANY - 1, "x".repeat(4000));
    let address = serve(app).await;
    let mut ann = join(address, "ann").await;
    let mut slow = join(address, "slow").await;
    assert_eq!(text(&mut ann).await, "slow joined");
    for number in 0..MANY {
        say(&mut ann, format!("{number} {}", "x".repeat(4000))).await;
        // She hears all that she says, and may hear that the slow one has left.
        loop {
            let text = text(&mut ann).await;
            if text.starts_with(&format!("ann says {number} ")) {
                break;
            }
            assert_eq!(text, "slow left");
        }
    }
    let got = until(&mut slow, &last).await;
    for (number, text) in got.0.iter().enumerate() {
        assert!(
            text.starts_with(&format!("ann says {number} ")),
            "{number}: {text}"
        );
    }
    got
}

#[tokio::test]
async fn a_member_that_lags_behind_a_broadcast_gets_all_of_it() {
    let (texts, end) = lagged(before::app()).await;
    assert!(texts.len() < MANY);
    // It is noticed when the slow one reads again. Until then a task waits in `send`.
    assert_eq!(end, Some(None), "the connection just ends");

    // 12 MB are less than a room keeps for members that lag.
    let (texts, end) = lagged(after::app(Config::new())).await;
    assert_eq!(texts.len(), MANY);
    assert_eq!(end, None);
}
