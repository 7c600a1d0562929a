//! What the servers and the load share: the words of their command lines.

/// Returns the value of `--name VALUE` among the command line's words.
///
/// # Panics
///
/// If the value cannot be read.
pub fn value<T: std::str::FromStr>(name: &str) -> Option<T> {
    let mut arguments = std::env::args();
    arguments.find(|argument| argument.strip_prefix("--") == Some(name))?;
    let value = arguments.next()?;
    Some(value.parse().unwrap_or_else(|_| panic!("--{name} {value}")))
}

/// Returns whether one of the command line's words is `--name`.
pub fn has_flag(name: &str) -> bool {
    std::env::args().any(|argument| argument.strip_prefix("--") == Some(name))
}

/// Returns the value of `name` in a query such as `role=hear&room=a`.
pub fn parameter<'a>(query: &'a str, name: &str) -> Option<&'a str> {
    let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs.find(|(key, _)| *key == name).map(|(_, value)| value)
}
