//! `?` on a rejection: hyper would close the connection without an answer.
//~ `?` couldn't convert the error
//~ Rejection

use std::error::Error;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::{Request, Response};
use hyper_ws::{Upgrade, WebSocket};

type BoxError = Box<dyn Error + Send + Sync>;

async fn app(mut request: Request<Incoming>) -> Result<Response<Full<Bytes>>, BoxError> {
    let upgrade = Upgrade::from_request(&mut request)?;
    Ok(upgrade.on_upgrade(|_: WebSocket| async {}))
}

fn main() {
    let _ = app;
}
