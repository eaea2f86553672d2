//! axum, with its own `serve` on a listener of this crate.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use axum::extract::ws::{Message, WebSocketUpgrade};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::routing::{get, post};
use axum::{Json, Router};
use futures_util::{SinkExt, StreamExt};
use runtime::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

use crate::peer;

/// A listener of this crate, for `axum::serve`.
struct Listener(TcpListener);

impl axum::serve::Listener for Listener {
    type Io = TcpStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (TcpStream, SocketAddr) {
        loop {
            match self.0.accept().await {
                Ok(accepted) => return accepted,
                Err(e) => {
                    eprintln!("cannot accept: {e}");
                    runtime::time::sleep(Duration::from_secs(1)).await;
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

/// A server that runs until it is stopped.
struct Server {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    task: runtime::JoinHandle<io::Result<()>>,
}

impl Server {
    async fn start(routes: Router) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let serving = axum::serve(Listener(listener), routes).with_graceful_shutdown(async {
            let _ = stopped.await;
        });
        Server {
            address,
            stop,
            task: runtime::spawn(serving.into_future()),
        }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    async fn stop(self) {
        self.stop.send(()).unwrap();
        self.task.await.unwrap().unwrap();
    }
}

async fn double(Json(numbers): Json<Vec<u32>>) -> Json<Vec<u32>> {
    Json(numbers.into_iter().map(|number| 2 * number).collect())
}

#[runtime::test(tokio)]
async fn axum_serve_answers_reqwest_and_curl_and_shuts_down() {
    let routes = Router::new()
        .route("/hello", get(|| async { "hello" }))
        .route("/double", post(double));
    let server = Server::start(routes).await;

    let client = reqwest::Client::new();
    let text = client.get(server.url("/hello")).send().await.unwrap();
    assert_eq!(text.text().await.unwrap(), "hello");
    let doubled = client.post(server.url("/double")).json(&[1, 2, 3]);
    let doubled: Vec<u32> = doubled.send().await.unwrap().json().await.unwrap();
    assert_eq!(doubled, [2, 4, 6]);
    drop(client);

    if let Some(text) = peer("curl", ["--silent", "--fail", &server.url("/hello")]).await {
        assert_eq!(text, "hello");
    }
    let http2 = ["--silent", "--fail", "--http2-prior-knowledge"];
    let url = server.url("/hello");
    if let Some(text) = peer("curl", http2.into_iter().chain([&*url])).await {
        assert_eq!(text, "hello");
    }
    server.stop().await;
}

#[runtime::test(tokio)]
async fn an_upgrade_to_web_sockets_echoes() {
    async fn echo(upgrade: WebSocketUpgrade) -> axum::response::Response {
        upgrade.on_upgrade(|mut socket| async move {
            while let Some(Ok(message @ (Message::Text(_) | Message::Binary(_)))) =
                socket.recv().await
            {
                socket.send(message).await.unwrap();
            }
        })
    }
    let server = Server::start(Router::new().route("/echo", get(echo))).await;

    // The client is on a socket of this crate as well, and no part of it is tokio's.
    let stream = TcpStream::connect(server.address).await.unwrap();
    let url = format!("ws://{}/echo", server.address);
    let (mut client, _) = tokio_tungstenite::client_async(url, stream).await.unwrap();
    for round in 0..100 {
        let text = format!("message {round}");
        client.send(text.clone().into()).await.unwrap();
        let echo = client.next().await.unwrap().unwrap();
        assert_eq!(echo.into_text().unwrap().as_str(), text);
    }
    let large = vec![7; 300_000];
    client.send(large.clone().into()).await.unwrap();
    assert_eq!(client.next().await.unwrap().unwrap().into_data(), large);
    client.close(None).await.unwrap();
    server.stop().await;
}

#[runtime::test(tokio)]
async fn events_are_kept_alive_by_a_timer() {
    async fn events() -> Sse<impl futures_util::Stream<Item = Result<Event, Infallible>>> {
        let one = futures_util::stream::once(async { Ok(Event::default().data("first")) });
        let endless = one.chain(futures_util::stream::pending());
        Sse::new(endless).keep_alive(KeepAlive::new().interval(Duration::from_millis(20)))
    }
    let server = Server::start(Router::new().route("/events", get(events))).await;
    let mut response = reqwest::get(server.url("/events")).await.unwrap();
    let mut text = String::new();
    while !text.ends_with(":\n\n") {
        let chunk = response.chunk().await.unwrap().expect("it is endless");
        text.push_str(std::str::from_utf8(&chunk).unwrap());
    }
    assert!(text.starts_with("data: first\n\n"), "{text:?}");
    drop(response);
    server.stop().await;
}
