//! A body that cannot hold the text of a refusal.
//~ cannot be made from the text of a refusal
//~ `.map(|text: String| text.boxed())`

use std::convert::Infallible;

use http_body_util::combinators::BoxBody;
use hyper::Response;
use hyper::body::Bytes;
use hyper_ws::{Upgrade, WebSocket};

fn answer(upgrade: Upgrade) -> Response<BoxBody<Bytes, Infallible>> {
    upgrade.on_upgrade(|_: WebSocket| async {})
}

fn main() {
    let _ = answer;
}
