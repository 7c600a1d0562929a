//! The grammar of the header fields that a handshake consists of.
//!
//! Everything here is one pass over the bytes, without an allocation that
//! grows with what the peer sent.

use std::borrow::Cow;
use std::net::Ipv6Addr;

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

/// One element of `Sec-WebSocket-Extensions`: a name and its parameters (RFC
/// 6455, section 9.1), both known to be well-formed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ExtensionOffer<'a> {
    pub(super) name: &'a str,
    parameters: &'a [u8],
}

impl<'a> ExtensionOffer<'a> {
    /// The parameters in their order; the same one may come twice.
    pub(super) fn parameters(&self) -> impl Iterator<Item = (&'a str, Option<Cow<'a, str>>)> {
        let mut rest = Scanner(self.parameters);
        std::iter::from_fn(move || match rest.separator(b';') {
            true => rest.parameter(),
            false => None,
        })
    }
}

/// The offers of one line of `Sec-WebSocket-Extensions`. Behind an error,
/// which is where the grammar was broken, comes nothing more.
pub(super) fn extensions(
    line: &HeaderValue,
) -> impl Iterator<Item = Result<ExtensionOffer<'_>, &[u8]>> {
    let mut rest = Scanner(line.as_bytes());
    std::iter::from_fn(move || {
        rest.empty_elements();
        if rest.0.is_empty() {
            return None;
        }
        let start = rest.0;
        let offer = rest.extension();
        Some(offer.ok_or_else(|| {
            rest.0 = &[];
            start
        }))
    })
}

/// What is left of a field's value.
struct Scanner<'a>(&'a [u8]);

impl<'a> Scanner<'a> {
    /// `extension = extension-token *( ";" extension-param )`, and then the
    /// end or a comma.
    fn extension(&mut self) -> Option<ExtensionOffer<'a>> {
        let name = self.token()?;
        let start = self.0;
        while self.separator(b';') {
            self.parameter()?;
        }
        let parameters = &start[..start.len() - self.0.len()];
        match self.0.is_empty() || self.separator(b',') {
            true => Some(ExtensionOffer { name, parameters }),
            false => None,
        }
    }

    /// `extension-param = token [ "=" (token | quoted-string) ]`
    fn parameter(&mut self) -> Option<(&'a str, Option<Cow<'a, str>>)> {
        let name = self.token()?;
        if !self.separator(b'=') {
            return Some((name, None));
        }
        let value = match self.0.first() {
            Some(b'"') => self.quoted()?,
            _ => Cow::Borrowed(self.token()?),
        };
        Some((name, Some(value)))
    }

    fn token(&mut self) -> Option<&'a str> {
        let end = self
            .0
            .iter()
            .position(|&byte| !is_token_byte(byte))
            .unwrap_or(self.0.len());
        let (token, rest) = self.0.split_at(end);
        self.0 = rest;
        std::str::from_utf8(token)
            .ok()
            .filter(|token| !token.is_empty())
    }

    /// RFC 6455, section 9.1: "When using the quoted-string syntax variant,
    /// the value after quoted-string unescaping MUST conform to the 'token'
    /// ABNF."
    fn quoted(&mut self) -> Option<Cow<'a, str>> {
        let body = self.0.strip_prefix(b"\"")?;
        let mut unescaped = None::<Vec<u8>>;
        let mut at = 0;
        loop {
            let mut byte = *body.get(at)?;
            match byte {
                b'"' => break,
                b'\\' => {
                    unescaped.get_or_insert_with(|| body[..at].to_vec());
                    at += 1;
                    byte = *body.get(at)?;
                }
                _ => {}
            }
            if !is_token_byte(byte) {
                return None;
            }
            if let Some(unescaped) = &mut unescaped {
                unescaped.push(byte);
            }
            at += 1;
        }
        self.0 = &body[at + 1..];
        let value = match unescaped {
            None => Cow::Borrowed(std::str::from_utf8(&body[..at]).ok()?),
            Some(bytes) => Cow::Owned(String::from_utf8(bytes).ok()?),
        };
        Some(value).filter(|value| !value.is_empty())
    }

    /// Steps over the byte and the blanks around it, if it comes next.
    fn separator(&mut self, separator: u8) -> bool {
        self.0 = self.0.trim_ascii_start();
        match self.0.split_first() {
            Some((&first, rest)) if first == separator => {
                self.0 = rest.trim_ascii_start();
                true
            }
            _ => false,
        }
    }

    fn empty_elements(&mut self) {
        while self.separator(b',') {}
    }
}

/// RFC 9110, section 5.6.2.
fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(|&byte| is_token_byte(byte))
}

fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// `host [ ":" port ]`, as in `Host` and in `:authority`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Host<'a> {
    name: Name<'a>,
    port: Option<u16>,
}

#[derive(Clone, Copy, Debug)]
enum Name<'a> {
    /// A name or an IPv4 address: equal if written the same but for case.
    Registered(&'a str),
    /// `[::1]`: there is more than one way to write the same.
    Ipv6(Ipv6Addr),
}

impl<'a> Host<'a> {
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        let (name, port) = match text.strip_prefix('[') {
            Some(literal) => {
                let (address, port) = literal.split_once(']')?;
                (Name::Ipv6(address.parse().ok()?), port)
            }
            None => {
                let end = text.find(':').unwrap_or(text.len());
                let (name, port) = text.split_at(end);
                match !name.is_empty() && name.bytes().all(is_host_byte) {
                    true => (Name::Registered(name), port),
                    false => return None,
                }
            }
        };
        let port = match port {
            // RFC 3986, section 3.2.3: a port may be empty.
            "" | ":" => None,
            _ => match port.strip_prefix(':')? {
                // `u16::from_str` would allow a sign.
                digits if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                    Some(digits.parse().ok()?)
                }
                _ => return None,
            },
        };
        Some(Host { name, port })
    }

    /// Whether the names are the same, and the ports where `allowed` names one.
    pub(super) fn is(&self, allowed: &Host<'_>) -> bool {
        self.name.is(&allowed.name) && (allowed.port.is_none() || allowed.port == self.port)
    }
}

impl Name<'_> {
    fn is(&self, other: &Name<'_>) -> bool {
        match (self, other) {
            (Name::Registered(one), Name::Registered(other)) => one.eq_ignore_ascii_case(other),
            (Name::Ipv6(one), Name::Ipv6(other)) => one == other,
            _ => false,
        }
    }
}

/// RFC 3986, section 3.2.2: `reg-name`.
fn is_host_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~%!$&'()*+,;=".contains(&byte)
}

/// `scheme "://" host [ ":" port ]`: RFC 6454, section 7. `null` is none.
#[derive(Clone, Copy, Debug)]
pub(super) struct Origin<'a> {
    scheme: &'a str,
    host: Host<'a>,
}

impl<'a> Origin<'a> {
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        let (scheme, host) = text.split_once("://")?;
        let host = Host::parse(host)?;
        let is_scheme = scheme.starts_with(|first: char| first.is_ascii_alphabetic())
            && scheme
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
        is_scheme.then_some(Origin { scheme, host })
    }

    /// Whether a page of this origin may be one that `host` served. The scheme
    /// is compared where the request has one; HTTP/1.1 does not tell it (TLS
    /// may end at a proxy): then it is one of those that HTTP has, and says which
    /// port is meant where `host` has none.
    pub(super) fn is_of(&self, host: &Host<'_>, scheme: Option<&str>) -> bool {
        let is_scheme = |scheme: &str| scheme.eq_ignore_ascii_case(self.scheme);
        scheme.map_or_else(|| is_scheme("http") || is_scheme("https"), is_scheme)
            && self.host.name.is(&host.name)
            && self.port_of(&self.host) == self.port_of(host)
    }

    /// Whether both are the same origin (RFC 6454, section 5).
    pub(super) fn is(&self, other: &Origin<'_>) -> bool {
        self.is_of(&other.host, Some(other.scheme))
    }

    fn port_of(&self, host: &Host<'_>) -> Option<u16> {
        host.port.or_else(|| match self.scheme {
            scheme if scheme.eq_ignore_ascii_case("http") => Some(80),
            scheme if scheme.eq_ignore_ascii_case("https") => Some(443),
            _ => None,
        })
    }
}
