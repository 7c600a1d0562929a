//! What follows the prefix of a route in a path.

use std::fmt;

use http::Request;

/// The part of a path behind the prefix of its [route](crate::WebSocketService::route_prefix),
/// percent-decoded.
///
/// It is in the extensions of the request that a handler of the second shape gets:
///
/// ```
/// use hyper::{Request, Response};
/// use hyper_ws::middleware::{PathRest, handler};
/// use hyper_ws::{Error, Upgrade, WebSocket, WebSocketService, hub::Hub};
///
/// async fn enter(upgrade: Upgrade, request: Request<()>, hub: Hub) -> Response<String> {
///     let room = hub.room(PathRest::of(&request));
///     upgrade.on_upgrade(|mut socket: WebSocket| async move {
///         room.join(&socket);
///         while let Some(message) = socket.recv().await? {
///             room.send(message);
///         }
///         Ok::<(), Error>(())
///     })
/// }
///
/// # let app = ();
/// let service = WebSocketService::new(app)
///     .route_prefix("/rooms/", handler::upgrade_with(Hub::new(), enter));
/// ```
///
/// Each segment is a name: none is empty except the last, none is `.` or `..`, and none has a
/// slash, a backslash or a control character that was percent-encoded. Requests with such a path are
/// refused with 400, since the proxies in front of a server and the server read them differently.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathRest(Box<str>);

impl PathRest {
    /// Returns the rest of the path of a request: `lobby` for `/rooms/lobby` on the prefix
    /// `/rooms/`, `lobby/` for `/rooms/lobby/`. Empty if the route has no prefix.
    pub fn of<B>(request: &Request<B>) -> &str {
        let rest = request.extensions().get::<PathRest>();
        rest.map_or("", |PathRest(rest)| rest)
    }

    /// Returns the rest.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Decodes the rest of a path.
    ///
    /// # Errors
    ///
    /// What is wrong with it, for the response.
    pub(super) fn decode(encoded: &str) -> Result<Self, &'static str> {
        let mut segments = encoded.split('/').peekable();
        let mut rest = String::with_capacity(encoded.len());
        while let Some(encoded) = segments.next() {
            let segment = decode_segment(encoded)?;
            match &*segment {
                "." | ".." => return Err("a segment of the path is `.` or `..`"),
                "" if segments.peek().is_some() => return Err("a segment of the path is empty"),
                segment => rest.push_str(segment),
            }
            if segments.peek().is_some() {
                rest.push('/');
            }
        }
        Ok(PathRest(rest.into()))
    }
}

impl fmt::Display for PathRest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Decodes the triplets of a path, and leaves what is no triplet: only for a comparison.
pub(super) fn percent_decoded(path: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let Some((byte, behind)) = rest.split_first() {
        let triplet = behind.first_chunk().and_then(|digits| byte_of(*digits));
        match triplet.filter(|_| *byte == b'%') {
            Some(decoded) => {
                bytes.push(decoded);
                rest = &behind[2..];
            }
            None => {
                bytes.push(*byte);
                rest = behind;
            }
        }
    }
    bytes
}

/// The byte that two hexadecimal digits stand for.
fn byte_of([high, low]: [u8; 2]) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    Some((digit(high)? << 4 | digit(low)?) as u8)
}

/// Decodes triplets such as `%41`, which is `A` (RFC 3986, section 2.1). Unlike that of a URL which
/// a program writes, a wrong one is refused: it comes from a peer.
fn decode_segment(encoded: &str) -> Result<String, &'static str> {
    let mut bytes = Vec::with_capacity(encoded.len());
    let mut rest = encoded.as_bytes();
    while let Some((byte, behind)) = rest.split_first() {
        rest = behind;
        let byte = match (byte, behind) {
            (b'%', [high, low, behind @ ..]) => {
                rest = behind;
                byte_of([*high, *low])
                    .ok_or("a `%` of the path is not followed by two hexadecimal digits")?
            }
            (b'%', _) => return Err("a `%` of the path is not followed by two hexadecimal digits"),
            (byte, _) => *byte,
        };
        bytes.push(byte);
    }
    let text = String::from_utf8(bytes).map_err(|_| "the path is not UTF-8")?;
    if text.contains(['/', '\\']) {
        return Err("a slash or backslash of the path is percent-encoded");
    }
    if text.contains(char::is_control) {
        return Err("the path contains a control character");
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rest_is_decoded_segment_by_segment() {
        for (encoded, decoded) in [
            ("", ""),
            ("lobby", "lobby"),
            ("lobby/", "lobby/"),
            ("a/b", "a/b"),
            ("a%20b+c", "a b+c"),
            ("caf%C3%A9", "caf\u{e9}"),
            ("%2541", "%41"),
            ("...", "..."),
            (".a/..b", ".a/..b"),
            ("a%3Fb%23", "a?b#"),
        ] {
            let rest = PathRest::decode(encoded);
            assert_eq!(
                rest.as_ref().map(PathRest::as_str),
                Ok(decoded),
                "{encoded}"
            );
        }
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_refused() {
        for encoded in [
            "..", ".", "../a", "a/..", "a/../b", "%2e%2e", "%2E%2e/a", ".%2e", "a/%2e", "//", "/a",
            "a//b", "a%2fb", "a%2Fb", "%5c", "a\\b", "%", "%4", "%zz", "%+1", "a%", "%ff", "%c3",
            "%00", "a%0ab", "%7f", "%C2%85",
        ] {
            assert!(PathRest::decode(encoded).is_err(), "{encoded}");
        }
    }
}
