use hyper::{Request, Response};
use hyper_ws::{Error, Upgrade, WebSocket};
use poem::{Endpoint, EndpointExt, Route, endpoint::make_sync};

async fn echo(mut socket: WebSocket) -> Result<(), Error> {
    while let Some(message) = socket.recv().await? {
        socket.send(message).await?;
    }
    Ok(())
}

/// poem has its own type of request, and its own upgrade.
fn answer(request: poem::Request) -> poem::Response {
    let mut head = Request::new(());
    *head.method_mut() = request.method().clone();
    *head.uri_mut() = request.uri().clone();
    *head.version_mut() = request.version();
    *head.headers_mut() = request.headers().clone();
    let stream = request.take_upgrade();
    let response: Response<String> = match Upgrade::over(&head, async { stream?.await }) {
        Ok(upgrade) => upgrade.on_upgrade(echo),
        Err(rejection) => rejection.into(),
    };
    let (head, body) = response.into_parts();
    let mut response = poem::Response::from(body);
    response.set_status(head.status);
    *response.headers_mut() = head.headers;
    response
}

pub fn app() -> impl Endpoint {
    Route::new().at("/ws", make_sync(answer)).boxed()
}
