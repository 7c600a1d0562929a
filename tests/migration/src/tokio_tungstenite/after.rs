use std::error::Error;

use hyper_ws::error::CloseCause;
use hyper_ws::{CloseCode, Message, connect};
use tokio::sync::mpsc;

type BoxError = Box<dyn Error + Send + Sync>;

pub async fn converse(
    url: &str,
    token: &str,
    mut say: mpsc::Receiver<String>,
    hear: mpsc::Sender<String>,
) -> Result<Option<(u16, String)>, BoxError> {
    let token = format!("Bearer {token}");
    let mut socket = connect(url).header("authorization", token).await?;
    let sender = socket.sender();
    tokio::spawn(async move {
        while let Some(text) = say.recv().await {
            sender.send(text).await?;
        }
        sender.close(CloseCode::NORMAL, "goodbye");
        Ok::<(), hyper_ws::Error>(())
    });
    while let Some(message) = socket.recv().await? {
        if let Message::Text(text) = message {
            hear.send(text.into()).await?;
        }
    }
    Ok(match socket.close_cause() {
        Some(CloseCause::Remote(Some(frame))) => {
            Some((frame.code.value(), frame.reason.to_string()))
        }
        _ => None,
    })
}
