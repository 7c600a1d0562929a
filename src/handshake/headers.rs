//! The grammar of the header fields that a handshake consists of.
//!
//! Everything here is one pass over the bytes, without an allocation that
//! grows with what the peer sent.

use http::header::{AsHeaderName, HeaderMap, HeaderValue};

/// Whether a comma-separated list, which may stand on several lines, contains
/// the token, compared whole and without regard to case (RFC 9110, section
/// 5.6.1: `Connection: keep-alive, Upgrade` is what Firefox sends).
pub(super) fn has_token(headers: &HeaderMap, name: impl AsHeaderName, token: &str) -> bool {
    let is_token = |element: &[u8]| element.eq_ignore_ascii_case(token.as_bytes());
    headers.get_all(name).iter().any(|line| {
        let line = line.as_bytes();
        // Mostly it stands alone.
        is_token(line)
            || line
                .split(|&byte| byte == b',')
                .any(|element| is_token(element.trim_ascii()))
    })
}

/// How often a field occurs that may occur once.
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

/// The subprotocols of one line of `Sec-WebSocket-Protocol`, which
/// [`check_protocols`] has found to be well-formed. They are compared with
/// regard to case.
pub(super) fn protocols(line: &HeaderValue) -> impl Iterator<Item = &str> {
    elements(line.as_bytes()).filter_map(|element| std::str::from_utf8(element).ok())
}

/// RFC 6455, section 4.1: "The elements that comprise this value MUST be
/// non-empty strings with characters in the range U+0021 to U+007E not
/// including separator characters". That they are unique is not checked: an
/// element that comes twice offers nothing new.
///
/// The error is the part that is wrong.
pub(super) fn check_protocols(line: &HeaderValue) -> Result<(), &[u8]> {
    match elements(line.as_bytes()).find(|element| !is_token(element)) {
        Some(element) => Err(element),
        None if elements(line.as_bytes()).next().is_none() => Err(line.as_bytes()),
        None => Ok(()),
    }
}

/// RFC 9110, section 5.6.1.2: "A recipient MUST parse and ignore a reasonable
/// number of empty list elements".
fn elements(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(|&byte| byte == b',')
        .map(<[u8]>::trim_ascii)
        .filter(|element| !element.is_empty())
}

/// RFC 9110, section 5.6.2.
fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(|&byte| is_token_byte(byte))
}

pub(super) fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}
