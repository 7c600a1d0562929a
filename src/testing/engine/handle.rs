//! The engine as a whole, and what may happen to it.

use std::fmt;
use std::sync::Arc;

use super::link::Link;
use super::state::Shared;
use super::store::Store;

/// An engine in memory, which any number of hubs share: several servers in one test.
///
/// It does what Redis does for them: one log for each room, passed on to all, and one roster.
/// It also does what Redis does on a bad day: links to it are [cut](Link::cut), and it
/// [forks](Self::fork), [goes back](Self::rewind) or [forgets](Self::flush) when a test says
/// so. Its tasks use tokio's clock, so with a paused clock waiting takes no time.
///
/// Here a client loses its server, and resumes on another one:
///
/// ```
/// use hyper_ws::hub::{History, Hub, Joined, Position, Room};
/// use hyper_ws::{WebSocket, testing};
///
/// fn hub(link: testing::Link) -> Hub {
///     let hub = Hub::new().history(History::last(100)).backplane(link);
///     hub.stamp(|_room, position, message| {
///         format!("{position} {}", message.as_text().unwrap_or_default())
///     })
/// }
///
/// async fn page(
///     mut socket: WebSocket,
///     room: Room,
///     from: Option<Position>,
/// ) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
///     match room.join_from(&socket, from).await? {
///         Joined::Missed { now } => room.join_from(&socket, Some(now)).await?,
///         resumed => resumed,
///     };
///     socket.send("welcome").await?;
///     while socket.recv().await?.is_some() {}
///     Ok(())
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let engine = testing::Engine::new();
/// let (link_a, link_b) = (engine.link(), engine.link());
/// let (a, b) = (hub(link_a.clone()).room("lobby"), hub(link_b).room("lobby"));
///
/// let room = a.clone();
/// let mut client = testing::connect(move |socket| page(socket, room.clone(), None)).await;
/// assert_eq!(client.recv().await?, Some("welcome".into()));
/// let first = b.publish("one").await?;
/// assert_eq!(client.recv().await?, Some(format!("{first} one").into()));
///
/// link_a.cut(); // What is said now does not reach the first server,
/// let second = b.publish("two").await?;
/// drop(client); // and the client gives it up.
/// let mut client = testing::connect(move |socket| page(socket, b.clone(), Some(first))).await;
/// assert_eq!(client.recv().await?, Some(format!("{second} two").into()));
/// assert_eq!(client.recv().await?, Some("welcome".into()));
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Engine {
    shared: Arc<Shared>,
}

/// What an [`Engine`] held at one time, from [`Engine::snapshot`].
#[derive(Clone)]
pub struct Snapshot(Vec<Store>);

impl Engine {
    /// Creates an engine that holds nothing.
    pub fn new() -> Self {
        Engine {
            shared: Shared::new(),
        }
    }

    /// Returns a new link, for the hub of one server.
    pub fn link(&self) -> Link {
        let number = self.shared.lock().add_link();
        Link {
            shared: self.shared.clone(),
            number,
        }
    }

    /// Stops the engine: all servers notice, and nothing is lost.
    pub fn stop(&self) {
        let mut state = self.shared.lock();
        if !state.is_down {
            state.is_down = true;
            for link in 0..state.links.len() {
                if !state.links[link].is_cut {
                    state.disconnect(link, "the engine is stopped");
                }
            }
        }
    }

    /// Starts the engine again. Links that were cut stay so.
    pub fn start(&self) {
        let mut state = self.shared.lock();
        if state.is_down {
            state.is_down = false;
            state.renew_leases();
            for link in 0..state.links.len() {
                state.connect(link);
            }
        }
    }

    /// Forks the engine, like a failover that some servers do not notice: from now on the given
    /// links lead to a copy. No link is interrupted. Each side accepts messages that the other side
    /// does not get.
    ///
    /// # Panics
    ///
    /// If the engine is forked, or a link belongs to another engine.
    pub fn fork(&self, links: &[&Link]) {
        let mut state = self.shared.lock();
        assert_eq!(state.sides.len(), 1, "the engine is forked already");
        let copy = state.sides[0].clone();
        state.sides.push(copy);
        for link in links {
            self.check(link);
            state.links[link.number].side = 1;
        }
    }

    /// Ends a [fork](Self::fork): the side to which `link` leads stays. What the other side
    /// accepted is lost, and its links are interrupted.
    ///
    /// # Panics
    ///
    /// If the link belongs to another engine.
    pub fn heal(&self, link: &Link) {
        self.check(link);
        let mut state = self.shared.lock();
        let kept = state.links[link.number].side;
        state.sides = vec![state.sides.swap_remove(kept)];
        for link in 0..state.links.len() {
            let side = std::mem::replace(&mut state.links[link].side, 0);
            if side != kept {
                state.reconnect(link);
            }
        }
    }

    /// Returns what the engine holds, for [`rewind`](Self::rewind).
    pub fn snapshot(&self) -> Snapshot {
        Snapshot(self.shared.lock().sides.clone())
    }

    /// Restarts the engine with older data: what it accepted since is lost, and all links are
    /// interrupted.
    pub fn rewind(&self, snapshot: &Snapshot) {
        let mut state = self.shared.lock();
        state.sides = snapshot.0.clone();
        for link in 0..state.links.len() {
            if state.links[link].side >= state.sides.len() {
                state.links[link].side = 0;
            }
            state.reconnect(link);
        }
    }

    /// Loses all data. No link is interrupted: servers notice at the next message.
    pub fn flush(&self) {
        self.shared.lock().sides.fill(Store::default());
    }

    /// Loses the messages of a room, and keeps its position, as an engine that is short of memory
    /// does.
    pub fn lose_messages(&self, room: &str) {
        for side in &mut self.shared.lock().sides {
            side.lose_messages(room);
        }
    }

    /// Loses a room, its position included. The next message begins another log.
    pub fn lose_room(&self, room: &str) {
        for side in &mut self.shared.lock().sides {
            side.lose_room(room);
        }
    }

    fn check(&self, link: &Link) {
        assert!(
            Arc::ptr_eq(&self.shared, &link.shared),
            "the link belongs to another engine"
        );
    }
}

impl Default for Engine {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.shared.lock();
        f.debug_struct("Engine")
            .field("links", &state.links.len())
            .field("is_stopped", &state.is_down)
            .field("is_forked", &(state.sides.len() > 1))
            .finish()
    }
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshot").finish_non_exhaustive()
    }
}
