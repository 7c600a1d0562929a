//! A close behind output that a slow peer has yet to read.

use super::peer::serve_with;
use super::*;

/// Of these 100,000 bytes the peer reads 1,000 a second: ten times as long as a closing
/// handshake may take.
const MESSAGE: usize = 100_000;

/// Reads slowly to the close frame, answers it, and ends the stream. Returns how many bytes
/// came before the close frame, and its code.
async fn read_slowly(mut peer: Peer) -> (usize, Option<u16>) {
    let mut bytes = vec![];
    loop {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let mut buffer = [0; 1000];
        let count = peer.io.read(&mut buffer).await.unwrap();
        bytes.extend_from_slice(&buffer[..count]);
        let code = match bytes.split_last_chunk() {
            Some((rest, [0x88, 2, high, low])) if rest.len() >= MESSAGE => {
                Some(u16::from_be_bytes([*high, *low]))
            }
            _ if count > 0 => continue,
            _ => return (bytes.len(), None),
        };
        peer.connection.close(CloseCode::NORMAL, "").unwrap();
        peer.flush().await;
        return (bytes.len() - 4, code);
    }
}

#[derive(Clone, Copy, Debug)]
enum Way {
    Return,
    Close,
    Sender,
    Shutdown,
    Fail,
}

#[tokio::test(start_paused = true)]
async fn output_that_was_queued_before_a_close_is_written_as_long_as_the_peer_reads() {
    for (way, code) in [
        (Way::Return, 1000),
        (Way::Close, 1001),
        (Way::Sender, 1001),
        (Way::Shutdown, 1000),
        (Way::Fail, 1011),
    ] {
        let began = Instant::now();
        // A ping would stand between the message and the close frame.
        let config = Config::new().no_keep_alive();
        let (peer, task) = serve_with(1024, config, async move |mut socket: WebSocket| {
            socket.send(vec![7; MESSAGE]).await?;
            match way {
                Way::Return => {}
                Way::Close => drop(socket.close(CloseCode::GOING_AWAY, "").await),
                Way::Sender => {
                    socket.sender().close(CloseCode::GOING_AWAY, "");
                    assert_eq!(socket.recv().await?, None);
                }
                Way::Shutdown => socket.into_byte_stream().shutdown().await.unwrap(),
                Way::Fail => return Err(Error::from_kind(crate::error::ErrorKind::Closed)),
            }
            Ok::<(), Error>(())
        });
        let read = read_slowly(peer).await;
        assert_eq!(read, (MESSAGE + 10, Some(code)), "{way:?}");
        task.await.unwrap();
        assert!(began.elapsed().as_secs() > 60, "{way:?}");
    }
}
