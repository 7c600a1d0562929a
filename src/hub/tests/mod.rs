//! Rooms, and the plain parts that they are made of.

mod backlog;
mod follow;
mod histories;
mod model;
mod presence;
mod race;
mod resume;
mod ring;
mod rooms;
mod subscribe;
mod wanted;

use std::sync::{Arc, Mutex};

use super::*;
