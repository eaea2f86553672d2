//! The I/O traits of tokio on the streams of this crate, and on other streams through `Compat`.

use std::io::{IoSlice, SeekFrom};
use std::mem::MaybeUninit;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use runtime::compat::tokio::Compat;
use runtime::net::{TcpListener, TcpStream, UnixStream, pipe};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncSeekExt, AsyncWrite, AsyncWriteExt, ReadBuf};

async fn tcp_pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let client = TcpStream::connect(address).await.unwrap();
    (client, listener.accept().await.unwrap().0)
}

/// Sends more than the socket buffers hold, so that both sides have to wait.
async fn send_and_compare(
    mut writer: impl AsyncWrite + Unpin + 'static,
    mut reader: impl AsyncRead + Unpin,
) {
    let sent: Vec<u8> = (0..3_000_000_u32).map(|i| (i % 251) as u8).collect();
    let copy = sent.clone();
    let sending = runtime::spawn(async move {
        writer.write_all(&copy).await.unwrap();
        writer.shutdown().await.unwrap();
    });
    let mut received = Vec::new();
    reader.read_to_end(&mut received).await.unwrap();
    assert!(received == sent, "{} bytes were received", received.len());
    sending.await.unwrap();
}

#[runtime::test]
async fn a_tcp_stream_carries_every_byte() {
    let (client, server) = tcp_pair().await;
    send_and_compare(client, server).await;
}

#[runtime::test]
async fn a_unix_stream_carries_every_byte() {
    let (one, other) = UnixStream::pair().unwrap();
    send_and_compare(one, other).await;
}

#[runtime::test]
async fn a_pipe_carries_every_byte() {
    let (sender, receiver) = pipe::pipe().unwrap();
    send_and_compare(sender, receiver).await;
}

#[runtime::test]
async fn owned_halves_carry_every_byte() {
    let (client, server) = tcp_pair().await;
    let (reader, _) = server.into_split();
    let (_unused, writer) = client.into_split();
    send_and_compare(writer, reader).await;
}

#[runtime::test]
async fn any_descriptor_carries_every_byte() {
    let (one, other) = std::os::unix::net::UnixStream::pair().unwrap();
    let one = runtime::io::Async::new(one).unwrap();
    let other = runtime::io::Async::new(other).unwrap();
    // A descriptor of unknown kind is not shut down: dropping it ends the stream.
    send_and_compare(one, other).await;
}

#[runtime::test]
async fn references_and_borrowed_halves_read_and_write() {
    let (client, server) = tcp_pair().await;
    let (mut reader, mut writer) = client.split();
    writer.write_all(b"ping").await.unwrap();
    let mut four = [0; 4];
    (&server).read_exact(&mut four).await.unwrap();
    (&server).write_all(&four).await.unwrap();
    reader.read_exact(&mut four).await.unwrap();
    assert_eq!(&four, b"ping");
}

#[runtime::test]
async fn a_read_initializes_only_the_received_bytes() {
    let (mut client, server) = tcp_pair().await;
    client.write_all(b"five!").await.unwrap();
    let mut memory = [MaybeUninit::uninit(); 4096];
    let mut buf = ReadBuf::uninit(&mut memory);
    std::future::poll_fn(|cx| Pin::new(&mut &server).poll_read(cx, &mut buf))
        .await
        .unwrap();
    assert_eq!(buf.filled(), b"five!");
    assert_eq!(buf.initialized().len(), 5, "the rest was not cleared");
}

#[runtime::test]
async fn a_read_into_a_full_buffer_is_complete_at_once() {
    let (_client, mut server) = tcp_pair().await;
    let mut cx = Context::from_waker(Waker::noop());
    let read = Pin::new(&mut server).poll_read(&mut cx, &mut ReadBuf::new(&mut []));
    assert!(matches!(read, Poll::Ready(Ok(()))));
}

#[runtime::test]
async fn a_vectored_write_sends_all_buffers_in_one_call() {
    let (mut client, mut server) = tcp_pair().await;
    assert!(AsyncWrite::is_write_vectored(&client));
    let parts = [b"one".as_slice(), b"", b"two", b"three"].map(IoSlice::new);
    assert_eq!(client.write_vectored(&parts).await.unwrap(), 11);
    let mut all = [0; 11];
    server.read_exact(&mut all).await.unwrap();
    assert_eq!(&all, b"onetwothree");
}

#[runtime::test]
async fn shutting_down_ends_one_direction_only() {
    let (mut client, mut server) = tcp_pair().await;
    AsyncWriteExt::shutdown(&mut client).await.unwrap();
    assert_eq!(server.read(&mut [0; 8]).await.unwrap(), 0);
    server.write_all(b"still there").await.unwrap();
    drop(server);
    let mut text = String::new();
    client.read_to_string(&mut text).await.unwrap();
    assert_eq!(text, "still there");
}

#[runtime::test]
async fn a_read_outside_a_runtime_is_an_error() {
    let (_client, mut server) = tcp_pair().await;
    let outside = std::thread::spawn(move || {
        let mut cx = Context::from_waker(Waker::noop());
        let mut memory = [0; 8];
        match Pin::new(&mut server).poll_read(&mut cx, &mut ReadBuf::new(&mut memory)) {
            Poll::Ready(Err(e)) => e.to_string(),
            other => format!("{other:?}"),
        }
    });
    let text = outside.join().unwrap();
    assert!(text.contains("no runtime drives this thread"), "{text}");
}

#[cfg(feature = "process")]
#[runtime::test]
async fn the_streams_of_a_child_read_and_write() {
    use std::process::Stdio;
    let mut child = runtime::process::Command::new("cat")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(b"through a child").await.unwrap();
    stdin.shutdown().await.unwrap();
    let mut text = String::new();
    let mut stdout = child.stdout.take().unwrap();
    stdout.read_to_string(&mut text).await.unwrap();
    assert_eq!(text, "through a child");
    assert!(child.wait().await.unwrap().success());
}

#[runtime::test]
async fn a_file_reads_writes_and_with_compat_seeks() {
    let path = std::env::temp_dir().join(format!("runtime-tokio-io-{}", std::process::id()));
    let mut options = runtime::fs::File::options();
    let file = options.read(true).write(true).create(true).open(&path);
    let mut file = Compat::new(file.await.unwrap());
    file.get_mut().write_all(b"0123456789").await.unwrap();
    file.get_mut().flush().await.unwrap();
    assert_eq!(file.seek(SeekFrom::Start(3)).await.unwrap(), 3);
    assert_eq!(file.stream_position().await.unwrap(), 3);
    let mut text = String::new();
    file.get_mut().read_to_string(&mut text).await.unwrap();
    assert_eq!(text, "3456789");
    assert_eq!(file.seek(SeekFrom::End(-1)).await.unwrap(), 9);
    std::fs::remove_file(path).unwrap();
}

#[runtime::test]
async fn a_stream_wrapped_twice_carries_every_byte() {
    let (near, far) = tokio::io::duplex(100);
    send_and_compare(
        Compat::new(Compat::new(near)),
        Compat::new(Compat::new(far)),
    )
    .await;
}

#[runtime::test]
async fn a_buffered_reader_of_tokio_is_one_of_futures_io() {
    use runtime::io::AsyncBufReadExt;
    let reader = tokio::io::BufReader::new(&b"first\nsecond\n"[..]);
    let mut line = String::new();
    let mut reader = Compat::new(reader);
    AsyncBufReadExt::read_line(&mut reader, &mut line)
        .await
        .unwrap();
    assert_eq!(line, "first\n");
}

#[runtime::test]
async fn seeks_of_tokio_are_seeks_of_futures_io() {
    use runtime::io::AsyncSeekExt;
    let mut cursor = Compat::new(std::io::Cursor::new(b"0123456789"));
    for position in [4, 4, 7] {
        let moved = AsyncSeekExt::seek(&mut cursor, SeekFrom::Start(position)).await;
        assert_eq!(moved.unwrap(), position);
        assert_eq!(cursor.get_ref().position(), position);
    }
}

#[test]
fn a_read_that_is_pending_leaves_the_buffer_as_it_was() {
    runtime::block_on(async {
        let (mut client, server) = tcp_pair().await;
        let mut memory = [MaybeUninit::uninit(); 16];
        let mut buf = ReadBuf::uninit(&mut memory);
        buf.put_slice(b"ab");
        let mut server = pin!(server);
        let mut cx = Context::from_waker(Waker::noop());
        assert!(server.as_mut().poll_read(&mut cx, &mut buf).is_pending());
        assert_eq!(buf.filled(), b"ab");
        client.write_all(b"c").await.unwrap();
        std::future::poll_fn(|cx| server.as_mut().poll_read(cx, &mut buf))
            .await
            .unwrap();
        assert_eq!(buf.filled(), b"abc");
    });
}
