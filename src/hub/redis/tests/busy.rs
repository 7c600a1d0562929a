//! Servers that always have something to do.

use tokio::time::Instant;

use super::*;

/// When the first lease ends, in milliseconds.
fn lease(redis: &RedisServer) -> String {
    format!("{:?}", redis.say("ZRANGE hws1:servers 0 0 WITHSCORES"))
}

/// So many messages wait at any time that the next batch is never empty.
#[tokio::test]
async fn a_server_that_publishes_without_a_pause_renews_its_lease() {
    let Some(redis) = RedisServer::start() else {
        return;
    };
    let server = Server::start(&redis.url());
    server.enter("lobby", "ann", 1).await.unwrap();
    let first = lease(&redis);
    let begin = Instant::now();
    let mut published = std::collections::VecDeque::new();
    while begin.elapsed() < Duration::from_secs(12) {
        while published.len() < 3000 {
            published.push_back(server.publish("lobby", "more"));
        }
        if lease(&redis) != first {
            return;
        }
        while published.len() > 2990
            && let Some(oldest) = published.pop_front()
        {
            oldest.ok().await;
        }
    }
    panic!("the lease was not renewed");
}

/// Something is to be subscribed or unsubscribed at any time.
#[tokio::test]
async fn a_server_whose_rooms_come_and_go_without_a_pause_is_up() {
    let Some(redis) = RedisServer::start() else {
        return;
    };
    let server = Server::start(&redis.url());
    let churn = async {
        for number in 0_u64.. {
            server.engine.follow(&room(&number.to_string()));
            if let Some(old) = number.checked_sub(100) {
                server.engine.unfollow(&room(&old.to_string()));
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        () = churn => {}
        up = timeout(Duration::from_secs(15), server.up()) => up.expect("the engine is up"),
    }
}
