//! Rooms, and the plain parts that they are made of.

#[cfg(test)]
mod backlog;
#[cfg(test)]
mod closures;
#[cfg(test)]
mod envelope;
#[cfg(test)]
mod exceptions;
#[cfg(test)]
mod follow;
#[cfg(test)]
mod histories;
#[cfg(test)]
mod history;
#[cfg(test)]
mod lag;
#[cfg(test)]
mod lagging;
pub(super) mod model;
#[cfg(test)]
mod position;
#[cfg(test)]
mod presence;
#[cfg(test)]
mod race;
#[cfg(test)]
mod recent;
#[cfg(test)]
mod resume;
#[cfg(test)]
mod ring;
#[cfg(test)]
mod rooms;
#[cfg(test)]
mod runs;
#[cfg(test)]
mod seats;
#[cfg(test)]
mod sources;
#[cfg(test)]
mod subscribe;
#[cfg(test)]
mod wanted;

use std::sync::{Arc, Mutex};

use super::*;
