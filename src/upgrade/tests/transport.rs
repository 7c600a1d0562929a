use bytes::Bytes;
use http::{Request, Response, Version};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

use crate::transport::Rewind;
use crate::upgrade::transport::Transport;

async fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap());
    let (client, server) = tokio::join!(client, listener.accept());
    (client.unwrap(), server.unwrap().0)
}

/// A service that takes its connections over, and the transports that they become.
fn taking_over() -> (
    impl Service<Request<Incoming>, Response = Response<String>, Error = http::Error, Future: Send>
    + Send,
    mpsc::UnboundedReceiver<Transport>,
) {
    let (sender, transports) = mpsc::unbounded_channel();
    let service = service_fn(move |mut request: Request<Incoming>| {
        let on_upgrade = hyper::upgrade::on(&mut request);
        let sender = sender.clone();
        tokio::spawn(async move {
            let _ = sender.send(Transport::new(on_upgrade.await.unwrap(), Version::HTTP_11));
        });
        let response = Response::builder().status(101).header("upgrade", "x");
        std::future::ready(response.body(String::new()))
    });
    (service, transports)
}

const REQUEST: &[u8] =
    b"GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: x\r\n\r\nrest";

async fn is_tcp_without_delay(transport: Transport) {
    let Transport::Tcp { mut io } = transport else {
        panic!("it is a TCP stream");
    };
    assert!(io.get_ref().nodelay().unwrap());
    let mut leftover = [0; 4];
    io.read_exact(&mut leftover).await.unwrap();
    assert_eq!(&leftover, b"rest");
}

#[tokio::test]
async fn a_tcp_stream_is_taken_out_of_hypers_layers_and_does_not_delay() {
    let (mut client, stream) = pair().await;
    let (service, mut transports) = taking_over();
    let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    tokio::spawn(connection.with_upgrades());
    client.write_all(REQUEST).await.unwrap();
    is_tcp_without_delay(transports.recv().await.unwrap()).await;
}

#[tokio::test]
async fn a_tcp_stream_is_taken_out_of_the_layers_of_auto_too() {
    use hyper_util::rt::TokioExecutor;
    use hyper_util::server::conn::auto;

    let (mut client, stream) = pair().await;
    let (service, mut transports) = taking_over();
    tokio::spawn(async move {
        let server = auto::Builder::new(TokioExecutor::new());
        let io = TokioIo::new(stream);
        let connection = server.serve_connection_with_upgrades(io, service);
        connection.await.map_err(|error| error.to_string())
    });
    client.write_all(REQUEST).await.unwrap();
    is_tcp_without_delay(transports.recv().await.unwrap()).await;
}

#[tokio::test]
async fn a_tcp_stream_is_written_to_in_one_call_for_many_slices() {
    let (_client, stream) = pair().await;
    let io = Rewind::new(stream, Bytes::new());
    assert!(Transport::Tcp { io }.is_write_vectored());
}
