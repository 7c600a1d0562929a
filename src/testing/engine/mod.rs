//! An engine in memory.

mod log;

pub(crate) use log::{Append, Log};
