//! Readiness without operations, and the system calls of waiting.

mod support;

use std::io::{ErrorKind, Read, Write};
use std::thread;

use futures_lite::{AsyncReadExt, AsyncWriteExt, future};
use runtime_net::{Interest, TcpStream};
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
        let reader = thread::spawn(move || {
            let mut all = vec![0; written];
            peer.read_exact(&mut all).unwrap();
            peer
        });
        writable.await.unwrap();
        assert!(stream.try_write(&chunk).unwrap() > 0);
        reader.join().unwrap();
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
            let mut client = std::net::TcpStream::connect(addr).unwrap();
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
