//! The two halves of a connection.

mod support;

use std::io::Read;

use futures_lite::{AsyncReadExt, AsyncWriteExt, future};
use support::{block_on, connected, pair};

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
        assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock);
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
        assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock);
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
