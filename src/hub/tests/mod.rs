//! Rooms, and the plain parts that they are made of.

mod follow;
mod ring;
mod rooms;

use super::*;
