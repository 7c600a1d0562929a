//! Messages that are not received: what is found behind them.

use std::io;
use std::pin::Pin;

use tokio::io::{DuplexStream, ReadBuf, ReadHalf};
use tokio::sync::oneshot;

use super::peer::{CLIENT, pair, serve_with};
use super::*;
use crate::close::CloseFrame;

/// A handler that only sends, and what its sends and its connection come to.
async fn push(mut socket: WebSocket, ended: oneshot::Sender<CloseCause>) {
    let sender = socket.sender();
    while socket.send("tick").await.is_ok() {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    ended.send(sender.closed().await).unwrap();
}

type Boxed = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The handler, and what tells that it has returned `Ok`: the driver catches a panic, so an
/// assertion in a handler fails the test only if somebody waits for this.
fn checked<F, Fut, E>(handler: F) -> (impl FnOnce(WebSocket) -> Boxed, oneshot::Receiver<()>)
where
    F: FnOnce(WebSocket) -> Fut,
    Fut: Future<Output = Result<(), E>> + Send + 'static,
    E: std::fmt::Debug,
{
    let (give, take) = oneshot::channel();
    let checked = |socket| {
        let handler = handler(socket);
        let checked: Boxed = Box::pin(async {
            handler.await.unwrap();
            give.send(()).unwrap();
        });
        checked
    };
    (checked, take)
}

impl Peer {
    /// Asserts that a ping is answered.
    async fn is_answered(&mut self) {
        self.connection.ping(b"there?").unwrap();
        self.flush().await;
        let pong = timeout(Duration::from_secs(12), self.control()).await;
        assert_eq!(pong, Ok(Some(Event::Pong("there?".into()))));
    }

    /// Closes, asserts that this is answered, and ends the stream.
    async fn leave(mut self, code: CloseCode) {
        self.connection.close(code, "").unwrap();
        self.flush().await;
        assert_eq!(self.close_frame().await, Some(code.value()));
    }

    /// The next control frame, or `None` at the end.
    async fn control(&mut self) -> Option<Event> {
        loop {
            match self.event().await {
                Some(Event::Message(_)) => {}
                other => return other,
            }
        }
    }
}

fn going_away() -> CloseCause {
    CloseCause::Remote(Some(CloseFrame::new(CloseCode::GOING_AWAY, "")))
}

#[tokio::test(start_paused = true)]
async fn a_ping_and_a_close_are_answered_behind_messages_that_the_handler_never_receives() {
    for text in ["", "a short text", &"a longer text".repeat(20)] {
        let began = Instant::now();
        let (give, take) = oneshot::channel();
        let (mut peer, _task) = serve(Config::new(), |socket| push(socket, give));
        for _ in 0..100 {
            peer.send(text).await;
        }
        peer.is_answered().await;
        peer.leave(CloseCode::GOING_AWAY).await;
        assert_eq!(take.await.unwrap(), going_away());
        assert!(began.elapsed().as_secs() < 3, "{:?}", began.elapsed());
    }
}

/// More than is read ahead, so that backpressure reaches the peer.
const MORE: usize = 5_000;

/// Sends texts until they are not read any more.
async fn flood(peer: &mut Peer, text: &str) {
    for _ in 0..MORE {
        peer.connection.send(text).unwrap();
    }
    let output = peer.connection.take_output();
    let _ = timeout(Duration::from_secs(1), peer.io.write_all(&output)).await;
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_is_gone_is_noticed_behind_any_number_of_unread_messages() {
    let (give, take) = oneshot::channel();
    let (mut peer, task) = serve_with(1 << 16, Config::new(), |socket| async move {
        give.send(socket.sender().closed().await).unwrap();
    });
    let began = Instant::now();
    flood(&mut peer, "a text of twenty chars").await;
    assert!(
        began.elapsed() >= Duration::from_secs(1),
        "all of it was read"
    );
    // The first pings are written, and cannot be answered. The peer goes after them.
    tokio::time::sleep(Duration::from_secs(100)).await;
    drop(peer);
    // The next one fails. Then a handler may still receive what has arrived, for ten seconds
    // a message.
    let most = Duration::from_secs(28 + 640);
    assert_eq!(timeout(most, take).await, Ok(Ok(CloseCause::Lost)));
    task.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_is_not_listened_to_is_pinged_and_not_given_up() {
    let (handler, returned) = checked(|mut socket: WebSocket| async move {
        tokio::time::sleep(Duration::from_secs(3600)).await;
        let mut count = 0;
        while socket.recv().await?.is_some() {
            count += 1;
        }
        assert_eq!(count, MORE);
        Ok::<(), Error>(())
    });
    let (mut peer, task) = serve(Config::new(), handler);
    flood(&mut peer, "x").await;
    let began = Instant::now();
    let mut pings = 0;
    while began.elapsed() < Duration::from_secs(3000) {
        if let Some(Event::Ping(_)) = peer.event().await {
            pings += 1;
        }
    }
    assert!((100..150).contains(&pings), "{pings}");
    peer.leave(CloseCode::NORMAL).await;
    task.await.unwrap();
    returned.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_discards_answers_pings_and_notices_the_end_whatever_arrives() {
    for waits in [true, false] {
        let began = Instant::now();
        let (give, take) = oneshot::channel();
        let (mut peer, _task) = serve(Config::new(), move |mut socket: WebSocket| async move {
            if waits {
                give.send(socket.closed().await).unwrap();
            } else {
                socket.discard_incoming();
                push(socket, give).await;
            }
        });
        for _ in 0..3 {
            flood(&mut peer, "a text of twenty chars").await;
        }
        peer.send("z".repeat(200_000)).await;
        peer.is_answered().await;
        peer.leave(CloseCode::GOING_AWAY).await;
        assert_eq!(take.await.unwrap(), going_away());
        assert!(began.elapsed().as_secs() < 3, "{:?}", began.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_begins_to_discard_lets_a_stalled_connection_go_on() {
    let (handler, returned) = checked(|mut socket: WebSocket| async move {
        tokio::time::sleep(Duration::from_secs(60)).await;
        socket.discard_incoming();
        assert_eq!(socket.recv().await.unwrap(), None);
        assert_eq!(socket.close_cause(), Some(going_away()));
        Ok::<(), Error>(())
    });
    let (mut peer, task) = serve_with(4096, Config::new(), handler);
    let mut output = vec![];
    for _ in 0..MORE {
        peer.connection.send("a text of twenty chars").unwrap();
        output.extend(peer.connection.take_output());
    }
    let began = Instant::now();
    peer.io.write_all(&output).await.unwrap();
    assert!(began.elapsed() >= Duration::from_secs(60));
    peer.leave(CloseCode::GOING_AWAY).await;
    task.await.unwrap();
    returned.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn limits_hold_for_what_is_discarded() {
    let config = Config::new().max_message_size(1000);
    let (handler, returned) = checked(|mut socket: WebSocket| async move {
        let cause = socket.closed().await;
        assert!(matches!(cause, CloseCause::Violation(_)), "{cause}");
        assert!(socket.recv().await.is_err());
        assert_eq!(socket.recv().await.unwrap(), None);
        Ok::<(), Error>(())
    });
    let (mut peer, task) = serve(config, handler);
    peer.send("x".repeat(1000)).await;
    peer.send("x".repeat(1001)).await;
    assert_eq!(peer.close_frame().await, Some(1009));
    drop(peer);
    task.await.unwrap();
    returned.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_message_that_is_discarded_may_take_as_long_as_it_likes() {
    let (give, take) = oneshot::channel();
    let config = Config::new().no_keep_alive();
    let (mut peer, _task) = serve(config, |mut socket: WebSocket| async move {
        give.send(socket.closed().await).unwrap();
    });
    peer.io.write_all(b"\x02\x80\0\0\0\0").await.unwrap();
    // More than twice as long as a message may take that is received.
    for _ in 0..15 {
        tokio::time::sleep(Duration::from_secs(9)).await;
        peer.io.write_all(b"\x00\x81\0\0\0\0a").await.unwrap();
    }
    peer.io.write_all(b"\x80\x80\0\0\0\0").await.unwrap();
    peer.leave(CloseCode::GOING_AWAY).await;
    assert_eq!(take.await.unwrap(), going_away());
}

#[tokio::test(start_paused = true)]
async fn what_waits_before_a_timeout_is_received_before_its_error() {
    let (handler, returned) = checked(|mut socket: WebSocket| async move {
        tokio::time::sleep(Duration::from_secs(3600)).await;
        for at in 0..500 {
            assert_eq!(socket.recv().await?, Some(format!("{at}").into()));
        }
        let error = socket.recv().await.unwrap_err();
        assert_eq!(error.kind(), crate::error::ErrorKind::PingTimeout);
        Ok::<(), Error>(())
    });
    let (mut peer, task) = serve(Config::new(), handler);
    for at in 0..500 {
        peer.send(format!("{at}")).await;
    }
    task.await.unwrap();
    returned.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_bare_socket_that_only_sends_answers_and_ends_while_it_waits_for_its_end() {
    let (ours, theirs) = tokio::io::duplex(1 << 16);
    let mut socket = bare(ours, start(Config::new()));
    let mut peer = Peer::new(theirs);
    let task = tokio::spawn(async move {
        loop {
            socket.send("tick").await?;
            let second = Duration::from_secs(1);
            if let Ok(cause) = timeout(second, socket.closed()).await {
                return Ok::<_, Error>(cause);
            }
        }
    });
    for _ in 0..2 {
        flood(&mut peer, "a text of twenty chars").await;
    }
    peer.is_answered().await;
    peer.leave(CloseCode::GOING_AWAY).await;
    assert_eq!(task.await.unwrap().unwrap(), going_away());
}

#[tokio::test(start_paused = true)]
async fn what_waits_before_a_close_is_received_whole_or_in_chunks() {
    for streamed in [false, true] {
        let (handler, returned) = checked(move |mut socket: WebSocket| async move {
            // The first decides whether messages are handed over in chunks.
            let mut texts = vec![];
            loop {
                let text = match streamed {
                    false => socket.recv().await?,
                    true => match socket.recv_stream().await? {
                        None => None,
                        Some(mut reader) => {
                            let chunk = reader.chunk().await?;
                            assert!(reader.is_finished());
                            chunk
                        }
                    },
                };
                let Some(text) = text else { break };
                texts.push(text);
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            let expected: Vec<_> = (0..500).map(|at| format!("{at}").into()).collect();
            assert_eq!(texts, expected);
            assert_eq!(socket.close_cause(), Some(going_away()));
            Ok::<(), Error>(())
        });
        let (mut peer, task) = serve(Config::new(), handler);
        for at in 0..500 {
            peer.send(format!("{at}")).await;
        }
        peer.connection.close(CloseCode::GOING_AWAY, "").unwrap();
        peer.flush().await;
        // Before the handler has received them all.
        let began = Instant::now();
        assert_eq!(peer.close_frame().await, Some(1001));
        assert!(began.elapsed() < Duration::from_secs(1));
        drop(peer);
        task.await.unwrap();
        returned.await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_handler_receives_everything_in_order_from_a_peer_that_never_pauses() {
    let (handler, returned) = checked(|mut socket: WebSocket| async move {
        for at in 0..MORE {
            assert_eq!(socket.recv().await?, Some(format!("{at}").into()));
            if at % 97 == 0 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
        assert_eq!(socket.recv().await?, None);
        Ok::<(), Error>(())
    });
    let (mut peer, task) = serve_with(4096, Config::new(), handler);
    for at in 0..MORE {
        peer.send(format!("{at}")).await;
    }
    peer.leave(CloseCode::NORMAL).await;
    task.await.unwrap();
    returned.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_client_that_only_sends_answers_and_ends_too() {
    let (io, start, mut peer) = pair(CLIENT, 1 << 16, Config::new());
    let (give, take) = oneshot::channel();
    let socket = bare(io, start);
    let _task = Task::run(true, socket, |socket| push(socket, give));
    for _ in 0..500 {
        peer.send("a short text").await;
    }
    peer.is_answered().await;
    peer.leave(CloseCode::GOING_AWAY).await;
    assert_eq!(take.await.unwrap(), going_away());
}

#[tokio::test(start_paused = true)]
async fn a_ping_is_answered_behind_bytes_that_a_tunnel_does_not_read() {
    let (handler, returned) = checked(|socket: WebSocket| async move {
        let mut stream = socket.into_byte_stream();
        stream.read_u8().await?;
        tokio::time::sleep(Duration::from_secs(20)).await;
        let mut rest = vec![];
        stream.read_to_end(&mut rest).await?;
        assert_eq!(rest.len(), 499);
        stream.shutdown().await
    });
    let (mut peer, task) = serve(Config::new(), handler);
    for _ in 0..500 {
        peer.send(vec![7]).await;
    }
    peer.is_answered().await;
    tokio::time::sleep(Duration::from_secs(15)).await;
    peer.leave(CloseCode::NORMAL).await;
    task.await.unwrap();
    returned.await.unwrap();
}

/// Of a message that is received in chunks, the chunks that wait fill the inbox.
#[tokio::test(start_paused = true)]
async fn a_ping_is_answered_behind_fragments_that_the_handler_has_not_received() {
    let (handler, returned) = checked(|mut socket: WebSocket| async move {
        let mut message = socket.recv_stream().await?.unwrap();
        let mut length = 0;
        while let Some(chunk) = message.chunk().await? {
            if length == 0 {
                tokio::time::sleep(Duration::from_secs(60)).await;
            }
            length += chunk.len();
        }
        assert_eq!(length, 70_001);
        Ok::<(), Error>(())
    });
    let (mut peer, task) = serve(Config::new(), handler);
    peer.io.write_all(b"\x02\x81\0\0\0\0a").await.unwrap();
    let mut fragment = b"\x00\xfe\x03\xe8\0\0\0\0".to_vec();
    fragment.resize(8 + 1000, b'b');
    // Each pause has all of it read: the first chunk, more than the inbox takes, and the rest.
    for count in [66, 4] {
        tokio::time::sleep(Duration::from_secs(1)).await;
        peer.io.write_all(&fragment.repeat(count)).await.unwrap();
    }
    peer.is_answered().await;
    peer.io.write_all(b"\x80\x80\0\0\0\0").await.unwrap();
    assert_eq!(peer.close_frame().await, Some(1000));
    drop(peer);
    task.await.unwrap();
    returned.await.unwrap();
}

#[cfg(feature = "deflate")]
#[tokio::test(start_paused = true)]
async fn a_ping_is_answered_behind_compressed_messages() {
    let compression = crate::config::Compression::shared();
    let (give, take) = oneshot::channel();
    let (mut peer, _task) =
        peer::serve_compressed(Config::new(), compression, |socket| push(socket, give));
    for _ in 0..200 {
        peer.send("a text that repeats a text ".repeat(10)).await;
    }
    peer.is_answered().await;
    peer.leave(CloseCode::GOING_AWAY).await;
    assert_eq!(take.await.unwrap(), going_away());
}

/// A pipe of which each read returns eight bytes: a message.
struct Spoon(ReadHalf<DuplexStream>);

impl AsyncRead for Spoon {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut eight = [0; 8];
        let mut spoon = ReadBuf::new(&mut eight);
        ready!(Pin::new(&mut self.0).poll_read(cx, &mut spoon))?;
        buffer.put_slice(spoon.filled());
        Poll::Ready(Ok(()))
    }
}

/// Where the driver yields between two of its rounds, it knows nothing of the last one.
#[tokio::test(start_paused = true)]
async fn what_waits_before_a_close_is_kept_wherever_the_driver_yields() {
    for count in 65..110 {
        let (ours, theirs) = tokio::io::duplex(4096);
        let mut peer = Peer::new(theirs);
        for _ in 0..count {
            peer.connection.send("hi").unwrap();
        }
        peer.connection.ping(b"").unwrap();
        peer.connection.close(CloseCode::NORMAL, "").unwrap();
        peer.flush().await;
        let (handler, returned) = checked(move |mut socket: WebSocket| async move {
            tokio::time::sleep(Duration::from_secs(1)).await;
            let mut received = 0;
            while socket.recv().await?.is_some() {
                received += 1;
            }
            assert_eq!(received, count);
            Ok::<(), Error>(())
        });
        let (read, write) = tokio::io::split(ours);
        let spoon = tokio::io::join(Spoon(read), write);
        let task = Task::spawn(spoon, start(Config::new()), handler);
        assert_eq!(peer.close_frame().await, Some(1000));
        drop(peer);
        task.await.unwrap();
        returned.await.unwrap();
    }
}
