//! See `tests/own_provider.rs`.
