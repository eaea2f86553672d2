//! Readiness without operations, and the system calls of waiting.

mod support;

use std::future::poll_fn;
use std::io::{ErrorKind, Read, Write};
use std::task::{Context, Poll};

use futures_lite::{AsyncReadExt, AsyncWriteExt, future};
use runtime_net::{
    Interest, TcpListener, TcpStream, UdpSocket, UnixDatagram, UnixListener, UnixStream, pipe,
};
use runtime_reactor::Reactor;
use support::{block_on, listen, pair, run};

#[test]
fn a_loop_of_readable_and_try_read_does_not_spin() {
    let _leak_check = support::DescriptorLeakCheck::new();
    let reactor = Reactor::new().unwrap();
    run(&reactor, async {
        let (stream, mut peer) = pair().await;
        let mut buf = [0; 16];
        let mut tries = 0;
        for round in 0..10u8 {
            let mut wait = Box::pin(async {
                loop {
                    stream.readable().await.unwrap();
                    tries += 1;
                    match stream.try_read(&mut buf) {
                        Err(e) if e.kind() == ErrorKind::WouldBlock => {}
                        result => return result.unwrap(),
                    }
                }
            });
            assert!(future::poll_once(&mut wait).await.is_none());
            peer.write_all(&[round]).unwrap();
            assert_eq!(wait.await, 1);
            assert_eq!(buf[0], round);
        }
        // Two attempts a round: one that would block and one that reads the byte.
        assert!(tries <= 20, "{tries}");
        assert_eq!(reactor.stats().registrations, 1);
    });
}

#[test]
fn writable_waits_while_there_is_no_room() {
    let _leak_check = support::DescriptorLeakCheck::new();
    block_on(async {
        let (stream, mut peer) = pair().await;
        stream.writable().await.unwrap();
        let chunk = [0; 64 * 1024];
        let mut written = 0;
        let full = loop {
            match stream.try_write(&chunk) {
                Ok(n) => written += n,
                Err(e) => break e,
            }
        };
        assert_eq!(full.kind(), ErrorKind::WouldBlock);
        let mut writable = Box::pin(stream.writable());
        assert!(future::poll_once(&mut writable).await.is_none());
        peer.read_exact(&mut vec![0; written]).unwrap();
        writable.await.unwrap();
        assert!(stream.try_write(&chunk).unwrap() > 0);
    });
}

#[test]
fn a_custom_operation_is_attempted_in_the_directions_of_its_interest() {
    let _leak_check = support::DescriptorLeakCheck::new();
    block_on(async {
        let (stream, _peer) = pair().await;
        let nothing = |_: &_| -> std::io::Result<()> { Err(ErrorKind::WouldBlock.into()) };
        let both = Interest::READABLE | Interest::WRITABLE;
        for interest in [Interest::READABLE, Interest::WRITABLE, both] {
            let error = stream.try_io(interest, nothing).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::WouldBlock);
        }
        assert_eq!(stream.try_io(both, |_| Ok(5)).unwrap(), 5);
        let readiness = stream.ready(Interest::WRITABLE).await.unwrap();
        assert!(readiness.is_writable(), "the kernel says otherwise");
    });
}

#[test]
fn a_connection_that_never_waits_is_never_registered() {
    let _leak_check = support::DescriptorLeakCheck::new();
    let reactor = Reactor::new().unwrap();
    run(&reactor, async {
        let listener = listen().await;
        for _ in 0..3 {
            let addr = listener.local_addr().unwrap();
            let mut client = support::Peer::connect(addr).unwrap();
            client.write_all(b"ping").unwrap();
            let (mut stream, peer) = listener.accept().await.unwrap();
            assert_eq!(peer, client.local_addr().unwrap());
            let mut ping = [0; 4];
            stream.read_exact(&mut ping).await.unwrap();
            stream.write_all(b"pong").await.unwrap();
            stream.close().await.unwrap();
            drop(stream);
            client.read_exact(&mut ping).unwrap();
            assert_eq!(&ping, b"pong");
        }
        let stats = reactor.stats();
        assert_eq!((stats.registrations, stats.removals), (0, 0));
        assert_eq!((stats.waits, stats.events), (0, 0));
    });
}

#[test]
fn a_connection_that_waits_is_registered_once_and_removed_by_its_close() {
    let _leak_check = support::DescriptorLeakCheck::new();
    let reactor = Reactor::new().unwrap();
    run(&reactor, async {
        let (mut stream, mut peer) = pair().await;
        let mut byte = [0];
        for _ in 0..5 {
            let mut read = stream.read(&mut byte);
            assert!(future::poll_once(&mut read).await.is_none());
            peer.write_all(b"z").unwrap();
            assert_eq!(read.await.unwrap(), 1);
        }
        drop(stream);
        let connecting = listen().await;
        let connected = TcpStream::connect(connecting.local_addr().unwrap()).await;
        drop(connected.unwrap());
        let stats = reactor.stats();
        assert_eq!((stats.registrations, stats.removals), (2, 0));
    });
}

type PollReady<'a> = Box<dyn Fn(&mut Context<'_>) -> Poll<std::io::Result<()>> + 'a>;

/// Checks that `poll` waits until `act` makes it ready.
async fn waits_until(name: &str, poll: PollReady<'_>, act: impl FnOnce()) {
    let mut ready = Box::pin(poll_fn(poll));
    assert!(
        future::poll_once(&mut ready).await.is_none(),
        "{name} is not ready yet"
    );
    act();
    ready.await.unwrap();
}

#[test]
fn every_socket_and_pipe_can_be_polled_for_readiness() {
    let _leak_check = support::DescriptorLeakCheck::new();
    block_on(async {
        let (tcp, mut peer) = pair().await;
        let write = || peer.write_all(b"x").unwrap();
        waits_until("tcp", Box::new(|cx| tcp.poll_read_ready(cx)), write).await;
        poll_fn(|cx| tcp.poll_write_ready(cx)).await.unwrap();

        let (unix, peer) = UnixStream::pair().unwrap();
        let write = || assert_eq!(peer.try_write(b"x").unwrap(), 1);
        waits_until("unix", Box::new(|cx| unix.poll_read_ready(cx)), write).await;
        while unix.try_write(&[0; 4096]).is_ok() {}
        let read = || while peer.try_read(&mut [0; 4096]).is_ok() {};
        waits_until("unix", Box::new(|cx| unix.poll_write_ready(cx)), read).await;

        let (one, two) = UnixDatagram::pair().unwrap();
        let send = || assert_eq!(two.try_send(b"x").unwrap(), 1);
        waits_until("datagram", Box::new(|cx| one.poll_recv_ready(cx)), send).await;
        while one.try_send(b"x").is_ok() {}
        let recv = || while two.try_recv(&mut [0; 8]).is_ok() {};
        waits_until("datagram", Box::new(|cx| one.poll_send_ready(cx)), recv).await;

        let udp = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let addr = udp.local_addr().unwrap();
        let send = || assert_eq!(udp.try_send_to(b"x", addr).unwrap(), 1);
        waits_until("udp", Box::new(|cx| udp.poll_recv_ready(cx)), send).await;
        poll_fn(|cx| udp.poll_send_ready(cx)).await.unwrap();

        let (sender, receiver) = pipe::pipe().unwrap();
        let write = || assert_eq!(sender.try_write(b"x").unwrap(), 1);
        waits_until(
            "receiver",
            Box::new(|cx| receiver.poll_read_ready(cx)),
            write,
        )
        .await;
        while sender.try_write(&[0; 4096]).is_ok() {}
        let read = || while receiver.try_read(&mut [0; 65536]).is_ok() {};
        waits_until("sender", Box::new(|cx| sender.poll_write_ready(cx)), read).await;
    });
}

#[test]
fn a_listener_is_readable_while_a_client_waits() {
    let _leak_check = support::DescriptorLeakCheck::new();
    block_on(async {
        let listener: TcpListener = listen().await;
        assert_eq!(
            listener.try_accept().unwrap_err().kind(),
            ErrorKind::WouldBlock
        );
        let addr = listener.local_addr().unwrap();
        let mut client = None;
        let connect = || client = Some(support::Peer::connect(addr).unwrap());
        waits_until(
            "listener",
            Box::new(|cx| listener.poll_read_ready(cx)),
            connect,
        )
        .await;
        listener.readable().await.unwrap();
        let ready = listener.ready(Interest::READABLE).await.unwrap();
        assert!(ready.is_readable());
        let (_, peer) = listener.try_accept().unwrap();
        assert_eq!(peer, client.unwrap().local_addr().unwrap());
        assert_eq!(
            listener.try_accept().unwrap_err().kind(),
            ErrorKind::WouldBlock
        );

        let path = support::TempPath::new("readable-listener");
        let listener = UnixListener::bind(&path).unwrap();
        let mut client = None;
        let connect = || client = Some(support::other_code::connect_unix(&path.0));
        waits_until(
            "listener",
            Box::new(|cx| listener.poll_read_ready(cx)),
            connect,
        )
        .await;
        listener.readable().await.unwrap();
        listener.try_accept().unwrap();
    });
}

#[test]
fn the_first_readiness_of_a_socket_is_the_kernels() {
    let _leak_check = support::DescriptorLeakCheck::new();
    block_on(async {
        let (stream, mut peer) = pair().await;
        assert!(
            future::poll_once(Box::pin(stream.readable()))
                .await
                .is_none()
        );
        let (fresh, _other) = UnixStream::pair().unwrap();
        let both = Interest::READABLE | Interest::WRITABLE;
        let ready = fresh.ready(both).await.unwrap();
        assert!(ready.is_writable() && !ready.is_readable());
        peer.write_all(b"x").unwrap();
        stream.readable().await.unwrap();
    });
}
