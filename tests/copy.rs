//! `io::copy` and `io::copy_bidirectional`.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use runtime::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use runtime::net::{TcpListener, TcpStream};

async fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (a, b) = runtime::join!(
        TcpStream::connect(listener.local_addr().unwrap()),
        listener.accept()
    );
    (a.unwrap(), b.unwrap().0)
}

/// A writer that accepts three bytes at a time and is pending before each write.
#[derive(Default)]
struct SlowWriter {
    written: Vec<u8>,
    ready: bool,
    flushed: usize,
}

impl AsyncWrite for SlowWriter {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.ready = !self.ready;
        if self.ready {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let n = buf.len().min(3);
        self.written.extend_from_slice(&buf[..n]);
        Poll::Ready(Ok(n))
    }

    fn poll_flush(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.flushed = self.written.len();
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// A reader that is always ready and never ends.
struct Endless;

impl AsyncRead for Endless {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(buf.len()))
    }
}

#[runtime::test]
async fn a_slow_writer_receives_all_bytes_and_is_flushed() {
    let data: Vec<u8> = (0..10_000u32).map(|n| n as u8).collect();
    let mut writer = SlowWriter::default();
    assert_eq!(
        runtime::io::copy(&data[..], &mut writer).await.unwrap(),
        10_000
    );
    assert_eq!(writer.written, data);
    assert_eq!(writer.flushed, 10_000);
}

#[runtime::test]
async fn an_endless_copy_lets_other_tasks_run() {
    let copying = runtime::spawn(runtime::io::copy(Endless, runtime::io::sink()));
    for _ in 0..10 {
        runtime::task::yield_now().await; // would hang if `copy` did not yield
    }
    copying.abort();
    assert!(copying.await.unwrap_err().is_cancelled());
}

#[runtime::test]
async fn a_writer_that_accepts_nothing_is_an_error() {
    let mut full = [0u8; 4];
    let error = runtime::io::copy(&b"12345"[..], runtime::io::Cursor::new(&mut full[..]))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::WriteZero);
}

#[runtime::test]
async fn megabytes_pass_through_a_socket_unchanged() {
    let (mut near, mut far) = pair().await;
    let data: Vec<u8> = (0..5_000_000u32).map(|n| ((n * 7) >> 3) as u8).collect();
    let sent = data.clone();
    let sending = runtime::spawn(async move {
        runtime::io::copy(&sent[..], &mut near).await.unwrap();
        near.close().await.unwrap();
    });
    let mut received = Vec::new();
    far.read_to_end(&mut received).await.unwrap();
    sending.await.unwrap();
    assert!(received == data);
}

#[runtime::test]
async fn half_closed_connections_stay_half_closed_through_a_proxy() {
    let (mut client, mut proxy_a) = pair().await;
    let (mut proxy_b, mut server) = pair().await;
    let proxy = runtime::spawn(async move {
        runtime::io::copy_bidirectional(&mut proxy_a, &mut proxy_b)
            .await
            .unwrap()
    });
    client.write_all(b"question").await.unwrap();
    client.close().await.unwrap();
    let mut question = Vec::new();
    server.read_to_end(&mut question).await.unwrap(); // the end of the stream was forwarded
    assert_eq!(question, b"question");
    server.write_all(b"the answer").await.unwrap(); // the opposite direction is still open
    server.close().await.unwrap();
    let mut answer = Vec::new();
    client.read_to_end(&mut answer).await.unwrap();
    assert_eq!(answer, b"the answer");
    assert_eq!(proxy.await.unwrap(), (8, 10));
}
