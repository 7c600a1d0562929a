//! yawc behind hyper with compression: its low-latency profile, or its balanced one
//! with `--balanced`. `--pool`: its pool for connections without context.

use futures_util::{SinkExt, StreamExt};
use http_body_util::Empty;
use hyper::body::{Bytes, Incoming};
use hyper::{Request, Response};
use std::sync::OnceLock;
use yawc::{DeflateOptions, DeflatePool, OpCode, Options, Result, UpgradeFut, WebSocket};

static OPTIONS: OnceLock<Options> = OnceLock::new();

async fn echo(upgrade: UpgradeFut) -> Result<()> {
    let mut socket = upgrade.await?;
    while let Some(frame) = socket.next().await {
        if matches!(frame.opcode(), OpCode::Text | OpCode::Binary) {
            socket.send(frame).await?;
        }
    }
    Ok(())
}

async fn app(request: Request<Incoming>) -> Result<Response<Empty<Bytes>>> {
    let options = OPTIONS.get_or_init(options).clone();
    let (response, upgrade) = WebSocket::upgrade_with_options(request, options)?;
    tokio::spawn(async { _ = echo(upgrade).await });
    Ok(response)
}

fn options() -> Options {
    let mut deflate = if compare::has_flag("balanced") {
        DeflateOptions::balanced()
    } else {
        DeflateOptions::low_latency()
    };
    if compare::has_flag("pool") {
        deflate.pool = Some(DeflatePool::new(64));
    }
    Options {
        compression: Some(deflate),
        ..Options::default()
    }
}

fn main() -> std::io::Result<()> {
    compare::run_hyper(app)
}
