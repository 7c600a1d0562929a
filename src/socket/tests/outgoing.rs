//! Messages that are sent before their length is known.

use super::peer::serve_with;
use super::*;
use crate::config::Overflow;
use crate::error::ErrorKind;
use crate::message::Kind;

/// The frames that arrive: first byte and payload, up to `count` of them or the end.
async fn frames(io: &mut tokio::io::DuplexStream, count: usize) -> Vec<(u8, Vec<u8>)> {
    let mut frames = vec![];
    while frames.len() < count {
        let Ok(first) = io.read_u8().await else { break };
        let length = match io.read_u8().await.unwrap() {
            126 => io.read_u16().await.unwrap().into(),
            127 => io.read_u64().await.unwrap(),
            length => length.into(),
        };
        let mut payload = vec![0; length as usize];
        io.read_exact(&mut payload).await.unwrap();
        frames.push((first, payload));
    }
    frames
}

#[tokio::test(start_paused = true)]
async fn chunks_are_fragments_and_leave_at_once() {
    let (mut peer, _task) = serve(Config::new(), |mut socket| async move {
        let mut outgoing = socket.send_stream(Kind::Text);
        outgoing.write("one").await?;
        outgoing.write("").await?;
        outgoing.write("two").await?;
        tokio::time::sleep(Duration::from_secs(1)).await;
        outgoing.write(vec![b'x'; 20_000]).await?;
        outgoing.finish().await?;
        socket.send_stream(Kind::Binary).finish().await?;
        socket.send("next").await
    });
    let began = Instant::now();
    let first = frames(&mut peer.io, 2).await;
    assert_eq!(first, [(0x01, b"one".to_vec()), (0x00, b"two".to_vec())]);
    assert!(began.elapsed() < Duration::from_secs(1), "they waited");
    let rest = frames(&mut peer.io, 4).await;
    assert!(rest[0] == (0x00, vec![b'x'; 20_000]));
    assert_eq!(
        rest[1..],
        [(0x80, vec![]), (0x82, vec![]), (0x81, b"next".to_vec())]
    );
}

#[tokio::test(start_paused = true)]
async fn others_wait_behind_a_message_in_chunks_and_control_frames_do_not() {
    let (mut peer, _task) = serve(Config::new(), |mut socket| async move {
        let (one, two) = (socket.sender(), socket.sender());
        let mut outgoing = one.send_stream(Kind::Binary);
        outgoing.write("begun").await?;
        two.send("behind").await?;
        two.try_send("too").unwrap();
        // Another message in chunks waits for its turn.
        let other = tokio::spawn(async move {
            let mut outgoing = two.send_stream(Kind::Text);
            outgoing.write("other").await?;
            outgoing.finish().await
        });
        tokio::time::sleep(Duration::from_secs(1)).await;
        // The ping is answered meanwhile.
        outgoing.write("more").await?;
        outgoing.finish().await?;
        other.await??;
        socket.send("last").await?;
        socket.recv().await?;
        Ok::<_, crate::error::BoxError>(())
    });
    peer.io.write_all(b"\x89\x81\0\0\0\0?").await.unwrap();
    let expected: [(u8, &[u8]); 9] = [
        (0x02, b"begun"),
        (0x8a, b"?"),
        (0x00, b"more"),
        (0x80, b""),
        (0x81, b"behind"),
        (0x81, b"too"),
        (0x01, b"other"),
        (0x80, b""),
        (0x81, b"last"),
    ];
    for (at, (first, payload)) in frames(&mut peer.io, 9).await.into_iter().enumerate() {
        assert_eq!((first, &payload[..]), expected[at], "{at}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_dropped_in_the_middle_closes_and_one_that_has_not_begun_does_not() {
    let (mut peer, task) = serve(Config::new(), |mut socket| async move {
        drop(socket.send_stream(Kind::Text));
        socket.send("before").await.unwrap();
        let mut outgoing = socket.send_stream(Kind::Text);
        outgoing.write("half").await.unwrap();
        drop(outgoing);
        assert!(socket.send("after").await.is_err());
        assert_eq!(socket.close_cause(), Some(CloseCause::Unfinished));
    });
    let frames = frames(&mut peer.io, 3).await;
    assert_eq!(frames[0], (0x81, b"before".to_vec()));
    assert_eq!(frames[1], (0x01, b"half".to_vec()));
    assert_eq!((frames[2].0, &frames[2].1[..2]), (0x88, &[3, 243][..]));
    drop(peer);
    task.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn text_may_be_cut_anywhere_and_must_be_text() {
    let (mut peer, task) = serve(Config::new(), |mut socket| async move {
        let mut outgoing = socket.send_stream(Kind::Text);
        for byte in "é€𝄞".bytes() {
            outgoing.write(vec![byte]).await.unwrap();
        }
        outgoing.write("plain").await.unwrap();
        outgoing.finish().await.unwrap();

        let mut outgoing = socket.send_stream(Kind::Text);
        let error = outgoing.write(vec![0xff]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotText);
        // Nothing was sent of it.
        outgoing.write(vec![0xc3]).await.unwrap();
        let error = outgoing.write("a").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotText);
        let error = outgoing.finish().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotText);
        assert_eq!(socket.close_cause(), Some(CloseCause::Unfinished));
    });
    assert_eq!(peer.message().await, "é€𝄞plain".into());
    assert_eq!(peer.close_frame().await, Some(1011));
    drop(peer);
    task.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn chunks_wait_for_a_peer_that_does_not_read_whatever_the_policy() {
    for overflow in [
        Overflow::Wait,
        Overflow::DropNewest,
        Overflow::DropOldest,
        Overflow::Close,
    ] {
        let config = Config::new().output_limit(1000).overflow(overflow);
        let (mut peer, _task) = serve_with(256, config, |mut socket| async move {
            let mut outgoing = socket.send_stream(Kind::Binary);
            for at in 0..100u8 {
                let write = outgoing.write(vec![at; 100]);
                if timeout(Duration::from_secs(1), write).await.is_err() {
                    assert!((8..20).contains(&at), "{at}");
                    outgoing.write(vec![200]).await?;
                    outgoing.finish().await?;
                    return socket.flush().await;
                }
            }
            panic!("nobody has waited");
        });
        tokio::time::sleep(Duration::from_secs(5)).await;
        let message = peer.message().await.into_bytes();
        assert!(
            message.len() > 800 && message.ends_with(&[200]),
            "{overflow:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn policies_act_on_what_waits_behind_and_never_on_what_is_half_sent() {
    for overflow in [Overflow::DropNewest, Overflow::DropOldest, Overflow::Close] {
        let config = Config::new().output_limit(500).overflow(overflow);
        let (mut peer, _task) = serve_with(64, config, move |mut socket| async move {
            let sender = socket.sender();
            let mut outgoing = socket.send_stream(Kind::Binary);
            for at in 0..5 {
                outgoing.write(vec![at; 100]).await?;
            }
            for at in 0..20 {
                let sent = sender.send(vec![at; 98]).await;
                let is_closed = overflow == Overflow::Close && at >= 5;
                assert_eq!(sent.is_err(), is_closed, "{at}");
                let cause = is_closed.then_some(CloseCause::Overflow);
                assert_eq!(sender.close_cause(), cause);
            }
            outgoing.finish().await?;
            // It is in the queue with the rest of what was in chunks before it.
            if overflow == Overflow::DropOldest {
                sender.send("newest").await?;
            }
            Ok::<_, Error>(())
        });
        tokio::time::sleep(Duration::from_secs(5)).await;
        let mut received = vec![];
        let mut whole = false;
        loop {
            match peer.event().await {
                Some(Event::Message(message)) if !whole => {
                    let chunks = (0..5).flat_map(|at| [at; 100]).collect::<Vec<u8>>();
                    assert!(message.into_bytes() == chunks);
                    whole = true;
                }
                Some(Event::Message(message)) => received.push(message.as_bytes()[0]),
                Some(Event::Close(frame)) => {
                    let code = frame.unwrap().code.value();
                    assert_eq!(
                        code,
                        if overflow == Overflow::Close {
                            1013
                        } else {
                            1000
                        }
                    );
                    break;
                }
                _ => {}
            }
        }
        match overflow {
            Overflow::DropNewest => assert_eq!(received, [0, 1, 2, 3, 4]),
            Overflow::DropOldest => assert_eq!(received, [b'n']),
            _ => assert!(!whole && received.is_empty()),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_flush_waits_for_what_waits_behind() {
    let (mut peer, _task) = serve(Config::new(), |socket| async move {
        let socket = socket;
        let (one, two) = (socket.sender(), socket.sender());
        let mut outgoing = one.send_stream(Kind::Binary);
        outgoing.write("begun").await?;
        two.flush().await?;
        two.send("behind").await?;
        let flush = two.flush();
        tokio::pin!(flush);
        assert!(timeout(Duration::from_secs(1), &mut flush).await.is_err());
        outgoing.finish().await?;
        flush.await?;
        assert_eq!(two.close_cause(), None);
        Ok::<_, Error>(())
    });
    assert_eq!(
        peer.message().await,
        vec![b'b', b'e', b'g', b'u', b'n'].into()
    );
    assert_eq!(peer.message().await, "behind".into());
    assert_eq!(peer.close_frame().await, Some(1000));
}

#[tokio::test(start_paused = true)]
async fn a_bare_socket_sends_in_chunks_too() {
    let (ours, theirs) = tokio::io::duplex(256);
    let mut socket = bare(ours, start(Config::new().output_limit(1000)));
    let mut peer = Peer::new(theirs);
    let received = tokio::spawn(async move { peer.message().await });
    let mut outgoing = socket.send_stream(Kind::Binary);
    for at in 0..100u8 {
        outgoing.write(vec![at; 100]).await.unwrap();
    }
    outgoing.finish().await.unwrap();
    let expected: Vec<u8> = (0..100).flat_map(|at| [at; 100]).collect();
    assert!(received.await.unwrap() == expected.into());
}

#[tokio::test(start_paused = true)]
async fn what_closes_the_conversation_ends_the_message_too() {
    let (mut peer, task) = serve(Config::new(), |mut socket| async move {
        let sender = socket.sender();
        let mut outgoing = socket.send_stream(Kind::Binary);
        outgoing.write("half").await.unwrap();
        sender.send("behind").await.unwrap();
        sender.close(CloseCode::GOING_AWAY, "");
        assert!(outgoing.write("more").await.unwrap_err().is_closed());
        assert!(outgoing.finish().await.unwrap_err().is_closed());
        assert!(sender.flush().await.is_err());
        let cause = CloseCause::Local(CloseCode::GOING_AWAY);
        assert_eq!(socket.close_cause(), Some(cause));
    });
    let frames = frames(&mut peer.io, 2).await;
    assert_eq!(frames[0], (0x02, b"half".to_vec()));
    assert_eq!(frames[1], (0x88, vec![3, 233]));
    drop(peer);
    task.await.unwrap();
}

/// A sender in another task than the handler, which only receives.
async fn sender_elsewhere() -> (crate::Sender, Peer, Task) {
    let (give, take) = tokio::sync::oneshot::channel();
    let (peer, task) = serve(Config::new(), |mut socket| async move {
        give.send(socket.sender()).unwrap();
        while socket.recv().await?.is_some() {}
        Ok::<_, Error>(())
    });
    (take.await.unwrap(), peer, task)
}

/// The driver is parked when each chunk comes.
#[tokio::test(start_paused = true)]
async fn chunks_of_another_task_leave_at_once_and_are_one_message() {
    let (sender, mut peer, _task) = sender_elsewhere().await;
    let sending = tokio::spawn(async move {
        let mut outgoing = sender.send_stream(Kind::Text);
        for chunk in ["one", "two"] {
            outgoing.write(chunk).await.unwrap();
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        outgoing.finish().await.unwrap();
        sender
    });
    let began = Instant::now();
    let chunks: [(u8, &[u8]); 3] = [(0x01, b"one"), (0x00, b"two"), (0x80, b"")];
    for (seconds, (first, payload)) in chunks.into_iter().enumerate() {
        let frame = frames(&mut peer.io, 1).await;
        assert_eq!(frame, [(first, payload.to_vec())]);
        assert_eq!(began.elapsed(), Duration::from_secs(seconds as u64));
    }
    let (_, sent) = sending.await.unwrap().shared().traffic();
    assert_eq!((sent.messages, sent.bytes), (1, 6));
}

#[tokio::test(start_paused = true)]
async fn an_empty_message_waits_for_the_end_of_one_in_chunks() {
    let (sender, mut peer, _task) = sender_elsewhere().await;
    let mut first = sender.send_stream(Kind::Text);
    first.write("one").await.unwrap();
    let other = sender.clone();
    let second = tokio::spawn(async move { other.send_stream(Kind::Binary).finish().await });
    tokio::time::sleep(Duration::from_secs(1)).await;
    first.finish().await.unwrap();
    second.await.unwrap().unwrap();
    let expected = [(0x01, b"one".to_vec()), (0x80, vec![]), (0x82, vec![])];
    assert_eq!(frames(&mut peer.io, 3).await, expected);
}
