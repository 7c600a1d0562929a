//! The grammar that the header fields of a handshake share: lists, tokens, and
//! fields that may come once.
//!
//! Everything here, in `extensions` and in `origin` is one pass over the bytes.
//! No allocation grows with what the peer sent.

use http::header::{self, AsHeaderName, HeaderMap, HeaderValue};

/// Returns whether a comma-separated list contains the token (RFC 9110, section
/// 5.6.1). Tokens are compared whole and without regard to case, and the list
/// may be spread over several lines.
///
/// Firefox sends `Connection: keep-alive, Upgrade`.
pub(super) fn has_token(headers: &HeaderMap, name: impl AsHeaderName, token: &str) -> bool {
    let mut lines = headers.get_all(name).iter();
    lines.any(|line| line_has_token(line, token))
}

fn line_has_token(line: &HeaderValue, token: &str) -> bool {
    let line = line.as_bytes();
    let is_token = |element: &[u8]| element.eq_ignore_ascii_case(token.as_bytes());
    // Most often the token is the whole line.
    is_token(line)
        || line
            .split(|&byte| byte == b',')
            .any(|element| is_token(element.trim_ascii()))
}

/// The occurrences of a field that may come once.
#[derive(Clone, Copy, Default)]
pub(super) enum Single<'a> {
    #[default]
    Missing,
    Once(&'a HeaderValue),
    Repeated,
}

impl<'a> Single<'a> {
    fn add(&mut self, line: &'a HeaderValue) {
        *self = match self {
            Single::Missing => Single::Once(line),
            Single::Once(_) | Single::Repeated => Single::Repeated,
        };
    }
}

pub(super) fn single(headers: &HeaderMap, name: impl AsHeaderName) -> Single<'_> {
    let mut single = Single::Missing;
    for line in headers.get_all(name) {
        single.add(line);
    }
    single
}

/// The fields of a request that matter to its handshake. They are found in one pass over
/// the head: a search for each of them takes twice as long.
#[derive(Default)]
pub(super) struct Fields<'a> {
    pub(super) host: Single<'a>,
    /// Whether one of the lines of `Connection` has the token `upgrade`.
    pub(super) is_upgrade: bool,
    pub(super) version: Single<'a>,
    pub(super) key: Single<'a>,
    pub(super) origin: Single<'a>,
    /// The field that says that the request has a body.
    pub(super) body: Option<&'static str>,
    /// The lines of the two lists.
    pub(super) protocols: Vec<HeaderValue>,
    pub(super) extensions: Vec<HeaderValue>,
}

impl<'a> Fields<'a> {
    pub(super) fn of(headers: &'a HeaderMap) -> Self {
        let mut fields = Fields::default();
        for (name, line) in headers {
            if name == header::HOST {
                fields.host.add(line);
            } else if name == header::CONNECTION {
                fields.is_upgrade |= line_has_token(line, "upgrade");
            } else if name == header::SEC_WEBSOCKET_VERSION {
                fields.version.add(line);
            } else if name == header::SEC_WEBSOCKET_KEY {
                fields.key.add(line);
            } else if name == header::ORIGIN {
                fields.origin.add(line);
            } else if name == header::SEC_WEBSOCKET_PROTOCOL {
                fields.protocols.push(line.clone());
            } else if name == header::SEC_WEBSOCKET_EXTENSIONS {
                fields.extensions.push(line.clone());
            } else if name == header::TRANSFER_ENCODING {
                fields.body = Some("Transfer-Encoding");
            } else if name == header::CONTENT_LENGTH && line != "0" {
                fields.body = fields.body.or(Some("Content-Length"));
            }
        }
        fields
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
