//! UTF-8 that arrives in pieces.

use crate::error::Violation;

/// Whether `bytes` are UTF-8.
#[inline]
pub(crate) fn is_valid(bytes: &[u8]) -> bool {
    #[cfg(feature = "simdutf8")]
    return simdutf8::basic::from_utf8(bytes).is_ok();
    #[cfg(not(feature = "simdutf8"))]
    return std::str::from_utf8(bytes).is_ok();
}

/// Where `bytes` stop being UTF-8; `None` for the length of the mistake means
/// that they end within a character.
fn mistake(bytes: &[u8]) -> Option<(usize, Option<usize>)> {
    #[cfg(feature = "simdutf8")]
    return simdutf8::compat::from_utf8(bytes)
        .err()
        .map(|it| (it.valid_up_to(), it.error_len()));
    #[cfg(not(feature = "simdutf8"))]
    return std::str::from_utf8(bytes)
        .err()
        .map(|it| (it.valid_up_to(), it.error_len()));
}

/// Validates a text piece by piece, wherever it is cut, and fails on the first
/// byte that no UTF-8 can have there.
#[derive(Clone, Debug, Default)]
pub(crate) struct Validator {
    /// The beginning of a character whose end has not arrived.
    carried: [u8; 4],
    length: u8,
}

impl Validator {
    /// Takes the next piece.
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

    /// How many bytes at the end of what was taken are the beginning of a
    /// character whose end has not arrived.
    pub(crate) fn unfinished(&self) -> usize {
        usize::from(self.length)
    }

    /// The text ends here: no character may be unfinished.
    pub(crate) fn finish(&self) -> Result<(), Violation> {
        match self.length {
            0 => Ok(()),
            _ => Err(Violation::InvalidUtf8),
        }
    }
}
