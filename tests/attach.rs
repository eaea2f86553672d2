//! Sockets that are attached to a runtime before they first wait, and then used on other threads.

use std::pin::pin;
use std::sync::Arc;
use std::sync::mpsc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread;

use runtime::io::{Async, AsyncReadExt, AsyncWriteExt};
use runtime::net::{TcpListener, TcpStream, UdpSocket};

/// Runs a future on a thread that no runtime drives.
fn block_on_thread<F: Future>(future: F) -> F::Output {
    struct Unpark(thread::Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}

/// Accepts a connection, reads from it on a thread without a runtime, and returns the result.
async fn read_elsewhere(attach: bool) -> std::io::Result<[u8; 4]> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut client = TcpStream::connect(address).await.unwrap();
    let (mut server, _) = listener.accept().await.unwrap();
    if attach {
        server.attach().unwrap();
    }
    let (began, begins) = mpsc::channel();
    let reader = runtime::spawn_blocking(move || {
        let mut four = [0; 4];
        let mut read = Box::pin(server.read_exact(&mut four));
        let result = block_on_thread(std::future::poll_fn(|cx| {
            let result = read.as_mut().poll(cx);
            // It waits by now, or has failed.
            let _ = began.send(());
            result
        }));
        drop(read);
        result.map(|()| four)
    });
    begins.recv().unwrap();
    client.write_all(b"data").await.unwrap();
    reader.await.unwrap()
}

#[runtime::test]
async fn a_socket_that_was_attached_waits_on_a_thread_without_a_runtime() {
    assert_eq!(&read_elsewhere(true).await.unwrap(), b"data");
}

#[runtime::test]
async fn a_socket_that_was_not_attached_cannot_wait_there() {
    let error = read_elsewhere(false).await.unwrap_err();
    let text = error.to_string();
    assert!(text.contains("no runtime drives this thread"), "{text}");
}

#[runtime::test]
async fn attaching_twice_and_after_a_wait_changes_nothing() {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    socket.attach().unwrap();
    socket.attach().unwrap();
    let address = socket.local_addr().unwrap();
    socket.send_to(b"one", address).await.unwrap();
    let mut buf = [0; 8];
    assert_eq!(socket.recv_from(&mut buf).await.unwrap(), (3, address));
    socket.attach().unwrap();
    socket.send_to(b"four", address).await.unwrap();
    assert_eq!(socket.recv_from(&mut buf).await.unwrap(), (4, address));
}

#[runtime::test]
async fn a_listener_and_any_descriptor_can_be_attached() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.attach().unwrap();
    let address = listener.local_addr().unwrap();
    let accepted = runtime::spawn(async move { listener.accept().await.map(drop) });
    TcpStream::connect(address).await.unwrap();
    accepted.await.unwrap().unwrap();

    let (one, other) = std::os::unix::net::UnixStream::pair().unwrap();
    let (mut one, other) = (Async::new(one).unwrap(), Async::new(other).unwrap());
    other.attach().unwrap();
    one.write_all(b"x").await.unwrap();
    assert_eq!((&other).read(&mut [0; 8]).await.unwrap(), 1);
}

#[test]
fn attaching_outside_a_runtime_is_an_error() {
    let stream = runtime::block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        TcpStream::connect(listener.local_addr().unwrap())
            .await
            .unwrap()
    });
    // Connecting may have waited, in a runtime that was dropped.
    let stream = TcpStream::from_std(stream.into_std()).unwrap();
    let error = stream.attach().unwrap_err();
    let text = error.to_string();
    assert!(text.contains("no runtime drives this thread"), "{text}");
}
