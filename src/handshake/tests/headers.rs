use http::header::{CONNECTION, HeaderMap, HeaderValue, UPGRADE};

use crate::handshake::extensions;
use crate::handshake::headers::{Single, check_protocols, has_token, protocols, single};

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
fn a_repeated_field_is_not_read_as_its_first_line() {
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
        extensions::parse(&line).for_each(drop);
        let _ = check_protocols(&line);
        let mut headers = HeaderMap::new();
        headers.append(CONNECTION, line);
        assert!(!has_token(&headers, CONNECTION, "upgrade"));
    }
}

#[cfg(feature = "server")]
#[test]
#[should_panic(expected = "\"a b\" cannot be a subprotocol")]
fn a_subprotocol_that_no_client_can_offer_panics() {
    crate::handshake::assert_subprotocol("chat.v1");
    crate::handshake::assert_subprotocol("a b");
}
