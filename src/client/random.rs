//! Unpredictable bytes: masking keys and nonces.
//!
//! RFC 6455, section 5.3: "The masking key needs to be unpredictable; thus, the
//! masking key MUST be derived from a strong source of entropy, and the masking
//! key for a given frame MUST NOT make it simple for a server/proxy to predict
//! the masking key for a subsequent frame." So they come from the system's own
//! generator. A thread fetches many keys at a time.

use std::cell::RefCell;

use super::error::ConnectError;

/// The number of keys that a thread fetches at once. The call itself costs as much
/// as some forty keys.
pub(super) const KEYS: usize = 256;

/// The keys of a thread. Those that are left are at the front.
struct Keys {
    bytes: [[u8; 4]; KEYS],
    left: usize,
}

thread_local! {
    static KEYS_OF_THREAD: RefCell<Keys> = const {
        RefCell::new(Keys { bytes: [[0; 4]; KEYS], left: 0 })
    };
}

/// Returns a new masking key, for one frame.
///
/// # Panics
///
/// If the system's generator fails. It worked when this connection was opened:
/// [`nonce`] was called then.
pub(super) fn masking_key() -> [u8; 4] {
    KEYS_OF_THREAD
        .try_with(|keys| keys.borrow_mut().next())
        .unwrap_or_else(|_| {
            // The thread is ending, and its keys are gone.
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

/// Returns the nonce for the key of a handshake. RFC 6455, section 4.1: it "MUST be
/// selected randomly for each connection".
pub(super) fn nonce() -> Result<[u8; 16], ConnectError> {
    let mut nonce = [0; 16];
    getrandom::fill(&mut nonce).map_err(ConnectError::no_random)?;
    Ok(nonce)
}

fn fill(bytes: &mut [u8]) {
    getrandom::fill(bytes).expect("the system's random generator works");
}
