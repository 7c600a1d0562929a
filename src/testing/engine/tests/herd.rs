//! How often a room is read when many come to it at once.

use super::*;

/// Pages that have come to a server, at these positions, and wait for what they have missed.
async fn come(server: &Server, positions: &[Position]) -> Vec<Page> {
    let mut pages = vec![];
    for position in positions {
        pages.push(Page::connect(server, Some(*position)).await);
    }
    pages
}

#[tokio::test(start_paused = true)]
async fn many_pages_that_resume_from_one_position_make_one_read() {
    let engine = Engine::new();
    let (a, b) = (Server::new(&engine), Server::new(&engine));
    let page = a.page().await;
    let position = page.position.unwrap();
    for text in ["1", "2", "3"] {
        a.publish(text).await;
    }
    b.link.delay(Duration::from_millis(500));
    for mut page in come(&b, &[position; 100]).await {
        page.expect(&["1", "2", "3"]).await;
    }
    assert_eq!(b.hub.counters().reads, 1);
}

#[tokio::test(start_paused = true)]
async fn many_pages_that_resume_from_many_positions_make_two_reads() {
    let engine = Engine::new();
    let (a, b) = (Server::new(&engine), Server::new(&engine));
    let mut page = a.page().await;
    let mut positions = vec![];
    for number in 0..10 {
        positions.push(page.position.unwrap());
        a.publish(&number.to_string()).await;
        page.next().await;
    }
    // The newest first: what the others need is older than the ring.
    positions.reverse();
    b.link.delay(Duration::from_millis(500));
    let pages = come(&b, &positions.repeat(10)).await;
    for (number, mut page) in pages.into_iter().enumerate() {
        let first = 9 - number % 10;
        for text in first..10 {
            page.expect(&[&text.to_string()]).await;
        }
    }
    assert_eq!(b.hub.counters().reads, 2);
}
