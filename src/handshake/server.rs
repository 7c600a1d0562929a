//! The server's side: is this a handshake, is it well-formed, and the answer.

use std::sync::Arc;

use http::header::{self, HeaderMap, HeaderValue};
use http::{Method, Request, Response, StatusCode, Uri, Version, request};

use super::accept::{accept_key, describe_key, is_key};
use super::agreement::Agreement;
use super::extensions::{self, ExtensionOffer};
use super::headers::{self, Single};
use super::origin::{Host, check_host, check_origin};
use super::quote::{quoted, shown};
use super::rejection::{FieldFault, Reason, Rejection, Via};
use crate::config::Config;
use crate::extension::{Agreed, KNOWN};

/// What of a request matters to a handshake.
#[derive(Clone, Copy, Debug)]
pub struct Head<'a> {
    method: &'a Method,
    uri: &'a Uri,
    version: Version,
    headers: &'a HeaderMap,
    protocol: Option<&'a str>,
}

impl<'a> Head<'a> {
    /// The pseudo-header `:protocol` of an HTTP/2 request (RFC 8441, section
    /// 4), for which the `http` crate has no place.
    pub fn protocol(mut self, protocol: Option<&'a str>) -> Self {
        self.protocol = protocol;
        self
    }

    /// Whether this is a WebSocket handshake, be it a good or a bad one: an
    /// HTTP/1.1 request whose `Upgrade` names `websocket`, or an HTTP/2
    /// `CONNECT` whose `:protocol` is it.
    pub fn is_handshake(&self) -> bool {
        self.classify().is_ok()
    }

    /// What the handshake offers, or the answer that says what is wrong with it.
    ///
    /// What depends on a [`Config`] is not looked at: see [`Offer::check`].
    ///
    /// # Errors
    ///
    /// A [`Rejection`] if the request is no handshake, or not as RFC 6455,
    /// section 4.2.1, describes one.
    pub fn validate(&self) -> Result<Offer, Rejection> {
        let via = Via::of(self.version);
        self.offer(via)
            .map_err(|reason| Rejection::new(reason, via))
    }

    fn classify(&self) -> Result<(), Reason> {
        match self.version {
            Version::HTTP_2 | Version::HTTP_3 => match self.protocol {
                _ if self.method != Method::CONNECT => Err(Reason::NoProtocol(self.method.clone())),
                None => Err(Reason::NoProtocol(self.method.clone())),
                Some("websocket") => Ok(()),
                Some(other) => Err(Reason::OtherProtocol(shown(other))),
            },
            Version::HTTP_11 if headers::has_token(self.headers, header::UPGRADE, "websocket") => {
                Ok(())
            }
            Version::HTTP_11 => Err(match self.headers.get(header::UPGRADE) {
                None => Reason::NoUpgrade,
                Some(other) => Reason::OtherUpgrade(shown(other)),
            }),
            // RFC 9110, section 7.8: "A server MUST ignore an Upgrade header
            // field that is received in an HTTP/1.0 request."
            _ => Err(Reason::Http10),
        }
    }

    /// The order of the checks is that of help: first what makes it another
    /// kind of request, last the details.
    fn offer(&self, via: Via) -> Result<Offer, Reason> {
        self.classify()?;
        if via == Via::Http1 && self.method != Method::GET {
            return Err(Reason::Method(shown(self.method.as_str())));
        }
        self.check_body()?;
        let host = self.host(via)?;
        if via == Via::Http1 && !headers::has_token(self.headers, header::CONNECTION, "upgrade") {
            return Err(Reason::Connection(
                match self.headers.get(header::CONNECTION) {
                    None => FieldFault::Missing,
                    Some(other) => FieldFault::Wrong(quoted(other)),
                },
            ));
        }
        self.check_version()?;
        let accept = match via {
            Via::Http1 => Some(self.accept()?),
            // RFC 8441, section 5: key and answer "are not used".
            Via::Http2 => None,
        };
        let extensions = self.headers.get_all(header::SEC_WEBSOCKET_EXTENSIONS);
        for line in &extensions {
            if let Some(wrong) = extensions::parse(line).find_map(Result::err) {
                return Err(Reason::Extension(shown(wrong)));
            }
        }
        let protocols = self.headers.get_all(header::SEC_WEBSOCKET_PROTOCOL);
        for line in &protocols {
            headers::check_protocols(line).map_err(|wrong| Reason::Protocol(shown(wrong)))?;
        }
        let origin = match headers::single(self.headers, header::ORIGIN) {
            Single::Missing => None,
            Single::Once(origin) => Some(origin.clone()),
            Single::Repeated => return Err(Reason::RepeatedOrigin),
        };
        Ok(Offer {
            via,
            accept,
            host,
            scheme: self
                .uri
                .scheme_str()
                .filter(|_| via == Via::Http2)
                .map(str::to_owned),
            origin,
            protocols: protocols.iter().cloned().collect(),
            extensions: match KNOWN {
                [] => Vec::new(),
                _ => extensions.iter().cloned().collect(),
            },
        })
    }

    /// RFC 6455 knows no body, and where there is one, proxies and servers
    /// disagree on where the frames begin.
    fn check_body(&self) -> Result<(), Reason> {
        if self.headers.contains_key(header::TRANSFER_ENCODING) {
            return Err(Reason::Body("Transfer-Encoding"));
        }
        match self
            .headers
            .get_all(header::CONTENT_LENGTH)
            .iter()
            .all(|length| length == "0")
        {
            true => Ok(()),
            false => Err(Reason::Body("Content-Length")),
        }
    }

    /// The host that is asked, and its port.
    fn host(&self, via: Via) -> Result<String, Reason> {
        let authority = self.uri.authority().map(|authority| authority.as_str());
        let host = match (via, authority, headers::single(self.headers, header::HOST)) {
            (Via::Http2, Some(authority), _) => authority.as_bytes(),
            // RFC 9112, section 3.2: "A server MUST respond with a 400 (Bad
            // Request) status code to any HTTP/1.1 request message that lacks
            // a Host header field and to any request message that contains
            // more than one".
            (_, _, Single::Missing) => return Err(Reason::Host(FieldFault::Missing)),
            (_, _, Single::Repeated) => return Err(Reason::Host(FieldFault::Repeated)),
            // Section 3.2.2: with a target in absolute-form "an origin server
            // MUST ignore the received Host header field".
            (Via::Http1, Some(authority), Single::Once(_)) => authority.as_bytes(),
            (_, None, Single::Once(host)) => host.as_bytes(),
        };
        std::str::from_utf8(host)
            .ok()
            .filter(|host| Host::parse(host).is_some())
            .map(str::to_owned)
            .ok_or_else(|| Reason::Host(FieldFault::Wrong(quoted(host))))
    }

    fn check_version(&self) -> Result<(), Reason> {
        match headers::single(self.headers, header::SEC_WEBSOCKET_VERSION) {
            Single::Missing => Err(Reason::Version(FieldFault::Missing)),
            Single::Repeated => Err(Reason::Version(FieldFault::Repeated)),
            Single::Once(version) if version == "13" => Ok(()),
            Single::Once(other) => Err(Reason::Version(FieldFault::Wrong(quoted(other)))),
        }
    }

    fn accept(&self) -> Result<String, Reason> {
        match headers::single(self.headers, header::SEC_WEBSOCKET_KEY) {
            Single::Missing => Err(Reason::Key(FieldFault::Missing)),
            Single::Repeated => Err(Reason::Key(FieldFault::Repeated)),
            Single::Once(key) if is_key(key.as_bytes()) => Ok(accept_key(key)),
            Single::Once(other) => Err(Reason::Key(FieldFault::Wrong(describe_key(other)))),
        }
    }
}

impl<'a, B> From<&'a Request<B>> for Head<'a> {
    fn from(request: &'a Request<B>) -> Self {
        Head {
            method: request.method(),
            uri: request.uri(),
            version: request.version(),
            headers: request.headers(),
            protocol: None,
        }
    }
}

impl<'a> From<&'a request::Parts> for Head<'a> {
    fn from(parts: &'a request::Parts) -> Self {
        Head {
            method: &parts.method,
            uri: &parts.uri,
            version: parts.version,
            headers: &parts.headers,
            protocol: None,
        }
    }
}

/// A well-formed handshake: all of it that is still needed to answer.
#[derive(Clone, Debug)]
pub struct Offer {
    via: Via,
    /// The value of `Sec-WebSocket-Accept`; none on HTTP/2.
    accept: Option<String>,
    /// Known to parse.
    host: String,
    /// Of the request; none on HTTP/1.1, which does not tell it.
    scheme: Option<String>,
    origin: Option<HeaderValue>,
    /// The lines of `Sec-WebSocket-Protocol`, known to be well-formed.
    protocols: Vec<HeaderValue>,
    /// The lines of `Sec-WebSocket-Extensions`, known to be well-formed.
    extensions: Vec<HeaderValue>,
}

impl Offer {
    /// Whether the configuration lets this client in: its origin, and the host
    /// it asked for.
    ///
    /// # Errors
    ///
    /// A [`Rejection`] with status 403 if it does not.
    pub fn check(&self, config: &Config) -> Result<(), Rejection> {
        check_host(config, &self.host)
            .and_then(|()| {
                check_origin(
                    config,
                    self.origin.as_ref(),
                    &self.host,
                    self.scheme.as_deref(),
                )
            })
            .map_err(|reason| Rejection::new(reason, self.via))
    }

    /// The first of the subprotocols the server speaks, in the order of its
    /// preference, that the client offers too (RFC 6455, section 4.2.2).
    pub fn choose<P: AsRef<str>>(
        &self,
        supported: impl IntoIterator<Item = P>,
    ) -> Option<Arc<str>> {
        supported.into_iter().find_map(|supported| {
            let supported = supported.as_ref();
            self.protocols()
                .any(|offered| offered == supported)
                .then(|| Arc::from(supported))
        })
    }

    /// All that both sides want: the subprotocol, which has been
    /// [chosen](Self::choose), and what the configuration has of the extensions
    /// that the client offers.
    pub fn agree(&self, config: &Config, protocol: Option<Arc<str>>) -> Agreement {
        Agreement {
            extension: self.extension(config),
            ..Agreement::with_protocol(protocol)
        }
    }

    /// RFC 7692, section 5: of several offers of one extension, the first that
    /// can be accepted is.
    fn extension(&self, config: &Config) -> Option<Agreed> {
        KNOWN.iter().find_map(|known| {
            self.extensions()
                .filter(|offer| offer.name == known.name)
                .find_map(|offer| (known.accept)(config, &mut offer.parameters()))
        })
    }

    fn extensions(&self) -> impl Iterator<Item = ExtensionOffer<'_>> {
        self.extensions
            .iter()
            .flat_map(extensions::parse)
            .filter_map(Result::ok)
    }

    /// The subprotocols that the client offers, its favourite first.
    pub fn protocols(&self) -> impl Iterator<Item = &str> {
        self.protocols.iter().flat_map(headers::protocols)
    }

    /// The refusal of a client that speaks none of the subprotocols.
    #[cfg(feature = "server")]
    pub(crate) fn no_common_protocol<P: AsRef<str>>(&self, supported: &[P]) -> Rejection {
        let list = |protocols: &mut dyn Iterator<Item = &str>| match protocols.next() {
            None => "none".to_owned(),
            Some(first) => protocols
                .take(9)
                .fold(quoted(first), |list, next| list + ", " + &quoted(next)),
        };
        let offered = list(&mut self.protocols());
        let supported = list(&mut supported.iter().map(AsRef::as_ref));
        Rejection::no_common_protocol(offered, supported, self.via)
    }

    /// The answer that accepts: 101 with the computed key on HTTP/1.1 (RFC
    /// 6455, section 4.2.2), 200 on HTTP/2 (RFC 8441, section 5).
    ///
    /// From here on both sides speak frames, so its body must stay empty.
    pub fn respond<B: Default>(&self, agreement: &Agreement) -> Response<B> {
        let mut response = Response::new(B::default());
        // On HTTP/2 the status is the default, 200, and there is no key.
        if let Some(accept) = &self.accept {
            *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
            let headers = response.headers_mut();
            headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
            headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
            if let Ok(accept) = HeaderValue::from_str(accept) {
                headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
            }
        }
        // A protocol that the client offered is a token, and so a valid value;
        // no other may be answered.
        let protocol = agreement
            .protocol()
            .filter(|it| self.protocols().any(|offered| offered == *it));
        if let Some(Ok(protocol)) = protocol.map(HeaderValue::from_str) {
            response
                .headers_mut()
                .insert(header::SEC_WEBSOCKET_PROTOCOL, protocol);
        }
        // RFC 6455, section 9.1: what was not offered must not be answered.
        let extension = agreement
            .extension
            .as_ref()
            .filter(|it| self.extensions().any(|offer| offer.name == it.name()))
            .map(|it| HeaderValue::from_str(&it.answer()));
        if let Some(Ok(extension)) = extension {
            response
                .headers_mut()
                .insert(header::SEC_WEBSOCKET_EXTENSIONS, extension);
        }
        response
    }
}
