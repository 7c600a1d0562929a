//! A socket as `Stream` and `Sink`, with the usual combinators.

use std::future::Future;
use std::net::SocketAddr;

use futures_util::stream::FusedStream;
use futures_util::{SinkExt, StreamExt, TryStreamExt, stream};
use hyper::service::service_fn;
use hyper_ws::error::CloseCause;
use hyper_ws::{CloseCode, Error, Message, WebSocket, WebSocketService, connect};

use crate::support::{listen, page};

async fn serve<F, Fut>(handler: F) -> SocketAddr
where
    F: Fn(WebSocket) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<(), Error>> + Send + 'static,
{
    listen(WebSocketService::new(service_fn(page)).route("/", handler)).await
}

async fn open(address: SocketAddr) -> WebSocket {
    connect(format!("ws://{address}/")).await.unwrap()
}

fn messages() -> Vec<Message> {
    (0..500usize)
        .map(|at| Message::from(vec![at as u8; at * at % 40_000]))
        .collect()
}

/// Sends all messages in one task, and expects them back in another.
async fn exchange(socket: WebSocket) {
    let (mut sink, mut stream) = socket.split();
    let sending = tokio::spawn(async move {
        let mut all = stream::iter(messages().into_iter().map(Ok));
        sink.send_all(&mut all).await.map(|()| sink)
    });
    for message in messages() {
        assert!(stream.next().await.unwrap().unwrap() == message);
    }
    let sink = sending.await.unwrap().unwrap();
    let mut socket = stream.reunite(sink).unwrap();
    assert!(!socket.is_terminated());
    SinkExt::close(&mut socket).await.unwrap();
    assert!(socket.next().await.is_none());
    assert!(socket.is_terminated());
    let cause = CloseCause::Local(CloseCode::NORMAL);
    assert_eq!(socket.close_cause(), Some(cause));
    assert!(SinkExt::send(&mut socket, "late".into()).await.is_err());
}

#[tokio::test]
async fn a_socket_forwards_to_itself_and_is_split_over_tasks() {
    // The whole echo: `forward` ends with the stream, flushes and closes.
    let address = serve(|socket| async move {
        let (sink, stream) = socket.split();
        match stream.forward(sink).await {
            // The sink is already closed, by the client.
            Err(error) if !error.is_closed() => Err(error),
            _ => Ok(()),
        }
    })
    .await;
    exchange(open(address).await).await;
    let (done, wait) = tokio::sync::oneshot::channel();
    tokio::spawn(open(address).await.run(|socket| async move {
        exchange(socket).await;
        done.send(()).unwrap();
    }));
    wait.await.expect("the managed socket has done all");
}

#[tokio::test]
async fn the_chunks_of_a_message_are_a_stream_and_select_takes_sockets() {
    let address = serve(|mut socket| async move {
        let sender = socket.sender();
        let mut count = 0;
        while let Some(message) = socket.recv_stream().await? {
            let length: usize = message
                .try_fold(0, |sum, chunk| async move { Ok(sum + chunk.len()) })
                .await?;
            count += 1;
            sender.send(format!("{count}: {length}")).await?;
        }
        Ok(())
    })
    .await;
    let (mut one, mut two) = (open(address).await, open(address).await);
    one.send(vec![1; 500_000]).await.unwrap();
    two.send(vec![1; 3]).await.unwrap();
    one.send("").await.unwrap();
    let both = stream::select(one, two);
    let mut answers: Vec<String> = both
        .take(3)
        .map(|message| message.unwrap().as_text().unwrap().to_owned())
        .collect()
        .await;
    answers.sort();
    assert_eq!(answers, ["1: 3", "1: 500000", "2: 0"]);
}
