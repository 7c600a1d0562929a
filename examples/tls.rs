//! One port for `https` and `wss`, HTTP/1.1 and HTTP/2, as the client prefers
//! (ALPN). The certificate is made at the start, and is self-signed.
//!
//!     cargo run --release --example tls
//!     cargo run --release --example client -- --insecure wss://localhost:3443/ws
//!
//! A copy of it needs the feature `http2`.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clap::Parser;
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_ws::error::BoxError;
use hyper_ws::tracker::Tracker;
use hyper_ws::{CloseCode, WebSocket, WebSocketService};
use rcgen::PublicKeyData;
use sha2::{Digest, Sha256};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::{ServerConfig, crypto, pki_types::PrivatePkcs8KeyDer};

#[path = "support/listener.rs"]
mod listener;

use listener::Listener;

#[derive(Parser)]
struct Options {
    /// Where to listen; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:3443")]
    listen: SocketAddr,
    /// A name or an address for the certificate; may be given several times.
    #[arg(long, value_name = "HOST", default_values = ["localhost", "127.0.0.1"])]
    name: Vec<String>,
    /// Write the certificate to this file, for clients that shall trust it.
    #[arg(long, value_name = "FILE")]
    certificate: Option<PathBuf>,
}

async fn echo(mut socket: WebSocket) -> Result<(), hyper_ws::Error> {
    while let Some(message) = socket.recv().await? {
        socket.send(message).await?;
    }
    Ok(())
}

const PAGE: &str = "<!doctype html>
<title>TLS</title>
<p id=version>Page: {version}
<p id=answer>
<script>
const socket = new WebSocket(`wss://${location.host}/ws`);
socket.onopen = () => socket.send('hello');
socket.onmessage = (event) => { answer.textContent = `Socket: ${event.data}`; };
socket.onclose = (event) => { answer.textContent += `, closed (${event.code})`; };
</script>
";

async fn page(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let version = format!("{:?}", request.version());
    let mut response = Response::new(Full::from(PAGE.replace("{version}", &version)));
    match request.uri().path() {
        "/" => {
            let html = http::HeaderValue::from_static("text/html; charset=utf-8");
            response.headers_mut().insert("content-type", html);
        }
        _ => {
            *response.body_mut() = Full::from("not here\n");
            *response.status_mut() = StatusCode::NOT_FOUND;
        }
    }
    Ok(response)
}

/// A self-signed certificate.
fn acceptor(options: &Options) -> Result<TlsAcceptor, BoxError> {
    let made = rcgen::generate_simple_self_signed(options.name.clone())?;
    if let Some(file) = &options.certificate {
        std::fs::write(file, made.cert.pem())?;
    }
    // The hash that Chromium's --ignore-certificate-errors-spki-list takes.
    let key = Sha256::digest(made.signing_key.subject_public_key_info());
    println!("SHA-256 of the public key: {}", STANDARD.encode(key));
    let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    let mut config = ServerConfig::builder_with_provider(crypto::ring::default_provider().into())
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.into()], key.into())?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let options = Options::parse();
    let acceptor = acceptor(&options)?;
    let tracker = Tracker::new();
    let service = WebSocketService::new(service_fn(page))
        .route("/ws", echo)
        .tracker(&tracker);
    // `auto` finds out the version that the client speaks, which is the negotiated one.
    let mut server = auto::Builder::new(TokioExecutor::new());
    server.http1().timer(TokioTimer::new());
    server
        .http2()
        .timer(TokioTimer::new())
        .enable_connect_protocol()
        // See README, "HTTP/2".
        .initial_stream_window_size(64 * 1024)
        .initial_connection_window_size(16 * 1024 * 1024)
        .max_send_buf_size(64 * 1024);

    let mut listener = Listener::bind(options.listen).await?;
    println!("listening on https://{}", listener.address()?);
    while let Some(stream) = listener.accept().await {
        let (acceptor, server, service) = (acceptor.clone(), server.clone(), service.clone());
        tokio::spawn(async move {
            // Behind TLS the crate cannot set it.
            let _ = stream.set_nodelay(true);
            // A client that does not finish the TLS handshake is disconnected.
            let accepted = timeout(Duration::from_secs(10), acceptor.accept(stream)).await;
            if let Ok(Ok(stream)) = accepted {
                let stream = TokioIo::new(stream);
                let _ = server.serve_connection_with_upgrades(stream, service).await;
            }
        });
    }
    drop(listener);
    tracker
        .drain(CloseCode::GOING_AWAY, Duration::from_secs(10))
        .await;
    Ok(())
}
