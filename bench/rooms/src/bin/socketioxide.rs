//! A server with socketioxide and its Redis adapter, as their documentation shows them.
//!
//! The event `hear` joins a room, or several; `say` publishes to one.

use std::error::Error;

use rooms::value;
use socketioxide::SocketIo;
use socketioxide::adapter::Adapter;
use socketioxide::extract::{Data, SocketRef};
use socketioxide_redis::{RedisAdapter, RedisAdapterCtr};
use tokio::net::TcpListener;

async fn on_connect<A: Adapter>(socket: SocketRef<A>) {
    socket.on(
        "hear",
        |socket: SocketRef<A>, Data((room, count)): Data<(String, usize)>| async move {
            if count == 0 {
                socket.join(room.clone());
            }
            for number in 0..count {
                socket.join(format!("{room}-{number}"));
            }
            let _ = socket.emit("m", "ready");
        },
    );
    socket.on(
        "say",
        |socket: SocketRef<A>, Data((room, text)): Data<(String, String)>| async move {
            if let Err(error) = socket.within(room).emit("m", &text).await {
                let _ = socket.emit("m", &format!("failed {error}"));
            }
        },
    );
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let url: String = value("redis").ok_or("--redis URL is missing")?;
    let client = redis::Client::open(format!("{url}?protocol=resp3"))?;
    let adapter = RedisAdapterCtr::new_with_redis(&client).await?;
    let (layer, io) = SocketIo::builder()
        .with_adapter::<RedisAdapter<_>>(adapter)
        .build_layer();
    io.ns("/", on_connect).await?;
    let app = axum::Router::new().layer(layer);
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?.port());
    use axum::serve::ListenerExt;
    let listener = listener.tap_io(|stream| drop(stream.set_nodelay(true)));
    axum::serve(listener, app).await?;
    Ok(())
}
