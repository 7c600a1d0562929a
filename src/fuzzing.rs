//! What the fuzz targets (`fuzz/`) reach beside the public API.
//!
//! It exists only under `--cfg fuzzing`, which `fuzz/run` and cargo-fuzz set. All of it stands
//! here, except what is private to rooms, which is in `hub/fuzzing.rs`.

use crate::Message;
use crate::protocol::{are_whole_messages, whole_message};

pub use crate::hub::fuzzing::{Ring, RingEntry, model, open, seal};

/// Takes input as the driver does that takes messages past the reader: all of it, if it consists
/// of whole messages up to `limit`. Returns them, and whether all of them are valid.
pub fn whole_messages(mut input: &[u8], limit: usize) -> Option<(Vec<Message>, bool)> {
    if !are_whole_messages(input, limit, u32::MAX, u32::MAX) {
        return None;
    }
    let mut messages = vec![];
    while !input.is_empty() {
        let Some((message, taken)) = whole_message(input) else {
            return Some((messages, false));
        };
        messages.push(message);
        input = &input[taken..];
    }
    Some((messages, true))
}
