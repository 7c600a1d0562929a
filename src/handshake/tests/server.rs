use std::sync::Arc;

use http::header::{HeaderMap, HeaderValue};
use http::{Method, Request, Response, Uri, Version};

use crate::config::Config;
use crate::handshake::{Agreement, Head, Offer, Rejection};

pub(super) const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

/// A valid handshake.
pub(super) fn request() -> Request<()> {
    with(&[
        ("host", "example.com"),
        ("connection", "Upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", KEY),
    ])
}

pub(super) fn with(headers: &[(&str, &str)]) -> Request<()> {
    headers
        .iter()
        .fold(Request::get("/ws"), |request, &(name, value)| {
            request.header(name, value)
        })
        .body(())
        .unwrap()
}

pub(super) fn changed(change: impl FnOnce(&mut HeaderMap)) -> Request<()> {
    let mut request = request();
    change(request.headers_mut());
    request
}

/// The handshake with one field set to another value.
pub(super) fn set(name: &'static str, value: &'static str) -> Request<()> {
    changed(|headers| drop(headers.insert(name, HeaderValue::from_static(value))))
}

pub(super) fn append(name: &'static str, value: &'static str) -> Request<()> {
    changed(|headers| {
        headers.append(name, HeaderValue::from_static(value));
    })
}

pub(super) fn without(name: &str) -> Request<()> {
    changed(|headers| drop(headers.remove(name)))
}

pub(super) fn http2(headers: &[(&str, &str)]) -> Request<()> {
    let mut request = with(headers);
    *request.version_mut() = Version::HTTP_2;
    *request.method_mut() = Method::CONNECT;
    *request.uri_mut() = Uri::from_static("https://example.com/ws");
    request
}

pub(super) fn offer(request: &Request<()>) -> Result<Offer, Rejection> {
    Head::from(request).validate()
}

#[track_caller]
pub(super) fn refused(request: &Request<()>, status: u16, reason: &str) -> Response<String> {
    let response = offer(request).unwrap_err().into_response::<String>();
    assert_eq!(response.status(), status, "{}", response.body());
    assert!(response.body().contains(reason), "{}", response.body());
    response
}

pub(super) fn answer(request: &Request<()>) -> Response<String> {
    offer(request).unwrap().respond(&Agreement::default())
}

pub(super) fn checked(request: &Request<()>, config: Config) -> Result<(), String> {
    offer(request).unwrap().check(&config).map_err(|rejection| {
        assert_eq!(rejection.status(), 403);
        rejection.to_string()
    })
}

#[test]
fn a_good_handshake_is_answered_with_101_and_the_computed_key() {
    let response = answer(&request());
    assert_eq!(response.status(), 101);
    assert_eq!(response.headers()["upgrade"], "websocket");
    assert_eq!(response.headers()["connection"], "Upgrade");
    assert_eq!(
        response.headers()["sec-websocket-accept"],
        "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
    );
    assert_eq!(response.headers().len(), 3);
    assert!(response.body().is_empty());
}

#[test]
fn handshakes_of_browsers_are_accepted() {
    for request in [
        set("connection", "keep-alive, Upgrade"),
        set("upgrade", "WebSocket"),
        set("upgrade", "h2c, websocket"),
        append("connection", "close"),
        set("content-length", "0"),
        set("expect", "100-continue"),
        set(
            "sec-websocket-extensions",
            "permessage-deflate; client_max_window_bits",
        ),
    ] {
        let response = answer(&request);
        assert_eq!(response.status(), 101);
        assert!(!response.headers().contains_key("sec-websocket-extensions"));
    }
}

#[test]
fn upgrade_alone_makes_a_request_a_handshake() {
    assert!(Head::from(&request()).is_handshake());
    assert!(Head::from(&with(&[("upgrade", "websocket")])).is_handshake());
    assert!(!Head::from(&without("upgrade")).is_handshake());
    assert!(!Head::from(&set("upgrade", "h2c")).is_handshake());
    assert!(!Head::from(&set("upgrade", "websockets")).is_handshake());
}

#[test]
fn a_request_without_an_upgrade_is_told_to_upgrade() {
    let response = refused(&without("upgrade"), 426, "no `Upgrade: websocket` header");
    assert_eq!(response.headers()["upgrade"], "websocket");
    assert_eq!(response.headers()["connection"], "Upgrade");
    refused(&set("upgrade", "h2c"), 426, "`h2c`");
    refused(&with(&[]), 426, "no `Upgrade: websocket` header");
}

#[test]
fn http_1_0_has_no_upgrade() {
    let mut request = request();
    *request.version_mut() = Version::HTTP_10;
    assert!(!Head::from(&request).is_handshake());
    refused(&request, 426, "HTTP/1.0");
}

#[test]
fn a_method_other_than_get_is_refused_with_405_and_allow() {
    for method in [Method::POST, Method::CONNECT, Method::HEAD, Method::OPTIONS] {
        let mut request = request();
        *request.method_mut() = method.clone();
        let response = refused(&request, 405, method.as_str());
        assert_eq!(response.headers()["allow"], "GET");
    }
}

#[test]
fn a_connection_header_without_upgrade_is_refused_with_a_hint_about_proxies() {
    refused(&without("connection"), 426, "a proxy may have removed it");
    refused(&set("connection", "close"), 426, "`close`");
    refused(
        &set("connection", "not-an-upgrade"),
        426,
        "`not-an-upgrade`",
    );
}

#[test]
fn every_version_but_13_is_refused_and_13_named() {
    for request in [
        without("sec-websocket-version"),
        set("sec-websocket-version", "8"),
        set("sec-websocket-version", "013"),
        set("sec-websocket-version", "13, 8"),
        append("sec-websocket-version", "13"),
    ] {
        let response = refused(&request, 426, "Sec-WebSocket-Version");
        assert_eq!(response.headers()["sec-websocket-version"], "13");
        assert_eq!(response.headers()["upgrade"], "websocket");
    }
    refused(
        &set("sec-websocket-version", "8"),
        426,
        "got `8`, expected `13`",
    );
}

#[test]
fn a_key_that_is_not_16_bytes_of_base64_is_refused_and_described() {
    refused(
        &without("sec-websocket-key"),
        400,
        "missing `Sec-WebSocket-Key` header",
    );
    refused(
        &append("sec-websocket-key", KEY),
        400,
        "several `Sec-WebSocket-Key` headers",
    );
    for (key, reason) in [
        ("", "empty"),
        ("test", "`test` (3 bytes), expected 16 bytes"),
        ("SGVsbG8sIHdvcmxkIQ==", "(13 bytes)"),
        ("dGhlIHNhbXBsZSBub25jZSE=", "(17 bytes)"),
        ("dGhlIHNhbXBsZSBub25jZSEh", "(18 bytes)"),
        ("dGhlIHNhbXBsZSBub25jZQ", "not base64"),
        ("dGhlIHNhbXBsZSBub25jZQ=", "not base64"),
        ("dGhlIHNhbXBsZSBub25j====", "not base64"),
        ("dGhlIHNhbXBsZSBub25_ZQ==", "not base64"),
        ("dGhlIHNhbXBs SBub25jZQ==", "not base64"),
        // Two values of 8 bytes. RFC 4648, section 3.3: padding stands at the end.
        ("dGhlIHNhbXA=bGUgbm9uY2U=", "not base64"),
        ("************************", "not base64"),
    ] {
        refused(&set("sec-websocket-key", key), 400, reason);
    }
    let long = HeaderValue::from_str(&"A".repeat(100_000)).unwrap();
    let long = changed(|headers| drop(headers.insert("sec-websocket-key", long)));
    let response = refused(&long, 400, "(100000 characters)");
    assert!(response.body().len() < 300);
}

#[test]
fn bits_of_a_key_beyond_its_16_bytes_do_not_matter() {
    for key in [
        "AAAAAAAAAAAAAAAAAAAAAA==",
        "++++++++++++++++++++//==",
        "0123456789abcdefghijkl==",
    ] {
        assert_eq!(answer(&set("sec-websocket-key", key)).status(), 101);
    }
}

#[test]
fn a_request_without_exactly_one_valid_host_is_refused() {
    refused(&without("host"), 400, "missing `Host` header");
    refused(
        &append("host", "example.com"),
        400,
        "several `Host` headers",
    );
    refused(&set("host", ""), 400, "`Host` header: got ``");
    refused(&set("host", "a/b"), 400, "`Host` header: got `a/b`");
    refused(&set("host", "user@example.com"), 400, "user@example.com");
}

#[test]
fn a_target_in_absolute_form_overrides_the_host() {
    let mut request = set("origin", "http://example.com");
    request
        .headers_mut()
        .insert("host", HeaderValue::from_static("evil.example"));
    assert!(checked(&request, Config::new()).is_err());
    *request.uri_mut() = Uri::from_static("http://example.com/ws");
    assert_eq!(checked(&request, Config::new()), Ok(()));
    request.headers_mut().remove("host");
    refused(&request, 400, "missing `Host` header");
}

#[test]
fn a_request_with_a_body_is_refused_and_the_connection_closed() {
    for (name, value) in [
        ("content-length", "5"),
        ("content-length", "00"),
        ("content-length", "x"),
        ("transfer-encoding", "chunked"),
        ("transfer-encoding", "identity"),
    ] {
        let response = refused(&set(name, value), 400, "no body");
        assert_eq!(response.headers()["connection"], "close");
    }
    let both = changed(|headers| {
        headers.append("content-length", HeaderValue::from_static("0"));
        headers.append("content-length", HeaderValue::from_static("5"));
    });
    refused(&both, 400, "Content-Length");
}

#[test]
fn malformed_lists_are_refused_and_the_part_is_named() {
    refused(&set("sec-websocket-protocol", "chat, b@d"), 400, "`b@d`");
    refused(
        &set("sec-websocket-protocol", ""),
        400,
        "Sec-WebSocket-Protocol",
    );
    refused(&set("sec-websocket-extensions", "a, b;=1"), 400, "`b;=1`");
    let second = changed(|headers| {
        headers.append("sec-websocket-extensions", HeaderValue::from_static("good"));
        headers.append(
            "sec-websocket-extensions",
            HeaderValue::from_static("b a d"),
        );
    });
    refused(&second, 400, "`b a d`");
}

#[test]
fn unknown_extensions_are_ignored() {
    for value in [
        "x-webkit-deflate-frame",
        "constructor; __proto__",
        "permessage-deflate; server_max_window_bits=7",
        "",
    ] {
        let request = set("sec-websocket-extensions", value);
        assert!(
            !answer(&request)
                .headers()
                .contains_key("sec-websocket-extensions")
        );
    }
}

#[cfg(feature = "deflate")]
mod compressed {
    use proptest::prelude::*;

    use super::*;
    use crate::config::Compression;

    fn config() -> Config {
        Config::new().compression(Compression::shared())
    }

    fn answered(request: &Request<()>) -> Option<String> {
        let offer = offer(request).unwrap();
        let agreement = offer.agree(&config(), None);
        let extension = agreement.extension();
        let response = offer.respond::<()>(&agreement);
        assert_eq!(response.status(), 101);
        response
            .headers()
            .get("sec-websocket-extensions")
            .map(|value| value.to_str().unwrap().to_owned())
            .inspect(|_| assert!(extension.is_some()))
    }

    const SHARED: &str =
        "permessage-deflate; server_no_context_takeover; client_no_context_takeover";

    #[test]
    fn the_first_offer_that_can_be_accepted_is() {
        for (lines, expected) in [
            (&["permessage-deflate"][..], Some(SHARED.to_owned())),
            (
                &["permessage-deflate; client_max_window_bits"],
                Some(SHARED.to_owned()),
            ),
            (
                &["x-webkit-deflate-frame, permessage-deflate;server_max_window_bits=\"1\\0\""],
                Some(format!("{SHARED}; server_max_window_bits=10")),
            ),
            (
                &[
                    "a; b",
                    "permessage-deflate; server_max_window_bits=99",
                    " , permessage-deflate , ",
                ],
                Some(SHARED.to_owned()),
            ),
            (
                &["permessage-deflate; server_max_window_bits=11, permessage-deflate"],
                Some(format!("{SHARED}; server_max_window_bits=11")),
            ),
            (&["permessage-deflate; server_max_window_bits"], None),
            (&["permessage-deflate; unknown"], None),
            (&["permessage-bzip2", "Permessage-Deflate"], None),
            (&[], None),
        ] {
            let request = changed(|headers| {
                for line in lines {
                    let line = HeaderValue::from_static(line);
                    headers.append("sec-websocket-extensions", line);
                }
            });
            assert_eq!(answered(&request), expected, "{lines:?}");
        }
    }

    #[test]
    fn an_extension_that_was_not_offered_or_not_configured_is_not_answered() {
        let offering = set("sec-websocket-extensions", "permessage-deflate");
        let agreement = offer(&offering).unwrap().agree(&config(), None);
        for other in [request(), set("sec-websocket-extensions", "x")] {
            let response = offer(&other).unwrap().respond::<()>(&agreement);
            assert!(!response.headers().contains_key("sec-websocket-extensions"));
        }
        let agreement = offer(&offering).unwrap().agree(&Config::new(), None);
        assert_eq!(agreement, Agreement::default());
    }

    #[test]
    fn http2_is_answered_alike() {
        let request = http2(&[
            ("sec-websocket-version", "13"),
            ("sec-websocket-extensions", "permessage-deflate"),
        ]);
        let offer = Head::from(&request)
            .protocol(Some("websocket"))
            .validate()
            .unwrap();
        let response = offer.respond::<()>(&offer.agree(&config(), None));
        assert_eq!(response.headers()["sec-websocket-extensions"], SHARED);
    }

    proptest! {
        #[test]
        fn no_header_makes_a_server_panic(
            lines in prop::collection::vec(
                prop_oneof![
                    prop::collection::vec(32_u8..=255, 0..60),
                    "(permessage-deflate(; ?(server|client)_(max_window_bits(=\"?[0-9]{0,3}\"?)?|no_context_takeover)){0,4},? ?){0,3}"
                        .prop_map(String::into_bytes),
                ],
                0..4,
            ),
        ) {
            let request = changed(|headers| {
                for line in &lines {
                    if let Ok(line) = HeaderValue::from_bytes(line) {
                        headers.append("sec-websocket-extensions", line);
                    }
                }
            });
            for compression in [Compression::shared(), Compression::dedicated()] {
                let config = Config::new().compression(compression);
                match offer(&request) {
                    Ok(offer) => {
                        let agreement = offer.agree(&config, None);
                        let response = offer.respond::<()>(&agreement);
                        prop_assert_eq!(response.status(), 101);
                        prop_assert_eq!(
                            response.headers().contains_key("sec-websocket-extensions"),
                            agreement.extension.is_some()
                        );
                    }
                    Err(rejection) => prop_assert_eq!(rejection.status(), 400),
                }
            }
        }
    }
}

#[test]
fn of_the_offered_subprotocols_the_servers_favourite_is_chosen() {
    let request = changed(|headers| {
        headers.append(
            "sec-websocket-protocol",
            HeaderValue::from_static("chat.v1, Chat.v3"),
        );
        headers.append(
            "sec-websocket-protocol",
            HeaderValue::from_static("chat.v2"),
        );
    });
    let offer = offer(&request).unwrap();
    assert_eq!(
        offer.protocols().collect::<Vec<_>>(),
        ["chat.v1", "Chat.v3", "chat.v2"]
    );
    assert_eq!(
        offer.choose(["chat.v3", "chat.v2", "chat.v1"]).as_deref(),
        Some("chat.v2")
    );
    assert_eq!(offer.choose(["chat"]), None);
    assert_eq!(offer.choose([] as [&str; 0]), None);

    let agreement = Agreement::with_protocol(offer.choose(["chat.v2"]));
    assert_eq!(
        offer.respond::<()>(&agreement).headers()["sec-websocket-protocol"],
        "chat.v2"
    );
}

#[test]
fn a_protocol_that_was_not_offered_is_never_answered() {
    let invented = Agreement::with_protocol(Some(Arc::from("x\r\nset-cookie: a=b")));
    let response = offer(&request()).unwrap().respond::<()>(&invented);
    assert!(!response.headers().contains_key("sec-websocket-protocol"));
}

#[cfg(feature = "server")]
#[test]
fn without_a_common_protocol_both_lists_are_named() {
    let offer = offer(&set("sec-websocket-protocol", "a, b")).unwrap();
    let rejection = offer.no_common_protocol(&["c", "d"]);
    assert_eq!(rejection.status(), 400);
    assert!(
        rejection
            .to_string()
            .contains("offers `a`, `b`, and the server supports `c`, `d`")
    );
    let nothing = self::offer(&request()).unwrap().no_common_protocol(&["c"]);
    assert!(nothing.to_string().contains("offers none"), "{nothing}");
}
