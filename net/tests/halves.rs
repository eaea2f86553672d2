//! The two halves of a connection.

mod support;

use std::io::{ErrorKind, IoSlice, IoSliceMut, Read};
use std::task::{Context, Waker};

use futures_lite::{AsyncReadExt, AsyncWriteExt, future};
use runtime_net::{Interest, UnixStream};
use support::{block_on, connected, kind, pair};

#[test]
fn halves_of_one_connection_are_reunited() {
    let _leak_check = support::DescriptorLeakCheck::new();
    block_on(async {
        let (stream, mut peer) = pair().await;
        let addr = stream.local_addr().unwrap();
        let (reader, writer) = stream.into_split();
        assert_eq!(reader.as_ref().local_addr().unwrap(), addr);
        let mut stream = reader.reunite(writer).unwrap();
        stream.write_all(b"x").await.unwrap();
        let mut byte = [0];
        peer.read_exact(&mut byte).unwrap();
    });
}

#[test]
fn halves_of_two_connections_are_returned_in_the_error() {
    let _leak_check = support::DescriptorLeakCheck::new();
    block_on(async {
        let (one, two) = connected().await;
        let (one_reader, one_writer) = one.into_split();
        let (two_reader, two_writer) = two.into_split();
        let error = one_reader.reunite(two_writer).unwrap_err();
        assert!(error.to_string().contains("different connections"));
        let (one_reader, two_writer) = (error.0, error.1);
        one_writer.reunite(one_reader).unwrap();
        two_writer.reunite(two_reader).unwrap();
    });
}

#[test]
fn dropping_the_write_half_shuts_down_writing() {
    let _leak_check = support::DescriptorLeakCheck::new();
    block_on(async {
        let (stream, mut peer) = pair().await;
        let (mut reader, mut writer) = stream.into_split();
        writer.write_all(b"bye").await.unwrap();
        drop(writer);
        let mut all = String::new();
        peer.read_to_string(&mut all).unwrap();
        assert_eq!(all, "bye");
        drop(peer);
        assert_eq!(reader.read(&mut [0]).await.unwrap(), 0);
    });
}

#[test]
fn a_forgotten_write_half_does_not_shut_down_writing() {
    let _leak_check = support::DescriptorLeakCheck::new();
    block_on(async {
        let (stream, peer) = pair().await;
        let (mut reader, writer) = stream.into_split();
        writer.forget();
        peer.set_nonblocking(true).unwrap();
        let error = (&peer).read(&mut [0]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::WouldBlock);
        drop(peer);
        assert_eq!(reader.read(&mut [0]).await.unwrap(), 0);
    });
}

#[test]
fn a_borrowed_write_half_shuts_down_writing_only_if_it_is_closed() {
    let _leak_check = support::DescriptorLeakCheck::new();
    block_on(async {
        let (stream, peer) = pair().await;
        peer.set_nonblocking(true).unwrap();
        {
            let _halves = stream.split();
        }
        let error = (&peer).read(&mut [0]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::WouldBlock);
        let (_, mut writer) = stream.split();
        writer.close().await.unwrap();
        peer.set_nonblocking(false).unwrap();
        assert_eq!((&peer).read(&mut [0]).unwrap(), 0);
    });
}

#[test]
fn owned_halves_read_and_write_at_the_same_time() {
    let _leak_check = support::DescriptorLeakCheck::new();
    block_on(async {
        let (client, server) = connected().await;
        let (mut reader, mut writer) = client.into_split();
        let (from_client, to_client) = server.into_split();
        let echo = async move { futures_lite::io::copy(from_client, to_client).await };
        let send = async move { writer.write_all(&[9; 2_000_000]).await };
        let mut got = Vec::new();
        let receive = reader.read_to_end(&mut got);
        let ((), (copied, received)) = future::try_zip(send, future::try_zip(echo, receive))
            .await
            .unwrap();
        assert_eq!((copied, received), (2_000_000, 2_000_000));
    });
}

/// Checks the readiness methods and the attempts of one pair of halves.
macro_rules! assert_readiness_of_halves {
    ($reader:expr, $writer:expr, $peer:expr) => {
        let (reader, writer, mut peer) = ($reader, $writer, $peer);
        assert_eq!(kind(reader.try_read(&mut [0; 8])), ErrorKind::WouldBlock);
        let mut unread = [0; 8];
        let mut bufs = [IoSliceMut::new(&mut unread)];
        let nothing = reader.try_read_vectored(&mut bufs);
        assert_eq!(kind(nothing), ErrorKind::WouldBlock);
        let mut cx = Context::from_waker(Waker::noop());
        assert!(reader.poll_read_ready(&mut cx).is_pending());
        assert!(writer.poll_write_ready(&mut cx).is_ready());
        writer.writable().await.unwrap();
        let ready = writer.ready(Interest::WRITABLE).await.unwrap();
        assert!(ready.is_writable());
        assert_eq!(writer.try_write(b"ab").unwrap(), 2);
        let bufs = [IoSlice::new(b"c"), IoSlice::new(b"d")];
        assert_eq!(writer.try_write_vectored(&bufs).unwrap(), 2);
        let mut written = [0; 4];
        peer.read_exact(&mut written).await.unwrap();
        assert_eq!(&written, b"abcd");

        peer.write_all(b"xyz").await.unwrap();
        reader.readable().await.unwrap();
        assert!(reader.poll_read_ready(&mut cx).is_ready());
        let ready = reader.ready(Interest::READABLE).await.unwrap();
        assert!(ready.is_readable());
        let mut one = [0];
        assert_eq!(reader.try_read(&mut one).unwrap(), 1);
        let (mut two, mut three) = ([0], [0]);
        let mut bufs = [IoSliceMut::new(&mut two), IoSliceMut::new(&mut three)];
        assert_eq!(reader.try_read_vectored(&mut bufs).unwrap(), 2);
        assert_eq!([one, two, three].concat(), b"xyz");
    };
}

#[test]
fn halves_of_tcp_connections_report_readiness_and_attempt() {
    let _leak_check = support::DescriptorLeakCheck::new();
    block_on(async {
        let (stream, mut peer) = connected().await;
        let (local, remote) = (stream.local_addr().unwrap(), stream.peer_addr().unwrap());
        {
            let (reader, writer) = stream.split();
            assert_eq!(reader.local_addr().unwrap(), local);
            assert_eq!(writer.peer_addr().unwrap(), remote);
            assert_readiness_of_halves!(&reader, &writer, &peer);
        }
        let (mut reader, writer) = stream.into_split();
        assert_eq!(reader.peer_addr().unwrap(), remote);
        assert_eq!(writer.local_addr().unwrap(), local);
        assert_readiness_of_halves!(&reader, &writer, &peer);

        peer.write_all(b"p").await.unwrap();
        let mut byte = [0];
        assert_eq!(reader.peek(&mut byte).await.unwrap(), 1);
        let mut cx = Context::from_waker(Waker::noop());
        assert!(reader.poll_peek(&mut cx, &mut byte).is_ready());
        reader.read_exact(&mut byte).await.unwrap();
        assert_eq!(&byte, b"p");
    });
}

#[test]
fn halves_of_unix_connections_report_readiness_and_attempt() {
    let _leak_check = support::DescriptorLeakCheck::new();
    block_on(async {
        let (stream, peer) = UnixStream::pair().unwrap();
        {
            let (reader, writer) = stream.split();
            assert!(reader.local_addr().unwrap().is_unnamed());
            assert!(writer.peer_addr().unwrap().is_unnamed());
            assert_readiness_of_halves!(&reader, &writer, &peer);
        }
        let (reader, writer) = stream.into_split();
        assert_readiness_of_halves!(&reader, &writer, &peer);
    });
}
