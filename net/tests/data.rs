//! Reading and writing.

mod support;

use std::io::{IoSlice, IoSliceMut, Read, Write};
use std::net::Shutdown;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use futures_lite::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, future, io};
use support::{block_on, connected, pair};

#[test]
fn written_bytes_come_back_from_an_echo_server() {
    let _leak_check = support::DescriptorLeakCheck::new();
    block_on(async {
        let (client, server) = connected().await;
        let message: Vec<u8> = (0..3_000_000u32).map(|n| n as u8).collect();
        let echo = async {
            let (reader, writer) = server.split();
            io::copy(reader, writer).await?;
            (&server).close().await
        };
        let send = async {
            (&client).write_all(&message).await?;
            (&client).close().await
        };
        let mut answer = Vec::new();
        let receive = async { (&client).read_to_end(&mut answer).await };
        future::try_zip(echo, future::try_zip(send, receive))
            .await
            .unwrap();
        assert!(answer == message);
    });
}

#[test]
fn vectored_writes_and_reads_keep_the_order_of_their_buffers() {
    let _leak_check = support::DescriptorLeakCheck::new();
    block_on(async {
        let (mut client, mut server) = connected().await;
        let parts = [b"".as_slice(), b"one", b"", b"two", b"three"].map(IoSlice::new);
        assert_eq!(client.write_vectored(&parts).await.unwrap(), 11);
        let (mut first, mut rest) = ([0; 4], [0; 16]);
        let mut bufs = [
            IoSliceMut::new(&mut []),
            IoSliceMut::new(&mut first),
            IoSliceMut::new(&mut rest),
        ];
        assert_eq!(server.read_vectored(&mut bufs).await.unwrap(), 11);
        assert_eq!((&first, &rest[..7]), (b"onet", b"wothree".as_slice()));
    });
}

#[test]
fn more_buffers_than_the_system_accepts_are_written_in_part() {
    let _leak_check = support::DescriptorLeakCheck::new();
    block_on(async {
        let (mut client, mut server) = connected().await;
        let byte = [b'x'];
        let empty = IoSlice::new(&[]);
        let mut many = vec![empty; 2000];
        many.extend([IoSlice::new(&byte); 2000]);
        let n = client.write_vectored(&many).await.unwrap();
        assert!(0 < n && n < 2000, "{n}");
        let mut places = vec![[0u8]; 2000];
        let mut bufs: Vec<_> = places.iter_mut().map(|p| IoSliceMut::new(p)).collect();
        assert_eq!(server.read_vectored(&mut bufs).await.unwrap(), n);
    });
}

#[test]
fn empty_buffers_complete_at_once() {
    let _leak_check = support::DescriptorLeakCheck::new();
    block_on(async {
        let (stream, _peer) = pair().await;
        // No byte arrives, so an operation that waited would wait forever.
        assert_eq!((&stream).read(&mut []).await.unwrap(), 0);
        assert_eq!((&stream).read_vectored(&mut []).await.unwrap(), 0);
        assert_eq!(stream.peek(&mut []).await.unwrap(), 0);
        assert_eq!((&stream).write(&[]).await.unwrap(), 0);
        let nothing = [IoSlice::new(&[])];
        assert_eq!((&stream).write_vectored(&nothing).await.unwrap(), 0);
        assert_eq!(stream.try_read(&mut []).unwrap(), 0);
        assert_eq!(stream.try_read_vectored(&mut []).unwrap(), 0);
        assert_eq!(stream.try_write(&[]).unwrap(), 0);
        assert_eq!(stream.try_write_vectored(&nothing).unwrap(), 0);
    });
}

#[test]
fn peeked_bytes_are_read_again() {
    let _leak_check = support::DescriptorLeakCheck::new();
    block_on(async {
        let (stream, mut peer) = pair().await;
        let mut buf = [0; 8];
        {
            let mut peek = Box::pin(stream.peek(&mut buf));
            assert!(future::poll_once(&mut peek).await.is_none(), "it waits");
            peer.write_all(b"abc").unwrap();
            assert_eq!(peek.await.unwrap(), 3);
        }
        assert_eq!(stream.peek(&mut buf).await.unwrap(), 3);
        assert_eq!((&stream).read(&mut buf).await.unwrap(), 3);
        assert_eq!(&buf[..3], b"abc");
    });
}

#[test]
fn after_shutting_down_writing_bytes_of_the_peer_can_be_read() {
    let _leak_check = support::DescriptorLeakCheck::new();
    block_on(async {
        let (mut stream, mut peer) = pair().await;
        stream.write_all(b"question").await.unwrap();
        stream.close().await.unwrap();
        let mut asked = String::new();
        peer.read_to_string(&mut asked).unwrap();
        peer.write_all(b"answer to ").unwrap();
        peer.write_all(asked.as_bytes()).unwrap();
        drop(peer);
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert_eq!(answer, "answer to question");
        stream.close().await.expect("closing twice is no error");
    });
}

#[test]
fn shutting_down_reading_ends_a_read_that_waits() {
    let _leak_check = support::DescriptorLeakCheck::new();
    block_on(async {
        let (stream, _peer) = pair().await;
        let mut byte = [0];
        let mut reader = &stream;
        let mut read = reader.read(&mut byte);
        assert!(future::poll_once(&mut read).await.is_none());
        stream.shutdown(Shutdown::Read).unwrap();
        assert_eq!(read.await.unwrap(), 0);
    });
}

#[test]
fn a_peer_that_never_reads_makes_a_write_wait_and_not_block() {
    let _leak_check = support::DescriptorLeakCheck::new();
    block_on(async {
        let (stream, mut peer) = pair().await;
        let chunk = vec![7; 64 * 1024];
        let mut written = 0;
        let mut cx = Context::from_waker(Waker::noop());
        let mut quota_used_up = 0;
        while quota_used_up < 2 {
            match Pin::new(&mut &stream).poll_write(&mut cx, &chunk) {
                Poll::Ready(n) => written += n.unwrap(),
                // Also when the quota of the turn is used up, so a turn is taken in between.
                Poll::Pending => {
                    quota_used_up += 1;
                    future::yield_now().await;
                }
            }
        }
        assert!(written > 0);
        let mut rest = Box::pin(async { (&stream).write_all(b"the rest").await });
        let early = future::poll_once(&mut rest).await;
        peer.read_exact(&mut vec![0; written]).unwrap();
        match early {
            Some(result) => result.unwrap(),
            None => rest.await.unwrap(),
        }
        (&stream).close().await.unwrap();
        let mut all = Vec::new();
        peer.read_to_end(&mut all).unwrap();
        assert_eq!(all, b"the rest");
    });
}

#[test]
fn reading_and_writing_wait_at_the_same_time() {
    let _leak_check = support::DescriptorLeakCheck::new();
    block_on(async {
        let (client, server) = connected().await;
        // Both send more than the buffers hold, so each has to read and write concurrently.
        let message = vec![1; 8_000_000];
        let exchange = |stream: runtime_net::TcpStream| {
            let message = &message;
            async move {
                let (mut reader, mut writer) = stream.split();
                let mut got = vec![0; message.len()];
                future::try_zip(writer.write_all(message), reader.read_exact(&mut got)).await?;
                Ok::<_, std::io::Error>(got)
            }
        };
        let (a, b) = future::try_zip(exchange(client), exchange(server))
            .await
            .unwrap();
        assert!(a == message && b == message);
    });
}

#[test]
fn streams_and_halves_have_the_traits_of_futures_io() {
    let _leak_check = support::DescriptorLeakCheck::new();
    fn assert_io<T: AsyncRead + AsyncWrite>() {}
    assert_io::<runtime_net::TcpStream>();
    assert_io::<&runtime_net::TcpStream>();
    fn assert_read<T: AsyncRead>() {}
    fn assert_write<T: AsyncWrite>() {}
    assert_read::<runtime_net::tcp::ReadHalf<'_>>();
    assert_read::<runtime_net::tcp::OwnedReadHalf>();
    assert_write::<runtime_net::tcp::WriteHalf<'_>>();
    assert_write::<runtime_net::tcp::OwnedWriteHalf>();
}
