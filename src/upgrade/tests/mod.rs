mod transport;

use crate::WebSocket;
use crate::socket::Drive;
use crate::upgrade::Conversation;
use crate::upgrade::transport::Transport;

#[test]
fn a_connection_that_waits_is_not_bigger_than_one_that_runs() {
    async fn handler(_socket: WebSocket) {}
    fn sizes<F: FnOnce(WebSocket) -> Fut, Fut>(_: F) -> (usize, usize) {
        (
            size_of::<Conversation<F, Fut>>(),
            size_of::<Drive<Transport, Fut>>(),
        )
    }
    let (whole, running) = sizes(handler);
    assert!(whole <= running + 8, "{whole} {running}");
    assert!(size_of::<Transport>() <= 72, "{}", size_of::<Transport>());
}
