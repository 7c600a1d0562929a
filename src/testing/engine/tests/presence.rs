//! Who is present, over several servers.

use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::*;
use crate::hub::{EnterError, Seat};

/// A socket that is in the room under a key, until this is dropped.
struct Visitor {
    seat: Seat,
    client: JoinHandle<()>,
}

impl Drop for Visitor {
    fn drop(&mut self) {
        self.client.abort();
    }
}

async fn enter(server: &Server, key: &'static str) -> Result<Visitor, EnterError> {
    enter_with(server, key, false).await
}

async fn enter_with(
    server: &Server,
    key: &'static str,
    takes_over: bool,
) -> Result<Visitor, EnterError> {
    let room = server.room();
    let (tell, mut entered) = mpsc::unbounded_channel();
    let client = connect(move |mut socket: WebSocket| {
        let (room, tell) = (room.clone(), tell.clone());
        async move {
            let _ = tell.send(match takes_over {
                true => room.take_over(&socket, key, "").await,
                false => room.enter(&socket, key, "").await,
            });
            while socket.recv().await?.is_some() {}
            Ok::<_, crate::Error>(())
        }
    });
    let mut client = client.await;
    let seat = within(entered.recv()).await.unwrap()?;
    // It answers pings.
    let client = tokio::spawn(async move { while let Ok(Some(_)) = client.recv().await {} });
    Ok(Visitor { seat, client })
}

async fn keys(server: &Server) -> Vec<String> {
    let people = within(server.room().people()).await.unwrap();
    let mut keys: Vec<String> = people.into_iter().map(|it| it.key.into()).collect();
    keys.sort();
    keys
}

#[tokio::test(start_paused = true)]
async fn a_key_is_unique_over_all_servers_and_everybody_is_told() {
    let engine = Engine::new();
    let (a, b) = (Server::new(&engine), Server::new(&engine));
    let mut page = b.page().await;
    let ann = enter(&a, "ann").await.unwrap();
    page.expect(&["+ann"]).await;
    assert_eq!(enter(&b, "ann").await.err(), Some(EnterError::Taken));
    assert_eq!(keys(&a).await, ["ann"]);
    assert_eq!(keys(&b).await, ["ann"]);
    drop(ann);
    page.expect(&["-ann"]).await;
    assert_eq!(keys(&b).await, [""; 0]);
    enter(&b, "ann").await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn the_people_of_a_server_that_is_gone_leave_with_its_lease() {
    let engine = Engine::new();
    let (a, b) = (Server::new(&engine), Server::new(&engine));
    let mut page = b.page().await;
    let _ann = enter(&a, "ann").await.unwrap();
    page.expect(&["+ann"]).await;
    a.link.cut();
    page.expect_nothing_for(10).await;
    page.expect(&["-ann"]).await;
    a.link.restore();
    page.expect(&["+ann"]).await;
    assert_eq!(keys(&a).await, ["ann"]);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_was_stopped_for_too_long_enters_its_people_again() {
    let engine = Engine::new();
    let (a, b) = (Server::new(&engine), Server::new(&engine));
    let mut page = b.page().await;
    let ann = enter(&a, "ann").await.unwrap();
    page.expect(&["+ann"]).await;
    a.link.expire_lease();
    page.expect(&["-ann", "+ann"]).await;
    assert!(ann.seat.is_held());
}

/// No server could renew its lease, so none is judged.
#[tokio::test(start_paused = true)]
async fn nobody_leaves_because_the_engine_was_away() {
    let engine = Engine::new();
    let (a, b) = (Server::new(&engine), Server::new(&engine));
    let mut page = b.page().await;
    let _ann = enter(&a, "ann").await.unwrap();
    page.expect(&["+ann"]).await;
    engine.stop();
    page.expect_nothing_for(60).await;
    engine.start();
    page.expect_nothing_for(60).await;
    assert_eq!(keys(&b).await, ["ann"]);
}

#[tokio::test(start_paused = true)]
async fn the_people_of_a_hub_that_is_closed_leave_at_once() {
    let engine = Engine::new();
    let (a, b) = (Server::new(&engine), Server::new(&engine));
    let mut page = b.page().await;
    let _ann = enter(&a, "ann").await.unwrap();
    page.expect(&["+ann"]).await;
    within(a.hub.close()).await;
    page.expect(&["-ann"]).await;
}

/// The server that ann was on has nobody in the room any more, and does not follow it.
#[tokio::test(start_paused = true)]
async fn nobody_is_present_again_because_the_engine_went_back() {
    let engine = Engine::new();
    let (a, b) = (Server::new(&engine), Server::new(&engine));
    let mut page = b.page().await;
    let ann = enter(&a, "ann").await.unwrap();
    let bob = enter(&b, "bob").await.unwrap();
    let before = engine.snapshot();
    drop(ann);
    page.expect(&["+ann", "+bob", "-ann"]).await;
    page.expect_nothing_for(10).await;
    assert!(!a.link.follows("lobby"));
    engine.rewind(&before);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(keys(&b).await, ["bob"]);
    assert!(bob.seat.is_held());
}

/// The one that loses has had the seat, and its handler is told by that.
#[tokio::test(start_paused = true)]
async fn of_two_who_take_over_at_once_one_holds_the_seat_and_the_other_has_lost_it() {
    let engine = Engine::new();
    let (a, b) = (Server::new(&engine), Server::new(&engine));
    for _ in 0..20 {
        let first = enter_with(&a, "ann", true);
        let second = enter_with(&b, "ann", true);
        let (first, second) = tokio::join!(first, second);
        let (first, second) = (first.unwrap(), second.unwrap());
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_ne!(first.seat.is_held(), second.seat.is_held());
        assert_eq!(keys(&a).await, ["ann"]);
    }
}
