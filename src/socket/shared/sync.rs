//! What threads share a connection by. The package `tests/interleavings` exchanges it for loom's,
//! which runs a test once for each order in which threads can take their steps.

#[cfg(not(feature = "interleavings"))]
pub(super) use std::sync::{Mutex, MutexGuard, atomic};

#[cfg(feature = "interleavings")]
pub(super) use loom::sync::{Mutex, MutexGuard, atomic};
