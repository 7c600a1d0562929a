use http::header::{CONNECTION, HeaderMap, HeaderValue, UPGRADE};

use crate::handshake::headers::{
    Host, Origin, Single, check_protocols, extensions, has_token, protocols, single,
};

fn lines(values: &[&str]) -> Vec<HeaderValue> {
    values
        .iter()
        .map(|value| HeaderValue::from_bytes(value.as_bytes()).unwrap())
        .collect()
}

fn list(values: &[&str], token: &str) -> bool {
    let mut headers = HeaderMap::new();
    for line in lines(values) {
        headers.append(CONNECTION, line);
    }
    has_token(&headers, CONNECTION, token)
}

fn offers(value: &str) -> Result<Vec<String>, String> {
    extensions(&HeaderValue::from_bytes(value.as_bytes()).unwrap())
        .map(|offer| match offer {
            Ok(offer) => Ok(std::iter::once(offer.name.to_owned())
                .chain(offer.parameters().map(|(name, value)| match value {
                    Some(value) => format!("{name}={value}"),
                    None => name.to_owned(),
                }))
                .collect::<Vec<_>>()
                .join(";")),
            Err(broken) => Err(String::from_utf8_lossy(broken).into_owned()),
        })
        .collect()
}

fn same(origin: &str, host: &str, scheme: Option<&str>) -> bool {
    Origin::parse(origin).is_some_and(|origin| origin.is_of(&Host::parse(host).unwrap(), scheme))
}

#[test]
fn a_token_list_is_compared_by_whole_tokens_without_regard_to_case() {
    for values in [
        &["Upgrade"][..],
        &["upgrade"],
        &["UPGRADE"],
        &["keep-alive, Upgrade"],
        &["keep-alive,Upgrade"],
        &["keep-alive", "Upgrade"],
        &["\tupgrade ,, close"],
        &[",,upgrade"],
    ] {
        assert!(list(values, "upgrade"), "{values:?}");
    }
    for values in [
        &[][..],
        &[""],
        &["not-an-upgrade"],
        &["upgrade-insecure"],
        &["up grade"],
        &["upgrade;q=1"],
        &["\"upgrade\""],
        &["keep-alive", "close"],
    ] {
        assert!(!list(values, "upgrade"), "{values:?}");
    }
    assert!(list(&["h2c, websocket"], "websocket"));
    assert!(list(&["WebSocket"], "websocket"));
    assert!(!list(&["websocket/13"], "websocket"));
}

#[test]
fn a_field_that_came_twice_is_not_read_as_its_first_line() {
    let mut headers = HeaderMap::new();
    assert!(matches!(single(&headers, UPGRADE), Single::Missing));
    headers.append(UPGRADE, HeaderValue::from_static("a"));
    assert!(matches!(single(&headers, UPGRADE), Single::Once(value) if value == "a"));
    headers.append(UPGRADE, HeaderValue::from_static("a"));
    assert!(matches!(single(&headers, UPGRADE), Single::Repeated));
}

#[test]
fn subprotocols_are_tokens_and_keep_their_case() {
    let line = HeaderValue::from_static("chat.v2, Chat.v2,,\tx, x");
    assert_eq!(check_protocols(&line), Ok(()));
    assert_eq!(
        protocols(&line).collect::<Vec<_>>(),
        ["chat.v2", "Chat.v2", "x", "x"]
    );

    for (value, wrong) in [
        ("", ""),
        (" , ,", " , ,"),
        ("a b", "a b"),
        ("a, a/b", "a/b"),
        ("a;b, c", "a;b"),
        ("\"a\"", "\"a\""),
    ] {
        let line = HeaderValue::from_bytes(value.as_bytes()).unwrap();
        assert_eq!(check_protocols(&line), Err(wrong.as_bytes()), "{value:?}");
    }
    let binary = HeaderValue::from_bytes(b"caf\xe9").unwrap();
    assert!(check_protocols(&binary).is_err());
}

#[test]
fn extensions_are_read_with_quoted_values_and_optional_blanks() {
    let deflate = "permessage-deflate;client_max_window_bits";
    for value in [
        "permessage-deflate; client_max_window_bits",
        "permessage-deflate;client_max_window_bits",
        " permessage-deflate\t;\tclient_max_window_bits ",
        ",, permessage-deflate ; client_max_window_bits ,",
    ] {
        assert_eq!(offers(value), Ok(vec![deflate.to_owned()]), "{value:?}");
    }
    assert_eq!(
        offers(r#"a; b=1; c="2", a; b = "\1\0" ;b, constructor"#),
        Ok(vec![
            "a;b=1;c=2".to_owned(),
            "a;b=10;b".to_owned(),
            "constructor".to_owned()
        ]),
    );
    assert_eq!(offers(""), Ok(vec![]));
    assert_eq!(offers(" , ,"), Ok(vec![]));
}

#[test]
fn a_broken_extension_is_named_and_nothing_behind_it_is_read() {
    for value in [
        ";",
        "=",
        "a;",
        "a;;b",
        "a;=1",
        "a=1",
        "a b",
        "a;b=",
        "a;b c",
        "a;b=\"",
        "a;b=\"1",
        "a;b=\"\"",
        "a;b=\"x y\"",
        "a;b=\"x\\",
        "a;b=\"1\"2",
        "a;b=\"1,c",
        "a/b",
        "a;b=1=2",
    ] {
        assert_eq!(offers(value), Err(value.to_owned()), "{value:?}");
        assert_eq!(
            offers(&format!("x, {value}")),
            Err(value.to_owned()),
            "{value:?}"
        );
    }
    let line = HeaderValue::from_static("a;;b, c");
    assert_eq!(extensions(&line).count(), 1);
}

#[test]
fn header_values_of_any_shape_are_read_in_linear_time() {
    // The time is not asserted: quadratic work on 1 MiB would take minutes.
    for unit in [
        ",",
        " ",
        ", ",
        "a",
        "a,",
        "a;",
        "a;b,",
        "a;b=\"1\",",
        "\"",
        "\\",
        "a;b=\"",
        ";",
    ] {
        let value = unit.repeat((1 << 20) / unit.len());
        let line = HeaderValue::from_bytes(value.as_bytes()).unwrap();
        extensions(&line).for_each(drop);
        let _ = check_protocols(&line);
        let mut headers = HeaderMap::new();
        headers.append(CONNECTION, line);
        assert!(!has_token(&headers, CONNECTION, "upgrade"));
    }
}

#[test]
fn a_host_is_a_name_or_an_address_with_or_without_a_port() {
    let host = |text| Host::parse(text).unwrap_or_else(|| panic!("{text}"));
    assert!(host("Example.com:80").is(&host("example.COM")));
    assert!(host("example.com:80").is(&host("example.com:80")));
    assert!(!host("example.com").is(&host("example.com:80")));
    assert!(!host("example.com.evil").is(&host("example.com")));
    assert!(host("[::1]:3000").is(&host("[0:0:0:0:0:0:0:1]")));
    assert!(!host("[::1]").is(&host("127.0.0.1")));
    assert!(host("example.com:").is(&host("example.com")));
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
fn every_other_origin_is_another() {
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
        // No server of HTTP has served that.
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
fn the_scheme_counts_where_the_request_has_one() {
    assert!(same("https://example.com", "example.com", Some("https")));
    assert!(!same("http://example.com", "example.com", Some("https")));
    assert!(!same("https://example.com", "example.com", Some("http")));
}
