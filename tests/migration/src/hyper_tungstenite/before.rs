use std::error::Error;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::{Request, Response};
use hyper_tungstenite::tungstenite::Message;
use hyper_tungstenite::{HyperWebsocket, is_upgrade_request, upgrade};
use tokio::time::interval;

type BoxError = Box<dyn Error + Send + Sync>;

pub async fn app(mut request: Request<Incoming>) -> Result<Response<Full<Bytes>>, BoxError> {
    if !is_upgrade_request(&request) {
        return Ok(Response::new(Full::from("a page\n")));
    }
    let (response, socket) = upgrade(&mut request, None)?;
    tokio::spawn(async move {
        if let Err(error) = sums(socket).await {
            eprintln!("the conversation failed: {error}");
        }
    });
    Ok(response)
}

async fn sums(socket: HyperWebsocket) -> Result<(), BoxError> {
    let mut socket = socket.await?;
    let mut clock = interval(Duration::from_secs(60));
    loop {
        let message = tokio::select! {
            message = socket.next() => message,
            _ = clock.tick() => {
                socket.send(Message::text("tick")).await?;
                continue;
            }
        };
        match message.transpose()? {
            Some(Message::Text(text)) => {
                let numbers: Vec<f64> = serde_json::from_str(&text)?;
                let sum: f64 = numbers.iter().sum();
                let answer = serde_json::to_string(&sum)?;
                socket.send(Message::text(answer)).await?;
            }
            // Ping, pong, binary; and close: the answer to it leaves with the
            // next call, after which there is no message.
            Some(_) => {}
            None => return Ok(()),
        }
    }
}
