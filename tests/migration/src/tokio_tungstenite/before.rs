use std::error::Error;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

type BoxError = Box<dyn Error + Send + Sync>;

pub async fn converse(
    url: &str,
    token: &str,
    mut say: mpsc::Receiver<String>,
    hear: mpsc::Sender<String>,
) -> Result<Option<(u16, String)>, BoxError> {
    let mut request = url.into_client_request()?;
    let token = format!("Bearer {token}").parse()?;
    request.headers_mut().insert("authorization", token);
    let (socket, _response) = timeout(Duration::from_secs(10), connect_async(request)).await??;
    let (mut sink, mut stream) = socket.split();
    let saying = tokio::spawn(async move {
        while let Some(text) = say.recv().await {
            if sink.send(Message::text(text)).await.is_err() {
                return;
            }
        }
        let goodbye = CloseFrame {
            code: CloseCode::Normal,
            reason: "goodbye".into(),
        };
        let _ = sink.send(Message::Close(Some(goodbye))).await;
    });
    let mut closed = None;
    while let Some(message) = stream.next().await {
        match message {
            Ok(Message::Text(text)) => hear.send(text.to_string()).await?,
            Ok(Message::Close(frame)) => {
                closed = frame.map(|frame| (frame.code.into(), frame.reason.to_string()));
            }
            Ok(_) => {}
            Err(error) => {
                saying.abort();
                return Err(error.into());
            }
        }
    }
    saying.abort();
    Ok(closed)
}
