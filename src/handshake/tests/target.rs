use crate::handshake::target::decoded;
use crate::handshake::{IntoRequest, Scheme, Target};

fn target(url: &str) -> Result<(Scheme, String, u16), String> {
    let request = url.into_request().map_err(|error| error.to_string())?;
    let target = Target::of(request.uri()).map_err(|error| error.to_string())?;
    Ok((target.scheme(), target.host().to_owned(), target.port()))
}

fn refused(url: &str) -> String {
    target(url).unwrap_err()
}

#[test]
fn the_default_port_is_that_of_the_scheme() {
    for (url, scheme, port) in [
        ("ws://a", Scheme::Ws, 80),
        ("WS://a/", Scheme::Ws, 80),
        ("wss://a/b", Scheme::Wss, 443),
        ("http://a:/b", Scheme::Ws, 80),
        ("https://a:444/b?c", Scheme::Wss, 444),
    ] {
        assert_eq!(target(url), Ok((scheme, "a".to_owned(), port)), "{url}");
    }
}

#[test]
fn an_ipv6_address_stands_in_brackets() {
    assert_eq!(
        target("ws://user@[::1]:8080/"),
        Ok((Scheme::Ws, "::1".to_owned(), 8080))
    );
}

#[test]
fn an_invalid_url_is_refused_with_the_expected_form() {
    for url in [
        "",
        "/path",
        "example.com",
        "example.com/ws",
        "ws://",
        "ftp://a/b",
        "ws://:80/",
        "ws://user@/",
    ] {
        assert!(refused(url).contains("ws://host/path"), "{url}");
    }
    assert!(refused("ws://a:65536/").contains("65535"));
    assert!(refused("ws://a:+80/").contains("65535"));
    assert!(refused("ws://a/b#c").contains("%23"));
    assert!(refused("ws://bücher.example/").contains("xn--"));
    assert!(refused("ws://a/\r\nX: y").contains("control"));
}

#[test]
fn a_refusal_does_not_show_the_url() {
    for url in [
        "ws://u:secret@/",
        "ws://u:secret@a:b/",
        "x://u:secret@a/",
        "ws://u:secret@a/#",
    ] {
        assert!(!refused(url).contains("secret"), "{}", refused(url));
    }
}

#[test]
fn a_path_is_encoded_once() {
    let path = |url: &str| {
        url.into_request()
            .unwrap()
            .uri()
            .path_and_query()
            .unwrap()
            .to_string()
    };
    assert_eq!(path("ws://a/%C3%A9%20/%2f?q=%23"), "/%C3%A9%20/%2f?q=%23");
    assert_eq!(path("ws://a/é x?q=ü"), "/%C3%A9%20x?q=%C3%BC");
    assert_eq!(path("ws://a?q=1"), "/?q=1");
}

#[test]
fn triplets_are_decoded_and_everything_else_stays() {
    assert_eq!(decoded("a%3Ab%zz%4"), b"a:b%zz%4");
    assert_eq!(decoded("%C3%A9"), "é".as_bytes());
}
