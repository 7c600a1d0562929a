//! The server's side: checks a request and makes the response that accepts it.

use std::sync::Arc;

use http::header::{self, HeaderMap, HeaderValue};
use http::{Method, Request, Response, StatusCode, Uri, Version, request};

use super::accept::{accept_value, describe_key, is_key};
use super::agreement::Agreement;
use super::extensions::{self, ExtensionOffer};
use super::headers::{self, Fields, Single};
use super::origin::{check_host, check_origin};
use super::quote::{quoted, shown};
use super::rejection::{FieldFault, Reason, Rejection, Via};
use crate::config::{Config, Host};
use crate::extension::{Agreed, KNOWN};

/// The parts of a request that matter to a handshake, borrowed.
///
/// Made from a [`Request`] or from its [`Parts`](request::Parts).
#[derive(Clone, Copy, Debug)]
pub struct Head<'a> {
    method: &'a Method,
    uri: &'a Uri,
    version: Version,
    headers: &'a HeaderMap,
    protocol: Option<&'a str>,
}

impl<'a> Head<'a> {
    /// Adds the pseudo-header `:protocol` of an HTTP/2 request (RFC 8441,
    /// section 4), which a request of the `http` crate cannot hold.
    ///
    /// hyper puts it into the request's extensions, as a `hyper::ext::Protocol`.
    pub fn protocol(mut self, protocol: Option<&'a str>) -> Self {
        self.protocol = protocol;
        self
    }

    /// Returns whether this is a WebSocket handshake, valid or not: an HTTP/1.1
    /// request whose `Upgrade` names `websocket`, or an HTTP/2 `CONNECT` whose
    /// `:protocol` is `websocket`.
    pub fn is_handshake(&self) -> bool {
        self.classify().is_ok()
    }

    /// Checks the handshake and returns what the client offers in it.
    ///
    /// This does not check the origin and the host, whose rules are in a [`Config`]:
    /// call [`Offer::check`] for that.
    ///
    /// # Errors
    ///
    /// A [`Rejection`] if the request is not a handshake, or is not valid by RFC 6455,
    /// section 4.2.1.
    pub fn validate(&self) -> Result<Offer, Rejection> {
        let via = Via::of(self.version);
        self.offer(via)
            .map_err(|reason| Rejection::new(reason, via))
    }

    /// Fails if the request is not a handshake at all.
    fn classify(&self) -> Result<(), Reason> {
        match self.version {
            Version::HTTP_2 | Version::HTTP_3 => match self.protocol {
                Some("websocket") if self.method == Method::CONNECT => Ok(()),
                Some(other) if self.method == Method::CONNECT => {
                    Err(Reason::OtherProtocol(shown(other)))
                }
                _ => Err(Reason::NoProtocol(self.method.clone())),
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

    /// The first check that fails is the one that the client is told of, so the
    /// order is that of help: what kind of request it is first, details last.
    fn offer(&self, via: Via) -> Result<Offer, Reason> {
        self.classify()?;
        if via == Via::Http1 && self.method != Method::GET {
            return Err(Reason::Method(shown(self.method.as_str())));
        }
        let fields = Fields::of(self.headers);
        // A handshake has no body in RFC 6455. If there were one, proxies and
        // servers would disagree on where the frames begin.
        if let Some(field) = fields.body {
            return Err(Reason::Body(field));
        }
        let host = self.host(via, fields.host)?;
        if via == Via::Http1 && !fields.is_upgrade {
            return Err(Reason::Connection(
                match self.headers.get(header::CONNECTION) {
                    None => FieldFault::Missing,
                    Some(other) => FieldFault::Wrong(quoted(other)),
                },
            ));
        }
        check_version(fields.version)?;
        let accept = match via {
            Via::Http1 => Some(accept(fields.key)?),
            // RFC 8441, section 5: key and answer "are not used".
            Via::Http2 => None,
        };
        for line in &fields.extensions {
            if let Some(wrong) = extensions::parse(line).find_map(Result::err) {
                return Err(Reason::Extension(shown(wrong)));
            }
        }
        for line in &fields.protocols {
            headers::check_protocols(line).map_err(|wrong| Reason::Protocol(shown(wrong)))?;
        }
        let origin = match fields.origin {
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
            protocols: fields.protocols,
            extensions: match KNOWN {
                [] => Vec::new(),
                _ => fields.extensions,
            },
        })
    }

    /// The host and the port that the request was sent to.
    fn host(&self, via: Via, field: Single<'_>) -> Result<String, Reason> {
        let authority = self.uri.authority().map(|authority| authority.as_str());
        let host = match (via, authority, field) {
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
}

fn check_version(field: Single<'_>) -> Result<(), Reason> {
    match field {
        Single::Missing => Err(Reason::Version(FieldFault::Missing)),
        Single::Repeated => Err(Reason::Version(FieldFault::Repeated)),
        Single::Once(version) if version == "13" => Ok(()),
        Single::Once(other) => Err(Reason::Version(FieldFault::Wrong(quoted(other)))),
    }
}

/// The value of `Sec-WebSocket-Accept` that answers the client's key.
fn accept(field: Single<'_>) -> Result<[u8; 28], Reason> {
    match field {
        Single::Missing => Err(Reason::Key(FieldFault::Missing)),
        Single::Repeated => Err(Reason::Key(FieldFault::Repeated)),
        Single::Once(key) if is_key(key.as_bytes()) => Ok(accept_value(key.as_bytes())),
        Single::Once(other) => Err(Reason::Key(FieldFault::Wrong(describe_key(other)))),
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

/// A valid handshake: what the client offers, and what is needed to make the response.
#[derive(Clone, Debug)]
pub struct Offer {
    via: Via,
    /// The value of `Sec-WebSocket-Accept`; `None` on HTTP/2.
    accept: Option<[u8; 28]>,
    /// Parses as a [`Host`].
    host: String,
    /// The request's scheme; `None` on HTTP/1.1, which does not send it.
    scheme: Option<String>,
    origin: Option<HeaderValue>,
    /// The lines of `Sec-WebSocket-Protocol`, each well-formed.
    protocols: Vec<HeaderValue>,
    /// The lines of `Sec-WebSocket-Extensions`, each well-formed. Empty if this
    /// build knows no extension.
    extensions: Vec<HeaderValue>,
}

impl Offer {
    /// Checks whether this client may connect: the host that it asked for
    /// ([`Config::hosts`]) and the origin of the page
    /// ([`Config::allow_origins`]; by default the server's own).
    ///
    /// # Errors
    ///
    /// A [`Rejection`] with status 403 if it may not.
    pub fn check(&self, config: &Config) -> Result<(), Rejection> {
        let (origin, scheme) = (self.origin.as_ref(), self.scheme.as_deref());
        check_host(config, &self.host)
            .and_then(|()| check_origin(config, origin, &self.host, scheme))
            .map_err(|reason| Rejection::new(reason, self.via))
    }

    /// Returns the first of the server's subprotocols that the client offers too
    /// (RFC 6455, section 4.2.2). List them in order of preference.
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

    /// Agrees on a subprotocol, usually a [chosen](Self::choose) one, and on the first
    /// extension that the client offers and the configuration enables.
    ///
    /// Without compression in the configuration there is no extension.
    pub fn agree(&self, config: &Config, protocol: Option<Arc<str>>) -> Agreement {
        Agreement {
            extension: self.extension(config),
            ..Agreement::with_protocol(protocol)
        }
    }

    /// A client may offer one extension several times, with other parameters.
    /// The first offer that can be accepted is (RFC 7692, section 5).
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

    /// Returns the subprotocols that the client offers, in its order of preference.
    pub fn protocols(&self) -> impl Iterator<Item = &str> {
        self.protocols.iter().flat_map(headers::protocols)
    }

    /// The rejection of a client that offers none of the server's subprotocols.
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

    /// Makes the response that accepts the handshake: 101 with the answer to the
    /// client's key on HTTP/1.1 (RFC 6455, section 4.2.2), 200 on HTTP/2 (RFC
    /// 8441, section 5).
    ///
    /// Its body must stay empty, since frames follow it. A subprotocol or an extension
    /// that the client did not offer is left out, even if the agreement contains it.
    pub fn respond<B: Default>(&self, agreement: &Agreement) -> Response<B> {
        let mut response = Response::new(B::default());
        // On HTTP/2 the status is the default, 200, and there is no key.
        if let Some(accept) = &self.accept {
            *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
            let headers = response.headers_mut();
            headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
            headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
            if let Ok(accept) = HeaderValue::from_bytes(accept) {
                headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
            }
        }
        // RFC 6455, section 4.2.2: the subprotocol comes from the client's list.
        // What is in that list is a token, and so a valid value.
        let protocol = agreement
            .protocol()
            .filter(|chosen| self.protocols().any(|offered| offered == *chosen));
        if let Some(Ok(protocol)) = protocol.map(HeaderValue::from_str) {
            response
                .headers_mut()
                .insert(header::SEC_WEBSOCKET_PROTOCOL, protocol);
        }
        // RFC 6455, section 9.1: only an extension that was offered may be
        // answered.
        let extension = agreement
            .extension
            .as_ref()
            .filter(|agreed| self.extensions().any(|offer| offer.name == agreed.name()))
            .map(|agreed| HeaderValue::from_str(&agreed.answer()));
        if let Some(Ok(extension)) = extension {
            response
                .headers_mut()
                .insert(header::SEC_WEBSOCKET_EXTENSIONS, extension);
        }
        response
    }
}
