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

#[tokio::test(start_paused = true)]
async fn the_close_frames_after_a_violation_and_after_the_peers_close_are_not_cut_off_either() {
    for (input, code) in [
        (&b"\xff\xff"[..], 1002_u16),
        (b"\x88\x82\0\0\0\0\x03\xe9", 1001),
    ] {
        let config = Config::new().no_keep_alive();
        let (mut peer, task) = serve_with(1024, config, async move |mut socket: WebSocket| {
            socket.send(vec![7; MESSAGE]).await?;
            while socket.recv().await?.is_some() {}
            Ok::<(), Error>(())
        });
        // The handler has sent by then.
        tokio::time::sleep(Duration::from_secs(1)).await;
        peer.io.write_all(input).await.unwrap();
        let mut bytes = vec![];
        loop {
            tokio::time::sleep(Duration::from_secs(1)).await;
            let mut buffer = [0; 1000];
            match peer.io.read(&mut buffer).await.unwrap() {
                0 => break,
                count => bytes.extend_from_slice(&buffer[..count]),
            }
        }
        let close = &bytes[MESSAGE + 10..];
        assert_eq!((close[0], &close[2..4]), (0x88, &code.to_be_bytes()[..]));
        drop(peer);
        task.await.unwrap();
    }
}

/// How long a connection lives after it was closed, whose peer reads nothing.
async fn unread(config: Config) -> u64 {
    let began = Instant::now();
    let (_peer, task) = serve_with(1024, config, async |mut socket: WebSocket| {
        socket.send(vec![7; MESSAGE]).await
    });
    task.await.unwrap();
    began.elapsed().as_secs()
}

#[tokio::test(start_paused = true)]
async fn a_closed_connection_whose_peer_reads_nothing_ends_at_the_write_deadline() {
    assert_eq!(unread(Config::new()).await, 30);
    assert_eq!(unread(Config::new().write_timeout(None)).await, 10);
}

#[tokio::test(start_paused = true)]
async fn after_the_last_write_the_closing_handshake_has_its_whole_time() {
    let (mut peer, task) = serve_with(1024, Config::new(), async |mut socket: WebSocket| {
        socket.send(vec![7; MESSAGE]).await
    });
    tokio::time::sleep(Duration::from_secs(25)).await;
    assert_eq!(peer.close_frame().await, Some(1000));
    let began = Instant::now();
    task.await.unwrap();
    assert_eq!(began.elapsed().as_secs(), 10);
}

#[tokio::test(start_paused = true)]
async fn a_drain_ends_at_its_deadline_though_the_peer_reads() {
    let tracker = crate::tracker::Tracker::new();
    let (ours, theirs) = tokio::io::duplex(1024);
    let negotiated = start(Config::new().no_keep_alive());
    let negotiated = negotiated.tracker(&tracker).unwrap();
    let (give, take) = tokio::sync::oneshot::channel();
    let task = Task::spawn(ours, negotiated, async |mut socket: WebSocket| {
        socket.send(vec![7; MESSAGE]).await?;
        give.send(()).unwrap();
        while socket.recv().await?.is_some() {}
        Ok::<(), Error>(())
    });
    take.await.unwrap();
    let reading = tokio::spawn(read_slowly(Peer::new(theirs)));
    let began = Instant::now();
    let timeout = Duration::from_secs(20);
    let drained = tracker.drain(CloseCode::GOING_AWAY, timeout).await;
    assert_eq!((drained.closed, drained.aborted), (0, 1));
    assert_eq!(began.elapsed().as_secs(), 20);
    let (read, code) = reading.await.unwrap();
    assert!(read < MESSAGE && code.is_none());
    task.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_bare_socket_and_a_client_that_are_dropped_write_on_in_the_background() {
    let client = Role::Client {
        masking_key: || [0; 4],
    };
    for role in [Role::Server, client] {
        let (ours, theirs) = tokio::io::duplex(1024);
        let config = Config::new().no_keep_alive();
        let mut socket = bare(ours, Negotiated::new(role).config(config));
        socket.try_send(vec![7; MESSAGE]).unwrap();
        drop(socket);
        let mut peer = Peer::new(theirs);
        let mut bytes = vec![];
        // The key is zero, so this is 1000 in both roles.
        while !bytes.ends_with(&[3, 232]) {
            tokio::time::sleep(Duration::from_secs(1)).await;
            let mut buffer = [0; 1000];
            let count = peer.io.read(&mut buffer).await.unwrap();
            assert!(count > 0, "{} bytes, {role:?}", bytes.len());
            bytes.extend_from_slice(&buffer[..count]);
        }
        assert!(bytes.len() > MESSAGE);
    }
}
