//! Rooms, and the plain parts that they are made of.

mod rooms;

use super::*;
