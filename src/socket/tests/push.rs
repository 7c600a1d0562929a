//! `push`: what each policy does to a peer that does not read, and that nothing waits.

use super::peer::serve_with;
use super::*;
use crate::config::Overflow;

/// Pushes a hundred messages of a thousand bytes to a peer that reads nothing, without a pause.
/// Returns the outcomes, and the peer.
async fn pushed(config: Config) -> (Vec<Pushed>, Peer, Sender) {
    let (give, take) = tokio::sync::oneshot::channel();
    let (peer, _task) = serve_with(1024, config.output_limit(5000), |mut socket| async move {
        give.send(socket.sender()).unwrap();
        while socket.recv().await?.is_some() {}
        Ok::<(), Error>(())
    });
    let sender = take.await.unwrap();
    let outcomes = (0..100u8).map(|at| sender.push(vec![at; 1000])).collect();
    (outcomes, peer, sender)
}

async fn numbers(peer: &mut Peer, count: usize) -> Vec<u8> {
    let mut numbers = vec![];
    for _ in 0..count {
        let message = peer.message().await;
        assert_eq!(message.len(), 1000);
        numbers.push(message.as_bytes()[0]);
    }
    numbers
}

fn count(outcomes: &[Pushed], which: Pushed) -> usize {
    outcomes.iter().filter(|it| **it == which).count()
}

#[tokio::test(start_paused = true)]
async fn a_push_that_must_not_drop_closes_with_1013_behind_what_is_queued() {
    for policy in [Overflow::Wait, Overflow::Close] {
        let (outcomes, mut peer, sender) = pushed(Config::new().overflow(policy)).await;
        let queued = count(&outcomes, Pushed::Queued);
        assert!((5..=6).contains(&queued), "{policy:?}: {outcomes:?}");
        assert_eq!(count(&outcomes, Pushed::Closed), 100 - queued);
        assert_eq!(sender.close_cause(), Some(CloseCause::Overflow));
        assert!(numbers(&mut peer, queued).await.is_sorted());
        assert_eq!(peer.close_frame().await, Some(1013));
    }
}

#[tokio::test(start_paused = true)]
async fn a_push_that_drops_the_newest_says_which_were_dropped() {
    let config = Config::new().overflow(Overflow::DropNewest);
    let (outcomes, mut peer, sender) = pushed(config).await;
    let expected: Vec<u8> = (0..100u8)
        .filter(|at| outcomes[usize::from(*at)] == Pushed::Queued)
        .collect();
    assert!((5..=6).contains(&expected.len()), "{outcomes:?}");
    assert_eq!(count(&outcomes, Pushed::Closed), 0);
    assert_eq!(numbers(&mut peer, expected.len()).await, expected);
    sender.send("end").await.unwrap();
    assert_eq!(peer.message().await, "end".into());
}

#[tokio::test(start_paused = true)]
async fn a_push_that_drops_the_oldest_keeps_the_last() {
    let config = Config::new().overflow(Overflow::DropOldest);
    let (outcomes, mut peer, _sender) = pushed(config).await;
    assert_eq!(count(&outcomes, Pushed::Queued), 100);
    let mut received = vec![];
    while received.last() != Some(&99) {
        received.extend(numbers(&mut peer, 1).await);
    }
    assert!(received.is_sorted());
    assert!(received.len() <= 7, "{received:?}");
}

#[tokio::test(start_paused = true)]
async fn without_a_limit_a_push_is_an_unbounded_channel() {
    let (give, take) = tokio::sync::oneshot::channel();
    let config = Config::new().output_limit(usize::MAX);
    let (mut peer, _task) = serve_with(1024, config, |mut socket| async move {
        give.send(socket.sender()).unwrap();
        while socket.recv().await?.is_some() {}
        Ok::<(), Error>(())
    });
    let sender = take.await.unwrap();
    for at in 0..3000u16 {
        assert_eq!(sender.push(at.to_be_bytes().repeat(2000)), Pushed::Queued);
    }
    for at in 0..3000u16 {
        assert_eq!(peer.message().await.as_bytes()[..2], at.to_be_bytes());
    }
}

#[tokio::test(start_paused = true)]
async fn a_handler_pushes_in_the_order_of_its_calls_and_within_the_limit() {
    let config = Config::new()
        .overflow(Overflow::DropNewest)
        .output_limit(5000);
    let (give, take) = tokio::sync::oneshot::channel();
    let (mut peer, _task) = serve(config, |mut socket| async move {
        let sender = socket.sender();
        let outcomes: Vec<_> = (0..100u8)
            .map(|at| match at % 2 {
                0 => socket.push(vec![at; 1000]),
                _ => sender.push(vec![at; 1000]),
            })
            .collect();
        give.send(outcomes).unwrap();
        while socket.recv().await?.is_some() {}
        Ok::<(), Error>(())
    });
    let outcomes = take.await.unwrap();
    let queued = count(&outcomes, Pushed::Queued);
    assert!((5..=6).contains(&queued), "{outcomes:?}");
    let expected: Vec<u8> = (0..queued as u8).collect();
    assert_eq!(numbers(&mut peer, queued).await, expected);
}

#[tokio::test(start_paused = true)]
async fn after_the_end_a_push_says_closed() {
    let (_, peer, sender) = pushed(Config::new().overflow(Overflow::DropNewest)).await;
    drop(peer);
    sender.closed().await;
    assert_eq!(sender.push("late"), Pushed::Closed);
}
