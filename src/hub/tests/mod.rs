//! Rooms, and the plain parts that they are made of.

mod follow;
mod model;
mod presence;
mod resume;
mod ring;
mod rooms;
mod subscribe;

use std::sync::{Arc, Mutex};

use super::*;
