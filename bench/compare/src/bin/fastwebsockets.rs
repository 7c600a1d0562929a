//! fastwebsockets, as in its example `echo_server`. It has no way to send several
//! frames in one write. `--broadcast`: as in its example `echo_server_split`, with
//! a channel.

use std::convert::Infallible;

use fastwebsockets::{
    FragmentCollector, FragmentCollectorRead, Frame, OpCode, Payload, WebSocketError, upgrade,
};
use http_body_util::Empty;
use hyper::body::{Bytes, Incoming};
use hyper::{Request, Response};

async fn echo(upgrade: upgrade::UpgradeFut) -> Result<(), WebSocketError> {
    let mut socket = FragmentCollector::new(upgrade.await?);
    loop {
        let frame = socket.read_frame().await?;
        match frame.opcode {
            OpCode::Close => return Ok(()),
            OpCode::Text | OpCode::Binary => socket.write_frame(frame).await?,
            _ => {}
        }
    }
}

async fn broadcast(upgrade: upgrade::UpgradeFut) -> Result<(), WebSocketError> {
    let (receiver, mut sender) = upgrade.await?.split(tokio::io::split);
    let mut receiver = FragmentCollectorRead::new(receiver);
    let mut news = compare::news();
    let sending = tokio::spawn(async move {
        while let Ok(payload) = news.recv().await {
            let frame = Frame::binary(Payload::Borrowed(&payload));
            if sender.write_frame(frame).await.is_err() {
                break;
            }
        }
    });
    // The load sends no frames that need an answer (pings, closes).
    let mut no_answer = |_| async { Ok::<_, WebSocketError>(()) };
    while let Ok(frame) = receiver.read_frame(&mut no_answer).await {
        match frame.opcode {
            OpCode::Close => break,
            OpCode::Text | OpCode::Binary => {
                compare::publish(Bytes::copy_from_slice(&frame.payload));
            }
            _ => {}
        }
    }
    sending.abort();
    Ok(())
}

async fn app(mut request: Request<Incoming>) -> Result<Response<Empty<Bytes>>, Infallible> {
    Ok(match upgrade::upgrade(&mut request) {
        Ok((response, upgrade)) => {
            if compare::has_flag("broadcast") {
                tokio::spawn(async { _ = broadcast(upgrade).await });
            } else {
                tokio::spawn(tokio::task::unconstrained(async {
                    _ = echo(upgrade).await
                }));
            }
            response
        }
        Err(_) => Response::builder().status(400).body(Empty::new()).unwrap(),
    })
}

fn main() -> std::io::Result<()> {
    compare::run_hyper(app)
}
