//! Bytes that nobody can guess.
//!
//! RFC 6455, section 5.3: "The masking key needs to be unpredictable; thus, the
//! masking key MUST be derived from a strong source of entropy, and the masking
//! key for a given frame MUST NOT make it simple for a server/proxy to predict
//! the masking key for a subsequent frame." So they come from the system's own
//! generator, which a thread asks for many at a time.

use std::cell::RefCell;

use super::error::ConnectError;

/// How many keys a thread fetches at once: the call itself costs as much as some
/// forty of them.
pub(super) const KEYS: usize = 256;

/// Those that are left are at the front.
struct Keys {
    bytes: [[u8; 4]; KEYS],
    left: usize,
}

thread_local! {
    static KEYS_OF_THREAD: RefCell<Keys> = const {
        RefCell::new(Keys { bytes: [[0; 4]; KEYS], left: 0 })
    };
}

/// The masking key of the next frame: one that no other frame has had.
///
/// # Panics
///
/// If the system's generator fails, which has worked when this connection was
/// opened.
pub(super) fn masking_key() -> [u8; 4] {
    KEYS_OF_THREAD
        .try_with(|keys| keys.borrow_mut().next())
        .unwrap_or_else(|_| {
            // The thread is ending.
            let mut key = [0; 4];
            fill(&mut key);
            key
        })
}

impl Keys {
    fn next(&mut self) -> [u8; 4] {
        if self.left == 0 {
            fill(self.bytes.as_flattened_mut());
            self.left = KEYS;
        }
        self.left -= 1;
        self.bytes[self.left]
    }
}

/// RFC 6455, section 4.1: the nonce "MUST be selected randomly for each
/// connection".
pub(super) fn nonce() -> Result<[u8; 16], ConnectError> {
    let mut nonce = [0; 16];
    getrandom::fill(&mut nonce).map_err(ConnectError::no_random)?;
    Ok(nonce)
}

fn fill(bytes: &mut [u8]) {
    getrandom::fill(bytes).expect("the system's random generator works");
}
