//! Handlers of every shape compile, around them the functions that explain the others.

use std::convert::Infallible;
use std::error::Error;

use http_body_util::{BodyExt, Full, combinators::BoxBody};
use hyper::body::{Bytes, Incoming};
use hyper::{Request, Response, StatusCode};
use hyper_ws::handshake::Rejection;
use hyper_ws::middleware::handler;
use hyper_ws::{Message, Upgrade, WebSocket, WebSocketLayer};

async fn nothing(_: WebSocket) {}

async fn never(_: WebSocket) -> ! {
    std::future::pending().await
}

async fn boxed(mut socket: WebSocket) -> Result<(), Box<dyn Error + Send + Sync>> {
    socket.send(Message::text("text")).await?;
    socket.send(Message::binary(vec![1])).await?;
    Ok(())
}

async fn response(upgrade: Upgrade, _: Request<()>) -> Response<String> {
    upgrade.on_upgrade(nothing)
}

async fn rejection(upgrade: Upgrade, request: Request<()>) -> Result<Response<String>, Rejection> {
    let upgrade = upgrade.check()?;
    if request.uri().query().is_none() {
        return Err(upgrade.refuse(StatusCode::BAD_REQUEST, "who are you?"));
    }
    Ok(upgrade.on_upgrade(boxed))
}

async fn state(_: WebSocket, _: String) {}

async fn app(mut request: Request<Incoming>) -> Result<Response<BoxBody<Bytes, Infallible>>, Infallible> {
    let response = match Upgrade::from_request(&mut request) {
        Ok(upgrade) => upgrade.on_upgrade(never),
        Err(rejection) => rejection.into(),
    };
    Ok(response.map(|text: String| text.boxed()))
}

async fn full(mut request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    Ok(match Upgrade::from_request(&mut request) {
        Ok(upgrade) => upgrade.on_upgrade(never),
        Err(rejection) => rejection.into(),
    })
}

fn main() {
    let _ = (app, full);
    let _ = WebSocketLayer::new()
        .route("/1", nothing)
        .route("/2", handler::socket(nothing))
        .route("/3", never)
        .route("/4", handler::socket(never))
        .route("/5", boxed)
        .route("/6", response)
        .route("/7", handler::upgrade(response))
        .route("/8", rejection)
        .route("/9", handler::upgrade(rejection))
        .route("/10", handler::socket_with("state".to_owned(), state))
        .route("/11", |upgrade: Upgrade, _: Request<()>| async move {
            upgrade.on_upgrade(nothing)
        })
        .route("/12", |upgrade: Upgrade, _: Request<()>| async move {
            Ok::<_, Rejection>(upgrade.check()?.on_upgrade(nothing))
        })
        .route("/13", async |mut socket: WebSocket| socket.send("hello").await);
}
