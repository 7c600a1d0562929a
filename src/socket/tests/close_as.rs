//! Closing as another connection was closed, and telling connections apart.

use std::collections::HashSet;
use std::io;

use super::*;
use crate::close::CloseFrame;

/// The bytes of the close frame that a socket of this role sends, without the mask.
async fn close_frame_as(role: Role, cause: &CloseCause) -> Vec<u8> {
    let (ours, mut theirs) = tokio::io::duplex(4096);
    let negotiated = Negotiated {
        role,
        ..start(Config::new())
    };
    let socket = bare(ours, negotiated);
    socket.sender().close_as(cause);
    // Writes what is queued.
    drop(socket);
    let mut head = [0; 2];
    theirs.read_exact(&mut head).await.unwrap();
    assert_eq!(head[0], 0x88);
    if head[1] & 0x80 != 0 {
        let mut key = [0; 4];
        theirs.read_exact(&mut key).await.unwrap();
        assert_eq!(key, [0; 4]);
    }
    let mut payload = vec![0; usize::from(head[1] & 0x7f)];
    theirs.read_exact(&mut payload).await.unwrap();
    payload
}

#[tokio::test(start_paused = true)]
async fn each_cause_is_passed_on_as_the_wire_allows() {
    let client = || Role::Client {
        masking_key: || [0; 4],
    };
    let private = CloseCode::new(4404).unwrap();
    let frame = Some(CloseFrame::new(private, "no such room"));
    let with = |code: u16, reason: &str| [&code.to_be_bytes(), reason.as_bytes()].concat();
    for (cause, to_client, to_server) in [
        (
            CloseCause::Remote(frame),
            with(4404, "no such room"),
            with(4404, "no such room"),
        ),
        // 1005: no code, and so none here.
        (CloseCause::Remote(None), vec![], vec![]),
        (CloseCause::Local(private), with(4404, ""), with(4404, "")),
        (
            CloseCause::Drained(CloseCode::SERVICE_RESTART),
            with(1012, ""),
            with(1012, ""),
        ),
        (CloseCause::HandlerFailed, with(1011, ""), with(1011, "")),
        (CloseCause::HandlerPanicked, with(1011, ""), with(1011, "")),
        (
            CloseCause::Overflow,
            with(1013, "the peer read too slowly"),
            with(1013, "the peer read too slowly"),
        ),
        // The other connection was lost, or ended by an error.
        (
            CloseCause::Lost,
            with(1014, "the connection was lost"),
            with(1001, "the connection was lost"),
        ),
        (
            CloseCause::Violation(Violation::UnmaskedFrame),
            with(1014, "protocol violation: a client must mask its frames"),
            with(1001, "protocol violation: a client must mask its frames"),
        ),
        (
            CloseCause::PingTimeout,
            with(1014, "the peer did not answer a ping in time"),
            with(1001, "the peer did not answer a ping in time"),
        ),
        (
            CloseCause::Io(io::ErrorKind::TimedOut),
            with(1014, "the connection failed: timed out"),
            with(1001, "the connection failed: timed out"),
        ),
        (
            CloseCause::Aborted,
            with(1014, "aborted"),
            with(1001, "aborted"),
        ),
    ] {
        assert_eq!(
            close_frame_as(Role::Server, &cause).await,
            to_client,
            "{cause}"
        );
        assert_eq!(close_frame_as(client(), &cause).await, to_server, "{cause}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_second_close_changes_nothing() {
    let (ours, mut theirs) = tokio::io::duplex(4096);
    let socket = bare(ours, start(Config::new()));
    let sender = socket.sender();
    sender.close_as(&CloseCause::Remote(None));
    sender.close_as(&CloseCause::Lost);
    sender.close(CloseCode::NORMAL, "again");
    drop(socket);
    let mut written = [0; 2];
    theirs.read_exact(&mut written).await.unwrap();
    assert_eq!(written, [0x88, 0]);
    assert_eq!(
        sender.close_cause(),
        Some(CloseCause::Local(CloseCode::NORMAL))
    );
    assert_eq!(sender.push("late"), Pushed::Closed);
}

#[tokio::test(start_paused = true)]
async fn senders_are_equal_if_their_connection_is_the_same() {
    let (one, _peer_of_one) = tokio::io::duplex(64);
    let (two, _peer_of_two) = tokio::io::duplex(64);
    let (one, two) = (
        bare(one, start(Config::new())),
        bare(two, start(Config::new())),
    );
    assert_eq!(one.sender(), one.sender().clone());
    assert_ne!(one.sender(), two.sender());
    let ids: HashSet<SocketId> = [one.sender().id(), two.sender().id(), one.sender().id()].into();
    assert_eq!(ids.len(), 2);
    let kept = one.sender();
    drop(one);
    assert!(ids.contains(&kept.id()), "also after the end");
}
