use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::super::header_case::HeaderCase;

/// Writes the text over a stream that takes so many bytes at a time.
async fn written(text: &str, change: bool, at_a_time: usize) -> String {
    let (stream, mut peer) = tokio::io::duplex(at_a_time);
    let mut stream = HeaderCase::new(stream, change);
    let mut written = String::new();
    let write = async {
        stream.write_all(text.as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
    };
    let (_, read) = tokio::join!(write, peer.read_to_string(&mut written));
    read.unwrap();
    written
}

const HEAD: &str = "GET /Sec-Websocket-Key HTTP/1.1\r\nSec-Websocket-Key: Sec-Websocket-Key\r\n\
                    X-Sec-Websocket-Key: 1\r\nSec-Websockets: 2\r\nSec-Websocket-: 3\r\nSec-\r\n\r\n";

#[tokio::test]
async fn only_the_name_of_a_line_is_changed_however_few_bytes_are_taken() {
    let changed = HEAD
        .replace("\nSec-Websocket-", "\nSec-WebSocket-")
        .replace("\nSec-Websockets", "\nSec-WebSockets");
    for at_a_time in [1, 2, 7, 30, 1000] {
        assert_eq!(written(HEAD, true, at_a_time).await, changed);
        assert_eq!(written(HEAD, false, at_a_time).await, HEAD);
    }
}
