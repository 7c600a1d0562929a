//! Offers and answers.

use super::*;

#[test]
fn every_combination_of_parameters_gets_the_answer_that_the_rfc_allows() {
    const NONE: &str = "server_no_context_takeover;client_no_context_takeover";
    for (offer, in_shared_mode, with_contexts) in [
        // Firefox: the answer must not name the client's window.
        ("", NONE, ""),
        // Chromium: it accepts a smaller window, which saves the server memory.
        ("client_max_window_bits", NONE, "client_max_window_bits=12"),
        (
            "client_max_window_bits=15",
            NONE,
            "client_max_window_bits=12",
        ),
        (
            "client_max_window_bits=10",
            NONE,
            "client_max_window_bits=10",
        ),
        ("client_max_window_bits=8", NONE, "client_max_window_bits=8"),
        (
            "server_max_window_bits=15",
            "server_no_context_takeover;client_no_context_takeover;server_max_window_bits=12",
            "server_max_window_bits=12",
        ),
        (
            "server_max_window_bits=9",
            "server_no_context_takeover;client_no_context_takeover;server_max_window_bits=9",
            "server_max_window_bits=9",
        ),
        (
            "server_max_window_bits=8;client_max_window_bits",
            "server_no_context_takeover;client_no_context_takeover;server_max_window_bits=8",
            "server_max_window_bits=8;client_max_window_bits=12",
        ),
        (
            "server_no_context_takeover",
            NONE,
            "server_no_context_takeover",
        ),
        (
            "client_no_context_takeover",
            NONE,
            "client_no_context_takeover",
        ),
        (
            "client_no_context_takeover;server_no_context_takeover",
            NONE,
            NONE,
        ),
        (
            "client_no_context_takeover;client_max_window_bits=9",
            NONE,
            "client_no_context_takeover",
        ),
    ] {
        assert_eq!(
            answer(shared(), offer).as_deref(),
            Some(in_shared_mode),
            "{offer}"
        );
        assert_eq!(
            answer(dedicated(), offer).as_deref(),
            Some(with_contexts),
            "{offer}"
        );
    }
}

#[test]
fn an_offer_that_breaks_the_rules_is_declined() {
    for offer in [
        "unknown",
        "x-webkit=1",
        "Server_No_Context_Takeover",
        "server_no_context_takeover=1",
        "client_no_context_takeover=true",
        "server_no_context_takeover;server_no_context_takeover",
        "client_no_context_takeover;client_no_context_takeover",
        "server_max_window_bits",
        "server_max_window_bits=7",
        "server_max_window_bits=16",
        "server_max_window_bits=08",
        "server_max_window_bits=010",
        "server_max_window_bits=+9",
        "server_max_window_bits=9x",
        "server_max_window_bits=99999999999999999999",
        "server_max_window_bits=9;server_max_window_bits=9",
        "client_max_window_bits=7",
        "client_max_window_bits=16",
        "client_max_window_bits=015",
        "client_max_window_bits=-9",
        "client_max_window_bits;client_max_window_bits",
        "client_max_window_bits;client_max_window_bits=9",
    ] {
        assert_eq!(answer(shared(), offer), None, "{offer}");
        assert_eq!(answer(dedicated(), offer), None, "{offer}");
    }
}

#[test]
fn without_compression_in_the_config_nothing_is_agreed() {
    let none = (known().accept)(&Config::new(), &mut std::iter::empty());
    assert_eq!(none, None);
    assert_eq!((known().offer)(&Config::new()), None);
    assert_eq!(
        (known().conclude)(&Config::new(), &mut std::iter::empty()),
        None
    );
}

#[test]
fn a_client_refuses_an_answer_that_does_not_fit_its_offer() {
    assert_eq!(
        (known().offer)(&Config::new().compression(shared())).unwrap(),
        "permessage-deflate; server_no_context_takeover; client_no_context_takeover; \
         client_max_window_bits"
    );
    for answer in [
        "server_no_context_takeover",
        "server_no_context_takeover;client_max_window_bits=9",
        "server_no_context_takeover;server_max_window_bits=8;client_no_context_takeover",
    ] {
        assert!(conclude(shared(), answer).is_some(), "{answer}");
        assert!(conclude(dedicated(), answer).is_some(), "{answer}");
    }
    assert!(conclude(dedicated(), "").is_some());
    for answer in [
        // Demanded by the client, and not granted.
        "",
        "client_no_context_takeover",
        // Without its value.
        "server_no_context_takeover;client_max_window_bits",
        "server_no_context_takeover;server_max_window_bits",
        "server_no_context_takeover;server_max_window_bits=16",
        "server_no_context_takeover;unknown",
    ] {
        assert!(conclude(shared(), answer).is_none(), "{answer}");
    }
}

#[test]
fn beyond_the_limit_connections_get_the_shared_mode() {
    let compression = dedicated().limit(1);
    let first = accept(compression.clone(), "").unwrap();
    assert_eq!(first.answer(), "permessage-deflate");
    let second = accept(compression.clone(), "").unwrap();
    assert!(second.answer().contains("server_no_context_takeover"));
    // A connection that keeps no context takes none.
    let refusing = "server_no_context_takeover;client_no_context_takeover";
    let codec = first.codec();
    assert!(accept(compression.clone(), refusing).is_some());
    drop(codec);
    assert_eq!(answer(compression, "").as_deref(), Some(""));
}
