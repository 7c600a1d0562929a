use http::{Method, Response};

use crate::handshake::Rejection;
use crate::handshake::rejection::{Fault, NoHandshake, OriginRule, Refusal, SHOWN, Wire, shown};

fn response(refusal: Refusal, wire: Wire) -> Response<String> {
    Rejection::new(refusal, wire).into()
}

fn every_refusal() -> Vec<Refusal> {
    let text = || "x".to_owned();
    vec![
        Refusal::NoHandshake(NoHandshake::NoUpgrade),
        Refusal::NoHandshake(NoHandshake::OtherUpgrade(text())),
        Refusal::NoHandshake(NoHandshake::Http10),
        Refusal::NoHandshake(NoHandshake::NoProtocol(Method::GET)),
        Refusal::NoHandshake(NoHandshake::OtherProtocol(text())),
        Refusal::Method(text()),
        Refusal::Body("Content-Length"),
        Refusal::Host(Fault::Missing),
        Refusal::Connection(Fault::Wrong(text())),
        Refusal::Version(Fault::Repeated),
        Refusal::Key(Fault::Wrong(text())),
        Refusal::Protocol(text()),
        Refusal::Extension(text()),
        Refusal::RepeatedOrigin,
        Refusal::Origin {
            origin: text(),
            rule: OriginRule::Same(text()),
        },
        Refusal::Origin {
            origin: text(),
            rule: OriginRule::List,
        },
        Refusal::Origin {
            origin: text(),
            rule: OriginRule::If,
        },
        Refusal::ForeignHost(text()),
        #[cfg(feature = "server")]
        Refusal::NoCommonProtocol {
            offered: text(),
            supported: text(),
        },
        #[cfg(feature = "server")]
        Refusal::NotUpgradable,
        #[cfg(feature = "server")]
        Refusal::Unavailable {
            reason: "full",
            retry_after: 5,
        },
    ]
}

#[test]
fn every_refusal_is_an_error_in_plain_text_that_nobody_stores() {
    for refusal in every_refusal() {
        let response = response(refusal, Wire::Http1);
        assert!(response.status().is_client_error() || response.status().is_server_error());
        assert_eq!(
            response.headers()["content-type"],
            "text/plain; charset=utf-8"
        );
        assert_eq!(response.headers()["cache-control"], "no-store");
        assert_eq!(response.body().find('\n'), Some(response.body().len() - 1));
    }
}

#[test]
fn http2_is_never_told_of_an_upgrade() {
    for refusal in every_refusal() {
        let response = response(refusal, Wire::Http2);
        assert_ne!(response.status(), 426);
        for name in ["upgrade", "connection"] {
            assert!(!response.headers().contains_key(name), "{response:?}");
        }
    }
    let version = response(Refusal::Version(Fault::Missing), Wire::Http2);
    assert_eq!(version.status(), 400);
    assert_eq!(version.headers()["sec-websocket-version"], "13");
}

#[test]
fn every_426_carries_upgrade_as_it_must() {
    for refusal in every_refusal() {
        let response = response(refusal, Wire::Http1);
        let upgrade = response
            .headers()
            .get("upgrade")
            .map(|value| value == "websocket");
        assert_eq!(upgrade, (response.status() == 426).then_some(true));
    }
}

#[cfg(feature = "server")]
#[test]
fn a_server_that_is_full_says_when_to_come_back() {
    let rejection = Rejection::unavailable("draining", 5);
    assert_eq!(rejection.status(), 503);
    let response = rejection.into_response::<String>();
    assert_eq!(response.headers()["retry-after"], "5");
    assert_eq!(response.body(), "draining\n");
}

#[test]
fn what_a_client_sent_is_escaped_and_cut() {
    assert_eq!(shown(b"a\r\n\"\x1b\xff"), r#"a\r\n\"\x1b\xff"#);
    assert_eq!(shown(&[b'a'; SHOWN]), "a".repeat(SHOWN));
    assert_eq!(shown(&[b'a'; 100_000]), "a".repeat(SHOWN) + "...");
}

#[test]
fn a_rejection_is_small() {
    assert!(size_of::<Rejection>() <= 64, "{}", size_of::<Rejection>());
}
