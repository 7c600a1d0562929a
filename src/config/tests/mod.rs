//! Defaults, setters and getters.

#[cfg(feature = "deflate")]
mod compression;
mod impossible;
#[cfg(feature = "handshake")]
mod origin;

use super::*;

#[test]
fn defaults_are_finite_or_off() {
    let config = Config::new();
    assert_eq!(config.max_message_size, 1 << 20);
    assert_eq!(config.get_max_frame_size(), 1 << 20);
    assert_eq!(config.output_limit, 64 << 10);
    assert!(
        config
            .keep_alive
            .is_some_and(|pings| pings.interval + pings.timeout < Duration::from_secs(60))
    );
    assert!(config.message_timeout.is_some());
    assert!(config.write_timeout.is_some());
    assert!(config.close_timeout < Duration::from_secs(60));
    assert!(matches!(config.origins, Origins::Same));
}

#[test]
fn every_getter_returns_what_was_set() {
    let second = Duration::from_secs;
    let config = Config::new()
        .max_message_size(100)
        .output_limit(300)
        .overflow(Overflow::DropOldest)
        .keep_alive(second(1), second(2))
        .close_timeout(second(3))
        .message_timeout(second(4))
        .write_timeout(None)
        .allow_origins(["https://a"])
        .hosts(["a"]);
    assert_eq!(config.get_max_message_size(), 100);
    assert_eq!(config.get_max_frame_size(), 100);
    assert_eq!(config.get_output_limit(), 300);
    assert_eq!(config.get_overflow(), Overflow::DropOldest);
    assert_eq!(config.get_keep_alive(), Some((second(1), second(2))));
    assert_eq!(config.get_close_timeout(), second(3));
    assert_eq!(config.get_message_timeout(), Some(second(4)));
    assert_eq!(config.get_write_timeout(), None);
    assert_eq!(config.get_allowed_origins().unwrap(), ["https://a"]);
    assert_eq!(config.get_hosts().unwrap(), ["a"]);

    let config = config.max_frame_size(50).no_keep_alive();
    assert_eq!(config.get_max_frame_size(), 50);
    assert_eq!(config.get_keep_alive(), None);
    let config = config.danger_allow_any_origin();
    assert_eq!(config.get_allowed_origins(), None);
}

#[test]
fn a_configuration_is_shown_with_the_origins_that_it_allows() {
    let config = Config::new;
    for (config, shown) in [
        (config(), "origins: Same"),
        (
            config().allow_origins(["https://a"]),
            "List([\"https://a\"])",
        ),
        (config().allow_origins_if(|_| true), "origins: If(..)"),
        (config().danger_allow_any_origin(), "origins: Any"),
    ] {
        let text = format!("{config:?}");
        assert!(text.contains(shown), "{text}");
    }
}
