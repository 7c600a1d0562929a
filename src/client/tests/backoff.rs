use std::io;
use std::time::Duration;

use bytes::Bytes;
use http::{Response, header};

use crate::client::{Backoff, ConnectError, ConnectErrorKind};

const SECOND: Duration = Duration::from_secs(1);

/// The longest pauses of so many failures in a row.
fn longest(backoff: &mut Backoff, count: usize) -> Vec<u64> {
    (0..count)
        .map(|_| backoff.pause(u32::MAX).unwrap().as_secs())
        .collect()
}

fn refused(status: u16, retry_after: Option<&str>) -> ConnectError {
    let mut response = Response::builder().status(status);
    if let Some(value) = retry_after {
        response = response.header(header::RETRY_AFTER, value);
    }
    ConnectError::refused(response.body(Bytes::new()).unwrap())
}

#[test]
fn the_longest_pause_doubles_up_to_the_cap() {
    let mut backoff = Backoff::new();
    assert_eq!(longest(&mut backoff, 9), [1, 2, 4, 8, 16, 32, 60, 60, 60]);
    // However often: nothing overflows.
    let mut backoff = Backoff::new().base(Duration::MAX).cap(Duration::MAX);
    for _ in 0..100 {
        assert_eq!(backoff.pause(u32::MAX), Some(Duration::MAX));
    }
    assert_eq!(backoff.pause(0), Some(Duration::ZERO));
}

#[test]
fn a_pause_is_a_random_part_of_the_longest() {
    let mut backoff = Backoff::new().cap(SECOND);
    let half = backoff.pause(u32::MAX / 2).unwrap();
    assert!(
        half > SECOND * 49 / 100 && half < SECOND * 51 / 100,
        "{half:?}"
    );
    let pauses: Vec<_> = (0..1000).map(|_| backoff.next_pause().unwrap()).collect();
    assert!(pauses.iter().all(|pause| *pause <= SECOND));
    // Of 1,000 evenly spread ones none is below a tenth once in 10^45 times.
    assert!(pauses.iter().any(|pause| *pause < SECOND / 10));
    assert!(pauses.iter().any(|pause| *pause > SECOND * 9 / 10));
}

#[test]
fn after_the_last_attempt_there_is_no_pause() {
    let mut backoff = Backoff::new().max_attempts(3);
    assert!(backoff.next_pause().is_some());
    assert!(backoff.next_pause().is_some());
    assert_eq!(backoff.next_pause(), None);
    assert_eq!(backoff.failures(), 3);
    backoff.reset();
    assert!(backoff.next_pause().is_some());
    assert_eq!(Backoff::new().max_attempts(1).next_pause(), None);
    assert_eq!(Backoff::new().max_attempts(0).next_pause(), None);
}

#[test]
fn only_a_connection_that_lasted_is_a_success() {
    let mut backoff = Backoff::new().lasting(10 * SECOND);
    longest(&mut backoff, 5);
    backoff.lost(9 * SECOND).unwrap();
    assert_eq!(backoff.failures(), 6);
    assert!(backoff.lost(10 * SECOND).unwrap() <= SECOND);
    assert_eq!(backoff.failures(), 1);
}

#[test]
fn a_failure_that_would_come_again_ends_it_and_any_other_does_not() {
    let gone = |kind: io::ErrorKind| ConnectError::from(io::Error::from(kind));
    let tls = |kind: io::ErrorKind| ConnectError::new(ConnectErrorKind::Tls, io::Error::from(kind));
    for (error, is_transient) in [
        (gone(io::ErrorKind::ConnectionRefused), true),
        (gone(io::ErrorKind::TimedOut), true),
        // What rustls says of a certificate.
        (tls(io::ErrorKind::InvalidData), false),
        (tls(io::ErrorKind::ConnectionReset), true),
        (tls(io::ErrorKind::UnexpectedEof), true),
        (
            ConnectError::new(ConnectErrorKind::Tls, "no such name"),
            false,
        ),
        (
            ConnectError::new(ConnectErrorKind::Request, "no host"),
            false,
        ),
        (
            ConnectError::new(ConnectErrorKind::Resolve, "no answer"),
            true,
        ),
        (
            ConnectError::new(ConnectErrorKind::Response, "no key"),
            false,
        ),
        (refused(301, None), false),
        (refused(401, None), false),
        (refused(404, None), false),
        (refused(426, None), false),
        (refused(408, None), true),
        (refused(429, None), true),
        (refused(500, None), true),
        (refused(501, None), false),
        (refused(502, None), true),
        (refused(503, None), true),
        (refused(504, None), true),
    ] {
        assert_eq!(error.is_transient(), is_transient, "{error:?}");
        let pause = Backoff::new().failed(&error);
        assert_eq!(pause.is_some(), is_transient, "{error:?}");
    }
}

#[test]
fn a_server_may_say_when_to_come_back() {
    let error = refused(503, Some("120"));
    assert_eq!(error.retry_after(), Some(120 * SECOND));
    let pause = Backoff::new().failed(&error).unwrap();
    assert!((120 * SECOND..=121 * SECOND).contains(&pause), "{pause:?}");
    // Not for a hundred years, and a date is not understood.
    let error = refused(503, Some("3153600000"));
    let pause = Backoff::new().failed(&error).unwrap();
    assert!(
        (3600 * SECOND..=3601 * SECOND).contains(&pause),
        "{pause:?}"
    );
    for value in ["Fri, 31 Dec 1999 23:59:59 GMT", "-1", "+1", "1.5", ""] {
        assert_eq!(refused(503, Some(value)).retry_after(), None, "{value}");
    }
    assert_eq!(refused(503, None).retry_after(), None);
    // All are asked to come back after the same time, and do not come in the same moment.
    let error = refused(503, Some("1"));
    let pause = || Backoff::new().failed(&error).unwrap();
    assert!((0..100).any(|_| pause() != pause()));
}
