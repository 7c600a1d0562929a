//! The client's key, and the value that answers it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::HeaderValue;
use sha1::{Digest, Sha1};

use super::quote::shown;

/// The value of `Sec-WebSocket-Accept` that answers a `Sec-WebSocket-Key`
/// (RFC 6455, section 4.2.2): 28 characters.
///
/// ```
/// use hyper_ws::handshake::accept_key;
///
/// assert_eq!(accept_key("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
/// ```
pub fn accept_key(key: impl AsRef<[u8]>) -> String {
    let mut hash = Sha1::new();
    hash.update(key.as_ref());
    hash.update(GUID);
    STANDARD.encode(hash.finalize())
}

/// RFC 6455, section 1.3: a string "which is unlikely to be used by network
/// endpoints that do not understand the WebSocket Protocol".
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// RFC 6455, section 4.2.1: "a base64-encoded value that, when decoded, is 16
/// bytes in length", and so 22 characters of the alphabet and the padding.
/// What the last character says beyond the 16 bytes is not looked at: RFC
/// 4648, section 3.5, lets a decoder ignore it, and some clients take 22
/// random characters.
pub(super) fn is_key(key: &[u8]) -> bool {
    let is_alphabet = |&byte: &u8| byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'/';
    key.len() == 24
        && key
            .strip_suffix(b"==")
            .is_some_and(|characters| characters.iter().all(is_alphabet))
}

pub(super) fn describe_key(key: &HeaderValue) -> String {
    let key = key.as_bytes();
    let decoded = STANDARD.decode(&key[..key.len().min(128)]);
    match (key.len(), decoded) {
        (0, _) => "empty".to_owned(),
        (..=128, Ok(decoded)) => format!("`{}`, which are {} bytes", shown(key), decoded.len()),
        (..=128, Err(_)) => format!("`{}`, which is no base64", shown(key)),
        (length, _) => format!("`{}`, which are {length} characters", shown(key)),
    }
}
