//! yawc behind hyper, as in its documentation. `--batch`: flushed when no more
//! messages are ready. `--broadcast`: the same with a channel. `--utf8`: text is
//! validated, as RFC 6455 demands.

use futures_util::{SinkExt, StreamExt};
use http_body_util::Empty;
use hyper::body::{Bytes, Incoming};
use hyper::{Request, Response};
use yawc::{Frame, OpCode, Options, Result, UpgradeFut, WebSocket};

async fn echo(upgrade: UpgradeFut) -> Result<()> {
    let mut socket = upgrade.await?;
    if compare::has_flag("broadcast") {
        let payload = |frame: Frame| Some(frame).filter(is_data).map(Frame::into_payload);
        compare::broadcast(socket, payload, |payload: Bytes| Frame::binary(payload)).await;
        return Ok(());
    }
    if compare::has_flag("batch") {
        let as_answer = |frame: Frame| Some(frame).filter(is_data);
        return compare::echo_in_batches(&mut socket, as_answer).await;
    }
    while let Some(frame) = socket.next().await {
        if is_data(&frame) {
            socket.send(frame).await?;
        }
    }
    Ok(())
}

fn is_data(frame: &Frame) -> bool {
    matches!(frame.opcode(), OpCode::Text | OpCode::Binary)
}

async fn app(request: Request<Incoming>) -> Result<Response<Empty<Bytes>>> {
    // Its default limit is 1 MiB less a byte.
    let options = Options::default().with_max_payload_read(2 << 20);
    let options = if compare::has_flag("utf8") {
        options.with_utf8()
    } else {
        options
    };
    let (response, upgrade) = WebSocket::upgrade_with_options(request, options)?;
    tokio::spawn(async { _ = echo(upgrade).await });
    Ok(response)
}

fn main() -> std::io::Result<()> {
    compare::run_hyper(app)
}
