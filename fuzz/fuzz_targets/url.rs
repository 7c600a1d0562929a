//! The URLs of the client, against the crate `url`, which reads them as browsers do.
//!
//! If both accept a URL, it leads to the same server and asks it for the same. What is compared
//! is the URL after this crate has read it, read again by `url`: so what `url` also changes (dots
//! in the path, numbers of IPv4 in other bases, escapes in hosts, letters in upper case) is
//! changed on both sides.
//!
//! Decisions in which it differs, which stand in [`is_decided`]: a fragment is refused, as RFC
//! 6455, section 3, demands; a host that is not in ASCII too; `http` and `https` are allowed; the
//! zone of an IPv6 address is (RFC 6874); and `//` stands before the host.

#![no_main]

use hyper_ws::Config;
use hyper_ws::handshake::{ClientHandshake, IntoRequest, Scheme, Target};
use libfuzzer_sys::fuzz_target;
use url::{Host, Url};

/// What a URL may begin with, since a fuzzer would look for it for long.
const BEGINNINGS: [&str; 8] = [
    "",
    "ws://",
    "wss://a",
    "http://a:",
    "ws://[",
    "ws://u@",
    "ws://a/",
    "wss://a?",
];

fuzz_target!(|data: &[u8]| {
    let [which, rest @ ..] = data else { return };
    if let Ok(text) = std::str::from_utf8(rest) {
        let beginning = BEGINNINGS[usize::from(which % 8)];
        run(&format!("{beginning}{text}"));
    }
});

fn run(text: &str) {
    let Ok(request) = text.into_request() else {
        return refused(text);
    };
    let uri = request.uri().clone();
    let target = Target::of(&uri);
    let handshake = ClientHandshake::new(request, Config::new(), [0; 16]);
    let (Ok(target), Ok((request, _))) = (&target, handshake) else {
        return refused(text);
    };
    // What is sent is one line each, and ASCII.
    let path = request.uri().to_string();
    let host = request.headers()["host"]
        .to_str()
        .expect("ASCII")
        .to_owned();
    assert!(
        path.starts_with('/') && path.bytes().all(|byte| byte.is_ascii_graphic()),
        "{path}"
    );
    assert!(
        host.bytes().all(|byte| byte.is_ascii_graphic()) && !host.contains(['@', '/']),
        "{host}"
    );

    let Ok(theirs) = Url::parse(text) else {
        assert!(is_lenient(target), "accepted {text:?}: {target} {path}");
        return;
    };
    let scheme = match target.scheme() {
        Scheme::Ws => ["ws", "http"],
        Scheme::Wss => ["wss", "https"],
    };
    assert!(scheme.contains(&theirs.scheme()), "{theirs}");
    // It leads to the same server, by the target and by what is sent in `Host`, ...
    let server = target.to_string();
    for again in [
        format!("{}://{server}{path}", theirs.scheme()),
        format!("{}://{host}{path}", theirs.scheme()),
    ] {
        let again = Url::parse(&again)
            .unwrap_or_else(|error| panic!("{text:?} became {again:?}: {error}, not {theirs}"));
        assert_eq!(again.host(), theirs.host(), "{text:?}");
        assert_eq!(
            again.port_or_known_default(),
            theirs.port_or_known_default(),
            "{text:?}"
        );
        // ... and asks for the same.
        // (The URL standard encodes `^` in a path since 2024, and `url` does not yet.)
        let theirs_encoded = theirs.path().replace('^', "%5E");
        assert_eq!(again.path(), theirs_encoded, "{text:?}");
        assert_eq!(again.query(), theirs.query(), "{text:?}");
    }
    // A user is sent if there is one, which may be empty.
    let is_sent = request.headers().contains_key("authorization");
    let has_user = !theirs.username().is_empty() || theirs.password().is_some();
    assert!(is_sent >= has_user, "{text:?}: the user is lost");
    let may_have_user = authority(text).is_some_and(|authority| authority.contains('@'));
    assert!(is_sent <= may_have_user, "{text:?}: a user from nowhere");
}

/// What this crate accepts and `url` does not.
fn is_lenient(target: &Target) -> bool {
    // The zone of an address.
    target.host().contains('%')
        // Numbers that are no address of IPv4, and hosts that no name can be: the resolver
        // refuses them.
        || Host::parse(target.host()).is_err()
}

/// What `url` accepts and this crate does not.
fn refused(text: &str) {
    let Ok(theirs) = Url::parse(text) else { return };
    assert!(is_decided(text, &theirs), "refused {text:?}: {theirs}");
}

fn is_decided(text: &str, theirs: &Url) -> bool {
    let is_scheme = ["ws", "wss", "http", "https"].contains(&theirs.scheme());
    let authority = authority(text);
    !is_scheme
        || text.contains('#')
        // Of more slashes than two, or fewer, it makes two.
        || authority.as_ref().is_none_or(|authority| authority.is_empty())
        // A host with letters beyond ASCII, or with what a URL cannot hold.
        || theirs.host_str().is_none_or(|host| host.contains("xn--"))
        || authority.is_some_and(|authority| {
            let host = authority.rsplit('@').next().unwrap_or_default().to_owned();
            !host.bytes().all(|byte| {
                byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:[]".contains(&byte)
            })
        })
        // The `http` crate holds no more.
        || theirs.as_str().len() > 65_000
}

/// What stands between `//` and the path, as browsers read it.
fn authority(text: &str) -> Option<String> {
    let text = text.trim_matches(|letter: char| letter <= ' ');
    let text = text.replace(['\t', '\n', '\r'], "").replace('\\', "/");
    let (_, rest) = text.split_once(':')?;
    let rest = rest.strip_prefix("//")?;
    rest.split(['/', '?', '#']).next().map(str::to_owned)
}
