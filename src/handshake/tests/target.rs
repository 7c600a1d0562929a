use http::{Request, Uri};

use crate::Config;
use crate::handshake::target::decoded;
use crate::handshake::{ClientHandshake, IntoRequest, Scheme, Target};

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
    // Found by the fuzz target `url`: the name in brackets was looked up.
    for url in [
        "ws://[example.com]/",
        "ws://[(]",
        "ws://[127.0.0.1]:80/",
        "ws://[]/",
        "ws://[v1.a]/",
        "ws://[a%25lo]/",
    ] {
        assert!(refused(url).contains("IPv6"), "{url}");
    }
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
    for url in ["ws://a b/", "ws://a\0/", "ws://a:80 /"] {
        assert!(refused(url).contains("blank"), "{url}");
    }
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

fn request_target(url: impl IntoRequest) -> String {
    let request = url.into_request().unwrap();
    let (request, _) = ClientHandshake::new(request, Config::new(), [0; 16]).unwrap();
    request.uri().to_string()
}

#[test]
fn a_path_is_encoded_once() {
    for (url, sent) in [
        ("ws://a/%C3%A9%20/%2f?q=%23", "/%C3%A9%20/%2f?q=%23"),
        ("ws://a/é x?q=ü", "/%C3%A9%20x?q=%C3%BC"),
        ("ws://a?q=1", "/?q=1"),
        ("ws://a", "/"),
    ] {
        assert_eq!(request_target(url), sent, "{url}");
    }
}

#[cfg(feature = "server")]
#[test]
fn the_path_of_a_route_is_encoded_as_clients_do() {
    let encoded = crate::handshake::encoded_path;
    assert_eq!(encoded("/caf\u{e9} 1/%2f"), "/caf%C3%A9%201/%2f");
    assert_eq!(encoded("/ws"), "/ws");
}

/// The right column is what `new URL(url)` of a browser makes of the left one.
#[test]
fn a_typed_url_is_read_as_browsers_read_it() {
    for (url, sent) in [
        (" ws://a/b ", "/b"),
        ("\0\t ws://a/b\r\n", "/b"),
        ("ws://a/b\r\nX: y", "/bX:%20y"),
        ("w\ns:/\t/a/b", "/b"),
        ("ws:\\\\a\\b\\c", "/b/c"),
        ("ws://a\\b?c\\d", "/b?c\\d"),
        ("ws://a/b\"<c>`{d}^|[]", "/b%22%3Cc%3E%60%7Bd%7D%5E|[]"),
        ("ws://a/b?\"<c>`{d}^|'", "/b?%22%3Cc%3E`{d}^|%27"),
        ("ws://a/b'?c?d", "/b'?c?d"),
        ("ws://a/b\0\x7f", "/b%00%7F"),
        ("ws://a/😀", "/%F0%9F%98%80"),
        ("ws://a/100%", "/100%"),
        ("ws://a/a b?c d", "/a%20b?c%20d"),
    ] {
        assert_eq!(request_target(url), sent, "{url:?}");
        let (_, host, port) = target(url).unwrap();
        assert_eq!((&*host, port), ("a", 80), "{url:?}");
    }
}

#[test]
fn a_uri_that_was_parsed_before_is_sent_in_ascii_too() {
    let uri = Uri::from_maybe_shared("ws://a/é?\"ü\"".replace('"', "'").into_bytes()).unwrap();
    assert_eq!(request_target(uri.clone()), "/%C3%A9?'%C3%BC'");
    let request = Request::get(uri).body(()).unwrap();
    assert_eq!(request_target(request), "/%C3%A9?'%C3%BC'");
}

#[test]
fn user_and_password_may_have_any_letter() {
    let sent = |url: &str| {
        let request = url.into_request().unwrap();
        let (request, _) = ClientHandshake::new(request, Config::new(), [0; 16]).unwrap();
        assert_eq!(request.headers()["host"], "a:9", "{url}");
        request.headers()["authorization"]
            .to_str()
            .unwrap()
            .to_owned()
    };
    // In base64: `üser:a b`, `u:p@[x]`, `u:<">`.
    assert_eq!(sent("ws://üser:a b@a:9/"), "Basic w7xzZXI6YSBi");
    assert_eq!(sent("ws://u:p@[x]@a:9/"), "Basic dTpwQFt4XQ==");
    // Found by the fuzz target `url`: `http` refuses a URL with nine colons.
    let colons = sent("ws://u:1:2:3:4:5:6:7:8:9@a:9/");
    assert_eq!(colons, "Basic dToxOjI6Mzo0OjU6Njo3Ojg6OQ==");
    assert_eq!(sent("ws://u:<\">@a:9/"), "Basic dTo8Ij4=");
}

#[test]
fn a_zone_is_decoded_for_the_resolver_and_left_out_of_the_host() {
    for (url, host, sent) in [
        ("ws://[fe80::1%25lo]:9/", "fe80::1%lo", "[fe80::1]:9"),
        ("ws://[fe80::1%25lo]/", "fe80::1%lo", "[fe80::1]"),
        (
            "wss://u:p@[fe80::1%25br-lan.7]:443/",
            "fe80::1%br-lan.7",
            "[fe80::1]",
        ),
        ("ws://[fe80::1%25en%31]/", "fe80::1%en1", "[fe80::1]"),
        // As people copy it, and a zone whose name is 25.
        ("ws://[fe80::1%lo]/", "fe80::1%lo", "[fe80::1]"),
        ("ws://[fe80::1%25]/", "fe80::1%25", "[fe80::1]"),
        ("ws://[fe80::1%2525]/", "fe80::1%25", "[fe80::1]"),
    ] {
        assert_eq!(target(url).unwrap().1, host, "{url}");
        let request = url.into_request().unwrap();
        let target = Target::of(request.uri()).unwrap();
        assert_eq!(target.server_name(), "fe80::1", "{url}");
        assert_eq!(
            Target::of(request.uri())
                .unwrap()
                .to_string()
                .split(']')
                .next(),
            Some(&*format!("[{host}"))
        );
        let (request, _) = ClientHandshake::new(request, Config::new(), [0; 16]).unwrap();
        assert_eq!(request.headers()["host"], sent, "{url}");
        let (request, _) =
            ClientHandshake::over_http2(url.into_request().unwrap(), Config::new()).unwrap();
        assert_eq!(request.uri().authority().unwrap(), sent, "{url}");
    }
    assert!(refused("ws://[fe80::1%]/").contains("zone"));
    assert!(refused("ws://[fe80::1%25%0A]/").contains("zone"));
}

#[test]
fn triplets_are_decoded_and_everything_else_stays() {
    assert_eq!(decoded("a%3Ab%zz%4"), b"a:b%zz%4");
    assert_eq!(decoded("%C3%A9"), "é".as_bytes());
}

#[test]
fn a_url_may_be_a_string_too_and_is_shown_with_its_port() {
    for (url, shown) in [("ws://a/b", "a:80"), ("wss://[::1]/", "[::1]:443")] {
        let string = url.to_owned();
        let one = (&string).into_request().unwrap();
        let other = string.into_request().unwrap();
        assert_eq!(one.uri(), other.uri());
        assert_eq!(Target::of(one.uri()).unwrap().to_string(), shown);
    }
}
