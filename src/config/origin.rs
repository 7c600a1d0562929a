//! The grammar of `Host` and `Origin`.

use std::net::Ipv6Addr;

/// `host [ ":" port ]`, as in `Host` and in `:authority`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Host<'a> {
    name: Name<'a>,
    port: Option<u16>,
}

#[derive(Clone, Copy, Debug)]
enum Name<'a> {
    /// A name or an IPv4 address, compared without regard to case.
    Registered(&'a str),
    /// `[::1]`, compared as an address: one address can be written in many ways.
    Ipv6(Ipv6Addr),
}

impl<'a> Host<'a> {
    pub(crate) fn parse(text: &'a str) -> Option<Self> {
        let (name, port) = match text.strip_prefix('[') {
            Some(literal) => {
                let (address, port) = literal.split_once(']')?;
                (Name::Ipv6(address.parse().ok()?), port)
            }
            None => {
                let end = text.find(':').unwrap_or(text.len());
                let (name, port) = text.split_at(end);
                if name.is_empty() || !name.bytes().all(is_host_byte) {
                    return None;
                }
                (Name::Registered(name), port)
            }
        };
        let port = match port {
            // RFC 3986, section 3.2.3: a port may be empty.
            "" | ":" => None,
            _ => match port.strip_prefix(':')? {
                // Checked, since `u16::from_str` accepts a sign.
                digits if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                    Some(digits.parse().ok()?)
                }
                _ => return None,
            },
        };
        Some(Host { name, port })
    }

    /// Returns whether the names are the same, and the ports too if `listed` has
    /// one.
    pub(crate) fn matches(&self, listed: &Host<'_>) -> bool {
        self.name.is(&listed.name) && (listed.port.is_none() || listed.port == self.port)
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

/// A character of a `reg-name` (RFC 3986, section 3.2.2).
fn is_host_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~%!$&'()*+,;=".contains(&byte)
}

/// `scheme "://" host [ ":" port ]` (RFC 6454, section 7). `null` does not parse.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Origin<'a> {
    scheme: &'a str,
    host: Host<'a>,
}

impl<'a> Origin<'a> {
    pub(crate) fn parse(text: &'a str) -> Option<Self> {
        let (scheme, host) = text.split_once("://")?;
        let host = Host::parse(host)?;
        let is_scheme = scheme.starts_with(|first: char| first.is_ascii_alphabetic())
            && scheme
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
        is_scheme.then_some(Origin { scheme, host })
    }

    /// Returns whether `host` may have served a page of this origin.
    ///
    /// `scheme` is the request's. HTTP/1.1 does not send one, and TLS may end at
    /// a proxy, so without it both `http` and `https` are accepted. The origin's
    /// scheme also gives the port of a `host` that has none.
    pub(crate) fn is_of(&self, host: &Host<'_>, scheme: Option<&str>) -> bool {
        let is_scheme = |scheme: &str| scheme.eq_ignore_ascii_case(self.scheme);
        scheme.map_or_else(|| is_scheme("http") || is_scheme("https"), is_scheme)
            && self.host.name.is(&host.name)
            && self.port_of(&self.host) == self.port_of(host)
    }

    /// Returns whether both are the same origin (RFC 6454, section 5).
    pub(crate) fn is(&self, other: &Origin<'_>) -> bool {
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
