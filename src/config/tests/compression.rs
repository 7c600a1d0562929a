//! Settings of compression, and the limit of contexts.

use super::super::compression::Compression;
use crate::Config;

#[test]
fn contexts_are_counted_over_all_clones_and_released() {
    let compression = Compression::dedicated().limit(2);
    let clone = compression.clone();
    let take = |compression: &Compression| compression.contexts.as_ref().unwrap().take();
    let first = take(&compression);
    let second = take(&clone);
    assert!(first.is_some() && second.is_some());
    assert!(take(&compression).is_none());
    drop(first);
    assert!(take(&clone).is_some());
    assert!(Compression::shared().limit(9).contexts.is_none());
}

#[test]
fn every_getter_returns_what_was_set() {
    let compression = Compression::shared()
        .level(1)
        .window_bits(10)
        .memory_level(2)
        .threshold(3);
    assert_eq!(compression.get_level(), 1);
    assert_eq!(compression.get_window_bits(), 10);
    assert_eq!(compression.get_memory_level(), 2);
    assert_eq!(compression.get_threshold(), 3);
    assert_eq!(compression.get_limit(), None);
    assert_eq!(Compression::dedicated().limit(5).get_limit(), Some(5));
    let config = Config::new().compression(compression);
    assert_eq!(
        config.get_compression().map(Compression::get_level),
        Some(1)
    );
}
