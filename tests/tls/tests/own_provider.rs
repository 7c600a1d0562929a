//! A program whose rustls has aws-lc-rs, and hyper-ws with the feature `rustls` alone.
//!
//! One test, since the provider is one for the whole process.

use std::convert::Infallible;
use std::error::Error as _;
use std::net::SocketAddr;
use std::sync::Arc;

use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use hyper_ws::client::{ConnectError, ConnectErrorKind};
use hyper_ws::{Message, WebSocket, WebSocketService, connect};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

#[tokio::test]
async fn the_providers_of_the_program_are_left_alone() {
    // Nothing is installed, and no feature names a provider.
    let (stream, _peer) = tokio::io::duplex(4096);
    let error = connect("wss://localhost/").via(stream).await.unwrap_err();
    assert_eq!(error.kind(), ConnectErrorKind::Tls);
    assert!(!error.is_transient());
    let text = error.to_string();
    for what_to_do in [
        "rustls-ring",
        "rustls-aws-lc-rs",
        "install_default",
        "TLS configuration",
    ] {
        assert!(text.contains(what_to_do), "{text}");
    }
    assert!(CryptoProvider::get_default().is_none());

    // It panics if rustls was built with two.
    let builder = ClientConfig::builder();

    // That has installed the program's. From here on `wss` works, with a configuration and
    // without.
    assert!(CryptoProvider::get_default().is_some());
    let (address, certificate) = server().await;
    let mut roots = RootCertStore::empty();
    roots.add(certificate).unwrap();
    let config = builder.with_root_certificates(roots).with_no_client_auth();
    let url = format!("wss://localhost:{}/", address.port());
    let mut socket = connect(&url).tls(config).await.unwrap();
    socket.send("hello").await.unwrap();
    assert_eq!(socket.recv().await.unwrap(), Some(Message::from("hello")));

    let error: ConnectError = connect(&url).await.unwrap_err();
    let reason = error.source().unwrap().to_string();
    assert!(reason.contains("UnknownIssuer"), "{reason}");
}

/// An echo server with a certificate for `localhost`.
async fn server() -> (SocketAddr, CertificateDer<'static>) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let certificate = made.cert.der().clone();
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
    let config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(stream) = acceptor.accept(stream).await else {
                    return;
                };
                let service = WebSocketService::new(service_fn(page)).route("/", echo);
                let _ = http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service)
                    .with_upgrades()
                    .await;
            });
        }
    });
    (address, certificate)
}

async fn page(_: Request<Incoming>) -> Result<Response<String>, Infallible> {
    Ok(Response::new(String::new()))
}

async fn echo(mut socket: WebSocket) -> Result<(), hyper_ws::Error> {
    while let Some(message) = socket.recv().await? {
        socket.send(message).await?;
    }
    Ok(())
}
