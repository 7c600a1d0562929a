//! Hostile peers: broken frames, forged handshakes, slow and silent clients, and
//! connections that end at the worst moment.

mod deadlines;
mod frames;
mod handshake;
mod lifecycle;
mod logs;
#[path = "../support/mod.rs"]
mod support;
