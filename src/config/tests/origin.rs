use super::super::origin::{Host, Origin};

fn same(origin: &str, host: &str, scheme: Option<&str>) -> bool {
    Origin::parse(origin).is_some_and(|origin| origin.is_of(&Host::parse(host).unwrap(), scheme))
}

#[test]
fn a_host_is_a_name_or_an_address_with_or_without_a_port() {
    let host = |text| Host::parse(text).unwrap_or_else(|| panic!("{text}"));
    assert!(host("Example.com:80").matches(&host("example.COM")));
    assert!(host("example.com:80").matches(&host("example.com:80")));
    assert!(!host("example.com:81").matches(&host("example.com:80")));
    assert!(!host("example.com").matches(&host("example.com:81")));
    // A client leaves out the default port, of whichever scheme.
    assert!(host("example.com").matches(&host("example.com:80")));
    assert!(host("example.com").matches(&host("example.com:443")));
    assert!(!host("example.com:80").matches(&host("example.com:443")));
    assert!(!host("example.com.evil").matches(&host("example.com")));
    assert!(host("[::1]:3000").matches(&host("[0:0:0:0:0:0:0:1]")));
    assert!(!host("[::1]").matches(&host("127.0.0.1")));
    // The zone is that of the sender.
    assert!(host("[fe80::1%25lo]:9").matches(&host("[fe80::1]")));
    assert!(host("[fe80::1%lo]").matches(&host("[FE80::1]")));
    assert!(host("example.com:").matches(&host("example.com")));
    for text in [
        "",
        ":80",
        "a b",
        "a/b",
        "a@b",
        "user@a:80",
        "a:b",
        "a:65536",
        "a:+80",
        "a:80:80",
        "::1",
        "[::1",
        "[x]",
        "[::1]80",
        "[::1%]",
        "[::1%a b]",
        "[::1%a]b]",
        "a%25lo:x",
        "[127.0.0.1]",
        "é",
        "a\"",
        "a\\b",
        "a#",
        "a?",
    ] {
        assert!(Host::parse(text).is_none(), "{text:?}");
    }
}

#[test]
fn the_same_origin_is_the_same_host_and_port() {
    for (origin, host) in [
        ("https://example.com", "example.com"),
        ("http://example.com", "example.com"),
        ("HTTPS://EXAMPLE.com", "example.COM"),
        ("https://example.com:443", "example.com"),
        ("https://example.com", "example.com:443"),
        ("http://example.com", "example.com:80"),
        ("http://localhost:3000", "localhost:3000"),
        ("http://127.0.0.1:3000", "127.0.0.1:3000"),
        ("http://[::1]:3000", "[::1]:3000"),
        ("http://[::1]", "[0:0::1]:80"),
    ] {
        assert!(same(origin, host, None), "{origin} {host}");
    }
}

#[test]
fn another_scheme_host_or_port_is_another_origin() {
    for (origin, host) in [
        ("https://evil.example", "example.com"),
        ("https://sub.example.com", "example.com"),
        ("https://example.com", "sub.example.com"),
        ("https://example.com.evil", "example.com"),
        ("https://evilexample.com", "example.com"),
        ("https://93.184.216.34", "example.com"),
        ("http://127.0.0.1:3000", "localhost:3000"),
        ("http://[::1]", "127.0.0.1"),
        ("https://example.com:8443", "example.com"),
        ("https://example.com", "example.com:80"),
        ("http://example.com", "example.com:443"),
        ("app://bundle", "bundle:80"),
        // Neither http nor https.
        ("app://bundle", "bundle"),
        ("ws://example.com", "example.com"),
        ("tauri://localhost:3000", "localhost:3000"),
        ("null", "null"),
        ("", "example.com"),
        ("example.com", "example.com"),
        ("//example.com", "example.com"),
        ("https://example.com/", "example.com"),
        ("https://example.com/path", "example.com"),
        ("https://example.com https://evil.example", "example.com"),
        ("https://example.com@evil.example", "example.com"),
        ("https://evil.example#@example.com", "example.com"),
        ("*", "example.com"),
    ] {
        assert!(!same(origin, host, None), "{origin} {host}");
    }
}

#[test]
fn the_scheme_is_compared_if_the_request_has_one() {
    assert!(same("https://example.com", "example.com", Some("https")));
    assert!(!same("http://example.com", "example.com", Some("https")));
    assert!(!same("https://example.com", "example.com", Some("http")));
}
