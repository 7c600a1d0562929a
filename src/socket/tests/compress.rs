//! Compression where only a socket can show it: queues, policies, fan-out.

use super::peer::{serve_compressed, serve_compressed_over};
use super::*;
use crate::config::{Compression, Overflow};
use crate::extension::compressions;
use crate::protocol::Prepared;

fn text(length: usize) -> String {
    "all work and no play ".repeat(length / 21 + 1)[..length].to_owned()
}

/// Reads what has arrived raw, until the pipe is empty or `count` bytes are there.
async fn read(peer: &mut Peer, count: usize) -> Vec<u8> {
    let mut bytes = vec![0; count];
    peer.io.read_exact(&mut bytes).await.unwrap();
    bytes
}

#[tokio::test(start_paused = true)]
async fn an_echo_answers_compressed_messages_in_order() {
    for compression in [Compression::shared(), Compression::dedicated()] {
        let (mut peer, task) = serve_compressed(Config::new(), compression, echo);
        for length in [0, 1, 511, 512, 5000, 20_000, 100_000, 600] {
            peer.send(text(length)).await;
            assert_eq!(peer.message().await, Message::from(text(length)));
        }
        drop(peer);
        task.await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_read_ahead_is_bounded_wherever_a_message_ends() {
    // Compressed input is parsed in pieces of 256 bytes: frames that end with a piece,
    // and frames that do not.
    for length in [248, 247, 100] {
        for receives in [0, 1] {
            let (give, take) = tokio::sync::oneshot::channel();
            let (mut peer, task) = serve_compressed_over(
                1 << 20,
                Config::new(),
                Compression::shared(),
                move |mut socket: WebSocket| async move {
                    give.send(socket.sender()).ok();
                    for _ in 0..receives {
                        socket.recv().await.unwrap();
                    }
                    std::future::pending::<()>().await;
                },
            );
            let sender = take.await.unwrap();
            for _ in 0..600 {
                peer.connection.send(vec![7; length]).unwrap();
            }
            peer.flush().await;
            tokio::time::sleep(Duration::from_secs(1)).await;
            let (received, _) = sender.shared().traffic();
            let bounds = 64..=64 + 64 * receives;
            assert!(
                bounds.contains(&received.messages),
                "{received:?} of {length}"
            );
            task.abort();
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_to_a_thousand_sockets_is_compressed_once() {
    let (sockets, mut handles) = tokio::sync::mpsc::unbounded_channel();
    let mut peers = vec![];
    for _ in 0..1000 {
        let sockets = sockets.clone();
        let (peer, _task) = serve_compressed(
            Config::new(),
            Compression::shared(),
            |socket: WebSocket| async move {
                sockets.send(socket).unwrap();
            },
        );
        peers.push(peer);
    }
    // One of them compresses otherwise, and one compresses in a context.
    let other = [
        Compression::shared().window_bits(9),
        Compression::dedicated(),
    ];
    for compression in other {
        let sockets = sockets.clone();
        let (peer, _task) =
            serve_compressed(Config::new(), compression, |socket: WebSocket| async move {
                sockets.send(socket).unwrap();
            });
        peers.push(peer);
    }
    let mut sockets = vec![];
    while sockets.len() < peers.len() {
        sockets.push(handles.recv().await.unwrap());
    }

    let before = compressions();
    let prepared = Prepared::new(text(3000));
    for socket in &sockets {
        let pushed = socket
            .shared
            .deliver(Item::Prepared(&prepared), Overflow::Close);
        assert_eq!(pushed, Pushed::Queued);
    }
    for peer in &mut peers {
        assert_eq!(peer.message().await, Message::from(text(3000)));
    }
    assert_eq!(compressions() - before, 2);

    // What does not get smaller is not tried again for each of them.
    let noise: Vec<u8> = (0..3000_u32)
        .map(|it| (it.wrapping_mul(2_654_435_761) >> 13) as u8)
        .scan(0_u8, |state, byte| {
            *state = state.rotate_left(3) ^ byte;
            Some(*state)
        })
        .collect();
    let prepared = Prepared::new(noise.clone());
    let before = compressions();
    for socket in &sockets {
        socket
            .shared
            .deliver(Item::Prepared(&prepared), Overflow::Close);
    }
    for peer in &mut peers {
        assert_eq!(peer.message().await, Message::from(noise.clone()));
    }
    assert_eq!(compressions() - before, 2);
}

#[tokio::test(start_paused = true)]
async fn the_oldest_are_dropped_before_a_context_has_seen_them() {
    for compression in [Compression::shared(), Compression::dedicated()] {
        let config = Config::new()
            .output_limit(10_000)
            .overflow(Overflow::DropOldest);
        let (mut peer, task) =
            serve_compressed(config, compression, |mut socket: WebSocket| async move {
                for number in 0..2000 {
                    let message = format!("{number} {}", text(600 + number));
                    socket.send(message).await.unwrap();
                    if number % 7 == 0 {
                        tokio::task::yield_now().await;
                    }
                }
                socket.close(CloseCode::NORMAL, "").await;
            });
        tokio::time::sleep(Duration::from_secs(1)).await;
        let mut numbers = vec![];
        while let Some(event) = peer.event().await {
            let Event::Message(message) = event else {
                break;
            };
            let (number, rest) = message.as_text().unwrap().split_once(' ').unwrap();
            let number: usize = number.parse().unwrap();
            assert_eq!(rest, text(600 + number));
            numbers.push(number);
        }
        assert!(numbers.is_sorted());
        assert!(numbers.len() < 1500, "nothing was dropped");
        assert_eq!(numbers.last(), Some(&1999));
        drop(peer);
        task.await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_is_not_compressed_where_its_sender_says_so() {
    for compression in [Compression::shared(), Compression::dedicated()] {
        let (mut peer, _task) = serve_compressed(
            Config::new(),
            compression,
            |mut socket: WebSocket| async move {
                socket.send(text(1000)).await.unwrap();
                socket.send_uncompressed(text(1000)).await.unwrap();
                let sender = socket.sender();
                sender.send_uncompressed(text(1000)).await.unwrap();
                let prepared = Prepared::uncompressed(text(1000));
                sender.try_send_prepared(&prepared).unwrap();
                sender.try_send(text(20_000)).unwrap();
                sender.send_uncompressed(text(20_000)).await.unwrap();
                socket.recv().await.unwrap();
            },
        );
        let [first, length] = read(&mut peer, 2).await[..] else {
            unreachable!()
        };
        // RSV1, and far fewer bytes.
        assert_eq!(first, 0xc1);
        assert!(length < 126);
        read(&mut peer, length.into()).await;
        for _ in 0..3 {
            let head = read(&mut peer, 4).await;
            assert_eq!(head, [0x81, 126, 3, 232]);
            assert_eq!(read(&mut peer, 1000).await, text(1000).into_bytes());
        }
        let [first, _, high, low] = read(&mut peer, 4).await[..] else {
            unreachable!()
        };
        assert_eq!(first, 0xc1);
        read(&mut peer, usize::from(u16::from_be_bytes([high, low]))).await;
        assert_eq!(read(&mut peer, 4).await, [0x81, 126, 78, 32]);
        assert_eq!(read(&mut peer, 20_000).await, text(20_000).into_bytes());
    }
    // Without compression the same call sends the same message.
    let (mut peer, _task) = serve(Config::new(), |mut socket: WebSocket| async move {
        socket.send_uncompressed(text(1000)).await.unwrap();
        socket.recv().await.unwrap();
    });
    assert_eq!(peer.message().await, Message::from(text(1000)));
}

#[tokio::test(start_paused = true)]
async fn a_bomb_is_closed_with_1009() {
    for compression in [Compression::shared(), Compression::dedicated()] {
        let (mut peer, task) =
            serve_compressed(Config::new(), compression, |mut socket| async move {
                let error = socket.recv().await.unwrap_err();
                assert_eq!(
                    error.violation(),
                    Some(Violation::MessageTooLarge { limit: 1 << 20 })
                );
            });
        peer.connection.send(vec![0; (1 << 20) + 1]).unwrap();
        let output = peer.connection.take_output();
        assert!(output.len() < 10_000);
        peer.io.write_all(&output).await.unwrap();
        assert_eq!(peer.close_frame().await, Some(1009));
        drop(peer);
        task.await.unwrap();
    }
}
