//! fastwebsockets, as its example `echo_server` has it. It has no way to send
//! several frames in one write.

use std::convert::Infallible;

use fastwebsockets::{FragmentCollector, OpCode, WebSocketError, upgrade};
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

async fn app(mut request: Request<Incoming>) -> Result<Response<Empty<Bytes>>, Infallible> {
    Ok(match upgrade::upgrade(&mut request) {
        Ok((response, upgrade)) => {
            tokio::spawn(tokio::task::unconstrained(async {
                _ = echo(upgrade).await
            }));
            response
        }
        Err(_) => Response::builder().status(400).body(Empty::new()).unwrap(),
    })
}

fn main() -> std::io::Result<()> {
    compare::run_hyper(app)
}
