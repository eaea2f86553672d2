//! Connecting.

mod support;

use std::time::Duration;

use futures_lite::future;
use runtime_net::{TcpSocket, TcpStream};
use runtime_reactor::Reactor;
use support::{FullQueue, block_on, listen, run};

#[test]
fn a_connect_without_an_answer_ignores_spurious_wakes_and_can_be_canceled() {
    let _leak_check = support::DescriptorLeakCheck::new();
    let reactor = Reactor::new().unwrap();
    run(&reactor, async {
        let full = FullQueue::new();
        let mut connect = Box::pin(TcpStream::connect(full.addr));
        for _ in 0..3 {
            assert!(future::poll_once(&mut connect).await.is_none());
            reactor.turn(Some(Duration::ZERO)).unwrap();
        }
        assert_eq!(reactor.stats().registrations, 1);
        drop(connect);
        assert_eq!(reactor.stats().removals, 0, "closing removes it");
    });
}

#[test]
fn a_connect_that_was_begun_by_other_code_is_waited_for() {
    let _leak_check = support::DescriptorLeakCheck::new();
    block_on(async {
        let full = FullQueue::new();
        let stream = support::other_code::begin_connect(full.addr);
        let socket = TcpSocket::from_std_stream(stream).unwrap();
        let mut connect = Box::pin(socket.connect(full.addr));
        assert!(future::poll_once(&mut connect).await.is_none());
    });
}

#[test]
fn a_connect_registers_its_socket_once() {
    let _leak_check = support::DescriptorLeakCheck::new();
    let reactor = Reactor::new().unwrap();
    run(&reactor, async {
        let listener = listen().await;
        let addr = listener.local_addr().unwrap();
        let socket = TcpSocket::new_v4().unwrap();
        let stream = socket.connect(addr).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), addr);
        assert!(stream.take_error().unwrap().is_none());
        drop(stream);
        assert_eq!(reactor.stats().registrations, 1);
    });
}

#[test]
fn a_hundred_connections_are_made_concurrently() {
    let _leak_check = support::DescriptorLeakCheck::new();
    block_on(async {
        let listener = listen().await;
        let addr = listener.local_addr().unwrap();
        let mut pending = Vec::new();
        for _ in 0..100 {
            let mut connect = Box::pin(TcpStream::connect(addr));
            match future::poll_once(&mut connect).await {
                None => pending.push(connect),
                Some(connected) => drop(connected.unwrap()),
            }
        }
        for _ in 0..100 {
            listener.accept().await.unwrap();
        }
        for connect in pending {
            connect.await.unwrap();
        }
    });
}
