//! A proxy that shows what goes through it: a server by hyper-tungstenite, and a client by
//! tokio-tungstenite.

use std::error::Error;
use std::net::SocketAddr;

use futures_util::{Sink, SinkExt, Stream, StreamExt};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::{Request, Response};
use hyper_tungstenite::tungstenite::{self, Message};
use hyper_tungstenite::{HyperWebsocket, is_upgrade_request, upgrade};
use tokio_tungstenite::connect_async;

use super::Show;

type BoxError = Box<dyn Error + Send + Sync>;

pub async fn app(
    mut request: Request<Incoming>,
    upstream: SocketAddr,
    show: Show,
) -> Result<Response<Full<Bytes>>, BoxError> {
    if !is_upgrade_request(&request) {
        return Ok(Response::new(Full::from("a page\n")));
    }
    let url = format!("ws://{upstream}{}", request.uri().path());
    let (response, client) = upgrade(&mut request, None)?;
    tokio::spawn(async move {
        if let Err(error) = intercept(client, url, show).await {
            eprintln!("the conversation failed: {error}");
        }
    });
    Ok(response)
}

async fn intercept(client: HyperWebsocket, url: String, show: Show) -> Result<(), BoxError> {
    let (to_server, from_server) = connect_async(url).await?.0.split();
    let (to_client, from_client) = client.await?.split();
    tokio::join!(
        forward(from_client, to_server, ">", &show),
        forward(from_server, to_client, "<", &show),
    );
    Ok(())
}

async fn forward(
    mut from: impl Stream<Item = Result<Message, tungstenite::Error>> + Unpin,
    mut to: impl Sink<Message, Error = tungstenite::Error> + Unpin,
    way: &str,
    show: &Show,
) {
    while let Some(Ok(message)) = from.next().await {
        match &message {
            Message::Text(text) => show(way, text.as_bytes()),
            Message::Binary(bytes) => show(way, bytes),
            // The close frame goes on as a message.
            _ => {}
        }
        if to.send(message).await.is_err() {
            break;
        }
    }
    let _ = to.close().await;
}
