//! Rooms, and the plain parts that they are made of.

mod ring;
mod rooms;

use super::*;
