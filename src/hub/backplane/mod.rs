//! The seam between a hub and the engine that connects it with other servers.
//!
//! [`Backplane`] is what an engine implements. The hub gives it requests ([`Publish`], [`Read`] ...),
//! each of which carries the address of its answer, and the engine gives what arrives to
//! [`Inbound`].

mod budget;
mod engine;
mod error;
mod inbound;
mod log;
mod published;
mod reply;
mod request;

pub(super) use budget::{Budget, Permit};
pub use engine::{Backplane, Roster, Stopped};
pub(super) use error::NOT_CONNECTED;
pub use error::{EngineError, EnterError, PublishError};
pub(super) use inbound::Receive;
pub use inbound::{EngineState, Inbound};
pub use log::{Arrival, Entry, Past, ReadFrom, RosterChange};
pub use published::Published;
pub(super) use reply::Reply;
pub use request::{Enter, Publish, Read, ReadPeople, Relay};
