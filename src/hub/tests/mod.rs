//! Rooms, and the plain parts that they are made of.

mod follow;
// It needs the log of the engine in memory.
#[cfg(feature = "testing")]
mod model;
mod resume;
mod ring;
mod rooms;

use super::*;
