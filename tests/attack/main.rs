//! What hostile peers do, and what a server makes of it.

mod deadlines;
mod frames;
mod handshake;
mod lifecycle;
mod logs;
#[path = "../support/mod.rs"]
mod support;
