use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::client::dial::{first, in_turn};

fn addresses(list: &[&str]) -> Vec<SocketAddr> {
    list.iter()
        .map(|address| address.parse().unwrap())
        .collect()
}

/// An address on which no server listens.
async fn closed() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.local_addr().unwrap()
}

#[test]
fn the_families_alternate_and_that_of_the_systems_first_choice_begins() {
    let given = ["[::1]:1", "[::2]:1", "[::3]:1", "1.1.1.1:1", "2.2.2.2:1"];
    assert_eq!(
        in_turn(addresses(&given).into_iter()),
        addresses(&["[::1]:1", "1.1.1.1:1", "[::2]:1", "2.2.2.2:1", "[::3]:1"])
    );
    let given = ["1.1.1.1:1", "[::1]:1"];
    assert_eq!(in_turn(addresses(&given).into_iter()), addresses(&given));
    assert_eq!(in_turn(std::iter::empty()), []);
}

#[tokio::test]
async fn addresses_that_refuse_are_skipped() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let good = listener.local_addr().unwrap();
    let stream = first(vec![closed().await, closed().await, good]).await;
    assert_eq!(stream.unwrap().peer_addr().unwrap(), good);
}

#[tokio::test]
async fn a_silent_address_costs_one_delay() {
    // A queue of connections that are not accepted is full after a few. From then
    // on the system does not answer.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let full = socket.listen(0).unwrap();
    let silent = full.local_addr().unwrap();
    let mut waiting = JoinSet::new();
    for _ in 0..8 {
        waiting.spawn(TcpStream::connect(silent));
    }
    tokio::time::sleep(Duration::from_millis(20)).await;

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let good = listener.local_addr().unwrap();
    let stream = timeout(Duration::from_secs(20), first(vec![silent, good])).await;
    assert_eq!(stream.unwrap().unwrap().peer_addr().unwrap(), good);
}

#[tokio::test]
async fn the_first_of_several_failures_is_reported() {
    let error = first(vec![closed().await, closed().await])
        .await
        .unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
    let error = first(Vec::new()).await.unwrap_err();
    assert!(error.to_string().contains("no address"), "{error}");
}
