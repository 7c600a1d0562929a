//! Through a proxy, by the connectors of hyper-util.

use http::{HeaderValue, Uri};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::proxy::{SocksV5, Tunnel};
use hyper_ws::error::BoxError;
use hyper_ws::handshake::Target;
use tokio::net::TcpStream;
use tower::Service;

/// A stream to the target, over the proxy with that URL.
pub(crate) async fn through(proxy: &str, target: &Target) -> Result<TcpStream, BoxError> {
    let proxy: Uri = proxy.parse()?;
    let authority = proxy.authority().ok_or("the proxy's URL names no host")?;
    let user = authority.as_str().rsplit_once('@').map(|(user, _)| user);
    // The target is named with its port, so the scheme does not matter.
    let target: Uri = format!("http://{target}").parse()?;
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    let stream = match proxy.scheme_str() {
        Some("http") => {
            let mut tunnel = Tunnel::new(without_user(&proxy)?, connector);
            if let Some(user) = user {
                tunnel = tunnel.with_auth(basic(user)?);
            }
            tunnel.call(target).await?
        }
        // The proxy resolves the name.
        Some("socks5" | "socks5h") => {
            let mut socks = SocksV5::new(without_user(&proxy)?, connector);
            if let Some((user, password)) = user.and_then(|user| user.split_once(':')) {
                socks = socks.with_auth(user.to_owned(), password.to_owned());
            }
            socks.call(target).await?
        }
        _ => return Err("a proxy's URL begins with http:// or socks5://".into()),
    };
    Ok(stream.into_inner())
}

/// Where the proxy is, in the one scheme that `HttpConnector` connects to.
fn without_user(proxy: &Uri) -> Result<Uri, BoxError> {
    let host = proxy.host().unwrap_or_default();
    let default = if proxy.scheme_str() == Some("http") {
        80
    } else {
        1080
    };
    let port = proxy.port_u16().unwrap_or(default);
    Ok(format!("http://{host}:{port}").parse()?)
}

fn basic(user: &str) -> Result<HeaderValue, BoxError> {
    use base64::Engine;
    let user = base64::engine::general_purpose::STANDARD.encode(user);
    Ok(HeaderValue::from_str(&format!("Basic {user}"))?)
}
