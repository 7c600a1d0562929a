mod transport;

use crate::WebSocket;
use crate::socket::Driver;
use crate::upgrade::transport::Transport;
use crate::upgrade::{Conversation, Upgrade};

#[test]
fn a_pending_upgrade_is_not_larger_than_a_running_conversation() {
    async fn handler(_socket: WebSocket) {}
    fn sizes<F: FnOnce(WebSocket) -> Fut, Fut>(_: F) -> (usize, usize) {
        (
            size_of::<Conversation<F, Fut>>(),
            size_of::<Driver<Transport, Fut>>(),
        )
    }
    let (whole, running) = sizes(handler);
    assert!(whole <= running + 8, "{whole} {running}");
    assert!(size_of::<Transport>() <= 72, "{}", size_of::<Transport>());
}

#[test]
fn a_future_that_borrows_an_upgrade_is_send() {
    fn is_sync<T: Sync>() {}
    is_sync::<Upgrade>();
}
