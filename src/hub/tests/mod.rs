//! Rooms, and the plain parts that they are made of.

mod follow;
mod lag;
mod lagging;
mod model;
mod presence;
mod resume;
mod ring;
mod rooms;

use std::sync::{Arc, Mutex};

use super::*;
