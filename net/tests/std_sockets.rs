//! Conversion to `std` sockets and back, and options.

mod support;

use std::io::{Read, Write};
use std::net;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::Duration;

use futures_lite::{AsyncReadExt, AsyncWriteExt, future};
use runtime_net::tcp::TcpKeepalive;
use runtime_net::{TcpListener, TcpSocket, TcpStream};
use runtime_reactor::Reactor;
use support::{block_on, listen, pair, run};

fn is_nonblocking(socket: &impl AsFd) -> bool {
    socket2::SockRef::from(socket).nonblocking().unwrap()
}

#[test]
fn from_std_makes_sockets_nonblocking_itself() {
    if support::is_simulated("a socket of std is one of the real kernel") {
        return;
    }
    let _leak_check = support::DescriptorLeakCheck::new();
    block_on(async {
        let listener = net::TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let listener = TcpListener::from_std(listener).unwrap();
        assert!(is_nonblocking(&listener));
        let client = TcpStream::from_std(net::TcpStream::connect(addr).unwrap()).unwrap();
        assert!(is_nonblocking(&client));
        let (server, _) = listener.accept().await.unwrap();
        (&client).write_all(b"x").await.unwrap();
        (&server).read_exact(&mut [0]).await.unwrap();
        let raw = client.as_raw_fd();
        let client = TcpStream::try_from(OwnedFd::from(client)).unwrap();
        assert_eq!(client.as_raw_fd(), raw);
    });
}

#[test]
fn accepted_and_connected_sockets_are_nonblocking() {
    let _leak_check = support::DescriptorLeakCheck::new();
    block_on(async {
        let (connected, accepted) = support::connected().await;
        assert!(is_nonblocking(&connected) && is_nonblocking(&accepted));
    });
}

#[test]
fn into_std_deregisters_the_socket_and_leaves_it_usable() {
    if support::is_simulated("a socket of std is one of the real kernel") {
        return;
    }
    let _leak_check = support::DescriptorLeakCheck::new();
    let reactor = Reactor::new().unwrap();
    run(&reactor, async {
        let (mut stream, mut peer) = pair().await;
        let mut byte = [0];
        let mut read = stream.read(&mut byte);
        assert!(future::poll_once(&mut read).await.is_none());
        reactor.turn(Some(Duration::ZERO)).unwrap();
        assert_eq!(reactor.stats().registrations, 1);
        let stream = stream.into_std();
        assert_eq!(reactor.stats().removals, 1);
        stream.set_nonblocking(false).unwrap();
        peer.write_all(b"y").unwrap();
        (&stream).read_exact(&mut byte).unwrap();
        assert_eq!(&byte, b"y");

        let listener = listen().await;
        let mut accept = Box::pin(listener.accept());
        assert!(future::poll_once(&mut accept).await.is_none());
        reactor.turn(Some(Duration::ZERO)).unwrap();
        drop(accept);
        let listener = listener.into_std();
        assert_eq!(reactor.stats().removals, 2);
        assert_ne!(listener.local_addr().unwrap().port(), 0);
    });
}

#[test]
fn options_are_kept() {
    let _leak_check = support::DescriptorLeakCheck::new();
    block_on(async {
        let (stream, _peer) = pair().await;
        stream.set_nodelay(true).unwrap();
        assert!(stream.nodelay().unwrap());
        stream.set_ttl(17).unwrap();
        assert_eq!(stream.ttl().unwrap(), 17);
        assert_eq!(stream.linger().unwrap(), None);
        // Less than a second must not become zero, which would discard written bytes.
        stream.set_linger(Some(Duration::from_millis(1))).unwrap();
        assert_eq!(stream.linger().unwrap(), Some(Duration::from_secs(1)));
        stream
            .set_linger(Some(Duration::from_millis(2500)))
            .unwrap();
        assert_eq!(stream.linger().unwrap(), Some(Duration::from_secs(3)));
        stream.set_linger(Some(Duration::ZERO)).unwrap();
        assert_eq!(stream.linger().unwrap(), Some(Duration::ZERO));
        assert!(!stream.keepalive().unwrap());
        let minute = TcpKeepalive::new().with_time(Duration::from_secs(60));
        stream.set_tcp_keepalive(&minute).unwrap();
        assert!(stream.keepalive().unwrap());
        stream.set_keepalive(false).unwrap();
        assert!(!stream.keepalive().unwrap());
        assert!(stream.take_error().unwrap().is_none());
    });
}

#[test]
fn a_socket_with_options_becomes_a_listener_and_a_connection() {
    let _leak_check = support::DescriptorLeakCheck::new();
    block_on(async {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_reuseaddr(true).unwrap();
        socket.set_reuseport(true).unwrap();
        socket.set_recv_buffer_size(64 * 1024).unwrap();
        assert!(socket.reuseaddr().unwrap() && socket.reuseport().unwrap());
        assert!(socket.recv_buffer_size().unwrap() >= 64 * 1024);
        socket.bind(([127, 0, 0, 1], 0).into()).unwrap();
        let addr = socket.local_addr().unwrap();
        let listener = socket.listen(8).unwrap();
        assert_eq!(listener.local_addr().unwrap(), addr);

        let socket = TcpSocket::new_v4().unwrap();
        socket.set_nodelay(true).unwrap();
        socket.set_send_buffer_size(64 * 1024).unwrap();
        assert!(socket.send_buffer_size().unwrap() >= 64 * 1024);
        socket.bind(([127, 0, 0, 1], 0).into()).unwrap();
        let ours = socket.local_addr().unwrap();
        let (stream, accepted) = future::try_zip(socket.connect(addr), listener.accept())
            .await
            .unwrap();
        assert!(stream.nodelay().unwrap());
        assert_eq!(accepted.1, ours);
    });
}
