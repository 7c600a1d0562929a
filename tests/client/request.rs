//! The request of the client, byte by byte, as servers see it that are less patient
//! than this crate's.

use hyper_ws::client::ConnectErrorKind;
use hyper_ws::connect;
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};

use crate::support::bind;

async fn head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    String::from_utf8(head).unwrap()
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
