use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

use super::Rewind;

#[tokio::test]
async fn leftover_bytes_are_read_first_and_once() {
    let (mut client, stream) = duplex(64);
    let leftover = Bytes::from(b"hello".to_vec());
    let mut stream = Rewind::new(stream, leftover.clone());
    client.write_all(b" world").await.unwrap();
    client.shutdown().await.unwrap();

    let mut start = [0; 2];
    stream.read_exact(&mut start).await.unwrap();
    assert_eq!(&start, b"he");
    assert!(!leftover.is_unique(), "three bytes are still to be read");
    let mut rest = String::new();
    stream.read_to_string(&mut rest).await.unwrap();
    assert_eq!(rest, "llo world");
    assert!(leftover.is_unique(), "hyper's buffer is kept alive");
}

#[tokio::test]
async fn a_read_into_an_empty_buffer_loses_no_leftover_bytes() {
    let (_client, stream) = duplex(64);
    let mut stream = Rewind::new(stream, Bytes::from_static(b"hello"));
    assert_eq!(stream.read(&mut []).await.unwrap(), 0);
    let mut all = [0; 5];
    stream.read_exact(&mut all).await.unwrap();
    assert_eq!(&all, b"hello");
}
