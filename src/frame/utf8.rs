//! Validation of UTF-8 that arrives in pieces.

use crate::error::Violation;

/// Returns whether `bytes` are valid UTF-8.
#[inline]
pub(crate) fn is_valid(bytes: &[u8]) -> bool {
    #[cfg(feature = "simdutf8")]
    return simdutf8::basic::from_utf8(bytes).is_ok();
    #[cfg(not(feature = "simdutf8"))]
    return std::str::from_utf8(bytes).is_ok();
}

/// Returns where `bytes` stop being valid UTF-8, and the length of what is wrong there;
/// no length if they end within a character.
fn mistake(bytes: &[u8]) -> Option<(usize, Option<usize>)> {
    #[cfg(feature = "simdutf8")]
    return simdutf8::compat::from_utf8(bytes)
        .err()
        .map(|error| (error.valid_up_to(), error.error_len()));
    #[cfg(not(feature = "simdutf8"))]
    return std::str::from_utf8(bytes)
        .err()
        .map(|error| (error.valid_up_to(), error.error_len()));
}

/// Validates a text piece by piece, wherever it is cut. It fails at the first byte that
/// cannot be at its position in UTF-8.
#[derive(Clone, Debug, Default)]
pub(crate) struct Validator {
    /// The beginning of a character that is not complete yet.
    carried: [u8; 4],
    length: u8,
}

impl Validator {
    /// Validates the next piece.
    pub(crate) fn push(&mut self, mut piece: &[u8]) -> Result<(), Violation> {
        while self.length > 0 {
            let Some((&next, rest)) = piece.split_first() else {
                return Ok(());
            };
            piece = rest;
            self.carried[usize::from(self.length)] = next;
            self.length += 1;
            match std::str::from_utf8(&self.carried[..usize::from(self.length)]) {
                Ok(_) => self.length = 0,
                Err(mistake) if mistake.error_len().is_none() => {}
                Err(_) => return Err(Violation::InvalidUtf8),
            }
        }
        match mistake(piece) {
            None => Ok(()),
            Some((_, Some(_))) => Err(Violation::InvalidUtf8),
            Some((end, None)) => {
                // At most three bytes: four would be a whole character.
                let tail = &piece[end..];
                self.carried[..tail.len()].copy_from_slice(tail);
                self.length = tail.len() as u8;
                Ok(())
            }
        }
    }

    /// Returns how many bytes at the end, up to now, belong to a character that is not
    /// complete yet.
    pub(crate) fn unfinished(&self) -> usize {
        usize::from(self.length)
    }

    /// Validates the end of the text: no character may be incomplete.
    pub(crate) fn finish(&self) -> Result<(), Violation> {
        match self.length {
            0 => Ok(()),
            _ => Err(Violation::InvalidUtf8),
        }
    }
}
