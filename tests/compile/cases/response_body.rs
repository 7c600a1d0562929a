//! A handler of a handshake returns a response with another body.
//~ a handler of a handshake cannot return `Response<
//~ Result<Response<String>, E>

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::{Request, Response};
use hyper_ws::middleware::handler;
use hyper_ws::{Upgrade, WebSocketLayer};

async fn chat(_: Upgrade, _: Request<()>) -> Response<Full<Bytes>> {
    Response::default()
}

fn main() {
    let _ = WebSocketLayer::new().route("/ws", handler::upgrade(chat));
}
