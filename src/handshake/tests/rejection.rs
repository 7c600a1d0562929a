use http::{Method, Response, StatusCode};

use crate::handshake::Rejection;
use crate::handshake::rejection::{FieldFault, OriginRule, Reason, Unavailable, Via};

fn response(reason: Reason, via: Via) -> Response<String> {
    Rejection::new(reason, via).into()
}

fn every_reason() -> Vec<Reason> {
    let text = || "x".to_owned();
    vec![
        Reason::NoUpgrade,
        Reason::OtherUpgrade(text()),
        Reason::Http10,
        Reason::NoProtocol(Method::GET),
        Reason::OtherProtocol(text()),
        Reason::Method(text()),
        Reason::Body("Content-Length"),
        Reason::Host(FieldFault::Missing),
        Reason::Connection(FieldFault::Wrong(text())),
        Reason::Version(FieldFault::Repeated),
        Reason::Key(FieldFault::Wrong(text())),
        Reason::Protocol(text()),
        Reason::Extension(text()),
        Reason::RepeatedOrigin,
        Reason::Origin {
            origin: text(),
            rule: OriginRule::Same(text()),
        },
        Reason::Origin {
            origin: text(),
            rule: OriginRule::List,
        },
        Reason::Origin {
            origin: text(),
            rule: OriginRule::If,
        },
        Reason::ForeignHost(text()),
        #[cfg(feature = "server")]
        Reason::NoCommonProtocol {
            offered: text(),
            supported: text(),
        },
        #[cfg(feature = "server")]
        Reason::NotUpgradable,
        #[cfg(feature = "server")]
        Reason::Unavailable {
            reason: Unavailable::Full,
            retry_after: 5,
        },
        #[cfg(feature = "server")]
        Reason::Own {
            status: StatusCode::UNAUTHORIZED,
            text: text(),
        },
    ]
}

#[test]
fn every_rejection_is_an_error_in_plain_text_that_is_not_cached() {
    for reason in every_reason() {
        let response = response(reason, Via::Http1);
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
fn no_rejection_over_http2_has_upgrade_or_connection() {
    for reason in every_reason() {
        let response = response(reason, Via::Http2);
        assert_ne!(response.status(), 426);
        for name in ["upgrade", "connection"] {
            assert!(!response.headers().contains_key(name), "{response:?}");
        }
    }
    let version = response(Reason::Version(FieldFault::Missing), Via::Http2);
    assert_eq!(version.status(), 400);
    assert_eq!(version.headers()["sec-websocket-version"], "13");
}

#[test]
fn every_426_has_upgrade() {
    for reason in every_reason() {
        let response = response(reason, Via::Http1);
        let upgrade = response
            .headers()
            .get("upgrade")
            .map(|value| value == "websocket");
        assert_eq!(upgrade, (response.status() == 426).then_some(true));
    }
}

#[cfg(feature = "server")]
#[test]
fn a_full_server_sends_retry_after() {
    let rejection = Rejection::unavailable(Unavailable::Draining, 5);
    assert_eq!(rejection.status(), 503);
    let response = rejection.into_response::<String>();
    assert_eq!(response.headers()["retry-after"], "5");
    assert_eq!(response.body(), "the server is shutting down\n");
}

#[test]
fn a_rejection_is_small() {
    assert!(size_of::<Rejection>() <= 64, "{}", size_of::<Rejection>());
}

#[cfg(feature = "server")]
#[test]
fn a_refusal_of_the_servers_own_has_its_status_and_text() {
    use http::Version;
    let own = |status, version| Rejection::own(status, "no".to_owned(), version).into_response();
    let response: Response<String> = own(StatusCode::IM_A_TEAPOT, Version::HTTP_2);
    assert_eq!(response.status(), 418);
    assert_eq!(response.body(), "no\n");
    let response: Response<String> = own(StatusCode::UPGRADE_REQUIRED, Version::HTTP_11);
    assert_eq!(response.headers()["upgrade"], "websocket");
    // HTTP/2 has no `Upgrade`.
    let response: Response<String> = own(StatusCode::UPGRADE_REQUIRED, Version::HTTP_2);
    assert_eq!(response.status(), 400);
    assert!(!response.headers().contains_key("upgrade"));
    for status in [
        StatusCode::OK,
        StatusCode::SWITCHING_PROTOCOLS,
        StatusCode::FOUND,
    ] {
        let refused = std::panic::catch_unwind(|| own(status, Version::HTTP_11));
        let refused: Result<Response<String>, _> = refused;
        assert!(refused.is_err(), "{status}");
    }
}
