//! Connections behind a layer that this crate does not write: TLS, and a stream of HTTP/2. The
//! client of that layer runs in the same thread and is counted too, so these counts show what a
//! change adds or takes away, and not what a server costs.

use std::convert::Infallible;
use std::future::Future;
use std::sync::Arc;

use http_body_util::Empty;
use hyper::body::{Bytes, Incoming};
use hyper::ext::Protocol;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, Version, client, server};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_ws::Upgrade;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, duplex};
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::wire::{self, echo};

/// More than any message of the rows takes.
const PIPE: usize = 64 * 1024;

/// Sends `input` so many times through TLS, and reads each answer of `output` bytes.
pub(crate) fn tls(count: usize, input: &[u8], output: usize) {
    run(async {
        let (near, far) = duplex(PIPE);
        let (acceptor, connector) = ends();
        tokio::spawn(async move {
            let stream = acceptor.accept(far).await.expect("a TLS handshake");
            let service = service_fn(async |request| Ok::<_, Infallible>(accept(request)));
            let connection = server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .with_upgrades();
            connection.await.expect("it is handed over");
        });
        let name = ServerName::try_from("localhost").expect("a name");
        let mut stream = connector
            .connect(name, near)
            .await
            .expect("a TLS handshake");
        open(&mut stream).await;
        converse(stream, count, input, output).await;
    });
}

/// The same through a stream of HTTP/2.
pub(crate) fn http2(count: usize, input: &[u8], output: usize) {
    run(async {
        let (near, far) = duplex(PIPE);
        tokio::spawn(async move {
            let service = service_fn(async |request| Ok::<_, Infallible>(accept(request)));
            let mut builder = server::conn::http2::Builder::new(TokioExecutor::new());
            builder.enable_connect_protocol();
            let connection = builder.serve_connection(TokioIo::new(far), service);
            connection.await.expect("nothing is wrong with it");
        });
        converse(stream(near).await, count, input, output).await;
    });
}

async fn stream(near: DuplexStream) -> impl AsyncRead + AsyncWrite + Unpin {
    let io = TokioIo::new(near);
    let (mut sender, connection) = client::conn::http2::handshake(TokioExecutor::new(), io)
        .await
        .expect("a handshake of HTTP/2");
    tokio::spawn(connection);
    let request = || {
        Request::builder()
            .method(Method::CONNECT)
            .version(Version::HTTP_2)
            .uri("http://example.com/")
            .header("sec-websocket-version", "13")
            .extension(Protocol::from_static("websocket"))
            .body(Empty::<Bytes>::new())
            .expect("a request")
    };
    // Until the server's settings have come, the client refuses CONNECT with a protocol.
    let response = loop {
        match sender.send_request(request()).await {
            Ok(response) => break response,
            Err(_) => tokio::task::yield_now().await,
        }
    };
    TokioIo::new(hyper::upgrade::on(response).await.expect("a stream"))
}

fn accept(mut request: Request<Incoming>) -> Response<String> {
    let upgrade = Upgrade::from_request(&mut request).expect("a good handshake");
    upgrade.on_upgrade(echo)
}

async fn open<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S) {
    stream.write_all(wire::REQUEST).await.expect("it is open");
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.expect("the head of an answer"));
    }
    assert!(head.starts_with(b"HTTP/1.1 101 "));
}

async fn converse<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    count: usize,
    input: &[u8],
    output: usize,
) {
    let mut answer = vec![0; output];
    for _ in 0..count {
        stream.write_all(input).await.expect("it is open");
        stream.flush().await.expect("it is open");
        stream.read_exact(&mut answer).await.expect("it is open");
    }
}

fn ends() -> (TlsAcceptor, TlsConnector) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]);
    let made = made.expect("a certificate");
    let mut roots = RootCertStore::empty();
    roots.add(made.cert.der().clone()).expect("it is a root");
    let provider = Arc::new(default_provider());
    let client = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
    let server = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .expect("the key of the certificate");
    (Arc::new(server).into(), Arc::new(client).into())
}

fn run(conversation: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build();
    runtime
        .expect("the system has what a runtime needs")
        .block_on(conversation);
}
