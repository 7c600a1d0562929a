//! Messages that are received while they arrive.

use tokio::sync::oneshot;

use super::peer::serve_with;
use super::*;
use crate::message::Kind;

/// A frame of a client, with the key 0.
pub(super) fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = header(first, payload.len());
    frame.extend_from_slice(payload);
    frame
}

fn header(first: u8, length: usize) -> Vec<u8> {
    let mut header = vec![first];
    match length {
        0..126 => header.push(0x80 | length as u8),
        126..0x1_0000 => {
            header.push(0xfe);
            header.extend_from_slice(&(length as u16).to_be_bytes());
        }
        _ => {
            header.push(0xff);
            header.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    header.extend_from_slice(&[0; 4]);
    header
}

pub(super) async fn write(peer: &mut Peer, bytes: &[u8]) {
    peer.io.write_all(bytes).await.unwrap();
}

/// The rest of a message, as one.
async fn collect(mut incoming: MessageReader<'_>) -> Result<(Kind, Vec<u8>), Error> {
    let kind = incoming.kind();
    let mut bytes = vec![];
    while let Some(chunk) = incoming.chunk().await? {
        assert_eq!(chunk.kind(), kind);
        assert!(!chunk.is_empty());
        if let Some(text) = chunk.as_text() {
            assert!(!text.is_empty());
        }
        bytes.extend_from_slice(chunk.as_bytes());
    }
    assert!(incoming.is_finished());
    assert_eq!(incoming.chunk().await?, None);
    Ok((kind, bytes))
}

#[tokio::test(start_paused = true)]
async fn chunks_come_while_the_message_arrives() {
    let (mut peer, task) = serve(Config::new(), |mut socket| async move {
        let sender = socket.sender();
        let mut incoming = socket.recv_stream().await?.unwrap();
        sender.send(format!("{:?}", incoming.kind())).await?;
        while let Some(chunk) = incoming.chunk().await? {
            sender.send(chunk).await?;
        }
        sender.send("end").await?;
        drop(incoming);
        assert!(socket.recv_stream().await?.is_none());
        Ok::<_, Error>(())
    });
    write(&mut peer, &header(0x01, 9)).await;
    write(&mut peer, b"one").await;
    assert_eq!(peer.message().await, "Text".into());
    assert_eq!(peer.message().await, "one".into());
    write(&mut peer, b"two").await;
    assert_eq!(peer.message().await, "two".into());
    // A ping in the middle of a message is answered, but not in that of a frame.
    write(&mut peer, b"six").await;
    assert_eq!(peer.message().await, "six".into());
    write(&mut peer, &frame(0x89, b"?")).await;
    assert_eq!(peer.event().await, Some(Event::Pong("?".into())));
    write(&mut peer, &frame(0x80, b"last")).await;
    assert_eq!(peer.message().await, "last".into());
    assert_eq!(peer.message().await, "end".into());
    write(&mut peer, &frame(0x88, b"")).await;
    assert_eq!(peer.close_frame().await, None);
    drop(peer);
    task.await.unwrap();
}

/// All of it arrives at once, and the handler answers the message in the same turn.
#[tokio::test(start_paused = true)]
async fn a_ping_between_two_fragments_is_answered_before_their_message() {
    for in_chunks in [false, true] {
        let (mut peer, _task) = serve(Config::new(), move |mut socket| async move {
            loop {
                if in_chunks {
                    let Some(incoming) = socket.recv_stream().await? else {
                        return Ok::<_, Error>(());
                    };
                    let (_, bytes) = collect(incoming).await?;
                    socket.send(bytes).await?;
                } else {
                    let Some(message) = socket.recv().await? else {
                        return Ok(());
                    };
                    socket.send(message.into_bytes()).await?;
                }
            }
        });
        for number in 0..3 {
            let frames = [
                frame(0x01, b"one"),
                frame(0x89, &[number]),
                frame(0x80, b"two"),
            ];
            write(&mut peer, &frames.concat()).await;
            let pong = Event::Pong(vec![number].into());
            assert_eq!(peer.event().await, Some(pong), "in chunks: {in_chunks}");
            assert_eq!(peer.message().await, Message::from(b"onetwo".to_vec()));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_character_that_comes_in_pieces_waits_for_its_end() {
    let text = "é€𝄞 ".repeat(20);
    let (give, take) = oneshot::channel();
    let (mut peer, _task) = serve(Config::new(), |mut socket| async move {
        let mut chunks = vec![];
        let mut incoming = socket.recv_stream().await.unwrap().unwrap();
        while let Some(chunk) = incoming.chunk().await.unwrap() {
            chunks.push(chunk.as_text().unwrap().to_owned());
        }
        give.send(chunks).unwrap();
    });
    let bytes = [frame(0x01, b""), frame(0x80, text.as_bytes())].concat();
    for byte in bytes {
        write(&mut peer, &[byte]).await;
        // Time for the chunk to be taken.
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let chunks = take.await.unwrap();
    assert_eq!(chunks.len(), text.chars().count());
    assert_eq!(chunks.concat(), text);
}

/// Receives in the ways that `ways` says, in turn: whole, in chunks, or the first
/// chunk only. Of messages that are skipped only what was received is returned.
async fn receive(socket: &mut WebSocket, ways: &[u8]) -> Vec<(u8, Vec<u8>)> {
    let mut received = vec![];
    for way in ways.iter().cycle() {
        let bytes = match way {
            b'w' => match socket.recv().await.unwrap() {
                Some(message) => message.into_bytes().to_vec(),
                None => return received,
            },
            _ => match socket.recv_stream().await.unwrap() {
                Some(incoming) if *way == b's' => collect(incoming).await.unwrap().1,
                Some(mut incoming) => {
                    let chunk = incoming.chunk().await.unwrap();
                    chunk.map_or(vec![], |it| it.into_bytes().to_vec())
                }
                None => return received,
            },
        };
        received.push((*way, bytes));
    }
    received
}

pub(super) fn payload(length: usize, seed: usize) -> Vec<u8> {
    (0..length).map(|at| (at * 7 + seed * 31) as u8).collect()
}

#[tokio::test(start_paused = true)]
async fn whole_and_streamed_and_skipped_messages_mix_in_any_order() {
    let lengths = [0, 5, 70_000, 200, 16_384, 1, 300_000, 131_072, 40];
    for ways in [
        "w", "s", "f", "ws", "sw", "fw", "wf", "sf", "wsf", "fsw", "wwss", "ffsww",
    ] {
        for step in [100_000, 1_700] {
            for drip in [false, true] {
                let (give, take) = oneshot::channel();
                let (mut peer, _task) = serve(Config::new(), move |mut socket| async move {
                    give.send(receive(&mut socket, ways.as_bytes()).await)
                        .unwrap();
                });
                let mut conn = vec![];
                for (at, length) in lengths.into_iter().enumerate() {
                    let payload = payload(length, at);
                    let (first, second) = payload.split_at(length / 3);
                    match at % 3 {
                        0 => conn.extend(frame(0x82, &payload)),
                        _ => {
                            conn.extend(frame(0x02, first));
                            conn.extend(frame(0x89, b"between"));
                            conn.extend(frame(0x00, b""));
                            conn.extend(frame(0x80, second));
                        }
                    }
                }
                conn.extend(frame(0x88, b""));
                let (mut read, mut write) = tokio::io::split(peer.io);
                let _answers = tokio::spawn(async move {
                    let _ = tokio::io::copy(&mut read, &mut tokio::io::sink()).await;
                });
                for piece in conn.chunks(step) {
                    write.write_all(piece).await.unwrap();
                    if drip {
                        tokio::time::sleep(Duration::from_millis(1)).await;
                    }
                }
                let received = take.await.unwrap();
                let case = format!("{ways}, steps of {step}, {drip}");
                assert_eq!(received.len(), lengths.len(), "{case}");
                for (at, (way, bytes)) in received.into_iter().enumerate() {
                    let expected = payload(lengths[at], at);
                    match way {
                        b'f' => assert!(expected.starts_with(&bytes), "{at}, {case}"),
                        _ => assert!(expected == bytes, "{at}, {case}"),
                    }
                    assert_eq!(bytes.is_empty(), expected.is_empty(), "{at}, {case}");
                }
                peer = Peer::new(tokio::io::duplex(1).0);
                drop(peer);
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_waits_in_parts_is_put_together_in_another_task_too() {
    let (give, take) = oneshot::channel();
    let (peer, task) = serve(Config::new(), |socket| async move {
        give.send(socket).ok();
    });
    let (_read, mut io) = tokio::io::split(peer.io);
    let writing = tokio::spawn(async move {
        io.write_all(&frame(0x82, b"streamed")).await.unwrap();
        tokio::time::sleep(Duration::from_secs(1)).await;
        io.write_all(&frame(0x82, &payload(200_000, 1)))
            .await
            .unwrap();
        io
    });
    let mut socket = take.await.unwrap();
    let elsewhere = tokio::spawn(async move {
        let streamed = collect(socket.recv_stream().await.unwrap().unwrap()).await;
        assert_eq!(streamed.unwrap().1, b"streamed");
        // As much is read ahead as may be.
        tokio::time::sleep(Duration::from_secs(5)).await;
        let message = timeout(Duration::from_secs(600), socket.recv()).await;
        let message = message.expect("it is read on").unwrap().unwrap();
        assert!(message.as_bytes() == payload(200_000, 1));
    });
    elsewhere.await.unwrap();
    drop(writing.await.unwrap());
    task.abort();
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_dawdles_has_so_much_read_for_it_and_no_more() {
    let (go, gone) = oneshot::channel::<()>();
    let config = Config::new().max_message_size(usize::MAX);
    let (mut peer, task) = serve_with(1024, config, |mut socket| async move {
        let mut incoming = socket.recv_stream().await?.unwrap();
        gone.await.ok();
        while incoming.chunk().await?.is_some() {}
        Ok::<_, Error>(())
    });
    // The header announces what no memory holds.
    write(&mut peer, &header(0x82, 1 << 50)).await;
    let mut written = 0;
    while let Ok(count) = timeout(Duration::from_secs(1), peer.io.write(&[7; 1024])).await {
        written += count.unwrap();
        assert!(written < 100 * 1024, "it reads and reads");
    }
    assert!(written > 60 * 1024, "{written} bytes");
    go.send(()).unwrap();
    for _ in 0..1000 {
        write(&mut peer, &[7; 1024]).await;
    }
    drop(peer);
    task.await.unwrap();
}

/// A handler that asks a database before it receives a message in one way or the other.
async fn before_it_is_received(streamed: bool) {
    let (go, gone) = oneshot::channel::<()>();
    let config = Config::new().max_message_size(usize::MAX);
    let (mut peer, task) = serve_with(1024, config, move |mut socket| async move {
        gone.await.unwrap();
        let received = match streamed {
            true => collect(socket.recv_stream().await.unwrap().unwrap()).await,
            false => socket.recv().await.map(|message| {
                let message = message.unwrap();
                (message.kind(), message.into_bytes().to_vec())
            }),
        };
        assert!(received.unwrap() == (Kind::Binary, vec![7; 1 << 20]));
    });
    write(&mut peer, &header(0x82, 1 << 20)).await;
    let mut left = 1 << 20;
    while let Ok(count) = timeout(Duration::from_secs(1), peer.io.write(&[7; 1024])).await {
        left -= count.unwrap();
        assert!(left > (1 << 20) - 100 * 1024, "it reads and reads");
    }
    assert!(left < (1 << 20) - 60 * 1024, "{left} left");
    // And there is no deadline for what it does not read.
    tokio::time::sleep(Duration::from_secs(600)).await;
    go.send(()).unwrap();
    write(&mut peer, &vec![7; left]).await;
    assert_eq!(peer.close_frame().await, Some(1000));
    drop(peer);
    task.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_message_that_nobody_has_asked_for_is_not_assembled_ahead() {
    before_it_is_received(true).await;
    before_it_is_received(false).await;
}

#[tokio::test(start_paused = true)]
async fn a_message_that_ends_with_the_conversation_is_an_error_not_an_end() {
    // Closed, gone, broken.
    for (end, expected) in [
        (
            frame(0x88, b"\x03\xe8"),
            crate::error::ErrorKind::Unfinished,
        ),
        (vec![], crate::error::ErrorKind::Unfinished),
        (
            frame(0x82, b"interrupting"),
            crate::error::ErrorKind::Violation(Violation::InterruptedMessage),
        ),
    ] {
        let (mut peer, task) = serve(Config::new(), move |mut socket| async move {
            let mut incoming = socket.recv_stream().await.unwrap().unwrap();
            assert_eq!(incoming.chunk().await.unwrap(), Some("half".into()));
            assert_eq!(incoming.chunk().await.unwrap_err().kind(), expected);
            assert!(incoming.chunk().await.is_err());
            assert!(!incoming.is_finished());
            drop(incoming);
            assert!(socket.recv_stream().await.unwrap().is_none());
            assert_eq!(socket.recv().await.unwrap(), None);
        });
        write(&mut peer, &frame(0x01, b"half")).await;
        // The handler receives it: of a message that nobody has seen, only the end is told.
        tokio::time::sleep(Duration::from_secs(1)).await;
        write(&mut peer, &end).await;
        drop(peer);
        task.await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_assembled_already_is_the_first_chunk() {
    let (mut peer, task) = serve(Config::new(), |mut socket| async move {
        // Read ahead, before anybody says how it is to be received.
        tokio::time::sleep(Duration::from_secs(1)).await;
        let mut incoming = socket.recv_stream().await.unwrap().unwrap();
        assert_eq!(incoming.chunk().await.unwrap(), Some("abc".into()));
        let chunk = incoming.chunk();
        assert!(timeout(Duration::from_secs(1), chunk).await.is_err());
        assert_eq!(incoming.chunk().await.unwrap(), Some("def".into()));
        assert_eq!(incoming.chunk().await.unwrap(), None);
    });
    write(&mut peer, &frame(0x01, b"ab")).await;
    write(&mut peer, &frame(0x00, b"c")).await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    write(&mut peer, &frame(0x80, b"def")).await;
    assert_eq!(peer.close_frame().await, Some(1000));
    drop(peer);
    task.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn the_limit_holds_for_the_sum_of_the_chunks() {
    let config = Config::new().max_message_size(1000);
    let (mut peer, task) = serve(config, |mut socket| async move {
        let mut length = 0;
        let mut incoming = socket.recv_stream().await.unwrap().unwrap();
        let error = loop {
            match incoming.chunk().await {
                Ok(chunk) => length += chunk.unwrap().len(),
                Err(error) => break error,
            }
        };
        assert_eq!(length, 1000);
        let too_large = Violation::MessageTooLarge { limit: 1000 };
        assert_eq!(error.violation(), Some(too_large));
    });
    write(&mut peer, &frame(0x02, &[1; 500])).await;
    for _ in 0..5 {
        tokio::time::sleep(Duration::from_secs(1)).await;
        write(&mut peer, &frame(0x00, &[1; 100])).await;
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    write(&mut peer, &frame(0x80, b"!")).await;
    assert_eq!(peer.close_frame().await, Some(1009));
    drop(peer);
    task.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_message_may_take_hours_if_it_is_streamed_and_one_minute_if_not() {
    for (streamed, expected) in [(true, Some(1000)), (false, Some(1008))] {
        let (mut peer, task) = serve(Config::new(), move |mut socket| async move {
            match streamed {
                true => drop(
                    collect(socket.recv_stream().await.unwrap().unwrap())
                        .await
                        .unwrap(),
                ),
                false => drop(socket.recv().await),
            }
        });
        write(&mut peer, &header(0x82, 300)).await;
        for _ in 0..300 {
            if peer.io.write_all(b"x").await.is_err() {
                break;
            }
            tokio::time::sleep(Duration::from_secs(20)).await;
        }
        assert_eq!(peer.close_frame().await, expected);
        drop(peer);
        task.await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_for_recv_has_its_deadline_although_it_began_in_parts() {
    // Byte by byte within one frame, and frame by frame.
    for (head, piece) in [
        (header(0x80, 300), b"x".to_vec()),
        (vec![], frame(0x00, b"x")),
    ] {
        let (mut peer, task) = serve(Config::new(), |mut socket| async move {
            let streamed = collect(socket.recv_stream().await.unwrap().unwrap()).await;
            assert_eq!(streamed.unwrap().1, b"streamed");
            tokio::time::sleep(Duration::from_secs(5)).await;
            let asked = Instant::now();
            let error = socket.recv().await.unwrap_err();
            assert_eq!(error.kind(), crate::error::ErrorKind::MessageTimeout);
            assert!((60..63).contains(&asked.elapsed().as_secs()));
        });
        write(&mut peer, &frame(0x82, b"streamed")).await;
        write(&mut peer, &frame(0x02, b"begun")).await;
        write(&mut peer, &head).await;
        for _ in 0..100 {
            tokio::time::sleep(Duration::from_secs(2)).await;
            if peer.io.write_all(&piece).await.is_err() {
                break;
            }
        }
        assert_eq!(peer.close_frame().await, Some(1008));
        drop(peer);
        task.await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_vanishes_within_a_streamed_frame_is_given_up() {
    let began = Instant::now();
    let (mut peer, task) = serve(Config::new(), |mut socket| async move {
        let mut incoming = socket.recv_stream().await.unwrap().unwrap();
        incoming.chunk().await.unwrap().unwrap();
        let error = incoming.chunk().await.unwrap_err();
        assert_eq!(error.kind(), crate::error::ErrorKind::PingTimeout);
    });
    write(&mut peer, &header(0x82, 1000)).await;
    write(&mut peer, b"some").await;
    task.await.unwrap();
    assert!(
        (42..48).contains(&began.elapsed().as_secs()),
        "{:?}",
        began.elapsed()
    );
}

#[tokio::test(start_paused = true)]
async fn a_bare_socket_streams_too() {
    let (ours, theirs) = tokio::io::duplex(1 << 10);
    let mut socket = bare(ours, start(Config::new()));
    let mut peer = Peer::new(theirs);
    let writing = tokio::spawn(async move {
        let bytes = [
            frame(0x02, &[5; 99_000]),
            frame(0x80, &[5; 1_000]),
            frame(0x81, b"whole"),
        ];
        write(&mut peer, &bytes.concat()).await;
        peer
    });
    let incoming = socket.recv_stream().await.unwrap().unwrap();
    assert!(collect(incoming).await.unwrap() == (Kind::Binary, vec![5; 100_000]));
    assert_eq!(socket.recv().await.unwrap(), Some("whole".into()));
    drop(writing.await.unwrap());
    assert!(socket.recv_stream().await.unwrap().is_none());
}
