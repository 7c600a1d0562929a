//! Where a WebSocket URL leads (RFC 6455, section 3).

use std::borrow::Cow;
use std::fmt;

use http::{Request, Uri};

/// A request that cannot be sent as a WebSocket handshake: a mistake of this
/// side's, found before anything is sent. It says what to do instead.
///
/// It never shows the URL, which may hold secrets.
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

/// What a client can be told to ask for: a URL, or a whole request.
///
/// A `&str` may hold what people type: letters beyond ASCII and blanks in the
/// path and the query are percent-encoded. It may not have a fragment (RFC 6455,
/// section 3: "MUST NOT be used on these URIs"; a `#` that is meant is `%23`).
pub trait IntoRequest {
    /// As a request, whose URI is the URL.
    ///
    /// # Errors
    ///
    /// [`InvalidRequest`] if it is no URL.
    fn into_request(self) -> Result<Request<()>, InvalidRequest>;
}

impl IntoRequest for &str {
    fn into_request(self) -> Result<Request<()>, InvalidRequest> {
        if self.contains('#') {
            return Err(InvalidRequest::new(
                "a WebSocket URL has no fragment: leave `#` and what follows it away \
                 (a `#` that is meant is written %23)",
            ));
        }
        encoded(self)?
            .parse::<Uri>()
            .map_err(|error| {
                InvalidRequest::new(format!("this is no WebSocket URL ({error}); {FORM}"))
            })?
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

const FORM: &str = "it looks like ws://host/path or wss://host:port/path?query";

/// Where to connect to, and whether to encrypt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    scheme: Scheme,
    host: String,
    port: u16,
}

/// Whether a conversation is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// `ws`: in the clear; port 80 unless another is named.
    Ws,
    /// `wss`: over TLS; port 443 unless another is named.
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
                "the scheme of a WebSocket URL is ws or wss; {FORM}"
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
    /// Where a URL leads. `http` and `https` say the same as `ws` and `wss`, as
    /// they do in browsers.
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
    /// [`InvalidRequest`] if it is no absolute URL of one of these schemes.
    pub fn of(uri: &Uri) -> Result<Self, InvalidRequest> {
        let scheme = Scheme::of(uri)?
            .ok_or_else(|| InvalidRequest::new(format!("the URL has no scheme; {FORM}")))?;
        let Authority { host, port, .. } = Authority::of(uri)?
            .ok_or_else(|| InvalidRequest::new(format!("the URL names no host; {FORM}")))?;
        let literal = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'));
        Ok(Target {
            scheme,
            host: literal.unwrap_or(host).to_owned(),
            port: port.unwrap_or(scheme.default_port()),
        })
    }

    /// Whether to encrypt.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// A name or an address; of IPv6 without its brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port that the URL names, or that of its scheme.
    pub fn port(&self) -> u16 {
        self.port
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "[{}]:{}", self.host, self.port),
            false => write!(f, "{}:{}", self.host, self.port),
        }
    }
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
            return Err(InvalidRequest::new(format!(
                "the URL names no host; {FORM}"
            )));
        }
        let port = match rest.strip_prefix(host).unwrap_or("") {
            // RFC 3986, section 3.2.3: `port = *DIGIT`, so it may be empty.
            "" | ":" => None,
            // (Rust's numbers may have a sign.)
            port => match port[1..].parse() {
                Ok(number) if !port.contains('+') => Some(number),
                _ => return Err(InvalidRequest::new("the port is no number up to 65535")),
            },
        };
        Ok(Some(Authority { user, host, port }))
    }

    /// The value of `Host`: RFC 6455, section 4.1, "followed by ":" and the port
    /// number when not using the default port".
    pub(super) fn host_field(&self, uri: &Uri) -> Result<String, InvalidRequest> {
        let scheme = Scheme::of(uri)?.unwrap_or(Scheme::Ws);
        Ok(match self.port {
            Some(port) if port != scheme.default_port() => format!("{}:{port}", self.host),
            _ => self.host.to_owned(),
        })
    }
}

/// The URL with all of path and query in ASCII, as browsers send it.
fn encoded(url: &str) -> Result<Cow<'_, str>, InvalidRequest> {
    let must = |byte: u8| !byte.is_ascii_graphic();
    if !url.bytes().any(must) {
        return Ok(Cow::Borrowed(url));
    }
    let authority = url.find("://").map_or(0, |scheme| scheme + 3);
    let path = url[authority..]
        .find(['/', '?'])
        .map_or(url.len(), |path| authority + path);
    if !url[..path].is_ascii() {
        return Err(InvalidRequest::new(
            "the host is not in ASCII: write an international name as its registrar does (xn--...)",
        ));
    }
    if url.bytes().any(|byte| byte.is_ascii_control()) {
        return Err(InvalidRequest::new(
            "there is a control character in the URL",
        ));
    }
    let mut text = url[..path].to_owned();
    for byte in url[path..].bytes() {
        match must(byte) {
            true => text += &format!("%{byte:02X}"),
            false => text.push(char::from(byte)),
        }
    }
    Ok(Cow::Owned(text))
}

/// `%41` is `A` (RFC 3986, section 2.1); what is no such triplet stays.
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
