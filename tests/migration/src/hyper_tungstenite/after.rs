use std::convert::Infallible;
use std::error::Error;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::{Request, Response};
use hyper_ws::{Message, Upgrade, WebSocket};
use tokio::time::interval;

type BoxError = Box<dyn Error + Send + Sync>;

pub async fn app(mut request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    if !Upgrade::is_handshake(&request) {
        return Ok(Response::new(Full::from("a page\n")));
    }
    Ok(match Upgrade::from_request(&mut request) {
        Ok(upgrade) => upgrade.on_upgrade(sums),
        Err(rejection) => rejection.into(),
    })
}

async fn sums(mut socket: WebSocket) -> Result<(), BoxError> {
    let mut clock = interval(Duration::from_secs(60));
    loop {
        let message = tokio::select! {
            message = socket.recv() => message,
            _ = clock.tick() => {
                socket.send("tick").await?;
                continue;
            }
        };
        match message? {
            Some(Message::Text(text)) => {
                let numbers: Vec<f64> = serde_json::from_str(&text)?;
                let sum: f64 = numbers.iter().sum();
                socket.send(serde_json::to_string(&sum)?).await?;
            }
            Some(Message::Binary(_)) => {}
            None => return Ok(()),
        }
    }
}
