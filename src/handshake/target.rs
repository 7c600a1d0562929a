//! WebSocket URLs (RFC 6455, section 3).

use std::borrow::Cow;
use std::fmt;

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
/// In a `&str`, spaces and characters beyond ASCII in the path and the query are
/// percent-encoded. The URL must not have a fragment (RFC 6455, section 3: "MUST NOT
/// be used on these URIs"); write a literal `#` as `%23`.
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
        if self.contains('#') {
            return Err(InvalidRequest::new(
                "unexpected fragment: remove `#` and everything after it (a literal `#` is \
                 written %23)",
            ));
        }
        encoded(self)?
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
        let literal = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'));
        Ok(Target {
            scheme,
            host: literal.unwrap_or(host).to_owned(),
            port: port.unwrap_or(scheme.default_port()),
        })
    }

    /// Returns the scheme: whether the connection is encrypted.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// Returns the host: a name or an address. An IPv6 address is without brackets.
    pub fn host(&self) -> &str {
        &self.host
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
    pub(super) fn host_field(&self, uri: &Uri) -> Result<String, InvalidRequest> {
        let scheme = Scheme::of(uri)?.unwrap_or(Scheme::Ws);
        Ok(match self.port {
            Some(port) if port != scheme.default_port() => format!("{}:{port}", self.host),
            _ => self.host.to_owned(),
        })
    }
}

/// Percent-encodes what is not printable ASCII in the path and the query, as
/// browsers do.
fn encoded(url: &str) -> Result<Cow<'_, str>, InvalidRequest> {
    let must_encode = |byte: u8| !byte.is_ascii_graphic();
    if !url.bytes().any(must_encode) {
        return Ok(Cow::Borrowed(url));
    }
    let authority = url.find("://").map_or(0, |scheme| scheme + 3);
    let path = url[authority..]
        .find(['/', '?'])
        .map_or(url.len(), |path| authority + path);
    if !url[..path].is_ascii() {
        return Err(InvalidRequest::new(
            "the host is not in ASCII: write an internationalized name in its form xn--...",
        ));
    }
    if url.bytes().any(|byte| byte.is_ascii_control()) {
        return Err(InvalidRequest::new("the URL contains a control character"));
    }
    let mut text = url[..path].to_owned();
    for byte in url[path..].bytes() {
        if must_encode(byte) {
            text += &format!("%{byte:02X}");
        } else {
            text.push(char::from(byte));
        }
    }
    Ok(Cow::Owned(text))
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
