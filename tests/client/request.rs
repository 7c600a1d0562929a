//! The request of the client, byte by byte, as servers see it that are less patient
//! than this crate's.

use std::net::SocketAddr;

use hyper_ws::client::ConnectErrorKind;
use hyper_ws::handshake::accept_key;
use hyper_ws::{Message, connect};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::support::bind;

async fn head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    String::from_utf8(head).unwrap()
}

/// A device that compares header names by case, as RFC 6455 spells them. Returns the
/// request, after a message or a 400.
async fn device() -> (SocketAddr, JoinHandle<String>) {
    let (listener, address) = bind().await;
    let request = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let request = head(&mut stream).await;
        let value = |name: &str| {
            let line = request
                .split("\r\n")
                .find_map(|line| line.strip_prefix(name));
            line.and_then(|line| line.strip_prefix(": "))
        };
        let is_handshake = value("Host").is_some()
            && value("Upgrade") == Some("websocket")
            && value("Connection") == Some("Upgrade")
            && value("Sec-WebSocket-Version") == Some("13");
        let answer = match value("Sec-WebSocket-Key").filter(|_| is_handshake) {
            None => b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n".to_vec(),
            Some(key) => {
                let head = format!(
                    "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                     Sec-WebSocket-Accept: {}\r\n\r\n",
                    accept_key(key)
                );
                [head.as_bytes(), b"\x81\x02hi"].concat()
            }
        };
        stream.write_all(&answer).await.unwrap();
        request
    });
    (address, request)
}

#[tokio::test]
async fn a_server_that_compares_header_names_by_case_is_asked_in_title_case() {
    let (address, request) = device().await;
    let error = connect(format!("ws://{address}/")).await.unwrap_err();
    assert_eq!(error.kind(), ConnectErrorKind::Refused);
    assert!(request.await.unwrap().contains("\r\nsec-websocket-key: "));

    let (address, request) = device().await;
    let mut socket = connect(format!("ws://{address}/Sec-Websocket-Key"))
        .header("x-request-id", "sec-websocket-key")
        .protocols(["sec-websocket-a", "b"])
        .title_case_headers()
        .await
        .unwrap();
    assert_eq!(socket.recv().await.unwrap(), Some(Message::from("hi")));
    let request = request.await.unwrap();
    let mut names = request
        .split("\r\n")
        .skip(1)
        .filter_map(|line| Some(line.split_once(": ")?.0))
        .collect::<Vec<_>>();
    names.sort_unstable();
    let expected = [
        "Connection",
        "Host",
        "Sec-WebSocket-Key",
        "Sec-WebSocket-Protocol",
        "Sec-WebSocket-Version",
        "Upgrade",
        "X-Request-Id",
    ];
    assert_eq!(names, expected);
    for line in [
        "GET /Sec-Websocket-Key HTTP/1.1",
        "X-Request-Id: sec-websocket-key",
        "Sec-WebSocket-Protocol: sec-websocket-a, b",
    ] {
        assert!(request.split("\r\n").any(|sent| sent == line), "{request}");
    }
}

#[tokio::test]
async fn the_zone_of_an_address_says_where_to_connect_and_is_not_sent() {
    // A machine without IPv6 has nothing to connect to.
    let Ok(listener) = TcpListener::bind("[::1]:0").await else {
        return;
    };
    let port = listener.local_addr().unwrap().port();
    let request = tokio::spawn(async move { head(&mut listener.accept().await.unwrap().0).await });
    // The loopback interface has the number 1.
    let error = connect(format!("ws://[::1%251]:{port}/"))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ConnectErrorKind::Http, "{error}");
    let request = request.await.unwrap();
    assert!(
        request.contains(&format!("\r\nhost: [::1]:{port}\r\n")),
        "{request}"
    );
}

#[tokio::test]
async fn a_url_as_people_type_it_is_asked_for_as_browsers_ask() {
    let (listener, address) = bind().await;
    let request = tokio::spawn(async move { head(&mut listener.accept().await.unwrap().0).await });
    let url = format!(" ws:\\\\{address}\\a b\\\"<ü>\"?q=\"1 2\" \n");
    let _ = connect(url).await.unwrap_err();
    let request = request.await.unwrap();
    let line = "GET /a%20b/%22%3C%C3%BC%3E%22?q=%221%202%22 HTTP/1.1\r\n";
    assert!(request.starts_with(line), "{request}");
}
