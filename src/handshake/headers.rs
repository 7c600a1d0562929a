//! The grammar that the header fields of a handshake share: lists, tokens, and
//! fields that may come once.
//!
//! Everything here, in `extensions` and in `origin` is one pass over the bytes.
//! No allocation grows with what the peer sent.

use http::header::{AsHeaderName, HeaderMap, HeaderValue};

/// Returns whether a comma-separated list contains the token (RFC 9110, section
/// 5.6.1). Tokens are compared whole and without regard to case, and the list
/// may be spread over several lines.
///
/// Firefox sends `Connection: keep-alive, Upgrade`.
pub(super) fn has_token(headers: &HeaderMap, name: impl AsHeaderName, token: &str) -> bool {
    let is_token = |element: &[u8]| element.eq_ignore_ascii_case(token.as_bytes());
    headers.get_all(name).iter().any(|line| {
        let line = line.as_bytes();
        // Most often the token is the whole line.
        is_token(line)
            || line
                .split(|&byte| byte == b',')
                .any(|element| is_token(element.trim_ascii()))
    })
}

/// The occurrences of a field that may come once.
pub(super) enum Single<'a> {
    Missing,
    Once(&'a HeaderValue),
    Repeated,
}

pub(super) fn single(headers: &HeaderMap, name: impl AsHeaderName) -> Single<'_> {
    let mut lines = headers.get_all(name).iter();
    match (lines.next(), lines.next()) {
        (None, _) => Single::Missing,
        (Some(value), None) => Single::Once(value),
        (Some(_), Some(_)) => Single::Repeated,
    }
}

/// Returns the subprotocols of one line of `Sec-WebSocket-Protocol`, which
/// [`check_protocols`] must have accepted. Their case matters.
pub(super) fn protocols(line: &HeaderValue) -> impl Iterator<Item = &str> {
    elements(line.as_bytes()).filter_map(|element| std::str::from_utf8(element).ok())
}

/// Checks one line of `Sec-WebSocket-Protocol`. RFC 6455, section 4.1: "The
/// elements that comprise this value MUST be non-empty strings with characters
/// in the range U+0021 to U+007E not including separator characters".
///
/// The error is the part of the line that is wrong. Repeated elements are
/// accepted, since they offer nothing new.
pub(super) fn check_protocols(line: &HeaderValue) -> Result<(), &[u8]> {
    match elements(line.as_bytes()).find(|element| !is_token(element)) {
        Some(element) => Err(element),
        None if elements(line.as_bytes()).next().is_none() => Err(line.as_bytes()),
        None => Ok(()),
    }
}

/// Returns the elements of a list. RFC 9110, section 5.6.1.2: "A recipient MUST
/// parse and ignore a reasonable number of empty list elements".
fn elements(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(|&byte| byte == b',')
        .map(<[u8]>::trim_ascii)
        .filter(|element| !element.is_empty())
}

/// Panics if a subprotocol has a name that no client can offer.
#[cfg(feature = "server")]
#[track_caller]
pub(crate) fn assert_subprotocol(name: &str) {
    assert!(
        is_token(name.as_bytes()),
        "{name:?} cannot be a subprotocol: expected one token, without blanks, commas or slashes"
    );
}

/// RFC 9110, section 5.6.2: `token`.
fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(|&byte| is_token_byte(byte))
}

pub(super) fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}
