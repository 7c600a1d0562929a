//! The same for the refusal itself.
//~ cannot be made from the text of a refusal
//~ `.map(|text: String| text.boxed())`

use std::convert::Infallible;

use http_body_util::combinators::BoxBody;
use hyper::Response;
use hyper::body::Bytes;
use hyper_ws::handshake::Rejection;

fn answer(rejection: Rejection) -> Response<BoxBody<Bytes, Infallible>> {
    rejection.into_response()
}

fn main() {
    let _ = answer;
}
