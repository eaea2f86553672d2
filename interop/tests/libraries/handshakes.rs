//! A listener that does a handshake on each connection: one byte of the client.

use std::cell::Cell;
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use runtime::compat::hyper_util::{Handshakes, serve};
use runtime::io::{AsyncReadExt, AsyncWriteExt};
use runtime::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

async fn bind() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

async fn hello(_: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    Ok(Response::new(Full::from("hello")))
}

/// Completes if the client sends an x, fails if it sends an e, and panics otherwise.
async fn read_byte(mut stream: TcpStream) -> io::Result<TcpStream> {
    let mut byte = [0];
    stream.read_exact(&mut byte).await?;
    match byte[0] {
        b'x' => Ok(stream),
        b'e' => Err(io::ErrorKind::InvalidData.into()),
        _ => panic!("the handshake of this test"),
    }
}

/// Sends the byte and a request, and returns what the server sends until it closes.
async fn exchange(mut stream: TcpStream, byte: u8) -> String {
    let request = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    stream.write_all(&[byte]).await.unwrap();
    stream.write_all(request).await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    text
}

#[runtime::test]
async fn a_client_that_sends_nothing_does_not_delay_the_handshake_of_another() {
    let (listener, address) = bind().await;
    let listener = Handshakes::new(listener, read_byte);
    let server = runtime::spawn(serve(listener, service_fn(hello)).run());
    let silent = TcpStream::connect(address).await.unwrap();
    let stream = TcpStream::connect(address).await.unwrap();
    assert!(exchange(stream, b'x').await.ends_with("hello"));
    drop(silent);
    server.abort();
}

#[runtime::test]
async fn the_error_or_panic_of_a_handshake_closes_that_connection_alone() {
    let (listener, address) = bind().await;
    let listener = Handshakes::new(listener, read_byte);
    let server = runtime::spawn(serve(listener, service_fn(hello)).run());
    for byte in [b'e', b'p'] {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(&[byte]).await.unwrap();
        assert_eq!(stream.read(&mut [0]).await.unwrap(), 0);
    }
    let stream = TcpStream::connect(address).await.unwrap();
    assert!(exchange(stream, b'x').await.ends_with("hello"));
    server.abort();
}

#[runtime::test]
async fn a_handshake_that_takes_too_long_closes_its_connection() {
    let (listener, address) = bind().await;
    let listener =
        Handshakes::new(listener, read_byte).handshake_timeout(Duration::from_millis(10));
    let server = runtime::spawn(serve(listener, service_fn(hello)).run());
    let mut silent = TcpStream::connect(address).await.unwrap();
    assert_eq!(silent.read(&mut [0]).await.unwrap(), 0);
    server.abort();
}

#[runtime::test]
async fn no_more_handshakes_run_than_the_limit() {
    let (listener, address) = bind().await;
    let (running, most) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
    let begun = Rc::new(Semaphore::new(0));
    let counters = (running, most.clone(), begun.clone());
    let listener = Handshakes::new(listener, move |stream| {
        let (running, most, begun) = counters.clone();
        async move {
            running.set(running.get() + 1);
            most.set(most.get().max(running.get()));
            begun.add_permits(1);
            let result = read_byte(stream).await;
            running.set(running.get() - 1);
            result
        }
    });
    let server = runtime::spawn(serve(listener.max_handshakes(2), service_fn(hello)).run());
    let mut clients = Vec::new();
    for _ in 0..5 {
        clients.push(TcpStream::connect(address).await.unwrap());
    }
    // The handshakes begin in the order of the connections.
    begun.acquire_many(2).await.unwrap().forget();
    for stream in clients {
        assert!(exchange(stream, b'x').await.ends_with("hello"));
    }
    assert_eq!(most.get(), 2);
    server.abort();
}
