use std::convert::Infallible;
use std::error::Error;

use http_body_util::{BodyExt, Full, combinators::BoxBody};
use hyper::body::{Bytes, Incoming};
use hyper::{Request, Response};
use hyper_ws::{Message, WebSocket};

type BoxError = Box<dyn Error + Send + Sync>;
type Body = BoxBody<Bytes, Infallible>;

pub async fn app(_: Request<Incoming>) -> Result<Response<Body>, BoxError> {
    Ok(Response::new(Full::from("a page\n").boxed()))
}

pub async fn sums(mut socket: WebSocket) -> Result<(), BoxError> {
    while let Some(message) = socket.recv().await? {
        if let Message::Text(text) = message {
            let numbers: Vec<f64> = serde_json::from_str(&text)?;
            let sum: f64 = numbers.iter().sum();
            socket.send(serde_json::to_string(&sum)?).await?;
        }
    }
    Ok(())
}
