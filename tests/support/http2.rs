//! WebSockets over HTTP/2, opened by hyper's own client, and servers for them.

use std::convert::Infallible;
use std::net::SocketAddr;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Full};
use hyper::body::Incoming;
use hyper::client::conn::http2::{Builder, SendRequest};
use hyper::ext::Protocol;
use hyper::server::conn::http2;
use hyper::service::HttpService;
use hyper::upgrade::Upgraded;
use hyper::{Method, Request, Response, StatusCode, Version};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;

use super::server::BoxError;
use super::{Client, bind};

/// A socket on a stream of an HTTP/2 connection.
pub(crate) type Socket = Client<TokioIo<Upgraded>>;

/// The service behind the routes.
pub(crate) async fn page(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let text = format!("{} {}", request.method(), request.uri().path());
    let mut response = Response::new(Full::from(text));
    if request.method() == Method::CONNECT {
        *response.status_mut() = StatusCode::NOT_FOUND;
    }
    Ok(response)
}

/// A server as README shows it.
pub(crate) fn server() -> http2::Builder<TokioExecutor> {
    let mut server = http2::Builder::new(TokioExecutor::new());
    server
        .enable_connect_protocol()
        .initial_stream_window_size(64 * 1024)
        .initial_connection_window_size(16 * 1024 * 1024)
        .max_send_buf_size(64 * 1024);
    server
}

/// Serves every connection with HTTP/2.
pub(crate) async fn serve<S, B>(server: http2::Builder<TokioExecutor>, service: S) -> SocketAddr
where
    S: HttpService<Incoming, ResBody = B, Future: Send, Error: Into<BoxError>>
        + Clone
        + Send
        + 'static,
    B: hyper::body::Body<Data: Send, Error: Into<BoxError>> + Send + 'static,
{
    let (listener, address) = bind().await;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(server.serve_connection(TokioIo::new(stream), service.clone()));
        }
    });
    address
}

/// A handshake without a fault.
pub(crate) fn handshake(path: &str) -> Request<Empty<Bytes>> {
    Request::builder()
        .method(Method::CONNECT)
        .version(Version::HTTP_2)
        .uri(format!("http://example.com{path}"))
        .header("sec-websocket-version", "13")
        .extension(Protocol::from_static("websocket"))
        .body(Empty::new())
        .unwrap()
}

/// One HTTP/2 connection of hyper's client.
#[derive(Clone)]
pub(crate) struct Connection {
    sender: SendRequest<Empty<Bytes>>,
}

impl Connection {
    pub(crate) async fn open(address: SocketAddr) -> Self {
        Connection::with(&Builder::new(TokioExecutor::new()), address).await
    }

    pub(crate) async fn with(client: &Builder<TokioExecutor>, address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        let (sender, connection) = client.handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        let mut connection = Connection { sender };
        // RFC 8441, section 3: `:protocol` may only be sent when the server's
        // settings allow it. They arrive before its first answer.
        connection.get("/").await;
        connection
    }

    /// The answer to an ordinary request.
    pub(crate) async fn get(&mut self, path: &str) -> (StatusCode, String) {
        let uri = format!("http://example.com{path}");
        self.answer(Request::get(uri).body(Empty::new()).unwrap())
            .await
    }

    /// The answer with its body.
    pub(crate) async fn answer(&mut self, request: Request<Empty<Bytes>>) -> (StatusCode, String) {
        let response = self.request(request).await.unwrap();
        let status = response.status();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    pub(crate) async fn request(
        &mut self,
        request: Request<Empty<Bytes>>,
    ) -> hyper::Result<Response<Incoming>> {
        self.sender.ready().await?;
        self.sender.send_request(request).await
    }

    /// The answer to a handshake that is accepted, and the socket.
    pub(crate) async fn accepted(
        &mut self,
        request: Request<Empty<Bytes>>,
    ) -> (Response<()>, Socket) {
        let mut response = self.request(request).await.unwrap();
        assert_eq!(response.status(), 200);
        let upgraded = hyper::upgrade::on(&mut response).await.unwrap();
        (response.map(|_| ()), Client::over(TokioIo::new(upgraded)))
    }

    pub(crate) async fn socket(&mut self, path: &str) -> Socket {
        self.accepted(handshake(path)).await.1
    }
}
