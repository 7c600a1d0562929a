//! Settings that can never match or work: why, and what to write instead.

use std::net::Ipv6Addr;
use std::time::Duration;

use super::origin::{Host, Origin};

/// Panics if no page has this origin.
#[track_caller]
pub(super) fn origin(text: &str) {
    // Of a page of `file:` in some web views: the only origins without a host.
    let is_hostless =
        |scheme: &str| !is_network(scheme) && Origin::parse(&format!("{scheme}://host")).is_some();
    let can_match = text == "null"
        || text.strip_suffix("://").is_some_and(is_hostless)
        || Origin::parse(text).is_some_and(|origin| origin.can_be_sent());
    assert!(
        can_match,
        "{text:?} is not the origin of any page: {}",
        if text == "*" {
            "`danger_allow_any_origin` accepts pages of every origin".to_owned()
        } else if text.contains('*') {
            "a wildcard matches nothing, decide with `allow_origins_if` instead".to_owned()
        } else if !text.is_ascii() {
            not_ascii("origin")
        } else if let Some(right) = right_origin(text) {
            let hint = match scheme_and_rest(text).0 {
                Some("ws" | "wss") => {
                    " (a client that sends this one is not a browser: `allow_origins_if`)"
                }
                _ => "",
            };
            format!("write {right:?}{hint}")
        } else {
            "expected `scheme://host` or `scheme://host:port`".to_owned()
        }
    );
}

/// Panics if no request is sent to this host.
#[track_caller]
pub(super) fn host(text: &str) {
    let can_match = |text: &str| Host::parse(text).is_some_and(|host| host.can_be_sent());
    assert!(
        can_match(text),
        "{text:?} is not the host of any request: {}",
        if text == "*" {
            "leave `hosts` out to accept requests to any host".to_owned()
        } else if text.contains('*') {
            "a wildcard matches nothing, name each host".to_owned()
        } else if !text.is_ascii() {
            not_ascii("host")
        } else if let Some(right) = host_in(scheme_and_rest(text).1)
            && can_match(&right)
        {
            format!("write {right:?}")
        } else {
            "expected `host` or `host:port`".to_owned()
        }
    );
}

/// Panics if the list is empty.
#[track_caller]
pub(super) fn any_hosts(hosts: &[String]) {
    assert!(
        !hosts.is_empty(),
        "a list without hosts would refuse every request: leave `hosts` out to accept requests to any host"
    );
}

/// Panics if a timeout is over before it begins.
#[track_caller]
pub(super) fn timeout(name: &str, timeout: Duration, instead: &str) {
    assert!(!timeout.is_zero(), "`{name}` of zero: {instead}");
}

/// Panics if a limit admits nothing.
#[track_caller]
pub(super) fn size(name: &str, bytes: usize) {
    assert!(
        bytes > 0,
        "`{name}` of zero would let nothing through: `usize::MAX` sets no limit"
    );
}

/// Panics if a level of compression does not exist.
#[cfg(feature = "deflate")]
#[track_caller]
pub(super) fn range(name: &str, value: u8, range: std::ops::RangeInclusive<u8>) {
    let (least, most) = (range.start(), range.end());
    assert!(
        range.contains(&value),
        "`{name}` is a number from {least} to {most}, not {value}"
    );
}

fn not_ascii(part: &str) -> String {
    format!(
        "browsers send the xn-- form of such a name (`new URL(\"https://..\").{part}` in the console \
         of a browser shows it)"
    )
}

fn is_network(scheme: &str) -> bool {
    ["http", "https", "ws", "wss"]
        .iter()
        .any(|network| network.eq_ignore_ascii_case(scheme))
}

/// The origin that was meant, as far as a guess is safe.
fn right_origin(text: &str) -> Option<String> {
    if text.trim().eq_ignore_ascii_case("null") {
        return Some("null".to_owned());
    }
    let (scheme, rest) = scheme_and_rest(text);
    let host = host_in(rest)?;
    if host.is_empty() {
        return scheme
            .filter(|scheme| !is_network(scheme))
            .map(|scheme| format!("{scheme}://"));
    }
    let parsed = Host::parse(&host)?;
    let scheme = match scheme {
        Some("ws") => "http",
        Some("wss") => "https",
        Some(scheme) => scheme,
        None if parsed.is_local() => "http",
        None => "https",
    };
    let right = format!("{scheme}://{host}");
    let can_match = Origin::parse(&right)?.can_be_sent();
    can_match.then_some(right)
}

/// Splits a text that should be a URL behind its scheme.
fn scheme_and_rest(text: &str) -> (Option<&str>, &str) {
    let text = text.trim();
    let slashes = text.find("://").or_else(|| text.find(":\\\\"));
    match slashes {
        Some(scheme) => (Some(&text[..scheme]), &text[scheme + 3..]),
        None => (None, text.trim_start_matches('/')),
    }
}

/// The host and the port in what follows the scheme of a URL. `None` if it may be a
/// scheme, as in `https:/example.com`.
fn host_in(rest: &str) -> Option<String> {
    let end = rest.find(['/', '\\', '?', '#']).unwrap_or(rest.len());
    let host = &rest[..end];
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host).trim();
    let host = match host.parse::<Ipv6Addr>() {
        Ok(_) => format!("[{host}]"),
        Err(_) => host.to_owned(),
    };
    (!host.ends_with(':')).then_some(host)
}
