//! Settings that can never match or work: each is refused with the reason.

use std::panic::catch_unwind;
use std::time::Duration;

use super::*;

/// The text of the panic of a setter.
fn panic_of<T>(set: impl FnOnce() -> T + std::panic::UnwindSafe) -> String {
    let panic = catch_unwind(set).err().expect("the setting was taken");
    match panic.downcast::<String>() {
        Ok(text) => *text,
        Err(panic) => panic.downcast_ref::<&str>().unwrap().to_string(),
    }
}

fn origin(text: &'static str) -> String {
    panic_of(move || Config::new().allow_origins([text]))
}

fn host(text: &'static str) -> String {
    panic_of(move || Config::new().hosts([text]))
}

#[test]
fn an_origin_that_no_page_has_is_refused_with_the_right_spelling() {
    for (text, right) in [
        ("https://example.com/", "https://example.com"),
        (
            "https://example.com/path?query#fragment",
            "https://example.com",
        ),
        ("https://example.com?", "https://example.com"),
        (" https://example.com", "https://example.com"),
        ("https://example.com ", "https://example.com"),
        ("https://example.com\n", "https://example.com"),
        ("https:\\\\example.com\\", "https://example.com"),
        ("example.com", "https://example.com"),
        ("example.com:8443", "https://example.com:8443"),
        ("//example.com", "https://example.com"),
        ("localhost:3000", "http://localhost:3000"),
        ("127.0.0.1:3000", "http://127.0.0.1:3000"),
        ("[::1]:3000", "http://[::1]:3000"),
        ("::1", "http://[::1]"),
        ("http://::1", "http://[::1]"),
        ("https://user:password@example.com", "https://example.com"),
        ("ws://localhost:3000", "http://localhost:3000"),
        ("wss://example.com/ws", "https://example.com"),
        ("file:///", "file://"),
        ("NULL", "null"),
    ] {
        let panic = origin(text);
        assert!(panic.contains(&format!("{text:?}")), "{panic}");
        assert!(panic.contains(&format!("write {right:?}")), "{panic}");
    }
    for text in [
        "",
        "https://",
        "https://a b",
        "https://a:b",
        "https://a:65536",
        "http://localhost:0",
        "https://a,https://b",
        "https://%61",
        "http://127.1",
        "http://0x7f000001",
        "http://127.0.0.1.",
        "https:/example.com",
    ] {
        let panic = origin(text);
        assert!(panic.contains("expected"), "{panic}");
    }
}

#[test]
fn an_origin_that_stands_for_several_is_refused_with_the_setting_that_does() {
    assert!(origin("*").contains("danger_allow_any_origin"));
    for text in [
        "https://*.example.com",
        "https://*",
        "*.example.com",
        "http://localhost:*",
    ] {
        assert!(origin(text).contains("allow_origins_if"), "{text}");
    }
    // Some clients send it, but no page.
    assert!(origin("wss://example.com").contains("allow_origins_if"));
}

#[test]
fn a_name_that_is_not_in_ascii_is_refused_with_the_form_that_browsers_send() {
    for panic in [
        origin("https://bücher.example"),
        origin("bücher.example"),
        host("bücher.example"),
        host("https://bücher.example/"),
    ] {
        assert!(panic.contains("xn--"), "{panic}");
        assert!(panic.contains("new URL"), "{panic}");
    }
    let _ = Config::new()
        .allow_origins(["https://xn--bcher-kva.example"])
        .hosts(["xn--bcher-kva.example"]);
}

#[test]
fn a_host_that_no_request_has_is_refused_with_the_right_spelling() {
    for (text, right) in [
        ("http://example.com", "example.com"),
        ("https://example.com:8443/path", "example.com:8443"),
        ("example.com/", "example.com"),
        (" example.com", "example.com"),
        ("example.com ", "example.com"),
        ("user@example.com", "example.com"),
        ("::1", "[::1]"),
    ] {
        let panic = host(text);
        assert!(panic.contains(&format!("{text:?}")), "{panic}");
        assert!(panic.contains(&format!("write {right:?}")), "{panic}");
    }
    assert!(host("*").contains("leave `hosts` out"));
    assert!(host("*.example.com").contains("wildcard"));
    for text in ["", "a b", "example.com:x", "example.com:0", ":80", "a,b"] {
        let panic = host(text);
        assert!(panic.contains("expected"), "{panic}");
    }
    let none: [&str; 0] = [];
    assert!(panic_of(move || Config::new().hosts(none)).contains("leave `hosts` out"));
}

#[test]
fn an_origin_or_a_host_that_can_match_is_taken() {
    let _ = Config::new()
        .allow_origins([
            "https://example.com",
            "HTTPS://Example.COM:443",
            "http://localhost:3000",
            "http://127.0.0.1",
            "http://[::1]:3000",
            "https://my_host.example.",
            "null",
            "file://",
            "app://bundle",
            "chrome-extension://mhjfbmdgcfjbbpaeojofohoefgiehjai",
            "capacitor://localhost",
        ])
        .allow_origins([] as [&str; 0])
        .hosts([
            "example.com",
            "localhost:3000",
            "[::1]:80",
            "127.0.0.1",
            "[fe80::1%25lo]",
        ]);
}

#[test]
fn a_keep_alive_of_zero_is_refused_with_the_method_that_turns_pings_off() {
    let second = Duration::from_secs(1);
    for (interval, timeout) in [
        (Duration::ZERO, second),
        (second, Duration::ZERO),
        (Duration::ZERO, Duration::ZERO),
        // It would be rounded to zero.
        (Duration::from_nanos(999_999), second),
        (second, Duration::from_micros(1)),
    ] {
        let panic = panic_of(move || Config::new().keep_alive(interval, timeout));
        assert!(panic.contains("no_keep_alive"), "{panic}");
    }
    let _ = Config::new()
        .keep_alive(Duration::from_millis(1), Duration::from_millis(1))
        .keep_alive(Duration::MAX, Duration::MAX);
}

#[test]
fn a_timeout_of_zero_is_refused_with_the_value_that_means_none() {
    let zero = Duration::ZERO;
    for panic in [
        panic_of(move || Config::new().message_timeout(zero)),
        panic_of(move || Config::new().write_timeout(zero)),
    ] {
        assert!(panic.contains("`None` sets no limit"), "{panic}");
    }
    let panic = panic_of(move || Config::new().close_timeout(zero));
    assert!(panic.contains("abort"), "{panic}");
    let _ = Config::new()
        .message_timeout(Duration::MAX)
        .write_timeout(Duration::MAX)
        .close_timeout(Duration::MAX);
}

#[test]
fn a_size_of_zero_is_refused_with_the_value_that_means_no_limit() {
    for panic in [
        panic_of(|| Config::new().max_message_size(0)),
        panic_of(|| Config::new().max_frame_size(0)),
        panic_of(|| Config::new().output_limit(0)),
    ] {
        assert!(panic.contains("`usize::MAX` sets no limit"), "{panic}");
    }
    let _ = Config::new()
        .max_message_size(usize::MAX)
        .max_frame_size(usize::MAX)
        .output_limit(usize::MAX);
}

#[cfg(feature = "deflate")]
#[test]
fn settings_of_compression_out_of_range_are_refused() {
    for bits in [0, 8, 16] {
        let panic = panic_of(move || Compression::shared().window_bits(bits));
        assert!(panic.contains("from 9 to 15"), "{panic}");
    }
    for level in [0, 10] {
        let panic = panic_of(move || Compression::shared().level(level));
        assert!(panic.contains("from 1 to 9"), "{panic}");
        let panic = panic_of(move || Compression::shared().memory_level(level));
        assert!(panic.contains("from 1 to 9"), "{panic}");
    }
}
