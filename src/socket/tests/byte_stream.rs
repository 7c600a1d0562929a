//! A socket as a stream of bytes; `tests/tunnel.rs` carries other protocols over it.

use std::io::{self, IoSlice};

use tokio::io::AsyncBufReadExt;

use super::*;

fn stream() -> (ByteStream, Peer) {
    let (ours, theirs) = tokio::io::duplex(4096);
    let socket = bare(ours, start(Config::new()));
    (socket.into_byte_stream(), Peer::new(theirs))
}

#[tokio::test(start_paused = true)]
async fn lines_are_read_across_messages() {
    let (mut stream, mut peer) = stream();
    for part in ["one\ntw", "o\n", "three"] {
        peer.send(part.as_bytes().to_vec()).await;
    }
    peer.connection.close(CloseCode::NORMAL, "").unwrap();
    peer.flush().await;
    let mut lines = vec![];
    let mut line = String::new();
    while stream.read_line(&mut line).await.unwrap() > 0 {
        lines.push(std::mem::take(&mut line));
    }
    assert_eq!(lines, ["one\n", "two\n", "three"]);
}

#[tokio::test(start_paused = true)]
async fn slices_that_are_written_together_are_one_message() {
    let (mut stream, mut peer) = stream();
    assert!(stream.is_write_vectored());
    let slices = [
        IoSlice::new(b"one"),
        IoSlice::new(b""),
        IoSlice::new(b"two"),
    ];
    assert_eq!(stream.write_vectored(&slices).await.unwrap(), 6);
    stream.flush().await.unwrap();
    assert_eq!(peer.message().await, Message::from(b"onetwo".to_vec()));
}

#[tokio::test(start_paused = true)]
async fn a_close_code_that_is_no_end_is_an_error() {
    for (code, is_end) in [
        (CloseCode::NORMAL, true),
        (CloseCode::GOING_AWAY, true),
        (CloseCode::INTERNAL_ERROR, false),
    ] {
        let (mut stream, mut peer) = stream();
        peer.send(vec![1, 2, 3]).await;
        peer.connection.close(code, "").unwrap();
        peer.flush().await;
        let mut bytes = vec![];
        let read = stream.read_to_end(&mut bytes).await;
        assert_eq!(bytes, [1, 2, 3]);
        match read {
            Ok(_) => assert!(is_end, "{code:?}"),
            Err(error) => {
                assert!(!is_end, "{code:?}");
                assert_eq!(error.kind(), io::ErrorKind::ConnectionAborted);
            }
        }
    }
}
