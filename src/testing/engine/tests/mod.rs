//! Several servers on one engine: pages that resume, and everything that may go wrong.

mod faults;
mod herd;
mod presence;
mod random;
mod subscribe;

use std::time::Duration;

use tokio::time::{sleep, timeout};

use crate::WebSocket;
use crate::hub::{Change, EngineState, History, Hub, Joined, Position, Room};
use crate::testing::{Client, Engine, Link, connect};

/// A server: its hub, and its link to the engine.
struct Server {
    hub: Hub,
    link: Link,
}

impl Server {
    fn new(engine: &Engine) -> Self {
        Server::with(engine, 20)
    }

    /// A server whose rooms keep so many messages.
    fn with(engine: &Engine, messages: usize) -> Self {
        let link = engine.link();
        let hub = Hub::new()
            .history(History::last(messages))
            .stamp(|_, position, message| {
                format!("{position} {}", message.as_text().unwrap_or_default())
            })
            .on_presence(|_, change| {
                let text = match change {
                    Change::Entered(person) => format!("- +{}", person.key),
                    Change::Left(person) => format!("- -{}", person.key),
                };
                Some(text.into())
            })
            .backplane(link.clone());
        Server { hub, link }
    }

    fn room(&self) -> Room {
        self.hub.room("lobby")
    }

    /// A page without a position.
    async fn page(&self) -> Page {
        Page::connect(self, None).await
    }

    async fn publish(&self, text: &str) -> Position {
        let published = within(self.room().publish(text)).await;
        published.expect("it is appended")
    }
}

/// A client that keeps its position.
struct Page {
    client: Client,
    position: Option<Position>,
}

impl Page {
    /// Connects to a server, and waits until the page is a member, or told that it has missed
    /// something.
    async fn connect(server: &Server, position: Option<Position>) -> Self {
        let room = server.room();
        let client = connect(move |socket: WebSocket| serve(socket, room.clone(), position));
        let mut page = Page {
            client: client.await,
            position,
        };
        if position.is_none() {
            assert_eq!(page.next().await, "missed");
        }
        page
    }

    /// The same page on another server.
    async fn resume(self, server: &Server) -> Self {
        let position = self.position;
        drop(self.client);
        Page::connect(server, position).await
    }

    /// The text of the next message.
    async fn next(&mut self) -> String {
        let message = within(self.client.recv()).await.unwrap();
        let message = message.expect("the connection is open");
        let text = message.as_text().expect("pages get text");
        let (position, text) = text.split_once(' ').expect("a position");
        if position != "-" {
            self.position = Some(position.parse().unwrap());
        }
        text.to_owned()
    }

    async fn expect(&mut self, texts: &[&str]) {
        for text in texts {
            assert_eq!(self.next().await, *text);
        }
    }

    /// Expects that nothing comes for some time.
    async fn expect_nothing(&mut self) {
        self.expect_nothing_for(1).await;
    }

    async fn expect_nothing_for(&mut self, seconds: u64) {
        let message = timeout(Duration::from_secs(seconds), self.client.recv()).await;
        assert!(message.is_err(), "{message:?}");
    }

    /// Expects that the connection is closed because messages were lost.
    async fn expect_broken(mut self) -> Option<Position> {
        let close = within(self.client.closed()).await;
        assert_eq!(close, Some(crate::CloseCode::SERVICE_RESTART));
        self.position
    }
}

async fn serve(
    mut socket: WebSocket,
    room: Room,
    mut position: Option<Position>,
) -> Result<(), crate::Error> {
    while let Joined::Missed { now } = room
        .join_from(&socket, position)
        .await
        .expect("the engine answers")
    {
        socket.send(format!("{now} missed")).await?;
        position = Some(now);
    }
    while socket.recv().await?.is_some() {}
    Ok(())
}

/// A member of a room without a history.
async fn talk(mut socket: WebSocket, room: Room) -> Result<(), crate::Error> {
    room.join(&socket);
    socket.send("joined").await?;
    while let Some(message) = socket.recv().await? {
        room.send(message);
    }
    Ok(())
}

/// Waits for something that must come.
async fn within<F: Future>(future: F) -> F::Output {
    let result = timeout(Duration::from_secs(60), future).await;
    result.expect("it comes within a minute")
}

#[tokio::test(start_paused = true)]
async fn a_message_reaches_the_pages_of_all_servers_in_one_order() {
    let engine = Engine::new();
    let servers = [
        Server::new(&engine),
        Server::new(&engine),
        Server::new(&engine),
    ];
    let mut pages = vec![];
    for server in &servers {
        pages.push(server.page().await);
    }
    let mut positions = vec![];
    for (number, server) in servers.iter().cycle().take(30).enumerate() {
        positions.push(server.publish(&number.to_string()).await);
    }
    for page in &mut pages {
        for (number, position) in positions.iter().enumerate() {
            assert_eq!(page.next().await, number.to_string());
            assert_eq!(page.position, Some(*position));
        }
        page.expect_nothing().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_page_resumes_on_another_server() {
    let engine = Engine::new();
    let (a, b) = (Server::new(&engine), Server::new(&engine));
    let mut page = a.page().await;
    for text in ["1", "2", "3"] {
        a.publish(text).await;
    }
    page.expect(&["1"]).await;
    // Nobody is on `b` yet, so it has to read what is older than its own beginning.
    let mut page = page.resume(&b).await;
    page.expect(&["2", "3"]).await;
    b.publish("4").await;
    page.expect(&["4"]).await;
}

/// The page has seen more than the server that it comes to.
#[tokio::test(start_paused = true)]
async fn a_page_that_is_ahead_of_its_server_gets_nothing_twice() {
    let engine = Engine::new();
    let (a, b) = (Server::new(&engine), Server::new(&engine));
    let (mut ahead, mut behind) = (a.page().await, b.page().await);
    b.link.delay(Duration::from_secs(2));
    a.publish("1").await;
    ahead.expect(&["1"]).await;
    let mut ahead = ahead.resume(&b).await;
    a.publish("2").await;
    ahead.expect(&["2"]).await;
    ahead.expect_nothing().await;
    behind.expect(&["1", "2"]).await;
}

#[tokio::test(start_paused = true)]
async fn a_page_whose_messages_are_not_kept_is_told() {
    let engine = Engine::new();
    let (a, b) = (Server::new(&engine), Server::new(&engine));
    let page = a.page().await;
    for number in 0..30 {
        a.publish(&number.to_string()).await;
    }
    let mut page = page.resume(&b).await;
    page.expect(&["missed"]).await;
    a.publish("now").await;
    page.expect(&["now"]).await;
}

#[tokio::test(start_paused = true)]
async fn messages_are_kept_as_long_as_the_history_says() {
    let engine = Engine::new();
    let (a, b) = (Server::new(&engine), Server::new(&engine));
    let page = a.page().await;
    let position = a.publish("1").await;
    sleep(Duration::from_secs(599)).await;
    let early = page.position;
    let mut page = page.resume(&b).await;
    page.expect(&["1"]).await;
    sleep(Duration::from_secs(2)).await;
    let c = Server::new(&engine);
    let mut early = Page::connect(&c, early).await;
    early.expect(&["missed"]).await;
    let mut at_the_end = Page::connect(&c, Some(position)).await;
    a.publish("2").await;
    at_the_end.expect(&["2"]).await;
}

#[tokio::test(start_paused = true)]
async fn a_key_stands_for_one_message_on_all_servers() {
    let engine = Engine::new();
    let (a, b) = (Server::new(&engine), Server::new(&engine));
    let mut page = a.page().await;
    let first = within(a.room().publish_once("key", "1")).await.unwrap();
    let again = within(b.room().publish_once("key", "1")).await.unwrap();
    assert_eq!((first.repeated, again.repeated), (false, true));
    assert_eq!(first.position, again.position);
    b.publish("2").await;
    page.expect(&["1", "2"]).await;
    page.expect_nothing_for(301).await;
    let later = within(b.room().publish_once("key", "3")).await.unwrap();
    assert_ne!(first.position, later.position);
    assert!(!later.repeated);
    page.expect(&["3"]).await;
}

#[tokio::test(start_paused = true)]
async fn a_room_in_which_nobody_is_left_is_not_followed_for_long() {
    let engine = Engine::new();
    let a = Server::new(&engine);
    let page = a.page().await;
    assert!(a.link.follows("lobby"));
    drop(page.client);
    sleep(Duration::from_secs(10)).await;
    assert!(!a.link.follows("lobby"));
    let mut page = Page::connect(&a, page.position).await;
    a.publish("1").await;
    page.expect(&["1"]).await;
}

#[tokio::test(start_paused = true)]
async fn without_a_history_messages_are_passed_on_to_the_other_servers() {
    let engine = Engine::new();
    let hubs = [(); 2].map(|()| Hub::new().backplane(engine.link()));
    let mut clients = vec![];
    for hub in &hubs {
        let room = hub.room("lobby");
        let client = connect(move |socket: WebSocket| talk(socket, room.clone()));
        let mut client = client.await;
        assert_eq!(within(client.recv()).await.unwrap(), Some("joined".into()));
        clients.push(client);
    }
    clients[0].send("hi").await.unwrap();
    for client in &mut clients {
        assert_eq!(within(client.recv()).await.unwrap(), Some("hi".into()));
    }
}

#[tokio::test(start_paused = true)]
async fn a_hub_that_is_closed_has_published_what_was_sent() {
    let engine = Engine::new();
    let (a, b) = (Server::new(&engine), Server::new(&engine));
    let mut page = b.page().await;
    a.link.delay(Duration::from_secs(3));
    for number in 0..10 {
        a.room().send(number.to_string());
    }
    within(a.hub.close()).await;
    page.expect(&["0", "9"][..1]).await;
    for number in 1..10 {
        page.expect(&[&number.to_string()]).await;
    }
    let refused = within(a.room().publish("late")).await;
    assert!(refused.is_err());
}

#[tokio::test(start_paused = true)]
#[should_panic(expected = "a link for two hubs")]
async fn a_link_is_for_one_hub() {
    let link = Engine::new().link();
    Hub::new().backplane(link.clone()).room("lobby");
    Hub::new().backplane(link).room("lobby");
}

#[tokio::test(start_paused = true)]
async fn a_hub_is_down_until_the_engine_has_answered_and_after_it_was_closed() {
    let engine = Engine::new();
    engine.stop();
    let hub = Hub::new().backplane(engine.link());
    let down = hub.state();
    assert!(matches!(down, EngineState::Down { .. }), "{down:?}");
    engine.start();
    let up = within(async {
        let mut state = down;
        while state != EngineState::Up {
            state = hub.state_changed(&state).await;
        }
        state
    });
    assert_eq!(up.await, EngineState::Up);
    hub.close().await;
    assert!(matches!(hub.state(), EngineState::Down { .. }));
}
