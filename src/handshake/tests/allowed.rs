//! The pages and the hosts that may connect.

use http::header::HeaderValue;

use super::server::{checked, refused, request, set};
use crate::config::Config;

#[test]
fn a_request_without_origin_may_connect() {
    assert_eq!(checked(&request(), Config::new()), Ok(()));
    assert_eq!(
        checked(
            &request(),
            Config::new().allow_origins(["https://a.example"])
        ),
        Ok(())
    );
}

#[test]
fn a_page_of_the_same_origin_may_connect() {
    for origin in [
        "https://example.com",
        "http://example.com",
        "https://EXAMPLE.com:443",
    ] {
        assert_eq!(checked(&set("origin", origin), Config::new()), Ok(()));
    }
}

#[test]
fn a_page_of_another_origin_is_refused_with_both_values_and_the_setting() {
    for origin in [
        "https://evil.example",
        "https://sub.example.com",
        "https://example.com.evil",
        "https://93.184.216.34",
        "https://example.com:8443",
        "null",
        "",
    ] {
        let reason = checked(&set("origin", origin), Config::new()).unwrap_err();
        assert!(reason.contains(&format!("`{origin}`")), "{reason}");
        assert!(reason.contains("`example.com`"), "{reason}");
        assert!(reason.contains("Config::allow_origins"), "{reason}");
    }
}

#[test]
fn two_origins_are_refused() {
    let mut request = set("origin", "https://example.com");
    request
        .headers_mut()
        .append("origin", HeaderValue::from_static("https://example.com"));
    refused(&request, 400, "`Origin`");
}

#[test]
fn only_listed_origins_may_connect() {
    let config = || Config::new().allow_origins(["https://a.example", "http://b.example:8080"]);
    for origin in [
        "https://a.example",
        "https://A.example:443",
        "http://b.example:8080",
    ] {
        assert_eq!(checked(&set("origin", origin), config()), Ok(()));
    }
    for origin in [
        "https://example.com",
        "http://a.example",
        "https://b.example:8080",
        "null",
    ] {
        assert!(
            checked(&set("origin", origin), config()).is_err(),
            "{origin}"
        );
    }
    let null = Config::new().allow_origins(["null"]);
    assert_eq!(checked(&set("origin", "null"), null), Ok(()));
}

#[test]
fn a_function_may_decide_about_origins_or_all_be_allowed() {
    let config = || Config::new().allow_origins_if(|origin| origin.ends_with(".example"));
    assert_eq!(
        checked(&set("origin", "https://a.example"), config()),
        Ok(())
    );
    let reason = checked(&set("origin", "https://example.com"), config()).unwrap_err();
    assert!(reason.contains("allow_origins_if"), "{reason}");
    let any = Config::new().danger_allow_any_origin();
    assert_eq!(checked(&set("origin", "https://evil.example"), any), Ok(()));
}

#[test]
fn only_listed_hosts_are_accepted() {
    let config = || Config::new().hosts(["example.com", "localhost:3000"]);
    for host in ["example.com", "EXAMPLE.com:8080", "localhost:3000"] {
        assert_eq!(checked(&set("host", host), config()), Ok(()));
    }
    for host in ["evil.example", "localhost", "localhost:3001"] {
        let reason = checked(&set("host", host), config()).unwrap_err();
        assert!(reason.contains("Config::hosts"), "{reason}");
    }
}

/// RFC 6874 has clients remove it, and some do not.
#[test]
fn a_host_may_have_a_zone_which_is_not_compared() {
    for host in ["[fe80::1%25eth0]:9", "[fe80::1%eth0]:9"] {
        let mut request = set("host", host);
        assert_eq!(checked(&request, Config::new()), Ok(()), "{host}");
        let origin = HeaderValue::from_static("http://[fe80::1]:9");
        request.headers_mut().insert("origin", origin);
        assert_eq!(checked(&request, Config::new()), Ok(()), "{host}");
        let listed = Config::new().hosts(["[fe80::1]"]);
        assert_eq!(checked(&request, listed), Ok(()), "{host}");
        let other = Config::new().hosts(["[fe80::2]"]);
        assert!(checked(&request, other).is_err(), "{host}");
    }
}
