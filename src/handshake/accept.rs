//! The client's key, and the value that answers it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::HeaderValue;
use sha1::{Digest, Sha1};

use super::quote::quoted;

/// Computes the value of `Sec-WebSocket-Accept` that answers a
/// `Sec-WebSocket-Key` (RFC 6455, section 4.2.2): 28 characters.
///
/// ```
/// use hyper_ws::handshake::accept_key;
///
/// assert_eq!(accept_key("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
/// ```
pub fn accept_key(key: impl AsRef<[u8]>) -> String {
    accept_value(key.as_ref())
        .iter()
        .copied()
        .map(char::from)
        .collect()
}

/// Does what [`accept_key`] does, without an allocation.
pub(super) fn accept_value(key: &[u8]) -> [u8; 28] {
    let mut hash = Sha1::new();
    hash.update(key);
    hash.update(GUID);
    let mut value = [0; 28];
    let length = STANDARD.encode_slice(hash.finalize(), &mut value);
    debug_assert_eq!(length, Ok(28), "20 bytes are 28 characters");
    value
}

/// RFC 6455, section 1.3: a string "which is unlikely to be used by network
/// endpoints that do not understand the WebSocket Protocol".
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// Checks for RFC 6455, section 4.2.1: "a base64-encoded value that, when
/// decoded, is 16 bytes in length". That is 22 characters and the padding.
///
/// The last character holds 4 bits more than 16 bytes have, which are ignored:
/// RFC 4648, section 3.5, allows it, and some clients send 22 random characters.
pub(super) fn is_key(key: &[u8]) -> bool {
    let is_alphabet = |&byte: &u8| byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'/';
    key.len() == 24
        && key
            .strip_suffix(b"==")
            .is_some_and(|characters| characters.iter().all(is_alphabet))
}

/// Describes a key that [`is_key`] refused.
pub(super) fn describe_key(key: &HeaderValue) -> String {
    // Longer values are not decoded: their length says enough.
    const LONGEST: usize = 128;
    let key = key.as_bytes();
    let quoted = quoted(key);
    match key.len() {
        0 => "an empty value".to_owned(),
        1..=LONGEST => match STANDARD.decode(key) {
            Ok(decoded) => format!("{quoted} ({} bytes)", decoded.len()),
            Err(_) => format!("{quoted} (not base64)"),
        },
        length => format!("{quoted} ({length} characters)"),
    }
}
