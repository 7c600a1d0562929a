//! The fan-out for crates without one: one of Tokio's broadcast channels, as in
//! axum's example `chat`.

use std::sync::LazyLock;

use bytes::Bytes;
use tokio::sync::broadcast::{Receiver, Sender, channel};

static MESSAGES: LazyLock<Sender<Bytes>> = LazyLock::new(|| channel(1024).0);

/// The messages that are published from now on.
pub fn news() -> Receiver<Bytes> {
    MESSAGES.subscribe()
}

pub fn publish(payload: Bytes) {
    _ = MESSAGES.send(payload);
}

/// Broadcasts for crates whose socket is a `Sink` and a `Stream`: one task sends the
/// published messages, the other publishes the received ones. With `--batch`, all
/// messages that are ready leave in one write.
#[cfg(feature = "sink")]
pub async fn broadcast<S, M, A>(
    socket: S,
    payload: impl Fn(M) -> Option<Bytes>,
    as_message: impl Fn(Bytes) -> A + Send + 'static,
) where
    S: futures_util::Stream<Item = M> + futures_util::Sink<A> + Send + 'static,
    A: Send + 'static,
{
    use futures_util::{SinkExt, StreamExt};

    let (mut sink, mut stream) = socket.split();
    let mut news = news();
    let is_batch = crate::has_flag("batch");
    let sending = tokio::spawn(async move {
        while let Ok(payload) = news.recv().await {
            let mut is_open = if is_batch {
                sink.feed(as_message(payload)).await.is_ok()
            } else {
                sink.send(as_message(payload)).await.is_ok()
            };
            while is_batch && is_open {
                is_open = match news.try_recv() {
                    Ok(payload) => sink.feed(as_message(payload)).await.is_ok(),
                    Err(_) => break,
                };
            }
            if !is_open || (is_batch && sink.flush().await.is_err()) {
                break;
            }
        }
    });
    while let Some(message) = stream.next().await {
        if let Some(payload) = payload(message) {
            publish(payload);
        }
    }
    sending.abort();
}
