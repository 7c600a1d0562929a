//! A write that fails ends the sending. What has arrived is received on.

use std::io;
use std::pin::Pin;

use tokio::io::{DuplexStream, ReadBuf};
use tokio::sync::oneshot;

use super::*;
use crate::close::CloseFrame;
use crate::error::ErrorKind;

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
    let (ours, theirs) = tokio::io::duplex(1 << 20);
    let mut peer = Peer::new(theirs);
    let peers_role = match role {
        Role::Server => Role::Client {
            masking_key: || [7, 1, 9, 3],
        },
        Role::Client { .. } => Role::Server,
    };
    peer.connection = crate::protocol::Connection::new(peers_role, &config);
    let io = Deaf {
        io: ours,
        writes_left: 1,
        error: io::ErrorKind::BrokenPipe,
    };
    let start = Negotiated {
        role,
        ..start(config)
    };
    (io, start, peer)
}

const CLIENT: Role = Role::Client {
    masking_key: || [1, 2, 3, 4],
};

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
    let task = match managed {
        true => tokio::spawn(socket.run(handler)),
        false => tokio::spawn(handler(socket)),
    };
    let received = take.await.unwrap();
    task.await.unwrap();
    received
}

#[tokio::test(start_paused = true)]
async fn messages_that_had_arrived_before_a_write_failed_are_received_up_to_the_close_frame() {
    for role in [Role::Server, CLIENT] {
        for managed in [true, false] {
            let (io, start, peer) = deaf(role, Config::new());
            send_texts(peer, 1000, Last::Close).await;
            let (received, error, cause) = run(managed, bare(io, start)).await;
            assert_eq!(received.len(), 1000, "{role:?}, managed: {managed}");
            assert_eq!(received[999], "999".into());
            assert_eq!((error, cause), (None, remote()));
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
        send_texts(peer, 1000, Last::Nothing).await;
        let ended = run(true, bare(io, start)).await;
        assert_eq!(ended.0.len(), 1000);
        assert_eq!((ended.1, ended.2), (error, Some(cause)));
    }
}
