//! A write that fails ends the sending. What has arrived is received on.

use std::io;
use std::pin::Pin;

use tokio::io::{DuplexStream, ReadBuf};
use tokio::sync::oneshot;

use super::peer::{CLIENT, pair};
use super::*;
use crate::close::CloseFrame;
use crate::error::ErrorKind;
use crate::message::Kind;

/// A pipe that fails after some writes, and can be read all the time: a peer that has closed
/// TCP, whose bytes are in the kernel.
struct Deaf {
    io: DuplexStream,
    writes_left: usize,
    error: io::ErrorKind,
}

impl AsyncRead for Deaf {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Deaf {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.writes_left.checked_sub(1) {
            None => Poll::Ready(Err(self.error.into())),
            Some(left) => {
                self.writes_left = left;
                Poll::Ready(Ok(bytes.len()))
            }
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Err(self.error.into()))
    }
}

/// A connection whose second write fails, and the peer.
fn deaf(role: Role, config: Config) -> (Deaf, Negotiated, Peer) {
    let (io, start, peer) = pair(role, 1 << 20, config);
    let io = Deaf {
        io,
        writes_left: 1,
        error: io::ErrorKind::BrokenPipe,
    };
    (io, start, peer)
}

/// More messages than are read before the handler asks for them.
const MORE: u32 = 3000;

/// What the peer sends before it goes.
#[derive(Clone, Copy, PartialEq)]
enum Last {
    Close,
    Nothing,
}

async fn send_texts(mut peer: Peer, count: u32, last: Last) {
    for number in 0..count {
        peer.connection.send(number.to_string()).unwrap();
    }
    if last == Last::Close {
        peer.connection.close(CloseCode::NORMAL, "").unwrap();
    }
    let output = peer.connection.take_output();
    peer.io.write_all(&output).await.unwrap();
}

/// What was received, whether an error was returned at the end, and the cause.
type Received = (Vec<Message>, Option<ErrorKind>, Option<CloseCause>);

/// Receives to the end, answers each message and ignores what becomes of the answers.
async fn answer_slowly(mut socket: WebSocket) -> Received {
    let mut received = vec![];
    let error = loop {
        match socket.recv().await {
            Ok(Some(message)) => {
                received.push(message.clone());
                let _ = socket.send(message).await;
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            Ok(None) => break None,
            Err(error) => break Some(error.kind()),
        }
    };
    (received, error, socket.close_cause())
}

fn remote() -> Option<CloseCause> {
    let frame = CloseFrame::new(CloseCode::NORMAL, "");
    Some(CloseCause::Remote(Some(frame)))
}

async fn run(managed: bool, socket: WebSocket) -> Received {
    let (give, take) = oneshot::channel();
    let handler = async |socket| give.send(answer_slowly(socket).await).unwrap();
    let task = Task::run(managed, socket, handler);
    let received = take.await.unwrap();
    task.await.unwrap();
    received
}

#[tokio::test(start_paused = true)]
async fn messages_that_had_arrived_before_a_write_failed_are_received_up_to_the_close_frame() {
    for role in [Role::Server, CLIENT] {
        for managed in [true, false] {
            for count in [1000, MORE] {
                let (io, start, peer) = deaf(role, Config::new());
                send_texts(peer, count, Last::Close).await;
                let (received, error, cause) = run(managed, bare(io, start)).await;
                let expected: Vec<Message> = (0..count).map(|it| it.to_string().into()).collect();
                assert!(
                    received == expected,
                    "{role:?}, managed: {managed}, {count}"
                );
                assert_eq!((error, cause), (None, remote()));
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn without_a_close_frame_the_failed_write_is_the_cause() {
    for (kind, error, cause) in [
        (io::ErrorKind::BrokenPipe, None, CloseCause::Lost),
        (
            io::ErrorKind::TimedOut,
            Some(ErrorKind::Io),
            CloseCause::Io(io::ErrorKind::TimedOut),
        ),
    ] {
        let (mut io, start, peer) = deaf(Role::Server, Config::new());
        io.error = kind;
        send_texts(peer, MORE, Last::Nothing).await;
        let ended = run(true, bare(io, start)).await;
        assert_eq!(ended.0.len(), MORE as usize);
        assert_eq!((ended.1, ended.2), (error, Some(cause)));
    }
}

/// A managed socket whose next write fails, and which has begun; its handler is elsewhere.
async fn failing(mut io: Deaf, start: Negotiated) -> (WebSocket, tokio::task::JoinHandle<()>) {
    io.writes_left = 0;
    let (give, take) = oneshot::channel();
    let run = bare(io, start).run(async |socket| drop(give.send(socket)));
    let task = tokio::spawn(run);
    (take.await.unwrap(), task)
}

fn is_closed<T: std::fmt::Debug>(result: Result<T, Error>) -> bool {
    result.is_err_and(|error| error.is_closed())
}

#[tokio::test(start_paused = true)]
async fn after_a_failed_write_all_that_sends_says_closed_and_the_cause_is_open() {
    let (io, start, mut peer) = deaf(Role::Server, Config::new().output_limit(1));
    let (mut socket, task) = failing(io, start).await;
    let sender = socket.sender();
    peer.send("before").await;
    // Queued, waiting for room, and waiting for the write.
    sender.try_send("lost").unwrap();
    let (sent, room, flushed) = tokio::join!(sender.send("x"), sender.reserve(), sender.flush());
    assert!(is_closed(sent) && is_closed(room) && is_closed(flushed));

    assert!(is_closed(sender.send("x").await) && is_closed(socket.send("x").await));
    assert!(is_closed(sender.flush().await) && is_closed(socket.flush().await));
    let refused = sender.try_send("x");
    assert_eq!(refused, Err(TrySendError::Closed("x".into())));
    assert_eq!((socket.close_cause(), sender.close_cause()), (None, None));

    assert_eq!(socket.recv().await.unwrap(), Some("before".into()));
    peer.send("after").await;
    assert_eq!(socket.recv().await.unwrap(), Some("after".into()));
    peer.connection.close(CloseCode::NORMAL, "").unwrap();
    peer.flush().await;
    assert_eq!(socket.recv().await.unwrap(), None);
    assert_eq!(socket.close_cause(), remote());
    assert!(is_closed(sender.flush().await));
    task.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn after_a_failed_write_a_silent_peer_is_given_up() {
    let (io, start, mut peer) = deaf(Role::Server, Config::new());
    let (mut socket, task) = failing(io, start).await;
    let began = Instant::now();
    let _ = socket.send("x").await;
    for _ in 0..20 {
        tokio::time::sleep(Duration::from_secs(9)).await;
        peer.send("there").await;
        assert_eq!(socket.recv().await.unwrap(), Some("there".into()));
    }
    assert_eq!(socket.recv().await.unwrap(), None);
    assert_eq!(socket.close_cause(), Some(CloseCause::Lost));
    assert_eq!(began.elapsed().as_secs(), 20 * 9 + 10);
    task.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn after_a_failed_write_a_handler_that_never_receives_does_not_keep_the_connection() {
    for (count, cause, seconds) in [(1000, remote(), 0), (MORE, Some(CloseCause::Lost), 640)] {
        let (io, start, peer) = deaf(Role::Server, Config::new());
        let (socket, task) = failing(io, start).await;
        send_texts(peer, count, Last::Close).await;
        let began = Instant::now();
        let sender = socket.sender();
        sender.send("x").await.unwrap();
        assert_eq!(Some(sender.closed().await), cause);
        assert_eq!(began.elapsed().as_secs(), seconds);
        task.await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_takes_seconds_for_each_message_receives_them_all() {
    let (mut io, start, peer) = deaf(Role::Server, Config::new());
    io.writes_left = 0;
    send_texts(peer, 300, Last::Close).await;
    let mut socket = bare(io, start);
    let mut received = 0;
    while socket.recv().await.unwrap().is_some() {
        received += 1;
        let _ = socket.send("answer").await;
        tokio::time::sleep(Duration::from_secs(9)).await;
    }
    assert_eq!((received, socket.close_cause()), (300, remote()));
}

#[tokio::test(start_paused = true)]
async fn a_local_end_after_a_failed_write_is_immediate_and_has_its_cause() {
    for way in ["close", "drop", "sender", "fail", "abort"] {
        let (mut io, start, _peer) = deaf(Role::Server, Config::new());
        io.writes_left = 0;
        let began = Instant::now();
        let (give, take) = oneshot::channel();
        let task = Task::spawn(io, start, async move |mut socket: WebSocket| {
            let sender = socket.sender();
            give.send(sender.clone()).ok();
            socket.send("x").await.unwrap();
            assert!(is_closed(socket.flush().await));
            match way {
                "close" => {
                    let cause = socket.close(CloseCode::NORMAL, "").await;
                    assert_eq!(cause, CloseCause::Lost);
                }
                "sender" => {
                    sender.close(CloseCode::NORMAL, "");
                    assert_eq!(socket.recv().await.unwrap(), None);
                }
                "fail" => return Err(Error::from_kind(ErrorKind::Closed)),
                "abort" => socket.abort(),
                _ => drop(socket),
            }
            Ok(())
        });
        task.await.unwrap();
        assert_eq!(take.await.unwrap().closed().await, CloseCause::Lost);
        assert_eq!(began.elapsed(), Duration::ZERO, "{way}");
    }
}

#[tokio::test(start_paused = true)]
async fn messages_in_chunks_and_streams_of_bytes_are_received_after_a_failed_write() {
    let (io, start, mut peer) = deaf(Role::Server, Config::new());
    let (mut socket, task) = failing(io, start).await;
    let sender = socket.sender();
    // Dropped before its end: half of it is seen by nobody, so that closes nothing.
    let mut sending = sender.send_stream(Kind::Text);
    sending.write("half").await.unwrap();
    assert!(is_closed(sender.flush().await));
    assert!(is_closed(sending.write("more").await));
    drop(sending);

    peer.connection.send(vec![1; 200_000]).unwrap();
    peer.connection.send(vec![2; 100_000]).unwrap();
    peer.connection.close(CloseCode::NORMAL, "").unwrap();
    peer.flush().await;
    let mut message = socket.recv_stream().await.unwrap().unwrap();
    let mut length = 0;
    while let Some(chunk) = message.chunk().await.unwrap() {
        length += chunk.len();
    }
    drop(message);
    assert_eq!(length, 200_000);
    let mut bytes = vec![];
    let mut stream = socket.into_byte_stream();
    assert!(stream.write_all(b"x").await.is_err());
    stream.read_to_end(&mut bytes).await.unwrap();
    assert_eq!(bytes, [2; 100_000]);
    assert_eq!(stream.get_ref().close_cause(), remote());
    task.await.unwrap();
}

#[cfg(feature = "deflate")]
#[tokio::test(start_paused = true)]
async fn compressed_messages_are_received_after_a_failed_write() {
    use crate::config::Compression;
    for compression in [Compression::shared(), Compression::dedicated()] {
        let (server, client) = crate::extension::agree(compression.clone(), compression);
        let (io, start, mut peer) = deaf(Role::Server, Config::new());
        peer.connection = peer
            .connection
            .with_extension(Some(crate::protocol::Extension(client)));
        let start = Negotiated {
            codec: Some(server.codec()),
            ..start
        };
        send_texts(peer, 1000, Last::Close).await;
        let (received, error, cause) = run(true, bare(io, start)).await;
        assert_eq!((received.len(), error, cause), (1000, None, remote()));
    }
}

#[tokio::test(start_paused = true)]
async fn a_violation_behind_a_failed_write_is_reported() {
    let (io, start, mut peer) = deaf(Role::Server, Config::new());
    for _ in 0..10_000 {
        peer.connection.ping(b"there?").unwrap();
    }
    peer.connection.send("x").unwrap();
    peer.flush().await;
    peer.io.write_all(b"\x81\x02hi").await.unwrap();
    let (received, error, cause) = run(true, bare(io, start)).await;
    let violation = Violation::UnmaskedFrame;
    assert_eq!(received, [Message::from("x")]);
    assert_eq!(error, Some(ErrorKind::Violation(violation)));
    assert_eq!(cause, Some(CloseCause::Violation(violation)));
}
