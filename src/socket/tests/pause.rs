//! A process that did not run for a while: it was stopped, or its thread was blocked.

use std::io;
use std::pin::Pin;

use tokio::io::{DuplexStream, ReadBuf, ReadHalf};

use super::peer::{CLIENT, pair};
use super::*;

/// A pipe with input that the runtime has not seen yet.
struct Unseen {
    io: ReadHalf<DuplexStream>,
    input: Arc<Mutex<Input>>,
}

#[derive(Default)]
struct Input {
    bytes: Vec<u8>,
    /// The task has asked for it, and may find it when the runtime has had its turn.
    asked: bool,
}

impl AsyncRead for Unseen {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut input = self.input.lock().unwrap();
        if input.bytes.is_empty() {
            drop(input);
            return Pin::new(&mut self.io).poll_read(cx, buffer);
        }
        if !std::mem::replace(&mut input.asked, true) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        buffer.put_slice(&std::mem::take(&mut input.bytes));
        Poll::Ready(Ok(()))
    }
}

/// The way in which a handler receives.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Way {
    Messages,
    Chunks,
    Bytes,
}

/// The next message, of one byte.
async fn receive(way: Way, mut socket: WebSocket) -> Result<u8, CloseCause> {
    let cause = |socket: &WebSocket| socket.close_cause().unwrap();
    match way {
        Way::Messages => match socket.recv().await {
            Ok(Some(message)) => Ok(message.as_bytes()[0]),
            _ => Err(cause(&socket)),
        },
        Way::Chunks => {
            if let Ok(Some(mut message)) = socket.recv_stream().await {
                return Ok(message.chunk().await.unwrap().unwrap().as_bytes()[0]);
            }
            Err(cause(&socket))
        }
        Way::Bytes => {
            let mut stream = socket.into_byte_stream();
            let byte = stream.read_u8().await;
            byte.map_err(|_| cause(stream.get_ref()))
        }
    }
}

/// What the peer has sent in time.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Sent {
    Pong,
    RestOfMessage,
}

/// Has a deadline pass before the runtime has seen what the peer sent in time; returns what
/// the handler receives then.
async fn received_after(
    pause: Duration,
    sent: Sent,
    role: Role,
    managed: bool,
    way: Way,
) -> Result<u8, CloseCause> {
    let second = Duration::from_secs(1);
    let config = match sent {
        Sent::Pong => Config::new().keep_alive(second, second),
        Sent::RestOfMessage => Config::new().no_keep_alive().message_timeout(second),
    };
    let (io, start, mut peer) = pair(role, 4096, config);
    let input = Arc::new(Mutex::new(Input::default()));
    let (read, write) = tokio::io::split(io);
    let unseen = Unseen {
        io: read,
        input: input.clone(),
    };
    let unseen = tokio::io::join(unseen, write);
    let (give, take) = tokio::sync::oneshot::channel();
    let handler = async move |socket| drop(give.send(receive(way, socket).await));
    let _task = Task::run(managed, bare(unseen, start), handler);
    let rest = match sent {
        Sent::Pong => {
            // With its masking key if a client sends it.
            let mut ping = vec![0; if matches!(role, Role::Server) { 10 } else { 14 }];
            peer.io.read_exact(&mut ping).await.unwrap();
            let (_, event) = peer.connection.receive(&mut ping).unwrap();
            assert!(matches!(event, Some(Event::Ping(_))));
            peer.connection.take_output()
        }
        Sent::RestOfMessage => {
            peer.connection.send(vec![7]).unwrap();
            let mut message = peer.connection.take_output();
            let rest = message.split_off(1);
            peer.io.write_all(&message).await.unwrap();
            tokio::time::sleep(second / 2).await;
            rest
        }
    };
    input.lock().unwrap().bytes = rest.to_vec();
    if pause.is_zero() {
        // The clock goes to the deadline and no further.
        tokio::time::sleep(second + Duration::from_millis(100)).await;
    } else {
        tokio::time::advance(pause).await;
    }
    if sent == Sent::Pong {
        let _ = peer.connection.send(vec![7]);
        peer.flush_quietly().await;
    }
    take.await.unwrap()
}

/// Both sides may be stopped, whoever drives the connection.
#[tokio::test(start_paused = true)]
async fn input_that_the_runtime_has_not_seen_counts_in_every_role_and_way() {
    let mut given_up = vec![];
    for pause in [Duration::ZERO, Duration::from_millis(2500)] {
        for role in [Role::Server, CLIENT] {
            for managed in [true, false] {
                for (sent, way) in [
                    (Sent::Pong, Way::Messages),
                    (Sent::Pong, Way::Chunks),
                    (Sent::Pong, Way::Bytes),
                    (Sent::RestOfMessage, Way::Messages),
                ] {
                    let received = received_after(pause, sent, role, managed, way).await;
                    if received != Ok(7) {
                        let is_server = matches!(role, Role::Server);
                        given_up.push((pause, sent, is_server, managed, way, received));
                    }
                }
            }
        }
    }
    assert!(given_up.is_empty(), "{given_up:?}");
}

/// A peer that is silent is given up all the same, one timeout later.
#[tokio::test(start_paused = true)]
async fn a_peer_that_is_silent_after_a_pause_is_given_up_one_timeout_later() {
    let config = Config::new().keep_alive(Duration::from_secs(1), Duration::from_secs(1));
    let (tell, sender) = tokio::sync::oneshot::channel();
    let (_peer, _task) = serve(config, |socket: WebSocket| async move {
        let _ = tell.send(socket.sender());
        echo(socket).await
    });
    let sender = sender.await.unwrap();
    let began = Instant::now();
    // The ping has been sent, and is not answered.
    tokio::time::sleep(Duration::from_millis(1500)).await;
    tokio::time::advance(Duration::from_secs(60)).await;
    assert_eq!(sender.closed().await, CloseCause::PingTimeout);
    let took = began.elapsed();
    assert!(took <= Duration::from_secs(63), "{took:?}");
}
