//! Text that the peer sent, made safe for answers, errors and logs.

/// The bytes as printable ASCII: everything else is escaped, and what is longer
/// than [`SHOWN`] is cut. For names and header values.
pub(super) fn shown(bytes: impl AsRef<[u8]>) -> String {
    let bytes = bytes.as_ref();
    match bytes.get(..SHOWN) {
        Some(start) if bytes.len() > SHOWN => format!("{}...", start.escape_ascii()),
        _ => bytes.escape_ascii().to_string(),
    }
}

/// [`shown`] in backticks.
pub(super) fn quoted(bytes: impl AsRef<[u8]>) -> String {
    format!("`{}`", shown(bytes))
}

/// The beginning of a text that was written for people, such as the body of a
/// refusal: 300 bytes at most, in one line.
///
/// [`shown`] would escape every letter beyond ASCII and every quotation mark.
/// Here only control characters go; a blank takes the place of each.
#[cfg(feature = "client")]
pub(crate) fn excerpt(text: &[u8]) -> String {
    const LONGEST: usize = 300;
    let (start, end) = match text.get(..LONGEST) {
        Some(start) if text.len() > LONGEST => (start, "..."),
        _ => (text, ""),
    };
    let one_line = |letter: char| if letter.is_control() { ' ' } else { letter };
    let start = String::from_utf8_lossy(start);
    start.chars().map(one_line).chain(end.chars()).collect()
}

/// The longest value that is shown whole, in bytes: an origin or a key fits.
pub(super) const SHOWN: usize = 80;
