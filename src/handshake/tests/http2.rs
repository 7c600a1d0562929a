//! The handshake of a server over HTTP/2 (RFC 8441).

use http::{Method, Request};

use super::server::http2;
use crate::config::Config;
use crate::handshake::{Agreement, Head};

#[test]
fn http2_connects_with_connect_and_is_answered_with_200() {
    let request = http2(&[
        ("sec-websocket-version", "13"),
        ("sec-websocket-protocol", "chat"),
    ]);
    let head = Head::from(&request).protocol(Some("websocket"));
    assert!(head.is_handshake());
    let offer = head.validate().unwrap();
    let agreement = Agreement::with_protocol(offer.choose(["chat"]));
    let response = offer.respond::<String>(&agreement);
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers().len(), 1);
    assert_eq!(response.headers()["sec-websocket-protocol"], "chat");
}

#[test]
fn http2_is_refused_without_upgrade_and_connection() {
    let refused = |request: &Request<()>, protocol: Option<&str>, status: u16| {
        let response = Head::from(request)
            .protocol(protocol)
            .validate()
            .unwrap_err()
            .into_response::<String>();
        assert_eq!(response.status(), status, "{}", response.body());
        assert!(!response.headers().contains_key("upgrade"));
        assert!(!response.headers().contains_key("connection"));
        response
    };
    let good = http2(&[("sec-websocket-version", "13")]);
    refused(&good, Some("connect-udp"), 501);
    refused(&good, None, 400);
    let version = refused(&http2(&[]), Some("websocket"), 400);
    assert_eq!(version.headers()["sec-websocket-version"], "13");
    let body = http2(&[("sec-websocket-version", "13"), ("content-length", "3")]);
    refused(&body, Some("websocket"), 400);
    let mut get = http2(&[("upgrade", "websocket")]);
    *get.method_mut() = Method::GET;
    let without = refused(&get, None, 400);
    // The pseudo-header is for CONNECT only.
    for protocol in ["websocket", "connect-udp"] {
        let with = refused(&get, Some(protocol), 400);
        assert_eq!(with.body(), without.body());
    }
}

#[test]
fn http2_compares_the_scheme_of_an_origin_too() {
    let check = |origin| {
        let request = http2(&[("sec-websocket-version", "13"), ("origin", origin)]);
        let offer = Head::from(&request)
            .protocol(Some("websocket"))
            .validate()
            .unwrap();
        offer.check(&Config::new()).is_ok()
    };
    assert!(check("https://example.com"));
    assert!(check("https://example.com:443"));
    assert!(!check("http://example.com"));
    assert!(!check("https://example.com:80"));
}
