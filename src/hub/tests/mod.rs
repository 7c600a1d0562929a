//! Rooms, and the plain parts that they are made of.

#[cfg(test)]
mod envelope;
#[cfg(test)]
mod follow;
pub(super) mod model;
#[cfg(test)]
mod position;
#[cfg(test)]
mod presence;
#[cfg(test)]
mod resume;
#[cfg(test)]
mod ring;
#[cfg(test)]
mod rooms;

use std::sync::{Arc, Mutex};

use super::*;
