//! Bytes that nobody can guess.
//!
//! RFC 6455, section 5.3: "The masking key needs to be unpredictable; thus, the
//! masking key MUST be derived from a strong source of entropy, and the masking
//! key for a given frame MUST NOT make it simple for a server/proxy to predict
//! the masking key for a subsequent frame." So they come from the system's own
//! generator, which a thread asks for many at a time.

use std::cell::RefCell;

use super::ConnectError;

/// How many keys a thread fetches at once: the call itself costs as much as some
/// forty of them.
const KEYS: usize = 256;

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

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_key_comes_twice_in_a_thread_or_in_two() {
        const COUNT: usize = 3 * KEYS;
        let keys = || {
            std::thread::spawn(|| (0..COUNT).map(|_| masking_key()).collect::<Vec<_>>())
                .join()
                .unwrap()
        };
        let all: HashSet<_> = keys().into_iter().chain(keys()).collect();
        // Of 1,536 random keys of 32 bits, two are equal once in 3,600 times; six
        // never are.
        assert!(all.len() > 2 * COUNT - 3, "{}", all.len());
    }

    #[test]
    fn each_bit_of_a_key_is_as_often_one_as_zero() {
        const COUNT: u32 = 1 << 14;
        let mut ones = [0_u32; 32];
        for _ in 0..COUNT {
            let key = u32::from_ne_bytes(masking_key());
            for (bit, ones) in ones.iter_mut().enumerate() {
                *ones += key >> bit & 1;
            }
        }
        // Eight standard deviations (64) beside the middle.
        let middle = COUNT / 2 - 512..COUNT / 2 + 512;
        assert!(ones.iter().all(|ones| middle.contains(ones)), "{ones:?}");
    }

    #[test]
    fn nonces_differ() {
        assert_ne!(nonce().unwrap(), nonce().unwrap());
    }
}
