//! Links that are cut, and an engine that loses what it had.

use super::*;
use crate::hub::{EngineState, PublishError};

#[tokio::test(start_paused = true)]
async fn what_was_said_while_a_link_was_cut_comes_when_it_is_restored() {
    let engine = Engine::new();
    let (a, b) = (Server::new(&engine), Server::new(&engine));
    let mut page = b.page().await;
    b.link.cut();
    a.publish("1").await;
    page.expect_nothing().await;
    assert!(matches!(b.hub.state(), EngineState::Down { .. }));
    assert_eq!(a.hub.state(), EngineState::Up);
    b.link.restore();
    page.expect(&["1"]).await;
    assert_eq!(b.hub.state(), EngineState::Up);
    a.publish("2").await;
    page.expect(&["2"]).await;
}

/// The server asked, and the answer was lost with the link.
#[tokio::test(start_paused = true)]
async fn a_message_whose_outcome_was_lost_is_in_the_log_once() {
    let engine = Engine::new();
    let (a, b) = (Server::new(&engine), Server::new(&engine));
    let mut page = b.page().await;
    let room = a.room();
    a.link.delay(Duration::from_secs(2));
    let first = tokio::spawn(async move { room.publish("1").await });
    page.expect(&["1"]).await;
    a.link.cut();
    let room = a.room();
    let second = tokio::spawn(async move { room.publish("2").await });
    page.expect_nothing().await;
    assert!(!first.is_finished() && !second.is_finished());
    a.link.restore();
    let position = within(first).await.unwrap().unwrap();
    assert_eq!(page.position, Some(position));
    page.expect(&["2"]).await;
    within(second).await.unwrap().unwrap();
    page.expect_nothing().await;
}

#[tokio::test(start_paused = true)]
async fn a_message_waits_ten_seconds_for_a_link() {
    let engine = Engine::new();
    let (a, b) = (Server::new(&engine), Server::new(&engine));
    let mut page = b.page().await;
    a.publish("1").await;
    page.expect(&["1"]).await;
    a.link.cut();
    let refused = within(a.room().publish("2")).await;
    assert!(
        matches!(refused, Err(PublishError::Unavailable(_))),
        "{refused:?}"
    );
    a.link.restore();
    page.expect_nothing().await;

    a.link.delay(Duration::from_secs(2));
    let room = a.room();
    let sent = tokio::spawn(async move { room.publish("3").await });
    page.expect(&["3"]).await;
    a.link.cut();
    let outcome = within(sent).await.unwrap();
    assert!(
        matches!(outcome, Err(PublishError::Unknown(_))),
        "{outcome:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn messages_that_were_lost_on_the_way_are_read() {
    let engine = Engine::new();
    let (a, b) = (Server::new(&engine), Server::new(&engine));
    let mut page = b.page().await;
    b.link.lose(2);
    for text in ["1", "2"] {
        a.publish(text).await;
    }
    page.expect_nothing().await;
    a.publish("3").await;
    page.expect(&["1", "2", "3"]).await;
    assert_eq!(b.hub.counters().gaps_repaired, 1);
}

#[tokio::test(start_paused = true)]
async fn messages_that_come_twice_are_delivered_once() {
    let engine = Engine::new();
    let a = Server::new(&engine);
    let mut page = a.page().await;
    a.link.repeat(2);
    for text in ["1", "2", "3"] {
        a.publish(text).await;
    }
    page.expect(&["1", "2", "3"]).await;
    page.expect_nothing().await;
}

#[tokio::test(start_paused = true)]
async fn a_subscription_that_died_is_read_up_when_that_is_noticed() {
    let engine = Engine::new();
    let (a, b) = (Server::new(&engine), Server::new(&engine));
    let mut page = b.page().await;
    b.link.deafen();
    let position = b.publish("1").await;
    page.expect_nothing().await;
    assert_eq!(b.hub.state(), EngineState::Up, "nothing shows it");
    b.link.restore();
    page.expect(&["1"]).await;
    assert_eq!(page.position, Some(position));
    a.publish("2").await;
    page.expect(&["2"]).await;
}

#[tokio::test(start_paused = true)]
async fn an_engine_that_stops_and_starts_loses_nothing() {
    let engine = Engine::new();
    let (a, b) = (Server::new(&engine), Server::new(&engine));
    let (mut on_a, mut on_b) = (a.page().await, b.page().await);
    engine.stop();
    on_a.expect_nothing().await;
    assert!(matches!(a.hub.state(), EngineState::Down { .. }));
    let room = a.room();
    let waits = tokio::spawn(async move { room.publish("1").await });
    on_a.expect_nothing().await;
    engine.start();
    within(waits).await.unwrap().unwrap();
    on_a.expect(&["1"]).await;
    on_b.expect(&["1"]).await;
}

#[tokio::test(start_paused = true)]
async fn an_engine_that_goes_back_and_on_is_noticed() {
    let engine = Engine::new();
    let (a, b) = (Server::new(&engine), Server::new(&engine));
    let mut page = a.page().await;
    a.publish("1").await;
    let snapshot = engine.snapshot();
    a.publish("lost").await;
    page.expect(&["1", "lost"]).await;
    let lost = page.position;
    engine.rewind(&snapshot);
    // The numbers go on as if nothing had happened.
    let position = b.publish("2").await;
    assert_eq!(position.number(), lost.unwrap().number());
    b.publish("3").await;
    let position = page.expect_broken().await;
    let mut page = Page::connect(&a, position).await;
    page.expect(&["missed"]).await;
    a.publish("4").await;
    page.expect(&["4"]).await;
}

/// A page that had not received what was lost has missed nothing.
#[tokio::test(start_paused = true)]
async fn a_page_from_before_what_was_lost_resumes() {
    let engine = Engine::new();
    let (a, b) = (Server::new(&engine), Server::new(&engine));
    let mut page = a.page().await;
    a.publish("1").await;
    page.expect(&["1"]).await;
    let position = page.position;
    drop(page.client);
    let snapshot = engine.snapshot();
    a.publish("lost").await;
    engine.rewind(&snapshot);
    b.publish("2").await;
    let mut page = Page::connect(&b, position).await;
    page.expect(&["2"]).await;
}

#[tokio::test(start_paused = true)]
async fn of_a_fork_one_side_stays_and_the_other_is_told() {
    let engine = Engine::new();
    let (a, b) = (Server::new(&engine), Server::new(&engine));
    let (mut on_a, mut on_b) = (a.page().await, b.page().await);
    a.publish("1").await;
    on_a.expect(&["1"]).await;
    on_b.expect(&["1"]).await;
    engine.fork(&[&b.link]);
    a.publish("here").await;
    b.publish("there").await;
    on_a.expect(&["here"]).await;
    on_b.expect(&["there"]).await;
    assert_eq!(
        on_a.position.unwrap().number(),
        on_b.position.unwrap().number(),
        "and yet they are different places"
    );
    engine.heal(&a.link);
    let position = on_b.expect_broken().await;
    let mut on_b = Page::connect(&a, position).await;
    on_b.expect(&["missed"]).await;
    b.publish("2").await;
    on_a.expect(&["2"]).await;
    on_b.expect(&["2"]).await;
}

#[tokio::test(start_paused = true)]
async fn an_engine_that_lost_everything_is_noticed_at_the_next_message() {
    let engine = Engine::new();
    let a = Server::new(&engine);
    let mut page = a.page().await;
    a.publish("1").await;
    page.expect(&["1"]).await;
    engine.flush();
    page.expect_nothing().await;
    a.publish("2").await;
    let position = page.expect_broken().await;
    let mut page = Page::connect(&a, position).await;
    page.expect(&["missed"]).await;

    engine.lose_room("lobby");
    a.publish("3").await;
    page.expect_broken().await;
}

#[tokio::test(start_paused = true)]
async fn a_room_that_lost_its_messages_goes_on() {
    let engine = Engine::new();
    let (a, b) = (Server::new(&engine), Server::new(&engine));
    let mut page = a.page().await;
    let early = page.position;
    let position = a.publish("1").await;
    engine.lose_messages("lobby");
    let mut late = Page::connect(&b, Some(position)).await;
    let mut early = Page::connect(&b, early).await;
    early.expect(&["missed"]).await;
    a.publish("2").await;
    page.expect(&["1", "2"]).await;
    late.expect(&["2"]).await;
    early.expect(&["2"]).await;
}

#[tokio::test(start_paused = true)]
#[should_panic(expected = "another engine")]
async fn a_link_of_another_engine_does_not_fork_this_one() {
    Engine::new().fork(&[&Engine::new().link()]);
}
