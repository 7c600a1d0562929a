//! Rooms, and the plain parts that they are made of.

mod follow;
mod resume;
mod ring;
mod rooms;

use super::*;
