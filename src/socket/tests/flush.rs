//! What a flush waits for: all that was queued when it began, and nothing that others queue
//! meanwhile.

use std::io;
use std::pin::{Pin, pin};
use std::task::Waker;

use futures_sink::Sink;
use tokio::sync::oneshot;

use super::peer::{Peer, serve_with};
use super::*;
use crate::message::Kind;

/// So many polls are a flush without an end.
const ENDLESS: usize = 100;

/// Polls until it is ready; `sender` pushes before every poll. Returns how many polls it took.
async fn polls_under_pushes<R>(
    sender: Sender,
    mut poll: impl FnMut(&mut Context<'_>) -> Poll<R>,
) -> usize {
    let mut polls = 0;
    poll_fn(|cx| {
        polls += 1;
        let _ = sender.try_send("more");
        match poll(cx) {
            Poll::Pending if polls < ENDLESS => Poll::Pending,
            _ => Poll::Ready(polls),
        }
    })
    .await
}

/// Begins to flush or to close, each in a different way.
#[derive(Clone, Copy, Debug)]
enum Way {
    Sink,
    SinkClose,
    ByteStream,
    Shutdown,
}

async fn polls_of(way: Way, mut socket: WebSocket) -> usize {
    let sender = socket.sender();
    sender.try_send("queued").unwrap();
    match way {
        Way::Sink => polls_under_pushes(sender, |cx| Pin::new(&mut socket).poll_flush(cx)).await,
        Way::SinkClose => {
            polls_under_pushes(sender, |cx| Pin::new(&mut socket).poll_close(cx)).await
        }
        Way::ByteStream => {
            let mut stream = socket.into_byte_stream();
            polls_under_pushes(sender, |cx| Pin::new(&mut stream).poll_flush(cx)).await
        }
        Way::Shutdown => {
            let mut stream = socket.into_byte_stream();
            polls_under_pushes(sender, |cx| Pin::new(&mut stream).poll_shutdown(cx)).await
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_flush_and_a_shutdown_end_while_a_sender_pushes_before_every_poll() {
    for way in [Way::Sink, Way::SinkClose, Way::ByteStream, Way::Shutdown] {
        for managed in [true, false] {
            let (give, take) = oneshot::channel();
            let handler = async move |socket| give.send(polls_of(way, socket).await).unwrap();
            let (ours, theirs) = tokio::io::duplex(64);
            let mut peer = Peer::new(theirs);
            tokio::spawn(async move { while peer.event().await.is_some() {} });
            let socket = bare(ours, start(Config::new()));
            let _task = Task::run(managed, socket, handler);
            let polls = take.await.unwrap();
            assert!(polls < 10, "{way:?}: {polls} polls, managed: {managed}");
        }
    }
}

/// Takes a few bytes now and then.
async fn read_slowly(mut io: impl AsyncRead + Unpin) {
    let mut bytes = [0; 5];
    while io.read(&mut bytes).await.is_ok_and(|count| count > 0) {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn flush(way: Way, mut socket: WebSocket) -> io::Result<()> {
    match way {
        Way::Sink => Ok(poll_fn(|cx| Pin::new(&mut socket).poll_flush(cx)).await?),
        Way::SinkClose => Ok(poll_fn(|cx| Pin::new(&mut socket).poll_close(cx)).await?),
        Way::ByteStream => socket.into_byte_stream().flush().await,
        Way::Shutdown => socket.into_byte_stream().shutdown().await,
    }
}

#[tokio::test(start_paused = true)]
async fn a_flush_ends_while_another_task_pushes_all_the_time() {
    for way in [Way::Sink, Way::ByteStream, Way::Shutdown] {
        for managed in [true, false] {
            let config = Config::new().close_timeout(Duration::from_secs(5));
            let (ours, theirs) = tokio::io::duplex(8);
            tokio::spawn(read_slowly(theirs));
            let socket = bare(ours, start(config));
            let sender = socket.sender();
            sender.try_send("queued").unwrap();
            let pushing = tokio::spawn(async move {
                while sender.try_send("more").is_ok() {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            });
            let began = Instant::now();
            let handler = move |socket| flush(way, socket);
            let flushed = async {
                match managed {
                    true => {
                        let (give, take) = oneshot::channel();
                        let handler =
                            |socket| async move { give.send(handler(socket).await).unwrap() };
                        tokio::spawn(socket.run(handler));
                        take.await.unwrap().unwrap();
                    }
                    false => handler(socket).await.unwrap(),
                }
            };
            let flushed = timeout(Duration::from_secs(20), flushed).await;
            assert!(flushed.is_ok(), "{way:?}, managed: {managed}");
            // The closing handshake takes its deadline: the peer does not answer.
            let expected = if let Way::Shutdown = way { 6 } else { 1 };
            assert!(began.elapsed().as_secs() < expected, "{way:?}");
            pushing.abort();
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_flush_ends_while_one_message_in_chunks_follows_the_other() {
    let (mut peer, _task) = serve(Config::new(), |socket| async move {
        let sender = socket.sender();
        let flushing = socket.sender();
        let mut outgoing = sender.send_stream(Kind::Binary);
        outgoing.write("begun").await?;
        sender.send("behind").await?;
        let flushed = tokio::spawn(async move { flushing.flush().await });
        tokio::task::yield_now().await;
        assert!(!flushed.is_finished());
        for messages in 1.. {
            outgoing.finish().await?;
            outgoing = sender.send_stream(Kind::Binary);
            outgoing.write("begun").await?;
            sender.send("behind").await?;
            tokio::task::yield_now().await;
            if flushed.is_finished() {
                break;
            }
            assert!(messages < ENDLESS);
        }
        flushed.await.unwrap()?;
        outgoing.finish().await
    });
    peer.message().await;
    assert_eq!(peer.message().await, "behind".into());
    assert_eq!(peer.close_frame().await, Some(1000));
}

/// What is queued is in the way of nothing, until `peer` reads.
fn blocked() -> (WebSocket, Peer) {
    let (ours, theirs) = tokio::io::duplex(8);
    let socket = bare(ours, start(Config::new()));
    (socket, Peer::new(theirs))
}

fn poll_once<R>(poll: impl FnOnce(&mut Context<'_>) -> Poll<R>) -> Poll<R> {
    poll(&mut Context::from_waker(Waker::noop()))
}

#[tokio::test(start_paused = true)]
async fn a_flush_that_was_given_up_does_not_let_a_later_one_end_before_its_messages() {
    enum By {
        Sink,
        Send,
        TrySend,
        Permit,
        Stream,
    }
    for by in [By::Sink, By::Send, By::TrySend, By::Permit, By::Stream] {
        let (mut socket, mut peer) = blocked();
        // The first is being written and blocks; the flush of both is given up.
        socket.try_send("0123456789").unwrap();
        assert!(poll_once(|cx| Pin::new(&mut socket).poll_flush(cx)).is_pending());
        match by {
            By::Sink => Pin::new(&mut socket).start_send("own".into()).unwrap(),
            // A future that is dropped has queued the message.
            By::Send => {
                assert!(poll_once(|cx| Pin::new(&mut socket.send("own")).poll(cx)).is_pending())
            }
            By::TrySend => socket.try_send("own").unwrap(),
            By::Permit => socket.reserve().await.unwrap().send("own").unwrap(),
            By::Stream => {
                let mut message = socket.send_stream(Kind::Text);
                message.write("own").await.unwrap();
                assert!(poll_once(|cx| pin!(message.finish()).poll(cx)).is_pending());
            }
        }
        let flushing = async {
            poll_fn(|cx| Pin::new(&mut socket).poll_flush(cx))
                .await
                .unwrap();
            // Nothing is left that only this socket could write.
            std::mem::forget(socket);
        };
        let reading = async {
            assert_eq!(peer.message().await, "0123456789".into());
            assert_eq!(peer.message().await, "own".into());
        };
        let both = async { tokio::join!(flushing, reading) };
        timeout(Duration::from_secs(1), both).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_flush_of_bytes_waits_for_what_was_written_since_it_was_given_up() {
    let (socket, mut peer) = blocked();
    let mut stream = socket.into_byte_stream();
    stream.write_all(b"0123456789").await.unwrap();
    assert!(poll_once(|cx| Pin::new(&mut stream).poll_flush(cx)).is_pending());
    stream.write_all(b"own").await.unwrap();
    let flushing = async {
        stream.flush().await.unwrap();
        std::mem::forget(stream);
    };
    let reading = async {
        assert_eq!(peer.message().await.len(), 10);
        assert_eq!(peer.message().await.len(), 3);
    };
    let both = async { tokio::join!(flushing, reading) };
    timeout(Duration::from_secs(1), both).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_socket_that_has_flushed_is_as_small_as_before() {
    let (give, take) = oneshot::channel();
    let (mut peer, _task) = serve_with(8, Config::new(), |mut socket| async move {
        socket.send("0123456789").await.unwrap();
        poll_fn(|cx| {
            let flushed = Pin::new(&mut socket).poll_flush(cx);
            // Only while it waits.
            assert_eq!(socket.driver.is_empty(), flushed.is_ready());

            flushed
        })
        .await
        .unwrap();
        give.send(()).unwrap();
    });
    peer.message().await;
    take.await.unwrap();
}

/// Sends what the pipe does not hold, and closes.
async fn send_and_close(way: Way, mut socket: WebSocket) -> io::Result<()> {
    let bytes = [7; 1000];
    match way {
        Way::Sink | Way::SinkClose => {
            Pin::new(&mut socket).start_send(Message::from(&bytes[..]))?;
            Ok(poll_fn(|cx| Pin::new(&mut socket).poll_close(cx)).await?)
        }
        Way::ByteStream | Way::Shutdown => {
            let mut stream = socket.into_byte_stream();
            stream.write_all(&bytes).await?;
            stream.shutdown().await
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_close_of_a_sink_and_a_shutdown_fail_if_what_was_sent_is_lost() {
    #[derive(Clone, Copy, Debug, PartialEq)]
    enum Peer {
        Leaves,
        /// Its close frame has arrived.
        ClosesAndLeaves,
        ReadsNothing,
        ReadsAll,
        /// Reads all, and does not answer the close frame.
        ReadsAndStays,
    }
    let peers = [
        Peer::Leaves,
        Peer::ClosesAndLeaves,
        Peer::ReadsNothing,
        Peer::ReadsAll,
        Peer::ReadsAndStays,
    ];
    for (way, peer) in [Way::SinkClose, Way::Shutdown]
        .into_iter()
        .flat_map(|way| peers.map(|peer| (way, peer)))
    {
        for managed in [true, false] {
            let (ours, mut theirs) = tokio::io::duplex(16);
            let (give, take) = oneshot::channel();
            let handler = async move |socket| give.send(send_and_close(way, socket).await).unwrap();
            let socket = bare(ours, start(Config::new()));
            let task = Task::run(managed, socket, handler);
            tokio::time::sleep(Duration::from_millis(1)).await;
            let mut read = vec![];
            match peer {
                Peer::Leaves => drop(theirs.read(&mut [0; 8]).await),
                Peer::ClosesAndLeaves => {
                    theirs.write_all(b"\x88\x80\0\0\0\0").await.unwrap();
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
                Peer::ReadsNothing => {
                    // Keeps the pipe open.
                    assert!(take.await.unwrap().is_err(), "{way:?}, managed: {managed}");
                    drop(theirs);
                    task.await.unwrap();
                    continue;
                }
                Peer::ReadsAll | Peer::ReadsAndStays => {
                    let mut part = [0; 64];
                    while read.len() < 1004 + 4 {
                        let count = theirs.read(&mut part).await.unwrap();
                        read.extend_from_slice(&part[..count]);
                    }
                }
            }
            let keep = Some(theirs).filter(|_| peer == Peer::ReadsAndStays);
            let is_lost = matches!(peer, Peer::Leaves | Peer::ClosesAndLeaves);
            let closed = take.await.unwrap();
            assert_eq!(
                closed.is_err(),
                is_lost,
                "{way:?}, {peer:?}, managed: {managed}"
            );
            drop(keep);
            task.await.unwrap();
        }
    }
}

/// What is queued behind a message in chunks is deferred.
#[tokio::test(start_paused = true)]
async fn a_flush_that_begins_after_the_end_fails_if_what_was_queued_is_lost() {
    for is_deferred in [true, false] {
        let (give, take) = oneshot::channel();
        let (mut peer, task) = serve(Config::new(), async move |mut socket: WebSocket| {
            give.send(socket.sender()).unwrap();
            socket.closed().await;
        });
        let sender = take.await.unwrap();
        let mut chunked = sender.send_stream(Kind::Text);
        if is_deferred {
            chunked.write("a chunk").await.unwrap();
            peer.io.read_exact(&mut [0; 9]).await.unwrap();
        }
        // The driver sees the end first.
        drop(peer);
        sender.try_send("lost").unwrap();
        assert_eq!(sender.closed().await, CloseCause::Lost);
        assert!(sender.flush().await.is_err(), "deferred: {is_deferred}");
        task.await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_flush_that_begins_after_the_end_is_ready_if_all_was_written() {
    let (give, take) = oneshot::channel();
    let (mut peer, task) = serve(Config::new(), async move |mut socket: WebSocket| {
        give.send(socket.sender()).unwrap();
        socket.closed().await;
    });
    let sender = take.await.unwrap();
    sender.send("written").await.unwrap();
    assert_eq!(peer.message().await, Message::from("written"));
    peer.connection.close(CloseCode::NORMAL, "").unwrap();
    peer.flush().await;
    assert_eq!(peer.close_frame().await, Some(1000));
    drop(peer);
    sender.closed().await;
    sender.flush().await.unwrap();
    task.await.unwrap();
}
