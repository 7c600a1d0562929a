//! A server with hyper-ws's hub: in one process, or over several by Redis.
//!
//! `/ws?role=hear&room=R` joins, with `count=N` the rooms R-0 to R-(N-1); `role=say` publishes
//! what it receives; `role=resume` waits for a position and joins from it. `/counters` shows what
//! the hub counts.

use std::convert::Infallible;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_ws::error::BoxError;
use hyper_ws::handshake::Rejection;
use hyper_ws::hub::{Gap, History, Hub, Joined, Redis};
use hyper_ws::{Config, Upgrade, WebSocket};
use rooms::{has_flag, parameter, value};
use tokio::net::TcpListener;

async fn serve_socket(mut socket: WebSocket, hub: Hub, query: String) -> Result<(), BoxError> {
    let name = parameter(&query, "room").unwrap_or("all");
    let room = hub.room(name);
    match parameter(&query, "role") {
        Some("say") => {
            let waits = has_flag("wait");
            while let Some(message) = socket.recv().await? {
                if !waits {
                    room.send(message);
                } else if let Err(error) = room.publish(message).await {
                    socket.send(format!("failed {error}")).await?;
                }
            }
        }
        Some("resume") => {
            let position = socket.recv().await?.and_then(|it| it.into_text());
            let position = position.and_then(|it| it.parse().ok());
            match room.join_from(&socket, position).await? {
                Joined::Resumed { .. } => {}
                other => socket.send(format!("missed {other:?}")).await?,
            }
            while socket.recv().await?.is_some() {}
        }
        _ => {
            let count = parameter(&query, "count").and_then(|it| it.parse().ok());
            match count {
                None => {
                    let mut from = None;
                    if has_flag("plain") {
                        room.join(&socket);
                    } else {
                        while let Joined::Missed { now } = room.join_from(&socket, from).await? {
                            from = Some(now);
                        }
                    }
                    let position = from.map_or("-".to_owned(), |it| it.to_string());
                    socket.send(format!("ready {position}")).await?;
                }
                Some(count) => {
                    for number in 0_usize..count {
                        hub.room(&format!("{name}-{number}")).join(&socket);
                        if number % 256 == 0 {
                            tokio::task::yield_now().await;
                        }
                    }
                    socket.send("ready").await?;
                }
            }
            while socket.recv().await?.is_some() {}
        }
    }
    Ok(())
}

async fn serve(mut request: Request<Incoming>, hub: Hub) -> Result<Response<String>, Infallible> {
    if request.uri().path() == "/counters" {
        let (counters, state) = (hub.counters(), hub.state());
        return Ok(Response::new(format!("{state:?} {counters:?}\n")));
    }
    let query = request.uri().query().unwrap_or_default().to_owned();
    Ok(
        Upgrade::from_request(&mut request).map_or_else(Rejection::into_response, |upgrade| {
            let limit = value("output-limit").unwrap_or(64 * 1024);
            let upgrade = upgrade.config(Config::default().output_limit(limit));
            upgrade.on_upgrade(move |socket| serve_socket(socket, hub, query))
        }),
    )
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    let mut hub = Hub::new();
    if !has_flag("plain") {
        let mut history = History::last(value("keep").unwrap_or(100));
        if let Some(bytes) = value("bytes") {
            history = history.bytes(bytes);
        }
        hub = hub
            .history(history)
            .gap(Gap::tell(|_, position| format!("missed {position}").into()))
            .stamp(|_, position, message| {
                format!("{position} {}", message.as_text().unwrap_or_default())
            });
    }
    if let Some(url) = value::<String>("redis") {
        hub = hub.backplane(Redis::new(&url)?.patience(Duration::from_secs(20)));
    }
    if let Some(bytes) = value("lag-limit") {
        hub = hub.lag_limit(bytes);
    }
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?.port());
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let hub = hub.clone();
        let service = service_fn(move |request| serve(request, hub.clone()));
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .serve_connection(TokioIo::new(stream), service);
        tokio::spawn(connection.with_upgrades());
    }
}
