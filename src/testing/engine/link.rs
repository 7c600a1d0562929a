//! A server's link to the engine: what a hub uses, and what a test cuts.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::state::{Request, Shared};
use super::task;
use crate::hub::backplane::{
    Backplane, Enter, Inbound, Publish, Read, ReadPeople, Relay, Roster, Stopped,
};

/// The link between one server and an [`Engine`](super::Engine) in memory, from
/// [`Engine::link`](super::Engine::link).
///
/// One clone goes to [`Hub::backplane`](crate::hub::Hub::backplane). A test keeps another, to
/// make things go wrong. A link is for one hub.
///
/// A fault begins with its call, and the server notices when its task runs.
#[derive(Clone)]
pub struct Link {
    pub(super) shared: Arc<Shared>,
    pub(super) number: usize,
}

impl Link {
    /// Cuts the link: the server notices, and what was on its way to it is lost.
    ///
    /// What the server asks for waits until [`restore`](Self::restore), for ten seconds at most.
    /// If the link stays cut for 15 seconds, other servers see the server's people leave.
    pub fn cut(&self) {
        let mut state = self.shared.lock();
        if !state.links[self.number].is_cut {
            state.links[self.number].is_cut = true;
            state.disconnect(self.number, "the link to the engine is cut");
        }
    }

    /// Restores the link after [`cut`](Self::cut) or [`deafen`](Self::deafen): the server
    /// follows its rooms again, and repeats what was not answered.
    pub fn restore(&self) {
        let mut state = self.shared.lock();
        let link = &mut state.links[self.number];
        if link.is_cut {
            link.is_cut = false;
            state.connect(self.number);
        } else if link.is_deaf {
            state.reconnect(self.number);
        }
    }

    /// Stops passing messages on to the server. Everything else works, and the server notices
    /// nothing, as if its subscription had died.
    ///
    /// With Redis, a probe finds this after some seconds. Here there is no probe: call
    /// [`restore`](Self::restore).
    pub fn deafen(&self) {
        self.shared.lock().links[self.number].is_deaf = true;
    }

    /// Delays what is passed to the server from now on, answers included. It stays in order.
    pub fn delay(&self, delay: Duration) {
        self.shared.lock().links[self.number].delay = delay;
    }

    /// Loses the next `messages` messages to the server. The server notices it at the message that
    /// follows them.
    pub fn lose(&self, messages: usize) {
        self.shared.lock().links[self.number].lose = messages;
    }

    /// Passes the next `messages` messages on twice.
    pub fn repeat(&self, messages: usize) {
        self.shared.lock().links[self.number].repeat = messages;
    }

    /// Ends the lease of the server, as if it had been stopped for more than 15 seconds: other
    /// servers see its people leave. The server notices at once, and enters them again.
    pub fn expire_lease(&self) {
        self.shared.lock().expire_lease(self.number);
    }

    /// Returns whether the server follows a room: whether somebody there is interested in it.
    pub fn follows(&self, room: &str) -> bool {
        self.shared.lock().links[self.number].rooms.contains(room)
    }

    fn request(&self, request: Request) {
        let refused = self.shared.lock().request(self.number, request);
        if let Some(request) = refused {
            task::refuse(request);
        }
    }
}

impl Backplane for Link {
    /// Starts the link's task.
    ///
    /// # Panics
    ///
    /// If the link has been started, or outside of a tokio runtime.
    fn start(&self, inbound: Inbound) {
        let mut state = self.shared.lock();
        let link = &mut state.links[self.number];
        let was_started = std::mem::replace(&mut link.is_started, true);
        drop(state);
        assert!(
            !was_started,
            "a link for two hubs (each hub needs its own, from `Engine::link`)"
        );
        tokio::spawn(task::run(self.shared.clone(), self.number, inbound));
    }

    fn follow(&self, room: &Arc<str>) {
        self.shared.lock().follow(self.number, room);
    }

    fn unfollow(&self, room: &Arc<str>) {
        self.shared.lock().links[self.number].rooms.remove(room);
    }

    fn publish(&self, request: Publish) {
        let refused = self.shared.lock().publish(self.number, request);
        if let Some(request) = refused {
            task::refuse(request);
        }
    }

    fn relay(&self, request: Relay) {
        self.request(Request::Relay(request));
    }

    fn read(&self, request: Read) {
        self.request(Request::Read(request));
    }

    fn roster(&self) -> Option<&dyn Roster> {
        Some(self)
    }

    fn stop(&self, stopped: Stopped) {
        let mut state = self.shared.lock();
        let link = &mut state.links[self.number];
        link.wake.notify_one();
        let earlier = link.stopping.replace(stopped);
        drop(state);
        drop(earlier);
    }
}

impl Roster for Link {
    fn enter(&self, request: Enter) {
        self.request(Request::Enter(request));
    }

    fn leave(&self, room: &Arc<str>, key: &str, seat: u64) {
        self.request(Request::Leave(room.clone(), key.into(), seat));
    }

    fn people(&self, request: ReadPeople) {
        self.request(Request::People(request));
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link")
            .field("number", &self.number)
            .finish_non_exhaustive()
    }
}
