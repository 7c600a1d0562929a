//! Rooms, and the plain parts that they are made of.

mod resume;
mod rooms;

use super::*;
