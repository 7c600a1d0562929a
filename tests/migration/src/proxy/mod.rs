//! A proxy that shows what goes through it.

pub mod after;
pub mod before;

use std::sync::Arc;

/// Is called with `>` or `<`, and each message.
pub type Show = Arc<dyn Fn(&str, &[u8]) + Send + Sync>;
