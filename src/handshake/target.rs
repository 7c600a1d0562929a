//! WebSocket URLs (RFC 6455, section 3).

use std::borrow::Cow;
use std::fmt;
use std::net::Ipv6Addr;

use http::{Request, Uri};

/// The reason why a request cannot be sent as a WebSocket handshake. It is found
/// before anything is sent, and its text says what to do instead.
///
/// The text never shows the URL, which may contain secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidRequest(Cow<'static, str>);

impl InvalidRequest {
    pub(crate) fn new(text: impl Into<Cow<'static, str>>) -> Self {
        InvalidRequest(text.into())
    }
}

impl fmt::Display for InvalidRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for InvalidRequest {}

/// A type that converts into a client's request: a URL, or a whole request.
///
/// A `&str` or `String` is read as browsers read what is typed. Blanks at both ends and line breaks
/// are removed, and `\` before the query means `/`. What a URL cannot hold is percent-encoded:
/// blanks, quotation marks, `<`, `>`, letters beyond ASCII. The host must be in ASCII: write an
/// internationalized name in its `xn--` form.
///
/// A URL must not have a fragment (RFC 6455, section 3: "MUST NOT be used on these
/// URIs"). Write a literal `#` as `%23`.
///
/// An IPv6 address may have a zone: `ws://[fe80::1%25eth0]/` (RFC 6874). The zone says over which
/// interface to connect, and is not sent.
pub trait IntoRequest {
    /// Converts it into a request, whose URI is the URL.
    ///
    /// # Errors
    ///
    /// [`InvalidRequest`] if it is not a URL.
    fn into_request(self) -> Result<Request<()>, InvalidRequest>;
}

impl IntoRequest for &str {
    fn into_request(self) -> Result<Request<()>, InvalidRequest> {
        typed(self)?
            .parse::<Uri>()
            .map_err(|error| InvalidRequest::new(format!("invalid URL ({error}): {EXPECTED}")))?
            .into_request()
    }
}

impl IntoRequest for &String {
    fn into_request(self) -> Result<Request<()>, InvalidRequest> {
        self.as_str().into_request()
    }
}

impl IntoRequest for String {
    fn into_request(self) -> Result<Request<()>, InvalidRequest> {
        self.as_str().into_request()
    }
}

impl IntoRequest for Uri {
    fn into_request(self) -> Result<Request<()>, InvalidRequest> {
        let mut request = Request::new(());
        *request.uri_mut() = self;
        Ok(request)
    }
}

impl IntoRequest for Request<()> {
    fn into_request(self) -> Result<Request<()>, InvalidRequest> {
        Ok(self)
    }
}

const EXPECTED: &str = "expected ws://host/path or wss://host:port/path?query";

/// The server that a URL leads to: a host, a port, and whether to encrypt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    scheme: Scheme,
    host: String,
    port: u16,
}

/// The scheme of a URL: whether the connection is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// `ws`: not encrypted; port 80 by default.
    Ws,
    /// `wss`: over TLS; port 443 by default.
    Wss,
}

impl Scheme {
    /// RFC 3986, section 3.1: "schemes are case-insensitive".
    fn of(uri: &Uri) -> Result<Option<Self>, InvalidRequest> {
        let is = |scheme: &str, names: [&str; 2]| {
            names.iter().any(|name| scheme.eq_ignore_ascii_case(name))
        };
        match uri.scheme_str() {
            None => Ok(None),
            Some(scheme) if is(scheme, ["ws", "http"]) => Ok(Some(Scheme::Ws)),
            Some(scheme) if is(scheme, ["wss", "https"]) => Ok(Some(Scheme::Wss)),
            Some(_) => Err(InvalidRequest::new(format!(
                "unsupported scheme in the URL: {EXPECTED}"
            ))),
        }
    }

    fn default_port(self) -> u16 {
        match self {
            Scheme::Ws => 80,
            Scheme::Wss => 443,
        }
    }
}

impl Target {
    /// Reads a URL. `http` and `https` mean the same as `ws` and `wss`, as they do
    /// in browsers.
    ///
    /// ```
    /// use hyper_ws::handshake::{Scheme, Target};
    ///
    /// let target = Target::of(&"wss://[::1]/chat".parse()?)?;
    /// assert_eq!((target.scheme(), target.host(), target.port()), (Scheme::Wss, "::1", 443));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`InvalidRequest`] if it is not an absolute URL with one of these schemes.
    pub fn of(uri: &Uri) -> Result<Self, InvalidRequest> {
        let scheme = Scheme::of(uri)?
            .ok_or_else(|| InvalidRequest::new(format!("missing scheme in the URL: {EXPECTED}")))?;
        let Authority { host, port, .. } = Authority::of(uri)?.ok_or_else(no_host)?;
        let host = match host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'))
        {
            None => host.to_owned(),
            Some(literal) => match literal.split_once('%') {
                None => literal.to_owned(),
                Some((address, zone)) => format!("{address}%{}", decoded_zone(zone)?),
            },
        };
        Ok(Target {
            scheme,
            host,
            port: port.unwrap_or(scheme.default_port()),
        })
    }

    /// Returns the scheme: whether the connection is encrypted.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// Returns the host: a name or an address. An IPv6 address has no brackets, and its zone
    /// follows a `%`, as the system's resolver expects it: `fe80::1%eth0`.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Returns the host without a zone, for the server's certificate.
    pub fn server_name(&self) -> &str {
        self.host
            .split_once('%')
            .map_or(&self.host, |(host, _)| host)
    }

    /// Returns the port of the URL, by default that of its scheme.
    pub fn port(&self) -> u16 {
        self.port
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// RFC 3986, section 3.2.2: in brackets stands an address. Without this check, the name in
/// `ws://[example.com]/` would be looked up, where other readers see an error.
fn check_literal(host: &str) -> Result<(), InvalidRequest> {
    let Some(literal) = host.strip_prefix('[') else {
        return Ok(());
    };
    let literal = literal.strip_suffix(']').unwrap_or(literal);
    let address = literal
        .split_once('%')
        .map_or(literal, |(address, _)| address);
    match address.parse::<Ipv6Addr>() {
        Ok(_) => Ok(()),
        Err(_) => Err(InvalidRequest::new(
            "invalid host in brackets: expected an IPv6 address, as in ws://[::1]/",
        )),
    }
}

fn no_host() -> InvalidRequest {
    InvalidRequest::new(format!("missing host in the URL: {EXPECTED}"))
}

/// `[ userinfo "@" ] host [ ":" port ]` (RFC 3986, section 3.2).
pub(super) struct Authority<'a> {
    /// Percent-encoded.
    pub(super) user: Option<&'a str>,
    host: &'a str,
    port: Option<u16>,
}

impl<'a> Authority<'a> {
    pub(super) fn of(uri: &'a Uri) -> Result<Option<Self>, InvalidRequest> {
        let Some(authority) = uri.authority() else {
            return Ok(None);
        };
        let (user, rest) = match authority.as_str().rsplit_once('@') {
            Some((user, rest)) => (Some(user), rest),
            None => (None, authority.as_str()),
        };
        let host = authority.host();
        // RFC 9110, section 4.2.1: a URL of http without a host is invalid.
        if host.is_empty() {
            return Err(no_host());
        }
        check_literal(host)?;
        let port = match rest.strip_prefix(host).unwrap_or("") {
            // RFC 3986, section 3.2.3: `port = *DIGIT`, so it may be empty.
            "" | ":" => None,
            // Checked, since Rust's numbers may have a sign.
            port => match port[1..].parse() {
                Ok(number) if !port.contains('+') => Some(number),
                _ => {
                    return Err(InvalidRequest::new(
                        "invalid port: expected a number up to 65535",
                    ));
                }
            },
        };
        Ok(Some(Authority { user, host, port }))
    }

    /// The value of `Host`: the host, "followed by ":" and the port number when
    /// not using the default port" (RFC 6455, section 4.1).
    ///
    /// RFC 6874, section 4: a client "MUST remove any ZoneID attached to an outgoing
    /// URI, as it has only local significance at the sending host."
    pub(super) fn host_field(&self, uri: &Uri) -> Result<String, InvalidRequest> {
        let scheme = Scheme::of(uri)?.unwrap_or(Scheme::Ws);
        let host = match self.host.split_once('%') {
            None => Cow::Borrowed(self.host),
            Some((address, _)) => Cow::Owned(format!("{address}]")),
        };
        Ok(match self.port {
            Some(port) if port != scheme.default_port() => format!("{host}:{port}"),
            _ => host.into_owned(),
        })
    }
}

/// Reads a URL as browsers read what is typed into them (the URL standard, section
/// 4.4), as far as people and programs rely on it. Names are not converted and dots
/// in the path stay.
fn typed(url: &str) -> Result<String, InvalidRequest> {
    let url = url.trim_matches(|letter| letter <= ' ');
    let url = url.replace(['\t', '\n', '\r'], "");
    if url.contains('#') {
        return Err(InvalidRequest::new(
            "unexpected fragment: remove `#` and everything after it (a literal `#` is written \
             %23)",
        ));
    }
    let (before_query, query) = url.split_at(url.find('?').unwrap_or(url.len()));
    let before_query = before_query.replace('\\', "/");
    let authority = before_query.find("://").map_or(0, |scheme| scheme + 3);
    let path = before_query[authority..]
        .find('/')
        .map_or(before_query.len(), |path| authority + path);
    let (scheme, authority, path) = (
        &before_query[..authority],
        &before_query[authority..path],
        &before_query[path..],
    );
    let (user, host) = match authority.rsplit_once('@') {
        Some((user, host)) => (encoded_user(user) + "@", host),
        None => (String::new(), authority),
    };
    if !host.is_ascii() {
        return Err(InvalidRequest::new(
            "the host is not in ASCII: write an internationalized name in its form xn--... \
             (`new URL(\"..\").host` in the console of a browser shows it)",
        ));
    }
    if host.contains(|letter: char| letter <= ' ') {
        return Err(InvalidRequest::new(
            "the host contains a blank or a control character",
        ));
    }
    let path = encoded(path, is_path_byte);
    let query = encoded(query, is_query_byte);
    Ok(format!("{scheme}{user}{host}{path}{query}"))
}

/// Percent-encodes the bytes that do not stand for themselves.
fn encoded(text: &str, stands_for_itself: fn(u8) -> bool) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if stands_for_itself(byte) {
            encoded.push(char::from(byte));
        } else {
            encoded += &format!("%{byte:02X}");
        }
    }
    encoded
}

/// Not in the "path percent-encode set" of the URL standard (section 1.3).
fn is_path_byte(byte: u8) -> bool {
    byte.is_ascii_graphic() && !b"\"#<>?^`{}".contains(&byte)
}

/// Not in its "special-query percent-encode set". The `?` in front may stay too.
fn is_query_byte(byte: u8) -> bool {
    byte.is_ascii_graphic() && !b"\"#<>'".contains(&byte)
}

/// Not in its "userinfo percent-encode set".
fn is_user_byte(byte: u8) -> bool {
    is_path_byte(byte) && !b"/:;=@[\\]|".contains(&byte)
}

/// Percent-encodes a user and a password. The first colon is between them; `http` refuses a
/// URL with many more of them.
fn encoded_user(user: &str) -> String {
    match user.split_once(':') {
        None => encoded(user, is_user_byte),
        Some((name, password)) => {
            let name = encoded(name, is_user_byte);
            format!("{name}:{}", encoded(password, is_user_byte))
        }
    }
}

/// Percent-encodes a path as clients do.
#[cfg(feature = "server")]
pub(crate) fn encoded_path(path: &str) -> String {
    encoded(path, is_path_byte)
}

/// Percent-encodes letters beyond ASCII, which `http` accepts and HTTP does not.
pub(super) fn in_ascii(text: &str) -> Cow<'_, str> {
    if text.is_ascii() {
        Cow::Borrowed(text)
    } else {
        Cow::Owned(encoded(text, |byte| byte.is_ascii()))
    }
}

/// The zone of an IPv6 address, whose `%` is `%25` in a URL (RFC 6874, section 2).
/// People copy addresses with a bare `%` too (section 3).
fn decoded_zone(zone: &str) -> Result<String, InvalidRequest> {
    let invalid =
        || InvalidRequest::new("invalid zone of the IPv6 address: expected [address%25zone]");
    let zone = match zone.strip_prefix("25").filter(|zone| !zone.is_empty()) {
        Some(encoded) => String::from_utf8(decoded(encoded)).map_err(|_| invalid())?,
        None => zone.to_owned(),
    };
    if zone.is_empty() || zone.contains(char::is_control) {
        return Err(invalid());
    }
    Ok(zone)
}

/// Decodes triplets such as `%41`, which is `A` (RFC 3986, section 2.1).
/// Everything else stays.
pub(super) fn decoded(text: &str) -> Vec<u8> {
    let mut bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    while let Some((&first, rest)) = bytes.split_first() {
        let digit = |at: usize| char::from(*rest.get(at)?).to_digit(16);
        match (first, digit(0), digit(1)) {
            (b'%', Some(high), Some(low)) => {
                decoded.push((high << 4 | low) as u8);
                bytes = &rest[2..];
            }
            _ => {
                decoded.push(first);
                bytes = rest;
            }
        }
    }
    decoded
}
