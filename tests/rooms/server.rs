//! A server of the tests of rooms over several servers. Its sockets speak lines:
//!
//! ```text
//! client  say <key> <text>         publish a message, once for each key
//! server  m <position> <text>      a message of the room
//!         ok <key> <position>      it is in the log
//!         failed <key> <reason>    it may not be
//!         missed <position>        messages are missing; the room goes on here
//!         joined <position>        everything that follows will be sent
//! ```
//!
//! `/ws?room=<room>&after=<position>` resumes; `/counters` shows what the hub counts.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;

use clap::Parser;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_ws::error::BoxError;
use hyper_ws::handshake::Rejection;
use hyper_ws::hub::{Gap, History, Hub, Joined, Position, Redis, Room};
use hyper_ws::{Sender, Upgrade, WebSocket};
use tokio::net::TcpListener;

#[derive(Parser)]
struct Options {
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    #[arg(long)]
    redis: String,
    /// How many messages of a room are kept.
    #[arg(long, default_value_t = 10_000)]
    keep: usize,
    /// Tells members of a gap instead of closing them.
    #[arg(long)]
    tell: bool,
}

async fn converse(
    mut socket: WebSocket,
    room: Room,
    from: Option<Position>,
) -> Result<(), BoxError> {
    // An engine that is away is waited for, as a page would by coming back.
    let mut from = from;
    let position = loop {
        match room.join_from(&socket, from).await {
            Ok(Joined::Resumed { position, .. }) => break position,
            Ok(Joined::Missed { now }) => {
                socket.send(format!("missed {now}")).await?;
                from = Some(now);
            }
            Err(error) => {
                socket.send(format!("failed - {error}")).await?;
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        }
    };
    socket.send(format!("joined {position}")).await?;
    while let Some(message) = socket.recv().await? {
        let text = message.into_text().unwrap_or_default();
        let Some((key, text)) = text.strip_prefix("say ").and_then(|it| it.split_once(' ')) else {
            continue;
        };
        let (key, text) = (key.to_owned(), text.to_owned());
        tokio::spawn(say(room.clone(), socket.sender(), key, text));
    }
    Ok(())
}

async fn say(room: Room, sender: Sender, key: String, text: String) {
    let answer = match room.publish_once(&key, text).await {
        Ok(said) => format!("ok {key} {}", said.position),
        Err(error) => format!("failed {key} {error}"),
    };
    // The socket may be gone by now.
    let _ = sender.send(answer).await;
}

pub(crate) async fn serve(
    mut request: Request<Incoming>,
    hub: Hub,
) -> Result<Response<String>, Infallible> {
    if request.uri().path() == "/counters" {
        let (counters, state) = (hub.counters(), hub.state());
        let text = format!("{counters:?} {state:?} rooms {}\n", hub.len());
        return Ok(Response::new(text));
    }
    let query = request.uri().query().unwrap_or_default().to_owned();
    let find = |name: &str| {
        let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        pairs
            .find(|(key, _)| *key == name)
            .map(|(_, value)| value.to_owned())
    };
    let room = hub.room(&find("room").unwrap_or_else(|| "lobby".to_owned()));
    let after = find("after").and_then(|text| text.parse().ok());
    Ok(
        Upgrade::from_request(&mut request).map_or_else(Rejection::into_response, |upgrade| {
            upgrade.on_upgrade(move |socket| converse(socket, room, after))
        }),
    )
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let options = Options::parse();
    let mut hub = Hub::new()
        .history(History::last(options.keep).bytes(1 << 24))
        .stamp(|_, position, message| format!("m {position} {}", message.as_text().unwrap_or("?")))
        .backplane(Redis::new(&options.redis)?.patience(Duration::from_secs(20)));
    if options.tell {
        hub = hub.gap(Gap::tell(|_, position| format!("missed {position}").into()));
    }
    let listener = TcpListener::bind(options.listen).await?;
    println!("{}", listener.local_addr()?.port());
    loop {
        let (stream, _) = listener.accept().await?;
        let _ = stream.set_nodelay(true);
        let hub = hub.clone();
        let service = service_fn(move |request| serve(request, hub.clone()));
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .serve_connection(TokioIo::new(stream), service);
        tokio::spawn(connection.with_upgrades());
    }
}
