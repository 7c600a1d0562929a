//! A client's socket that has a task of its own: nothing is awaited on it, and it moves.
//!
//! The peer is the other end of a pipe, and looks at bytes. The masking key is zero, so that a
//! payload is legible.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use hyper_ws::error::CloseCause;
use hyper_ws::hub::Hub;
use hyper_ws::protocol::Role;
use hyper_ws::socket::Negotiated;
use hyper_ws::tracker::Tracker;
use hyper_ws::{CloseCode, Config, Message, WebSocket};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf};
use tokio::runtime::{Builder, Runtime};

fn negotiated() -> Negotiated {
    Negotiated::new(Role::Client {
        masking_key: || [0; 4],
    })
}

fn pair() -> (WebSocket, DuplexStream) {
    let (ours, theirs) = tokio::io::duplex(4096);
    (WebSocket::from_stream(ours, negotiated()), theirs)
}

async fn timeout<F: Future>(future: F) -> F::Output {
    let patience = Duration::from_secs(60);
    tokio::time::timeout(patience, future).await.unwrap()
}

/// Waits until exactly these bytes are on the wire.
async fn sees(peer: &mut DuplexStream, expected: &[u8]) {
    let mut bytes = vec![0; expected.len()];
    timeout(peer.read_exact(&mut bytes)).await.unwrap();
    assert_eq!(bytes, expected);
}

const HELLO: &[u8] = b"\x81\x85\0\0\0\0hello";

fn runtimes() -> [Runtime; 2] {
    [Builder::new_current_thread(), Builder::new_multi_thread()]
        .map(|mut builder| builder.enable_all().build().unwrap())
}

#[test]
fn what_a_sender_takes_is_written_though_the_socket_is_not_awaited() {
    for runtime in runtimes() {
        runtime.block_on(async {
            let (socket, mut peer) = pair();
            let sender = socket.sender();
            tokio::spawn(async move { sender.send("hello").await.unwrap() });
            sees(&mut peer, HELLO).await;
            // Again, after the connection has been idle.
            socket.sender().try_send("hello").unwrap();
            sees(&mut peer, HELLO).await;
            drop(socket);
        });
    }
}

#[test]
fn a_sender_that_is_made_outside_of_the_runtime_works_in_it() {
    for runtime in runtimes() {
        let (socket, mut peer) = runtime.block_on(async { pair() });
        let sender = socket.sender();
        runtime.block_on(async {
            sender.send("hello").await.unwrap();
            sees(&mut peer, HELLO).await;
        });
    }
}

#[tokio::test]
async fn a_room_reaches_a_member_that_is_not_awaited() {
    let (socket, mut peer) = pair();
    let room = Hub::new().room("lobby");
    room.join(&socket);
    room.send("hello");
    sees(&mut peer, HELLO).await;
}

#[tokio::test]
async fn a_managed_socket_answers_pings_by_itself_and_sends_its_own() {
    let (ours, mut peer) = tokio::io::duplex(4096);
    let config = Config::new().keep_alive(Duration::from_millis(10), Duration::from_secs(60));
    let socket = WebSocket::from_stream(ours, negotiated().config(config)).into_managed();
    // The payload of its own ping is its affair.
    let mut ping = [0; 6];
    timeout(peer.read_exact(&mut ping)).await.unwrap();
    assert_eq!(ping[0], 0x89);
    peer.write_all(b"\x89\x02hi").await.unwrap();
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"\x8a\x82\0\0\0\0hi") {
        bytes.push(timeout(peer.read_u8()).await.unwrap());
    }
    drop(socket);
}

#[tokio::test]
async fn a_managed_socket_receives_sends_and_closes() {
    let (socket, mut peer) = pair();
    let mut socket = socket.into_managed().into_managed();
    peer.write_all(b"\x81\x01a\x81\x01b").await.unwrap();
    assert_eq!(socket.recv().await.unwrap(), Some(Message::from("a")));
    assert_eq!(socket.recv().await.unwrap(), Some(Message::from("b")));
    socket.send("hello").await.unwrap();
    socket.flush().await.unwrap();
    sees(&mut peer, HELLO).await;
    let peer = tokio::spawn(async move {
        sees(&mut peer, b"\x88\x82\0\0\0\0\x03\xe8").await;
        peer.write_all(b"\x88\x02\x03\xe8").await.unwrap();
    });
    let cause = timeout(socket.close(CloseCode::NORMAL, "")).await;
    assert_eq!(cause, CloseCause::Local(CloseCode::NORMAL));
    peer.await.unwrap();
}

#[tokio::test]
async fn a_managed_socket_sees_its_end() {
    let (socket, peer) = pair();
    let mut socket = socket.into_managed();
    drop(peer);
    assert_eq!(timeout(socket.recv()).await.unwrap(), None);
    assert_eq!(socket.close_cause(), Some(CloseCause::Lost));
}

#[tokio::test]
async fn a_managed_socket_runs_a_handler() {
    let (socket, mut peer) = pair();
    let running = socket
        .into_managed()
        .run(|mut socket| async move { socket.send("hello").await });
    tokio::spawn(running);
    sees(&mut peer, HELLO).await;
}

#[test]
fn a_program_that_queues_and_returns_has_sent_and_closed() {
    for runtime in runtimes() {
        let mut peer = runtime.block_on(async {
            let (socket, peer) = pair();
            let mut socket = socket.into_managed();
            socket.send("hello").await.unwrap();
            peer
        });
        drop(runtime);
        let [read, _] = runtimes();
        read.block_on(async {
            let mut bytes = Vec::new();
            timeout(peer.read_to_end(&mut bytes)).await.unwrap();
            assert_eq!(bytes, [HELLO, b"\x88\x82\0\0\0\0\x03\xe8"].concat());
        });
    }
}

#[test]
fn a_managed_socket_that_is_dropped_outside_of_its_runtime_has_sent_and_closed() {
    for runtime in runtimes() {
        let (mut socket, mut peer) = runtime.block_on(async {
            let (socket, peer) = pair();
            (socket.into_managed(), peer)
        });
        socket.try_send("hello").unwrap();
        drop(socket);
        let [read, _] = runtimes();
        read.block_on(async {
            sees(&mut peer, HELLO).await;
            sees(&mut peer, b"\x88\x82\0\0\0\0\x03\xe8").await;
            // With threads the answer is awaited.
            let _ = peer.write_all(b"\x88\x02\x03\xe8").await;
            assert_eq!(timeout(peer.read(&mut [0])).await.unwrap(), 0);
        });
        drop(runtime);
    }
}

#[test]
fn a_managed_socket_ends_with_its_runtime() {
    for runtime in runtimes() {
        let (mut socket, peer) = runtime.block_on(async {
            let (socket, peer) = pair();
            (socket.into_managed(), peer)
        });
        drop(runtime);
        let [other, _] = runtimes();
        other.block_on(async {
            assert!(matches!(timeout(socket.recv()).await, Ok(None)));
            assert_eq!(socket.close_cause(), Some(CloseCause::Aborted));
        });
        drop(peer);
    }
}

/// A stream whose author has made a mistake.
struct Panics(DuplexStream);

impl AsyncRead for Panics {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        _: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        panic!("a planted panic");
    }
}

impl AsyncWrite for Panics {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

#[tokio::test]
async fn a_managed_socket_whose_stream_panics_ends() {
    let (ours, _peer) = tokio::io::duplex(4096);
    let mut socket = WebSocket::from_stream(Panics(ours), negotiated()).into_managed();
    assert!(matches!(timeout(socket.recv()).await, Ok(None)));
    assert_eq!(socket.close_cause(), Some(CloseCause::Aborted));
    drop(socket);
}

#[tokio::test]
async fn the_observer_of_ends_may_drop_the_socket() {
    let kept: Arc<Mutex<Option<WebSocket>>> = Arc::default();
    let dropped = kept.clone();
    let (tell, told) = tokio::sync::oneshot::channel();
    let tell = Mutex::new(Some(tell));
    let tracker = Tracker::new().on_end(move |_| {
        drop(dropped.lock().unwrap().take());
        tell.lock().unwrap().take().unwrap().send(()).unwrap();
    });
    let (ours, peer) = tokio::io::duplex(4096);
    let negotiated = negotiated().tracker(&tracker).unwrap();
    *kept.lock().unwrap() = Some(WebSocket::from_stream(ours, negotiated).into_managed());
    drop(peer);
    timeout(told).await.unwrap();
    assert!(kept.lock().unwrap().is_none());
}
