//! axum, with its own `serve` on the listeners of this crate.

use std::convert::Infallible;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::task::Poll;
use std::time::Duration;

use axum::extract::ConnectInfo;
use axum::extract::ws::{Message, WebSocketUpgrade};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::routing::{get, post};
use axum::serve::{Listener, ListenerExt};
use axum::{Json, Router};
use futures_util::{SinkExt, StreamExt};
use runtime::io::{AsyncReadExt, AsyncWriteExt};
use runtime::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::oneshot;

use crate::peer;

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
        let serving = axum::serve(listener, routes).with_graceful_shutdown(async {
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

#[runtime::test(tokio)]
async fn connect_info_is_the_address_of_the_client() {
    async fn address(ConnectInfo(address): ConnectInfo<SocketAddr>) -> String {
        address.to_string()
    }
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = listener.local_addr().unwrap();
    let listener = listener.tap_io(|stream| stream.set_nodelay(true).unwrap());
    let routes = Router::new().route("/", get(address));
    let routes = routes.into_make_service_with_connect_info::<SocketAddr>();
    let serving = runtime::spawn(axum::serve(listener, routes).into_future());

    let mut client = TcpStream::connect(server).await.unwrap();
    client
        .write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        .await
        .unwrap();
    let own = client.local_addr().unwrap().to_string();
    let mut answer = String::new();
    client.read_to_string(&mut answer).await.unwrap();
    assert!(answer.ends_with(&own), "{answer:?} for {own}");
    serving.abort();
}

#[runtime::test(tokio)]
async fn axum_serves_a_unix_socket() {
    let path = std::env::temp_dir().join(format!("runtime-axum-{}", std::process::id()));
    let _ = std::fs::remove_file(&path);
    let listener = UnixListener::bind(&path).unwrap();
    let routes = Router::new().route("/", get(|| async { "hello" }));
    let (stop, stopped) = oneshot::channel();
    let serving = axum::serve(listener, routes).with_graceful_shutdown(async {
        stopped.await.unwrap();
    });
    let serving = runtime::spawn(serving.into_future());

    let mut client = UnixStream::connect(&path).await.unwrap();
    client
        .write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        .await
        .unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).await.unwrap();
    assert!(answer.ends_with("hello"), "{answer:?}");
    let curl = ["--silent", "--fail", "--unix-socket"];
    let curl = curl
        .into_iter()
        .chain([path.to_str().unwrap(), "http://x/"]);
    if let Some(text) = peer("curl", curl).await {
        assert_eq!(text, "hello");
    }
    stop.send(()).unwrap();
    serving.await.unwrap().unwrap();
    std::fs::remove_file(path).unwrap();
}

#[runtime::test]
async fn an_accepted_connection_first_waits_on_a_thread_of_tokio() {
    let mut listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut client = TcpStream::connect(address).await.unwrap();
    let (mut server, _) = Listener::accept(&mut listener).await;
    let (began, begins) = oneshot::channel();
    let reading = runtime::spawn_blocking(move || {
        let tokio = tokio::runtime::Builder::new_current_thread().build();
        tokio.unwrap().block_on(async {
            let mut four = [0; 4];
            let mut reading = std::pin::pin!(server.read_exact(&mut four));
            let first = poll_fn(|cx| Poll::Ready(reading.as_mut().poll(cx)));
            assert!(first.await.is_pending());
            began.send(()).unwrap();
            reading.await.map(|()| four)
        })
    });
    begins.await.unwrap();
    client.write_all(b"data").await.unwrap();
    assert_eq!(&reading.await.unwrap().unwrap(), b"data");
}

#[test]
fn accepting_without_a_runtime_panics_with_the_reason() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut listener = TcpListener::from_std(listener).unwrap();
    let tokio = tokio::runtime::Builder::new_current_thread().build();
    let accepting = || tokio.unwrap().block_on(Listener::accept(&mut listener));
    let panic = std::panic::catch_unwind(std::panic::AssertUnwindSafe(accepting)).unwrap_err();
    let text = panic.downcast_ref::<String>().unwrap();
    assert!(text.starts_with("accept for axum::serve: "), "{text}");
    assert!(text.contains("runtime"), "{text}");
}
