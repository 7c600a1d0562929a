//! The grammar of `Host` and `Origin`.

use std::net::{Ipv4Addr, Ipv6Addr};

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
    /// Without its zone, which names a link of the sender's own machine (RFC 6874,
    /// section 1).
    Ipv6(Ipv6Addr),
}

impl<'a> Host<'a> {
    pub(crate) fn parse(text: &'a str) -> Option<Self> {
        let (name, port) = match text.strip_prefix('[') {
            Some(literal) => {
                let (address, port) = literal.split_once(']')?;
                (Name::Ipv6(without_zone(address)?.parse().ok()?), port)
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
    ///
    /// Clients leave out the default port of the scheme, and HTTP/1.1 does not say
    /// the scheme. So no port is taken for either default.
    #[cfg(feature = "handshake")]
    pub(crate) fn matches(&self, listed: &Host<'_>) -> bool {
        let is_port = match (listed.port, self.port) {
            (None, _) | (Some(80 | 443), None) => true,
            (listed, port) => listed == port,
        };
        is_port && self.name.is(&listed.name)
    }

    /// Returns whether it is this machine or an address, which mostly has no
    /// certificate.
    pub(super) fn is_local(&self) -> bool {
        match self.name {
            Name::Ipv6(_) => true,
            Name::Registered(name) => {
                name.eq_ignore_ascii_case("localhost") || name.parse::<Ipv4Addr>().is_ok()
            }
        }
    }

    /// Returns whether clients send this host: an IPv4 address in its usual form,
    /// a name without wildcard, and a port that exists.
    pub(super) fn can_be_sent(&self) -> bool {
        let is_name = match self.name {
            Name::Ipv6(_) => true,
            Name::Registered(name) => {
                let last = name.trim_end_matches('.').rsplit('.').next();
                // The URL standard, section 3.5: a name that ends in a number is an
                // address, which browsers write as four decimal numbers.
                let is_address = last.is_some_and(|label| {
                    let hexadecimal = label.strip_prefix("0x").or(label.strip_prefix("0X"));
                    let mut digits = hexadecimal.unwrap_or(label).bytes();
                    digits.all(|byte| match hexadecimal {
                        Some(_) => byte.is_ascii_hexdigit(),
                        None => byte.is_ascii_digit(),
                    })
                });
                !name.contains(['*', '%', ',']) && (!is_address || name.parse::<Ipv4Addr>().is_ok())
            }
        };
        is_name && self.port != Some(0)
    }
}

/// Removes the zone of an IPv6 address. `%25lo` is its form in a URL (RFC 6874,
/// section 2), where it ought to have been left; some clients send it nevertheless.
fn without_zone(address: &str) -> Option<&str> {
    match address.split_once('%') {
        None => Some(address),
        Some((address, zone)) => {
            (!zone.is_empty() && zone.bytes().all(is_host_byte)).then_some(address)
        }
    }
}

#[cfg(feature = "handshake")]
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

    /// Returns whether a page can have this origin.
    pub(super) fn can_be_sent(&self) -> bool {
        let is_socket = ["ws", "wss"]
            .iter()
            .any(|scheme| scheme.eq_ignore_ascii_case(self.scheme));
        !is_socket && self.host.can_be_sent()
    }

    /// Returns whether `host` may have served a page of this origin.
    ///
    /// `scheme` is the request's. HTTP/1.1 does not send one, and TLS may end at
    /// a proxy, so without it both `http` and `https` are accepted. The origin's
    /// scheme also gives the port of a `host` that has none.
    #[cfg(feature = "handshake")]
    pub(crate) fn is_of(&self, host: &Host<'_>, scheme: Option<&str>) -> bool {
        let is_scheme = |scheme: &str| scheme.eq_ignore_ascii_case(self.scheme);
        scheme.map_or_else(|| is_scheme("http") || is_scheme("https"), is_scheme)
            && self.host.name.is(&host.name)
            && self.port_of(&self.host) == self.port_of(host)
    }

    /// Returns whether both are the same origin (RFC 6454, section 5).
    #[cfg(feature = "handshake")]
    pub(crate) fn is(&self, other: &Origin<'_>) -> bool {
        self.is_of(&other.host, Some(other.scheme))
    }

    #[cfg(feature = "handshake")]
    fn port_of(&self, host: &Host<'_>) -> Option<u16> {
        host.port.or_else(|| match self.scheme {
            scheme if scheme.eq_ignore_ascii_case("http") => Some(80),
            scheme if scheme.eq_ignore_ascii_case("https") => Some(443),
            _ => None,
        })
    }
}
