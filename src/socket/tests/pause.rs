//! A process that did not run for a while: it was stopped, or its thread was blocked.

use super::*;

/// A peer that is silent is given up all the same, one timeout later.
#[tokio::test(start_paused = true)]
async fn a_peer_that_is_silent_after_a_pause_is_given_up_one_timeout_later() {
    let config = Config::new().keep_alive(Duration::from_secs(1), Duration::from_secs(1));
    let (tell, sender) = tokio::sync::oneshot::channel();
    let (_peer, _task) = serve(config, |socket: WebSocket| async move {
        let _ = tell.send(socket.sender());
        echo(socket).await
    });
    let sender = sender.await.unwrap();
    let began = Instant::now();
    // The ping has been sent, and is not answered.
    tokio::time::sleep(Duration::from_millis(1500)).await;
    tokio::time::advance(Duration::from_secs(60)).await;
    assert_eq!(sender.closed().await, CloseCause::PingTimeout);
    let took = began.elapsed();
    assert!(took <= Duration::from_secs(63), "{took:?}");
}
