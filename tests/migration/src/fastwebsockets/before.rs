use std::error::Error;

use fastwebsockets::upgrade::{UpgradeFut, is_upgrade_request, upgrade};
use fastwebsockets::{FragmentCollector, Frame, OpCode, Payload};
use http_body_util::{BodyExt, Empty, Full, combinators::BoxBody};
use hyper::body::{Bytes, Incoming};
use hyper::{Request, Response};

type BoxError = Box<dyn Error + Send + Sync>;
type Body = BoxBody<Bytes, std::convert::Infallible>;

pub async fn app(mut request: Request<Incoming>) -> Result<Response<Body>, BoxError> {
    if !is_upgrade_request(&request) {
        return Ok(Response::new(Full::from("a page\n").boxed()));
    }
    let (response, socket) = upgrade(&mut request)?;
    tokio::spawn(async move {
        if let Err(error) = sums(socket).await {
            eprintln!("the conversation failed: {error}");
        }
    });
    Ok(response.map(Empty::boxed))
}

async fn sums(socket: UpgradeFut) -> Result<(), BoxError> {
    let mut socket = FragmentCollector::new(socket.await?);
    loop {
        let frame = socket.read_frame().await?;
        match frame.opcode {
            OpCode::Text => {
                let numbers: Vec<f64> = serde_json::from_slice(&frame.payload)?;
                let sum: f64 = numbers.iter().sum();
                let answer = Payload::Owned(serde_json::to_vec(&sum)?);
                socket.write_frame(Frame::text(answer)).await?;
            }
            OpCode::Close => return Ok(()),
            OpCode::Binary | OpCode::Ping | OpCode::Pong | OpCode::Continuation => {}
        }
    }
}
