//! Ways to the server that the program provides, and their errors.

use std::error::Error as _;
use std::io;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use hyper_ws::client::{ConnectError, ConnectErrorKind};
use hyper_ws::handshake::Scheme;
use hyper_ws::{CloseCode, Error, Message, WebSocket, WebSocketService, connect};
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream};

use crate::support::{bind, echo, page};

fn serve(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) {
    let service = WebSocketService::new(service_fn(page)).route("/echo", echo);
    let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    tokio::spawn(connection.with_upgrades());
}

/// A stream to an echo server in memory.
fn dial() -> DuplexStream {
    let (ours, theirs) = tokio::io::duplex(4096);
    serve(theirs);
    ours
}

async fn echoes(mut socket: WebSocket) {
    socket.send("hello").await.unwrap();
    assert_eq!(socket.recv().await.unwrap(), Some(Message::from("hello")));
    socket.close(CloseCode::NORMAL, "").await;
}

#[tokio::test]
async fn a_connector_is_given_the_server_and_returns_a_stream_to_it() {
    let socket = connect("ws://example.com:81/echo").connector(|server| async move {
        assert_eq!((server.host(), server.port()), ("example.com", 81));
        assert_eq!(server.scheme(), Scheme::Ws);
        Ok::<_, io::Error>(dial())
    });
    echoes(socket.await.unwrap()).await;
}

#[cfg(unix)]
#[tokio::test]
async fn a_connector_may_lead_to_a_unix_socket() {
    let path = std::env::temp_dir().join(format!("hyper-ws-connector-{}", std::process::id()));
    let _ = std::fs::remove_file(&path);
    let listener = tokio::net::UnixListener::bind(&path).unwrap();
    tokio::spawn(async move { serve(listener.accept().await.unwrap().0) });
    let socket = connect("ws://localhost/echo")
        .connector({
            let path = path.clone();
            |_| tokio::net::UnixStream::connect(path)
        })
        .await;
    std::fs::remove_file(&path).unwrap();
    echoes(socket.unwrap()).await;
}

#[tokio::test]
async fn tls_of_the_program_is_used_for_wss_alone() {
    // This "TLS" leads to a server in memory, whatever stream it is given.
    let tls = |url: &str| {
        connect(url)
            .connector(|_| async { Ok::<_, io::Error>(tokio::io::duplex(1).0) })
            .tls_connector(|_stream, server| async move {
                assert_eq!(server.server_name(), "example.com");
                Ok::<_, io::Error>(dial())
            })
    };
    echoes(tls("wss://example.com/echo").await.unwrap()).await;
    // Without TLS there is nobody at the other end of the connector's stream.
    let error = tls("ws://example.com/echo").await.unwrap_err();
    assert_eq!(error.kind(), ConnectErrorKind::Http);
}

#[tokio::test]
async fn errors_of_connectors_say_which_step_failed() {
    let refused = || io::Error::from(io::ErrorKind::ConnectionRefused);
    let error = connect("ws://example.com/")
        .connector(move |_| async move { Err::<DuplexStream, _>(refused()) })
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ConnectErrorKind::Connect);
    assert_eq!(error.to_string(), "failed to connect to `example.com:80`");
    let source = error.source().unwrap().downcast_ref::<io::Error>().unwrap();
    assert_eq!(source.kind(), io::ErrorKind::ConnectionRefused);

    let error = connect("wss://example.com/")
        .connector(|_| async { Ok::<_, io::Error>(dial()) })
        .tls_connector(|_, _| async { Err::<DuplexStream, _>("no card in the reader") })
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ConnectErrorKind::Tls);
    assert_eq!(error.source().unwrap().to_string(), "no card in the reader");

    // Its own stays as it is.
    let error = connect("ws://example.com/")
        .connector(|_| async {
            let error = ConnectError::new(ConnectErrorKind::Resolve, "not in the directory");
            Err::<DuplexStream, _>(error)
        })
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ConnectErrorKind::Resolve);
}

#[tokio::test(start_paused = true)]
async fn a_connector_and_tls_have_the_connect_timeout_together() {
    let pause = || tokio::time::sleep(Duration::from_secs(2));
    let error = connect("wss://example.com/")
        .connect_timeout(Duration::from_secs(3))
        .connector(move |_| async move {
            pause().await;
            Ok::<_, io::Error>(dial())
        })
        .tls_connector(move |stream, _| async move {
            pause().await;
            Ok::<_, io::Error>(stream)
        })
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ConnectErrorKind::Timeout);
    assert!(error.to_string().contains("TLS"), "{error}");
    let error = connect("ws://example.com/")
        .connect_timeout(Duration::from_secs(1))
        .connector(move |_| async move {
            pause().await;
            Ok::<_, io::Error>(dial())
        })
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ConnectErrorKind::Timeout);
}

#[tokio::test]
async fn a_request_that_cannot_be_sent_calls_no_connector() {
    let error = connect("gopher://example.com/")
        .connector(|_| async { panic!("called") as io::Result<DuplexStream> })
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ConnectErrorKind::Request);
}

#[tokio::test]
async fn the_error_is_found_in_whatever_was_made_of_it() {
    let (listener, address) = bind().await;
    tokio::spawn(async move {
        loop {
            serve(listener.accept().await.unwrap().0);
        }
    });
    // `page` answers 200 to everything.
    let refused = || async {
        connect(format!("ws://{address}/nothing"))
            .await
            .unwrap_err()
    };
    let status = |error: &(dyn std::error::Error + 'static)| {
        ConnectError::find(error).and_then(ConnectError::status)
    };
    let expected = Some(hyper::StatusCode::OK);
    assert_eq!(refused().await.status(), expected);
    assert_eq!(status(&refused().await), expected);
    assert_eq!(status(&Error::from(refused().await)), expected);
    assert_eq!(status(&io::Error::other(refused().await)), expected);
    assert_eq!(
        status(&io::Error::from(Error::from(refused().await))),
        expected
    );
    let boxed: Box<dyn std::error::Error + Send + Sync> = refused().await.into();
    assert_eq!(status(&*boxed), expected);
    assert_eq!(status(&io::Error::other("another")), None);
    // Back again: it is not wrapped a second time.
    let back = ConnectError::from(io::Error::other(refused().await));
    assert_eq!(back.status(), expected);
}

/// A function that opens sockets its own way needs no error type of its own.
async fn own(path: &str) -> Result<WebSocket, ConnectError> {
    let _settings = std::fs::read(path)?;
    connect("ws://example.com/echo")
        .connector(|_| async { Ok::<_, io::Error>(dial()) })
        .await
}

#[tokio::test]
async fn io_errors_become_connect_errors() {
    echoes(own("/dev/null").await.unwrap()).await;
    let error = own("/there is no such file").await.unwrap_err();
    assert_eq!(error.kind(), ConnectErrorKind::Connect);
    assert_eq!(error.to_string(), "failed to connect");
    assert!(error.is_transient());
}
