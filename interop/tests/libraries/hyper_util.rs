//! The server and the connectors for hyper-util, without tokio's context.

use std::cell::Cell;
use std::convert::Infallible;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use axum::routing::post;
use axum::{Json, Router};
use http_body_util::{BodyExt, Empty, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response, Uri};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::Connect;
use hyper_util::service::TowerToHyperService;
use runtime::compat::hyper::{Executor, Io};
use runtime::compat::hyper_util::{Connector, UnixConnector, serve};
use runtime::io::{AsyncReadExt, AsyncWriteExt};
use runtime::net::{TcpListener, TcpSocket, TcpStream, UnixListener};

use crate::peer;

type Answer = Result<Response<Full<Bytes>>, Infallible>;

async fn hello(_: Request<Incoming>) -> Answer {
    Ok(Response::new(Full::from("hello")))
}

async fn bind() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

async fn get<C>(client: &Client<C, Empty<Bytes>>, uri: &str) -> String
where
    C: Connect + Clone + Send + Sync + 'static,
{
    let response = client.get(uri.parse::<Uri>().unwrap()).await.unwrap();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8(body.to_vec()).unwrap()
}

#[runtime::test]
async fn a_service_with_state_that_is_not_send_serves_both_versions_and_curl() {
    let (listener, address) = bind().await;
    let count = Rc::new(Cell::new(0));
    let counter = count.clone();
    let service = service_fn(move |_| {
        counter.set(counter.get() + 1);
        let text = counter.get().to_string();
        async { Answer::Ok(Response::new(Full::from(text))) }
    });
    let server = runtime::spawn(serve(listener, service).run());
    let uri = format!("http://{address}/");
    let client = Client::builder(Executor).build::<_, Empty<Bytes>>(Connector::new());
    assert_eq!(get(&client, &uri).await, "1");
    let mut builder = Client::builder(Executor);
    let client = builder.http2_only(true).build::<_, Empty<Bytes>>(
        Connector::new()
            .timeout(Duration::from_secs(10))
            .local_address("127.0.0.1".parse().unwrap()),
    );
    assert_eq!(get(&client, &uri).await, "2");
    let mut expected = 2;
    for version in ["--http1.1", "--http2-prior-knowledge"] {
        if let Some(text) = peer("curl", ["--silent", "--fail", version, &uri]).await {
            expected += 1;
            assert_eq!(text, expected.to_string());
        }
    }
    assert_eq!(count.get(), expected);
    server.abort();
}

#[runtime::test]
async fn the_routes_of_axum_are_served_without_tokio() {
    let (listener, address) = bind().await;
    async fn double(Json(numbers): Json<Vec<u32>>) -> Json<Vec<u32>> {
        runtime::time::sleep(Duration::from_millis(1)).await;
        Json(numbers.into_iter().map(|number| 2 * number).collect())
    }
    assert!(tokio::runtime::Handle::try_current().is_err());
    let service = TowerToHyperService::new(Router::new().route("/double", post(double)));
    let server = runtime::spawn(serve(listener, service).run());
    let client = Client::builder(Executor).build::<_, Full<Bytes>>(Connector::new());
    let request = Request::post(format!("http://{address}/double"))
        .header("content-type", "application/json")
        .body(Full::from("[1,2]"))
        .unwrap();
    let response = client.request(request).await.unwrap();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(body, "[2,4]");
    server.abort();
}

#[runtime::test]
async fn a_shutdown_answers_what_has_begun_and_closes_what_is_idle() {
    let (listener, address) = bind().await;
    let (begin, begun) = async_channel();
    let (release, released) = async_channel();
    let service = service_fn(move |_| {
        let (begin, released) = (begin.clone(), released.clone());
        async move {
            begin.send();
            released.recv().await;
            Answer::Ok(Response::new(Full::from("late")))
        }
    });
    let (stop, stopped) = async_channel();
    let server =
        serve(listener, service).with_graceful_shutdown(async move { stopped.recv().await });
    let server = runtime::spawn(server);
    let mut idle = TcpStream::connect(address).await.unwrap();
    let client = Client::builder(Executor).build::<_, Empty<Bytes>>(Connector::new());
    let request = runtime::spawn(async move { get(&client, &format!("http://{address}/")).await });
    begun.recv().await;
    stop.send();
    // The listener is closed, and so is the connection that has sent nothing.
    assert_eq!(idle.read(&mut [0; 8]).await.unwrap(), 0);
    let refused = TcpStream::connect(address).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    assert!(!server.is_finished());
    release.send();
    assert_eq!(request.await.unwrap(), "late");
    server.await.unwrap().unwrap();
}

/// A channel of signals between tasks of one thread.
#[derive(Clone)]
struct Signal(Rc<tokio::sync::Semaphore>);

fn async_channel() -> (Signal, Signal) {
    let signal = Signal(Rc::new(tokio::sync::Semaphore::new(0)));
    (signal.clone(), signal)
}

impl Signal {
    fn send(&self) {
        self.0.add_permits(1);
    }

    async fn recv(&self) {
        self.0.acquire().await.unwrap().forget();
    }
}

#[runtime::test]
async fn a_head_that_is_never_complete_ends_the_connection() {
    let (listener, address) = bind().await;
    let server = serve(listener, service_fn(hello)).header_timeout(Duration::from_millis(20));
    let server = runtime::spawn(server.run());
    let mut client = TcpStream::connect(address).await.unwrap();
    client.write_all(b"GET / HTTP/1.1\r\nHost:").await.unwrap();
    let mut rest = Vec::new();
    // It is closed, with or without an answer that says why.
    client.read_to_end(&mut rest).await.unwrap();
    assert!(!rest.starts_with(b"HTTP/1.1 200"));
    server.abort();
}

#[runtime::test]
async fn a_peer_that_takes_nothing_is_given_up() {
    let (listener, address) = bind().await;
    let large = Bytes::from(vec![7; 64 << 20]);
    let alive = Rc::new(());
    let held = alive.clone();
    let service = service_fn(move |_| {
        let (large, _held) = (large.clone(), held.clone());
        async move { Answer::Ok(Response::new(Full::new(large))) }
    });
    let server = serve(listener, service).send_timeout(Duration::from_millis(50));
    let server = runtime::spawn(server.run());
    let mut client = TcpStream::connect(address).await.unwrap();
    client
        .write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        .await
        .unwrap();
    client.readable().await.unwrap();
    // Nothing is read until the server has closed the connection.
    while Rc::strong_count(&alive) < 3 {
        runtime::task::yield_now().await;
    }
    while Rc::strong_count(&alive) > 2 {
        runtime::time::sleep(Duration::from_millis(5)).await;
    }
    let mut received = Vec::new();
    let _ = client.read_to_end(&mut received).await;
    assert!(received.len() < 64 << 20, "it was cut off");
    server.abort();
}

#[runtime::test]
async fn more_connections_than_the_limit_wait_for_their_turn() {
    let (listener, address) = bind().await;
    let server = serve(listener, service_fn(hello)).max_connections(1);
    let server = runtime::spawn(server.run());
    let request = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    let mut first = TcpStream::connect(address).await.unwrap();
    let mut second = TcpStream::connect(address).await.unwrap();
    second.write_all(request).await.unwrap();
    let mut byte = [0];
    let early = runtime::time::timeout(Duration::from_millis(20), second.read(&mut byte)).await;
    assert!(early.is_err(), "the first connection is still there");
    first.write_all(request).await.unwrap();
    for stream in [&mut first, &mut second] {
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.ends_with("hello"), "{answer}");
    }
    server.abort();
}

#[runtime::test]
async fn an_upgraded_connection_belongs_to_the_service() {
    let (listener, address) = bind().await;
    let service = service_fn(|mut request: Request<Incoming>| async move {
        drop(runtime::spawn(async move {
            let upgraded = hyper::upgrade::on(&mut request).await.unwrap();
            let mut parts = upgraded;
            let mut text = [0; 4];
            read_exact(&mut parts, &mut text).await;
            assert_eq!(&text, b"ping");
            write_all(&mut parts, b"pong").await;
        }));
        let response = Response::builder()
            .status(101)
            .header("connection", "upgrade")
            .header("upgrade", "echo");
        Answer::Ok(response.body(Full::default()).unwrap())
    });
    let server = runtime::spawn(serve(listener, service).run());
    let mut client = TcpStream::connect(address).await.unwrap();
    let request = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n";
    client.write_all(request).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        client.read_exact(&mut byte).await.unwrap();
        head.extend(byte);
    }
    assert!(head.starts_with(b"HTTP/1.1 101"));
    client.write_all(b"ping").await.unwrap();
    let mut pong = [0; 4];
    client.read_exact(&mut pong).await.unwrap();
    assert_eq!(&pong, b"pong");
    server.abort();
}

async fn read_exact(stream: &mut hyper::upgrade::Upgraded, mut buf: &mut [u8]) {
    use hyper::rt::Read;
    use std::pin::Pin;
    while !buf.is_empty() {
        let read = std::future::poll_fn(|cx| {
            let mut room = hyper::rt::ReadBuf::new(buf);
            std::task::ready!(Pin::new(&mut *stream).poll_read(cx, room.unfilled()))?;
            std::task::Poll::Ready(std::io::Result::Ok(room.filled().len()))
        });
        let read = read.await.unwrap();
        assert_ne!(read, 0, "the end came early");
        buf = &mut buf[read..];
    }
}

async fn write_all(stream: &mut hyper::upgrade::Upgraded, mut bytes: &[u8]) {
    use hyper::rt::Write;
    use std::pin::Pin;
    while !bytes.is_empty() {
        let written = std::future::poll_fn(|cx| Pin::new(&mut *stream).poll_write(cx, bytes));
        bytes = &bytes[written.await.unwrap()..];
    }
    std::future::poll_fn(|cx| Pin::new(&mut *stream).poll_flush(cx))
        .await
        .unwrap();
}

#[runtime::test]
async fn a_unix_socket_is_reached_whatever_the_uri_says() {
    let path = std::env::temp_dir().join(format!("runtime-hyper-util-{}", std::process::id()));
    let listener = UnixListener::bind(&path).unwrap();
    let server = runtime::spawn(serve(listener, service_fn(hello)).run());
    let client = Client::builder(Executor).build::<_, Empty<Bytes>>(UnixConnector::new(&path));
    assert_eq!(get(&client, "http://anything/").await, "hello");
    let curl = [
        "--silent",
        "--unix-socket",
        path.to_str().unwrap(),
        "http://any/",
    ];
    if let Some(text) = peer("curl", curl).await {
        assert_eq!(text, "hello");
    }
    std::fs::remove_file(path).unwrap();
    server.abort();
}

#[runtime::test]
async fn a_connector_names_the_failed_operation() {
    use tower::Service;
    let connect = |connector: Connector, uri: &str| {
        let uri: Uri = uri.parse().unwrap();
        let mut connector = connector;
        async move { connector.call(uri).await.map(Io::into_inner).unwrap_err() }
    };
    let error = connect(Connector::new(), "/no/host").await;
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    let error = connect(Connector::new(), "http://127.0.0.1:1/").await;
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    let other_family = Connector::new().local_address("127.0.0.1".parse().unwrap());
    let error = connect(other_family, "http://[::1]:1/").await;
    assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
}

#[runtime::test]
async fn a_connector_gives_up_a_server_that_does_not_answer() {
    use tower::Service;
    // Nothing is accepted, so the system drops what its queue has no room for.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let mut connector = Connector::new().timeout(Duration::from_millis(100));
    let mut queued = Vec::new();
    let error = loop {
        let uri: Uri = format!("http://{address}/").parse().unwrap();
        match connector.call(uri).await {
            Ok(stream) => queued.push(stream),
            Err(error) => break error,
        }
        assert!(queued.len() < 100, "the queue has no end");
    };
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    let text = error.to_string();
    assert!(text.contains(&address.to_string()), "{text}");
}
