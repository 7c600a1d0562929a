//! What the tests of faults do again and again.

use super::*;

/// Publishes so many messages, with a pause after each tenth, and returns their texts.
pub(super) async fn publish_all(server: &Server, count: usize) -> Vec<(String, Publishing)> {
    let mut published = vec![];
    for number in 0..count {
        let text = number.to_string();
        published.push((text.clone(), server.publish("lobby", &text)));
        if number % 10 == 9 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    published
}

/// All messages are in the log, once, in order, at the positions that were said.
pub(super) async fn assert_all_in_log(server: &Server, published: Vec<(String, Publishing)>) {
    let mut expected = vec![];
    for (text, published) in published {
        expected.push((text, published.ok().await));
    }
    let (_, log) = server.log("lobby").await;
    let found: Vec<_> = texts(&log)
        .into_iter()
        .zip(log.iter().map(|one| one.position))
        .collect();
    assert_eq!(found, expected);
}

pub(super) fn long(mut server: Server) -> Server {
    server.history = History::last(100_000).bytes(100_000_000);
    server
}

pub(super) fn interrupted(event: &Event) -> bool {
    *event == Event::Interrupted
}
