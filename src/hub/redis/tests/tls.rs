//! Redis over TLS.

use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto};

use super::redis_server::free_port;
use super::*;

#[tokio::test]
async fn rediss_is_encrypted_and_its_certificate_is_checked() {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let folder = std::env::temp_dir().join(format!("hyper-ws-redis-tls-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let file = |name: &str, text: String| {
        let path = folder.join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let certificate = file("cert.pem", made.cert.pem());
    let key = file("key.pem", made.signing_key.serialize_pem());
    let port = free_port();
    let options = [
        ["--save", ""],
        ["--tls-port", &port.to_string()],
        ["--tls-cert-file", &certificate],
        ["--tls-key-file", &key],
        ["--tls-ca-cert-file", &certificate],
        ["--tls-auth-clients", "no"],
    ];
    let redis = RedisServer::with(&options.concat());
    std::fs::remove_dir_all(&folder).unwrap();
    let Some(redis) = redis else {
        return;
    };
    let url = format!("rediss://localhost:{port}");
    // This system does not trust it.
    let reason = Redis::new(&url)
        .unwrap()
        .check()
        .await
        .unwrap_err()
        .to_string();
    assert!(reason.contains("TLS handshake"), "{reason}");

    let mut roots = RootCertStore::empty();
    roots.add(made.cert.der().clone()).unwrap();
    // With two providers built in, `builder` panics unless one is installed.
    let provider = Arc::new(crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let config = Arc::new(config);
    let server = Server::with(Redis::new(&url).unwrap().tls_config(config.clone()));
    server.follow("lobby").await;
    server.publish("lobby", "secret").ok().await;
    assert_eq!(texts(&server.arrived("lobby", 1).await), ["secret"]);
    // Its name is checked too.
    let other = Redis::new(&format!("rediss://127.0.0.1:{port}")).unwrap();
    let reason = other
        .tls_config(config)
        .check()
        .await
        .unwrap_err()
        .to_string();
    assert!(reason.contains("TLS handshake"), "{reason}");
    drop(redis);
}
