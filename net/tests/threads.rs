//! Sockets that move between threads.

mod support;

use std::io::{Read, Write};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use futures_lite::{AsyncReadExt, AsyncWriteExt, future};
use runtime_net::tcp::{Incoming, OwnedReadHalf, OwnedWriteHalf, ReadHalf, WriteHalf};
use runtime_net::{SocketAddrs, TcpListener, TcpSocket, TcpStream, lookup_host};
use runtime_reactor::Reactor;
use support::{block_on, pair, run};

const _: () = {
    const fn send_and_sync<T: Send + Sync + Unpin>() {}
    send_and_sync::<TcpStream>();
    send_and_sync::<TcpListener>();
    send_and_sync::<TcpSocket>();
    send_and_sync::<ReadHalf<'_>>();
    send_and_sync::<WriteHalf<'_>>();
    send_and_sync::<OwnedReadHalf>();
    send_and_sync::<OwnedWriteHalf>();
    send_and_sync::<Incoming<'_>>();
    send_and_sync::<SocketAddrs>();
};

/// Never called: the test is that it compiles.
#[allow(dead_code, reason = "the test is that it compiles")]
fn futures_are_send(listener: &TcpListener, stream: &TcpStream, socket: TcpSocket) {
    fn send(_: impl Send) {}
    send(TcpStream::connect("example.org:80"));
    send(TcpStream::connect((String::new(), 80)));
    send(TcpListener::bind("example.org:80"));
    send(lookup_host("example.org:80"));
    send(socket.connect(([127, 0, 0, 1], 0).into()));
    send(listener.accept());
    send(stream.readable());
    send(stream.ready(runtime_net::Interest::WRITABLE));
    send(stream.peek(&mut []));
}

#[test]
fn a_connection_that_never_waited_belongs_to_the_thread_it_goes_to() {
    if support::is_simulated("a simulated kernel belongs to one thread") {
        return;
    }
    let _leak_check = support::DescriptorLeakCheck::new();
    let (mut stream, mut peer) = block_on(pair());
    let there = thread::spawn(move || {
        block_on(async {
            let mut got = [0; 5];
            stream.read_exact(&mut got).await.unwrap();
            stream.write_all(&got).await.unwrap();
        });
    });
    peer.write_all(b"hello").unwrap();
    let mut echo = String::new();
    peer.read_to_string(&mut echo).unwrap();
    assert_eq!(echo, "hello");
    there.join().unwrap();
}

#[test]
fn a_connection_that_waited_on_one_thread_is_used_on_another() {
    if support::is_simulated("a simulated kernel belongs to one thread") {
        return;
    }
    let _leak_check = support::DescriptorLeakCheck::new();
    block_on(async {
        let (mut stream, mut peer) = pair().await;
        let mut byte = [0];
        let mut read = stream.read(&mut byte);
        assert!(
            future::poll_once(&mut read).await.is_none(),
            "registered on this thread"
        );
        let (send, receive) = mpsc::channel();
        let there = thread::spawn(move || {
            block_on(async {
                let mut got = [0; 5];
                let mut first = [0];
                let mut read = stream.read(&mut first);
                let pending = future::poll_once(&mut read).await.is_none();
                send.send(pending).unwrap();
                assert_eq!(read.await.unwrap(), 1);
                stream.read_exact(&mut got[1..]).await.unwrap();
                got[0] = first[0];
                stream.write_all(&got).await.unwrap();
            });
        });
        assert!(receive.recv().unwrap(), "it waits by message");
        peer.write_all(b"hello").unwrap();
        let peer = thread::spawn(move || {
            let mut echo = String::new();
            peer.read_to_string(&mut echo).unwrap();
            echo
        });
        // The other thread needs only that this one continues turning its reactor.
        let done = future::poll_fn(|cx| {
            cx.waker().wake_by_ref();
            if peer.is_finished() && there.is_finished() {
                std::task::Poll::Ready(())
            } else {
                std::task::Poll::Pending
            }
        });
        done.await;
        assert_eq!(peer.join().unwrap(), "hello");
        there.join().unwrap();
    });
}

#[test]
fn halves_are_dropped_on_other_threads_than_the_one_that_waits() {
    if support::is_simulated("a simulated kernel belongs to one thread") {
        return;
    }
    let _leak_check = support::DescriptorLeakCheck::new();
    let reactor = Reactor::new().unwrap();
    run(&reactor, async {
        let (stream, mut peer) = pair().await;
        let (mut reader, writer) = stream.into_split();
        let mut byte = [0];
        let mut read = reader.read(&mut byte);
        assert!(future::poll_once(&mut read).await.is_none());
        // The writing half is dropped on another thread, and the peer answers on this one.
        thread::spawn(move || drop(writer)).join().unwrap();
        assert_eq!(peer.read(&mut [0]).unwrap(), 0);
        peer.write_all(b"x").unwrap();
        assert_eq!(read.await.unwrap(), 1);
        // The last half is dropped on another thread: the socket is closed, and removed on this
        // one.
        thread::spawn(move || drop(reader)).join().unwrap();
        let error = loop {
            if let Err(e) = peer.write_all(b"y") {
                break e;
            }
        };
        assert!(error.raw_os_error().is_some());
    });
    reactor.turn(Some(Duration::ZERO)).unwrap();
    assert_eq!(reactor.stats().sources, 0);
}

#[test]
fn a_connect_begun_on_one_thread_completes_on_another() {
    if support::is_simulated("a simulated kernel belongs to one thread") {
        return;
    }
    let _leak_check = support::DescriptorLeakCheck::new();
    block_on(async {
        let listener = support::listen().await;
        let addr = listener.local_addr().unwrap();
        let mut connect = Box::pin(TcpStream::connect(addr));
        assert!(future::poll_once(&mut connect).await.is_none());
        let there = thread::spawn(move || block_on(connect).unwrap().local_addr().unwrap());
        let (_, peer) = listener.accept().await.unwrap();
        future::poll_fn(|cx| {
            cx.waker().wake_by_ref();
            if there.is_finished() {
                std::task::Poll::Ready(())
            } else {
                std::task::Poll::Pending
            }
        })
        .await;
        assert_eq!(there.join().unwrap(), peer);
    });
}
