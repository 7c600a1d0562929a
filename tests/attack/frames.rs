//! Broken and hostile frames through a real socket. The checks are on what the
//! attacker can read, which is what an honest client with a bug would read.

use std::time::Duration;

use hyper::service::service_fn;
use hyper_ws::error::{CloseCause, Violation};
use hyper_ws::tracker::Tracker;
use hyper_ws::{Config, WebSocket, WebSocketService};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::support::{Client, KEY, Server, close_frame, frame, header, page};

/// The three encodings of a length.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Form {
    Short(u8),
    Two(u16),
    Eight(u64),
}

fn raw(first: u8, masked: bool, form: Form, payload: &[u8]) -> Vec<u8> {
    let mask_bit = if masked { 0x80 } else { 0 };
    let mut bytes = vec![first];
    match form {
        Form::Short(length) => bytes.push(mask_bit | length),
        Form::Two(length) => {
            bytes.push(mask_bit | 126);
            bytes.extend(length.to_be_bytes());
        }
        Form::Eight(length) => {
            bytes.push(mask_bit | 127);
            bytes.extend(length.to_be_bytes());
        }
    }
    if masked {
        bytes.extend(KEY);
        bytes.extend(payload.iter().zip(KEY.iter().cycle()).map(|(a, b)| a ^ b));
    } else {
        bytes.extend(payload);
    }
    bytes
}

/// The answer that RFC 6455 demands of a server without extensions.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Wanted {
    Echo,
    Pong,
    /// The frame is valid and needs no answer.
    Silence,
    /// A message has begun.
    Begun,
    Close(u16),
}

fn wanted(first: u8, masked: bool, form: Form, limit: u64) -> Wanted {
    let (fin, rsv, opcode) = (first & 0x80 != 0, first & 0x70, first & 0x0f);
    let (length, minimal) = match form {
        Form::Short(length) => (u64::from(length), true),
        Form::Two(length) => (u64::from(length), length > 125),
        Form::Eight(length) => (length, length > 0xffff && length >> 63 == 0),
    };
    if !masked || rsv != 0 || !minimal {
        return Wanted::Close(1002);
    }
    match opcode {
        0x8..=0xa if !fin || length > 125 => Wanted::Close(1002),
        0x8 => Wanted::Close(1000),
        0x9 => Wanted::Pong,
        0xa => Wanted::Silence,
        0x1 | 0x2 if length > limit => Wanted::Close(1009),
        0x1 | 0x2 if fin => Wanted::Echo,
        0x1 | 0x2 => Wanted::Begun,
        _ => Wanted::Close(1002),
    }
}

/// Sends a frame, and checks the server's answer.
async fn check(mut client: Client, first: u8, masked: bool, form: Form, limit: u64) {
    let wanted = wanted(first, masked, form, limit);
    let payload = match (first & 0x0f, form) {
        // The payload of a close frame is 1000 and a reason of `x`.
        (0x8, Form::Short(length)) => [&1000u16.to_be_bytes(), &b"x".repeat(length.into())[..]]
            .concat()[..length.into()]
            .to_vec(),
        (_, Form::Short(length)) => b"x".repeat(length.into()),
        (_, Form::Two(length)) => b"x".repeat(length.into()),
        (_, Form::Eight(length)) => b"x".repeat(length.min(70_000) as usize),
    };
    // A refusal may arrive before the whole frame was sent.
    client.send(raw(first, masked, form, &payload)).await;
    match wanted {
        Wanted::Echo => client.expect(first, payload).await,
        Wanted::Pong => client.expect(0x8a, payload).await,
        Wanted::Silence => {}
        Wanted::Begun => {
            client.send(frame(0x80, b"y")).await;
            client
                .expect(first | 0x80, [&payload[..], b"y"].concat())
                .await;
        }
        Wanted::Close(code) => {
            // The client may go on sending and still gets the answer.
            client.send(vec![b'z'; 10_000]).await;
            assert_eq!(
                client.close_code().await,
                Some(code),
                "{first:#x} {masked} {form:?}"
            );
            return;
        }
    }
    // The server is still there.
    client.send(frame(0x89, b"there?")).await;
    client.expect(0x8a, "there?").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_first_byte_with_and_without_mask_in_every_form_of_length_gets_its_answer() {
    let limit = 100_000;
    let server = Server::echo(Config::new().max_message_size(limit)).await;
    let forms = [
        Form::Short(5),
        Form::Short(125),
        Form::Two(5),
        Form::Two(126),
        Form::Eight(5),
        Form::Eight(65_536),
        Form::Eight(u64::MAX),
    ];
    let mut running = JoinSet::new();
    for first in 0..=255 {
        for masked in [true, false] {
            for form in forms {
                if running.len() == 64 {
                    running.join_next().await.unwrap().unwrap();
                }
                let client = server.open().await;
                running.spawn(check(client, first, masked, form, limit as u64));
            }
        }
    }
    running.join_all().await;
    server.emptied().await;
}

#[tokio::test]
async fn lengths_around_every_limit_and_overflow_get_their_code_before_any_payload() {
    let limit = 65_536u64;
    let server = Server::echo(Config::new().max_message_size(limit as usize)).await;
    let rows = [
        (Form::Two(0), 1002),
        (Form::Two(125), 1002),
        (Form::Eight(0), 1002),
        (Form::Eight(126), 1002),
        (Form::Eight(65_535), 1002),
        (Form::Eight(limit + 1), 1009),
        (Form::Eight(1 << 31), 1009),
        (Form::Eight(1 << 32), 1009),
        (Form::Eight(1 << 40), 1009),
        (Form::Eight((1 << 53) + 1), 1009),
        (Form::Eight((1 << 63) - 1), 1009),
        (Form::Eight(1 << 63), 1002),
        (Form::Eight(u64::MAX - 1), 1002),
        (Form::Eight(u64::MAX), 1002),
    ];
    for (form, code) in rows {
        // Without and with a part of a message already buffered.
        for before in [vec![], frame(0x02, &[1; 1_000])] {
            let first = if before.is_empty() { 0x82 } else { 0x80 };
            let mut client = server.open().await;
            client.send(before).await;
            client.send(raw(first, true, form, b"")).await;
            assert_eq!(client.close_code().await, Some(code), "{form:?}");
        }
    }
    // The limit is on the sum of all fragments, and the sum does not overflow.
    let mut client = server.open().await;
    client.send(frame(0x02, &[1; 40_000])).await;
    client.send(header(0x00, 25_537)).await;
    assert_eq!(client.close_code().await, Some(1009));
    // A message of exactly the limit is accepted.
    let mut client = server.open().await;
    let payload = vec![7; limit as usize];
    client.send(frame(0x82, &payload)).await;
    client.expect(0x82, payload).await;
}

#[tokio::test]
async fn the_limit_holds_for_text_and_binary_whole_and_in_fragments() {
    let server = Server::echo(Config::new().max_message_size(1_000)).await;
    for opcode in [0x1, 0x2] {
        let mut whole = server.open().await;
        whole.send(frame(0x80 | opcode, &[b'a'; 1_001])).await;
        assert_eq!(whole.close_code().await, Some(1009));
        let mut pieces = server.open().await;
        pieces.send(frame(opcode, &[b'a'; 500])).await;
        pieces.send(frame(0x00, &[b'a'; 500])).await;
        // No byte follows: the header alone is not yet a violation.
        pieces.send(frame(0x89, b"")).await;
        pieces.expect(0x8a, "").await;
        pieces.send(frame(0x80, b"a")).await;
        assert_eq!(pieces.close_code().await, Some(1009));
    }
}

/// A server whose handler reports how each conversation ended.
async fn reporting(config: Config) -> (Server, mpsc::UnboundedReceiver<Option<CloseCause>>) {
    let (report, reports) = mpsc::unbounded_channel();
    let tracker = Tracker::new();
    let handler = move |mut socket: WebSocket| {
        let report = report.clone();
        async move {
            while let Ok(Some(message)) = socket.recv().await {
                let _ = socket.send(message).await;
            }
            let _ = report.send(socket.close_cause());
        }
    };
    let service = WebSocketService::new(service_fn(page))
        .route("/ws", handler)
        .config(config)
        .tracker(&tracker);
    (Server::start(service, tracker).await, reports)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_close_code_arrives_although_the_client_sends_megabytes_after_its_violation() {
    let (server, mut reports) = reporting(Config::new()).await;
    let violations = [
        (vec![0xc1, 0x80, 0, 0, 0, 0], 1002, Violation::ReservedBits),
        (frame(0x80, b"x"), 1002, Violation::UnexpectedContinuation),
        (frame(0x81, b"\xff"), 1007, Violation::InvalidUtf8),
        (
            header(0x82, 1 << 40),
            1009,
            Violation::FrameTooLarge { limit: 1 << 20 },
        ),
    ];
    for (bytes, code, violation) in violations {
        let mut client = server.open().await;
        client.send(bytes).await;
        // This is far more than the buffers of both kernels hold, so it only
        // returns if the server reads. If the server closed with one byte unread,
        // the kernel would send RST and discard the answer.
        for _ in 0..128 {
            client.send([0; 64 * 1024]).await;
        }
        assert_eq!(client.close_code().await, Some(code));
        let cause = reports.recv().await.unwrap();
        assert_eq!(cause, Some(CloseCause::Violation(violation)));
        drop(client);
        server.emptied().await;
    }
}

#[tokio::test]
async fn data_after_a_close_frame_is_discarded_and_the_answer_arrives() {
    let (server, mut reports) = reporting(Config::new()).await;
    let mut client = server.open().await;
    client.send(close_frame(4321, b"bye")).await;
    for _ in 0..64 {
        client.send(frame(0x82, &[1; 10_000])).await;
        client.send(frame(0x89, b"ping")).await;
        client.send(close_frame(1000, b"")).await;
    }
    // One close frame, and nothing else before FIN.
    client.expect(0x88, 4321u16.to_be_bytes()).await;
    client.end().await;
    match reports.recv().await.unwrap() {
        Some(CloseCause::Remote(Some(frame))) => {
            assert_eq!((frame.code.value(), &*frame.reason), (4321, "bye"));
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn every_close_code_is_echoed_or_refused() {
    let server = Server::echo(Config::new()).await;
    let is_good = |code| matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999);
    let codes = (0..20)
        .chain(980..1120)
        .chain([1999, 2000, 2001, 2999, 3000, 3001, 3999, 4000, 4999, 5000])
        .chain([5001, 10_000, 32_768, 65_534, 65_535]);
    for code in codes {
        let mut client = server.open().await;
        client.send(close_frame(code, b"reason")).await;
        let expected = if is_good(code) { code } else { 1002 };
        assert_eq!(client.close_code().await, Some(expected), "{code}");
    }
    for (payload, expected) in [
        (&b""[..], None),
        (b"\x03", Some(1002)),
        (b"\x03\xe8\xff", Some(1007)),
        (b"\x03\xe8ab\xe2\x82", Some(1007)),
        (&[&b"\x03\xe8"[..], &[b'a'; 123]].concat(), Some(1000)),
    ] {
        let mut client = server.open().await;
        client.send(frame(0x88, payload)).await;
        assert_eq!(client.close_code().await, expected, "{payload:x?}");
    }
}

#[tokio::test]
async fn every_kind_of_unmasked_frame_is_refused() {
    let server = Server::echo(Config::new()).await;
    for first in [0x81, 0x82, 0x01, 0x02, 0x88, 0x89, 0x8a] {
        for payload in [&b""[..], b"\x03\xe8", &[b'a'; 125]] {
            let mut client = server.open().await;
            let form = Form::Short(payload.len() as u8);
            client.send(raw(first, false, form, payload)).await;
            assert_eq!(client.close_code().await, Some(1002), "{first:#x}");
        }
    }
    // Also where a message has begun.
    let mut client = server.open().await;
    client.send(frame(0x01, b"a")).await;
    client.send(raw(0x80, false, Form::Short(1), b"b")).await;
    assert_eq!(client.close_code().await, Some(1002));
}

/// The pieces that text is cut into.
#[derive(Clone, Copy)]
enum Pieces {
    Fragments,
    /// Of one frame.
    Writes,
}

/// Sends text cut in two at `cut`.
async fn send_cut(client: &mut Client, text: &[u8], cut: usize, pieces: Pieces) {
    match pieces {
        Pieces::Fragments => {
            client.send(frame(0x01, &text[..cut])).await;
            client.send(frame(0x80, &text[cut..])).await;
        }
        Pieces::Writes => {
            let frame = frame(0x81, text);
            let cut = frame.len() - text.len() + cut;
            client.send(&frame[..cut]).await;
            tokio::task::yield_now().await;
            client.send(&frame[cut..]).await;
        }
    }
}

#[tokio::test]
async fn text_may_be_cut_anywhere_and_is_refused_if_it_is_not_utf8() {
    let server = Server::echo(Config::new()).await;
    let good = "aß\u{7ff}\u{800}€\u{d7ff}\u{e000}\u{ffff}\u{10000}𝄞\u{10ffff}z".as_bytes();
    let mut client = server.open().await;
    for cut in 0..=good.len() {
        for pieces in [Pieces::Fragments, Pieces::Writes] {
            send_cut(&mut client, good, cut, pieces).await;
            client.expect(0x81, good).await;
        }
    }
    let bad: [&[u8]; 12] = [
        b"a\x80z",
        b"a\xc0\xafz",
        b"a\xc1\xbfz",
        b"a\xe0\x80\x80z",
        b"a\xe0\x9f\xbfz",
        b"a\xed\xa0\x80z",
        b"a\xf0\x8f\xbf\xbfz",
        b"a\xf4\x90\x80\x80z",
        b"a\xf5\x80\x80\x80z",
        b"a\xe2\x82z",
        b"a\xe2\x82",
        b"a\xf0\x9d\x84",
    ];
    for text in bad {
        for cut in 0..=text.len() {
            for pieces in [Pieces::Fragments, Pieces::Writes] {
                let mut client = server.open().await;
                send_cut(&mut client, text, cut, pieces).await;
                assert_eq!(client.close_code().await, Some(1007), "{text:x?} at {cut}");
            }
        }
    }
}

#[tokio::test]
async fn a_bad_byte_is_refused_before_the_rest_of_its_frame_has_come() {
    let server = Server::echo(Config::new()).await;
    for before in [0, 1, 10, 20_000, 200_000] {
        let mut client = server.open().await;
        let mut text = vec![b'a'; before];
        text.push(0xff);
        let whole = frame(0x81, &[&text[..], &[b'a'; 300_000]].concat());
        // The rest is never sent.
        let header = 14;
        client.send(&whole[..header + text.len()]).await;
        assert_eq!(client.close_code().await, Some(1007), "{before}");
    }
}

#[tokio::test]
async fn frames_that_arrive_byte_by_byte_are_the_same_frames() {
    let server = Server::echo(Config::new()).await;
    let mut client = server.open().await;
    let fragmented = [
        frame(0x01, b"one "),
        frame(0x89, b"ping"),
        frame(0x00, b""),
        frame(0x00, b"two "),
        frame(0x8a, b"pong"),
        frame(0x80, b"three"),
    ]
    .concat();
    for byte in &fragmented {
        client.send([*byte]).await;
        // The server reads it before the next one is sent.
        tokio::task::yield_now().await;
        tokio::task::yield_now().await;
    }
    client.expect(0x8a, "ping").await;
    client.expect(0x81, "one two three").await;
}

#[tokio::test]
async fn a_message_of_twenty_thousand_fragments_is_a_message() {
    let server = Server::echo(Config::new().max_message_size(20_000 * 64)).await;
    let mut client = server.open().await;
    for round in 0..2 {
        client.send(frame(0x02, &[round; 64])).await;
        client.send(frame(0x00, &[round; 64]).repeat(19_998)).await;
        client.send(frame(0x80, &[round; 64])).await;
        client.expect(0x82, vec![round; 20_000 * 64]).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_socket_that_is_busy_for_long_is_never_taken_for_an_attacker() {
    let server = Server::echo(Config::new().max_message_size(1_000)).await;
    let mut client = server.open().await;
    let whole = frame(0x82, b"hello").repeat(100);
    let fragments = [frame(0x01, b"a"), frame(0x00, b""), frame(0x80, b"b")]
        .concat()
        .repeat(100);
    // Counters that are not reset would exceed their limits many times over.
    for _ in 0..200 {
        client.send(&whole).await;
        client.send(&fragments).await;
        for _ in 0..100 {
            client.expect(0x82, "hello").await;
        }
        for _ in 0..100 {
            client.expect(0x81, "ab").await;
        }
    }
}

#[tokio::test]
async fn empty_fragments_are_read_but_not_for_ever() {
    let server = Server::echo(Config::new()).await;
    let mut client = server.open().await;
    client.send(frame(0x01, b"")).await;
    client.send(frame(0x00, b"").repeat(1_000)).await;
    client.send(frame(0x80, b"end")).await;
    client.expect(0x81, "end").await;
    client.send(frame(0x01, b"")).await;
    client.send(frame(0x00, b"").repeat(100_000)).await;
    assert_eq!(client.close_code().await, Some(1008));
}

#[tokio::test]
async fn messages_before_a_violation_are_answered_before_it() {
    let server = Server::echo(Config::new()).await;
    let mut client = server.open().await;
    let bytes = [frame(0x81, b"one"), frame(0x89, b"two"), frame(0x83, b"")].concat();
    client.send(bytes).await;
    let mut frames = [client.frame().await.unwrap(), client.frame().await.unwrap()];
    frames.sort_by_key(|frame| frame.first);
    let [echo, pong] = &frames;
    assert_eq!((echo.first, &echo.payload[..]), (0x81, &b"one"[..]));
    assert_eq!((pong.first, &pong.payload[..]), (0x8a, &b"two"[..]));
    assert_eq!(client.close_code().await, Some(1002));
}

#[tokio::test]
async fn a_peer_that_never_stops_sending_after_its_violation_is_cut_off_at_the_deadline() {
    let config = Config::new().close_timeout(Duration::from_millis(200));
    let (server, mut reports) = reporting(config).await;
    let mut client = server.open().await;
    client.send(frame(0x83, b"")).await;
    client.expect_close(1002).await;
    // The connection no longer counts, however long the peer goes on sending.
    let flood = vec![0; 64 * 1024];
    while !server.tracker.is_empty() {
        use tokio::io::AsyncWriteExt;
        let _ = client.io.write(&flood).await;
        tokio::task::yield_now().await;
    }
    let cause = reports.recv().await.unwrap();
    let violation = Violation::ReservedOpcode(3);
    assert_eq!(cause, Some(CloseCause::Violation(violation)));
}
