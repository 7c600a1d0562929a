//! Peers that do not do their part in time.

use tokio::sync::oneshot;

use super::end::serve_until_the_end;
use super::peer::serve_with;
use super::*;
use crate::error::ErrorKind;

#[tokio::test(start_paused = true)]
async fn a_peer_that_never_ends_the_stream_is_cut_off_at_the_deadline() {
    let began = Instant::now();
    let (mut peer, ended, task) = serve_until_the_end(Config::new());
    peer.connection.close(CloseCode::NORMAL, "").unwrap();
    peer.flush().await;
    assert_eq!(peer.close_frame().await, Some(1000));
    ended.await.unwrap();
    task.await.unwrap();
    assert_eq!(began.elapsed().as_secs(), 10);
}

#[tokio::test(start_paused = true)]
async fn a_message_that_is_dripped_runs_into_its_deadline() {
    let began = Instant::now();
    let (mut peer, mut ended, task) = serve_until_the_end(Config::new());
    peer.io
        .write_all(b"\x81\xfe\x01\x00\0\0\0\0")
        .await
        .unwrap();
    let mut drip = tokio::time::interval(Duration::from_secs(5));
    let ended = loop {
        tokio::select! {
            _ = drip.tick() => { let _ = peer.io.write_all(b"a").await; }
            ended = &mut ended => break ended.unwrap(),
        }
    };
    assert_eq!(
        ended,
        (Some(ErrorKind::MessageTimeout), CloseCause::MessageTimeout)
    );
    assert_eq!(began.elapsed().as_secs(), 60);
    assert_eq!(peer.close_frame().await, Some(1008));
    drop(peer);
    task.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn fragments_that_never_end_run_into_the_deadline_of_their_message() {
    let began = Instant::now();
    let (mut peer, mut ended, _task) = serve_until_the_end(Config::new());
    peer.io.write_all(b"\x01\x81\0\0\0\0a").await.unwrap();
    let mut drip = tokio::time::interval(Duration::from_secs(5));
    let (error, _) = loop {
        tokio::select! {
            _ = drip.tick() => { let _ = peer.io.write_all(b"\x00\x81\0\0\0\0a").await; }
            ended = &mut ended => break ended.unwrap(),
        }
    };
    assert_eq!(error, Some(ErrorKind::MessageTimeout));
    assert_eq!(began.elapsed().as_secs(), 60);
}

#[tokio::test(start_paused = true)]
async fn control_frames_that_are_cut_anywhere_are_no_message_that_never_ends() {
    let (mut peer, mut ended, _task) = serve_until_the_end(Config::new());
    // Every write ends in the middle of the next pong.
    let mut drip = tokio::time::interval(Duration::from_secs(1));
    peer.io.write_all(b"\x8a\x80\0").await.unwrap();
    for _ in 0..200 {
        tokio::select! {
            _ = drip.tick() => peer.io.write_all(b"\0\0\0\x8a\x80\0").await.unwrap(),
            ended = &mut ended => panic!("{ended:?}"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_sends_but_never_reads_runs_into_the_write_deadline() {
    let began = Instant::now();
    let (give, take) = oneshot::channel();
    let (mut peer, task) = serve_with(1024, Config::new(), |mut socket| async move {
        loop {
            match socket.recv().await {
                Ok(Some(message)) => drop(socket.send(message).await),
                Ok(None) => break,
                Err(error) => assert_eq!(error.kind(), ErrorKind::WriteTimeout),
            }
        }
        give.send(socket.close_cause()).unwrap();
    });
    while timeout(
        Duration::from_secs(1),
        peer.io.write_all(b"\x82\x84\0\0\0\0abcd"),
    )
    .await
    .is_ok_and(|written| written.is_ok())
    {}
    assert_eq!(take.await.unwrap(), Some(CloseCause::WriteTimeout));
    assert!(
        (30..35).contains(&began.elapsed().as_secs()),
        "{:?}",
        began.elapsed()
    );
    task.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_reads_slowly_but_reads_is_served() {
    let (mut peer, task) = serve_with(1024, Config::new(), |mut socket| async move {
        socket.send(vec![7; 20_000]).await?;
        while socket.recv().await?.is_some() {}
        Ok::<(), Error>(())
    });
    let mut left = 20_004;
    while left > 0 {
        tokio::time::sleep(Duration::from_secs(20)).await;
        // Asked whether it is there, it answers by reading on; pings are in the
        // queue behind what it has not read.
        let mut buffer = [0; 1000];
        let count = peer.io.read(&mut buffer).await.unwrap();
        assert!(count > 0);
        left -= count.min(left);
        peer.io.write_all(b"\x8a\x80\0\0\0\0").await.unwrap();
    }
    drop(peer);
    task.await.unwrap();
}
