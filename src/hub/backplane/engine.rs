//! What an engine does: the traits, with their contract.

use std::sync::Arc;

use tokio::sync::oneshot;

use super::inbound::Inbound;
use super::request::{Enter, Publish, Read, ReadPeople, Relay};

/// An engine: it carries messages between servers, and keeps the last of them.
///
/// [`Hub::backplane`](crate::hub::Hub::backplane) takes one. Redis is in the crate (feature
/// `redis`), and so is an engine in memory for tests (feature `testing`). This is what
/// others need to implement.
///
/// # The contract
///
/// **A room is a log.** The engine gives each published message a [`Position`](crate::hub::Position): the number
/// after the one before, and a tag. It appends the message and passes it on to the servers
/// that follow the room, in the order of the log, each message with its predecessor's
/// position.
///
/// **Tags are never given twice**, not even for one message: a publish that is tried again
/// has a new tag at each attempt. Otherwise two logs could agree in a position without
/// agreeing in what came before it. The same holds for the tag of an empty log.
///
/// **Messages may be lost on the way, and the log may lose messages.** The hub notices both
/// by the predecessors, and reads what is missing. An engine must not repair anything by
/// itself, and must not hide an interruption.
///
/// **A read is answered after the messages that it may contain.** When the answer is given,
/// [`Inbound::arrived`] has been given every message that was in the log when it was read, and that
/// the engine passes on to this server.
///
/// **No method waits, and none calls [`Inbound`].** They note what is asked for, and a task of
/// the engine does it. They may be called while the hub holds a lock of the room.
/// Requests may be answered from any thread, and also within the call.
///
/// **An engine reconnects for ever**, however long its store cannot be reached. A request that it
/// cannot carry out within its patience is answered with the error. Or it is dropped, which says
/// that its outcome is unknown.
pub trait Backplane: Send + Sync + 'static {
    /// Starts the engine. It is called once, before anything else, within the tokio runtime:
    /// tasks may be spawned. What arrives goes to `inbound`.
    fn start(&self, inbound: Inbound);

    /// Follows a room: from now on, what is published in it is wanted.
    ///
    /// Once the engine passes on what is published, it calls [`Inbound::following`]; and again
    /// after each interruption. Following a room that is followed already has no effect.
    fn follow(&self, room: &Arc<str>);

    /// Ends following a room.
    fn unfollow(&self, room: &Arc<str>);

    /// Appends a message to the log of a room, and passes it on to all servers that follow
    /// the room, this one included.
    ///
    /// The messages of one room are appended in the order of these calls. One whose outcome is
    /// unknown, because a connection broke, is tried again, but never appended twice.
    fn publish(&self, request: Publish);

    /// Passes a message on to the *other* servers that follow the room, without appending
    /// it. It may be lost.
    fn relay(&self, request: Relay);

    /// Reads the log of a room. If the log does not exist, this call creates it: at number 0, with
    /// a new tag.
    fn read(&self, request: Read);

    /// Returns the engine's list of who is present; `None` if it keeps none.
    fn roster(&self) -> Option<&dyn Roster> {
        None
    }

    /// Carries out what is queued, then stops for good. `stopped` is dropped when that is done.
    fn stop(&self, stopped: Stopped);
}

/// Who is present in the rooms, as an engine keeps it. See [`Backplane::roster`].
///
/// An entry has a key that is unique in its room, and belongs to a *seat* of a server. It lives
/// as long as the server holds a lease, which the engine renews by itself. When a lease is
/// over, any server removes the entries of that server and says so to all. If no server could
/// renew its lease (the engine was away), all leases are prolonged before any is judged.
///
/// After each interruption, the engine calls [`Inbound::has_entries`] for each room in which this
/// server has entries.
pub trait Roster: Send + Sync {
    /// Enters a key, and tells all servers that follow the room.
    fn enter(&self, request: Enter);

    /// Removes a key, if it still belongs to this seat of this server, and tells all servers
    /// that follow the room.
    fn leave(&self, room: &Arc<str>, key: &str, seat: u64);

    /// Reads who is present.
    fn people(&self, request: ReadPeople);
}

/// Held while an engine stops; dropped when it has.
#[derive(Debug)]
pub struct Stopped {
    pub(in crate::hub) _dropped: oneshot::Sender<()>,
}
