//! Bare sockets that are dropped, or kept after their end.

use std::task::Waker;

use super::*;

#[tokio::test(start_paused = true)]
async fn who_keeps_a_bare_socket_after_its_end_does_not_keep_the_connection() {
    for way in 0..3 {
        let (ours, theirs) = tokio::io::duplex(4096);
        let mut peer = Peer::new(theirs);
        let mut socket = bare(ours, start(Config::new()));
        peer.connection.close(CloseCode::NORMAL, "").unwrap();
        peer.flush().await;
        let _kept: Box<dyn std::any::Any> = match way {
            0 => {
                assert_eq!(socket.recv().await.unwrap(), None);
                Box::new(socket)
            }
            1 => {
                assert!(socket.recv_stream().await.unwrap().is_none());
                Box::new(socket)
            }
            _ => {
                let mut stream = socket.into_byte_stream();
                assert_eq!(stream.read(&mut [0; 8]).await.unwrap(), 0);
                Box::new(stream)
            }
        };
        assert_eq!(peer.close_frame().await, Some(1000));
        // A peer that does not end the stream is cut off all the same.
        tokio::time::sleep(Duration::from_secs(9)).await;
        peer.io.write_all(b"discarded").await.unwrap();
        tokio::time::sleep(Duration::from_secs(2)).await;
        let written = peer.io.write_all(b"nobody").await;
        assert!(written.is_err(), "way {way}");
    }
}

/// What the peer of a bare socket has got when the socket was dropped, and no other task has
/// run since.
fn bytes_at_the_drop(role: Role, used: impl FnOnce(&mut WebSocket)) -> Vec<u8> {
    let (ours, mut theirs) = tokio::io::duplex(1024);
    let mut socket = bare(
        ours,
        Negotiated {
            role,
            ..start(Config::new())
        },
    );
    used(&mut socket);
    drop(socket);
    let mut bytes = vec![];
    let read = tokio::task::unconstrained(theirs.read_buf(&mut bytes));
    let polled = std::pin::pin!(read).poll(&mut Context::from_waker(Waker::noop()));
    assert!(matches!(polled, Poll::Ready(Ok(_))), "nothing was written");
    bytes
}

const CLIENT: Role = Role::Client {
    masking_key: || [0; 4],
};

#[tokio::test(start_paused = true)]
async fn a_bare_socket_that_is_dropped_writes_what_is_queued_and_the_close_frame_at_once() {
    let queued = |socket: &mut WebSocket| socket.sender().try_send("x").unwrap();
    let bytes = bytes_at_the_drop(CLIENT, queued);
    assert_eq!(bytes, b"\x81\x81\0\0\0\0x\x88\x82\0\0\0\0\x03\xe8");
    let bytes = bytes_at_the_drop(Role::Server, queued);
    assert_eq!(bytes, b"\x81\x01x\x88\x02\x03\xe8");
    // A close frame that a sender has queued stays the only one.
    let bytes = bytes_at_the_drop(Role::Server, |socket| {
        queued(socket);
        socket.sender().close(CloseCode::GOING_AWAY, "");
    });
    assert_eq!(bytes, b"\x81\x01x\x88\x02\x03\xe9");
    // An unfinished message says so.
    let bytes = bytes_at_the_drop(Role::Server, |socket| {
        let mut message = socket.send_stream(crate::message::Kind::Text);
        let write = std::pin::pin!(message.write("half"));
        let polled = write.poll(&mut Context::from_waker(Waker::noop()));
        assert!(polled.is_ready());
    });
    assert!(bytes.starts_with(b"\x01\x04half\x88"), "{bytes:?}");
    assert_eq!(bytes[8..10], [3, 243]);
}

#[test]
fn a_bare_socket_may_be_dropped_outside_of_a_runtime_or_after_it() {
    let queued = |socket: &mut WebSocket| socket.sender().try_send("x").unwrap();
    let bytes = bytes_at_the_drop(Role::Server, queued);
    assert_eq!(bytes, b"\x81\x01x\x88\x02\x03\xe8");
}

#[tokio::test(start_paused = true)]
async fn a_bare_socket_that_is_dropped_writes_even_if_its_task_has_used_its_budget_up() {
    // So many units of work has a task in each poll.
    tokio::task::yield_now().await;
    let (give, mut take) = tokio::sync::mpsc::unbounded_channel();
    for _ in 0..200 {
        give.send(()).unwrap();
    }
    poll_fn(|cx| {
        while take.poll_recv(cx).is_ready() {}
        let queued = |socket: &mut WebSocket| socket.sender().try_send("x").unwrap();
        let bytes = bytes_at_the_drop(Role::Server, queued);
        assert_eq!(bytes, b"\x81\x01x\x88\x02\x03\xe8");
        Poll::Ready(())
    })
    .await;
}
