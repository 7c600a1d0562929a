//! Servers whose streams are not hyper's on TCP.

use futures_util::{SinkExt, StreamExt};
use migration::other_streams;
use poem::listener::TcpAcceptor;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::client_async;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};

async fn poem_server() -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let acceptor = TcpAcceptor::from_tokio(listener).unwrap();
    tokio::spawn(poem::Server::new_with_acceptor(acceptor).run(other_streams::poem::app()));
    address
}

/// An echo of messages of several sizes, and a closing handshake.
async fn echoes<T: AsyncRead + AsyncWrite + Unpin>(host: &str, stream: T) {
    let (mut socket, response) = client_async(format!("ws://{host}/ws"), stream)
        .await
        .unwrap();
    assert_eq!(response.status(), 101);
    for length in [0, 1, 1000, 100_000] {
        socket.send(Message::binary(vec![7; length])).await.unwrap();
        assert_eq!(
            socket.next().await.unwrap().unwrap(),
            Message::binary(vec![7; length])
        );
    }
    socket.close(None).await.unwrap();
    while let Some(message) = socket.next().await {
        message.unwrap();
    }
}

#[tokio::test]
async fn a_socket_on_the_stream_that_poem_upgraded() {
    let address = poem_server().await;
    echoes(
        &address.to_string(),
        TcpStream::connect(address).await.unwrap(),
    )
    .await;
}

#[tokio::test]
async fn poem_answers_with_the_refusals_of_this_crate() {
    let address = poem_server().await;
    let mut request = format!("ws://{address}/ws").into_client_request().unwrap();
    let origin = "https://evil.example".parse().unwrap();
    request.headers_mut().insert("origin", origin);
    let stream = TcpStream::connect(address).await.unwrap();
    match client_async(request, stream).await.map(drop) {
        Err(Error::Http(response)) => assert_eq!(response.status(), 403),
        other => panic!("{other:?}"),
    }
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = "GET /ws HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 426 "), "{answer}");
    assert!(
        answer.contains("no `Upgrade: websocket` header"),
        "{answer}"
    );
}

#[cfg(unix)]
#[tokio::test]
async fn a_server_on_a_unix_socket() {
    use tokio::net::{UnixListener, UnixStream};
    let path = std::env::temp_dir().join(format!("hyper-ws-{}.sock", std::process::id()));
    let _ = std::fs::remove_file(&path);
    let listener = UnixListener::bind(&path).unwrap();
    tokio::spawn(other_streams::unix::serve(listener));
    echoes("localhost", UnixStream::connect(&path).await.unwrap()).await;
    std::fs::remove_file(&path).unwrap();
}

#[cfg(unix)]
#[tokio::test]
async fn a_server_on_a_pipe_in_memory() {
    let (ours, theirs) = tokio::io::duplex(4096);
    tokio::spawn(other_streams::unix::serve_one(theirs));
    echoes("localhost", ours).await;
}
