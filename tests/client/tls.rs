//! The client over TLS: which certificates it accepts, and the errors for those that it
//! does not.

use std::convert::Infallible;
use std::error::Error as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use hyper_ws::client::{ConnectError, ConnectErrorKind, connect_over};
use hyper_ws::{CloseCode, Message, WebSocket, WebSocketService, connect};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_rustls::{TlsAcceptor, rustls};

use crate::support::bind;

/// A certificate authority that clients can be configured to trust.
struct Authority {
    certificate: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new([]).unwrap();
        let name = &mut params.distinguished_name;
        name.push(DnType::CommonName, "an authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap().der().clone();
        Authority {
            certificate,
            issuer: Issuer::new(params, key),
        }
    }

    fn certify(&self, params: CertificateParams) -> Certified {
        let key = KeyPair::generate().unwrap();
        Certified {
            certificate: params.signed_by(&key, &self.issuer).unwrap().der().clone(),
            key,
        }
    }

    /// The configuration of a client that trusts this authority alone.
    fn trusted(&self) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.clone()).unwrap();
        ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth()
    }
}

struct Certified {
    certificate: CertificateDer<'static>,
    key: KeyPair,
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn named(name: &str) -> CertificateParams {
    CertificateParams::new([name.to_owned()]).unwrap()
}

/// An echo server with this certificate, which reports the ALPN protocol of each
/// connection.
async fn server(certified: Certified) -> (SocketAddr, mpsc::UnboundedReceiver<Option<Vec<u8>>>) {
    let key = PrivatePkcs8KeyDer::from(certified.key.serialize_der());
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certified.certificate], PrivateKeyDer::from(key))
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let (listener, address) = bind().await;
    let (sender, agreed) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, sender) = (acceptor.clone(), sender.clone());
            tokio::spawn(async move {
                let Ok(stream) = acceptor.accept(stream).await else {
                    return;
                };
                let alpn = stream.get_ref().1.alpn_protocol().map(<[u8]>::to_vec);
                let _ = sender.send(alpn);
                let service = WebSocketService::new(service_fn(app)).route("/", echo);
                let _ = http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service)
                    .with_upgrades()
                    .await;
            });
        }
    });
    (address, agreed)
}

async fn app(_: Request<Incoming>) -> Result<Response<String>, Infallible> {
    Ok(Response::new(String::new()))
}

async fn echo(mut socket: WebSocket) -> Result<(), hyper_ws::Error> {
    while let Some(message) = socket.recv().await? {
        socket.send(message).await?;
    }
    Ok(())
}

async fn echoes(mut socket: WebSocket) {
    for length in [0, 5, 100_000] {
        let message = Message::from(vec![b'x'; length]);
        socket.send(message.clone()).await.unwrap();
        assert_eq!(socket.recv().await.unwrap(), Some(message));
    }
    socket.close(CloseCode::NORMAL, "").await;
}

fn cause(error: &ConnectError) -> String {
    assert_eq!(error.kind(), ConnectErrorKind::Tls, "{error:?}");
    error.source().unwrap().to_string()
}

#[tokio::test]
async fn a_certificate_of_a_trusted_authority_is_good() {
    let authority = Authority::new();
    let (address, mut agreed) = server(authority.certify(named("localhost"))).await;
    let url = format!("wss://localhost:{}/", address.port());
    echoes(connect(&url).tls(authority.trusted()).await.unwrap()).await;
    assert_eq!(agreed.recv().await.unwrap().unwrap(), b"http/1.1");
}

#[tokio::test]
async fn a_certificate_for_an_ip_address_is_good() {
    let authority = Authority::new();
    let (address, _) = server(authority.certify(named("127.0.0.1"))).await;
    let socket = connect(format!("wss://{address}/")).tls(authority.trusted());
    echoes(socket.await.unwrap()).await;
}

#[tokio::test]
async fn http2_is_not_agreed_on_even_if_the_configuration_offers_it() {
    let authority = Authority::new();
    let (address, mut agreed) = server(authority.certify(named("127.0.0.1"))).await;
    let mut config = authority.trusted();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let socket = connect(format!("wss://{address}/")).tls(config);
    echoes(socket.await.unwrap()).await;
    assert_eq!(agreed.recv().await.unwrap().unwrap(), b"http/1.1");
}

#[tokio::test]
async fn an_expired_certificate_is_refused() {
    let authority = Authority::new();
    let mut params = named("127.0.0.1");
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2021, 1, 1);
    let (address, _) = server(authority.certify(params)).await;
    let error = connect(format!("wss://{address}/")).tls(authority.trusted());
    let error = error.await.unwrap_err();
    assert!(cause(&error).contains("expired"), "{}", cause(&error));
}

#[tokio::test]
async fn a_certificate_for_another_name_is_refused() {
    let authority = Authority::new();
    let (address, _) = server(authority.certify(named("example.com"))).await;
    let error = connect(format!("wss://{address}/")).tls(authority.trusted());
    let error = error.await.unwrap_err();
    assert!(
        cause(&error).contains("not valid for name"),
        "{}",
        cause(&error)
    );
}

#[tokio::test]
async fn a_self_signed_certificate_is_refused() {
    let key = KeyPair::generate().unwrap();
    let certificate = named("127.0.0.1").self_signed(&key).unwrap().der().clone();
    let (address, _) = server(Certified { certificate, key }).await;
    // With the system's authorities, and with another one.
    let url = format!("wss://{address}/");
    for connecting in [connect(&url), connect(&url).tls(Authority::new().trusted())] {
        let error = connecting.await.unwrap_err();
        assert!(cause(&error).contains("UnknownIssuer"), "{}", cause(&error));
        assert!(error.to_string().contains(&address.to_string()), "{error}");
    }
    // The provider of a feature was used, and is not the whole program's.
    assert!(rustls::crypto::CryptoProvider::get_default().is_none());
}

#[tokio::test]
async fn connecting_by_wss_to_a_server_without_tls_fails() {
    let (listener, address) = bind().await;
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let answer = b"HTTP/1.1 400 Bad Request\r\n\r\n";
        tokio::io::AsyncWriteExt::write_all(&mut stream, answer)
            .await
            .unwrap();
        tokio::io::copy(&mut stream, &mut tokio::io::sink()).await
    });
    let error = connect(format!("wss://{address}/")).await.unwrap_err();
    assert_eq!(error.kind(), ConnectErrorKind::Tls);
}

#[tokio::test]
async fn connecting_by_ws_to_a_server_with_tls_fails() {
    let authority = Authority::new();
    let (address, _) = server(authority.certify(named("127.0.0.1"))).await;
    let error = connect(format!("ws://{address}/")).await.unwrap_err();
    assert_eq!(error.kind(), ConnectErrorKind::Http);
}

#[tokio::test(start_paused = true)]
async fn connecting_to_a_server_silent_in_tls_times_out() {
    let (stream, _peer) = tokio::io::duplex(4096);
    let error = connect("wss://example.com/")
        .via(stream)
        .connect_timeout(Duration::from_secs(3))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ConnectErrorKind::Timeout);
    assert!(error.to_string().contains("TLS"), "{error}");
}

#[tokio::test]
async fn a_stream_through_a_proxy_is_encrypted_if_the_url_says_so() {
    let authority = Authority::new();
    let (address, _) = server(authority.certify(named("example.com"))).await;
    let stream = TcpStream::connect(address).await.unwrap();
    let socket = connect("wss://example.com/")
        .via(stream)
        .tls(authority.trusted());
    echoes(socket.await.unwrap()).await;
}

#[tokio::test]
async fn a_stream_may_be_encrypted_by_the_caller() {
    let authority = Authority::new();
    let (address, _) = server(authority.certify(named("example.com"))).await;
    let stream = TcpStream::connect(address).await.unwrap();
    let stream = tokio_rustls::TlsConnector::from(Arc::new(authority.trusted()))
        .connect("example.com".try_into().unwrap(), stream)
        .await
        .unwrap();
    echoes(connect_over(stream, "wss://example.com/").await.unwrap()).await;
}
