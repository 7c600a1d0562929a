//! Something panics in a task of the engine.

use super::*;

fn has_panicked(server: &Server) -> bool {
    let states = server.notes.states.lock().unwrap();
    let says_so = |state: &EngineState| match state {
        EngineState::Down { reason, .. } => reason.to_string().contains("panicked"),
        EngineState::Up => false,
    };
    states.iter().any(says_so)
}

#[tokio::test]
async fn a_line_that_panics_is_replaced_and_hears_again() {
    let Some(redis) = RedisServer::start() else {
        return;
    };
    let server = Server::start(&redis.url());
    server.follow("lobby").await;
    server.up().await;
    server.notes.panics.store(true, Ordering::Relaxed);
    server.publish("lobby", "not heard").ok().await;
    let following = Event::Following("lobby".to_owned());
    server.wait(|event| *event == following, 2).await;
    server.heard("lobby", "heard").await;
    assert!(has_panicked(&server));
}

#[tokio::test]
async fn a_publisher_that_panics_is_replaced_and_goes_on() {
    let Some(redis) = RedisServer::start() else {
        return;
    };
    let server = Server::start(&redis.url());
    server.up().await;
    let down = |event: &Event| *event == Event::State(false);
    let before = server.count(down);
    server.engine.publish(Publish {
        room: room("lobby"),
        envelope: Bytes::from_static(b"first"),
        history: server.history,
        once: None,
        permit: None,
        reply: Reply::new(|| Err(unknown()), |_| panic!("as the test wants")),
    });
    server.wait(down, before + 1).await;
    assert!(has_panicked(&server));
    server.publish("lobby", "second").ok().await;
    assert_eq!(texts(&server.log("lobby").await.1), ["first", "second"]);
}
