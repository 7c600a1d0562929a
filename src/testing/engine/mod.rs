//! An engine in memory, for tests of several servers.

mod handle;
mod link;
mod log;
mod state;
mod store;
mod task;
#[cfg(test)]
mod tests;

pub use handle::{Engine, Snapshot};
pub use link::Link;
#[cfg(any(test, fuzzing))]
pub(crate) use log::{Append, Log};
