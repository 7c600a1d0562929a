//! Each part of a frame by itself.

mod header;
mod mask;
mod utf8;
