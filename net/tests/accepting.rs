//! Accepting connections.

mod support;

use std::future::poll_fn;
use std::pin::pin;

use futures_lite::{StreamExt, future};
use support::{block_on, listen};

#[test]
fn two_tasks_accept_on_one_listener() {
    let _leak_check = support::DescriptorLeakCheck::new();
    block_on(async {
        let listener = listen().await;
        let addr = listener.local_addr().unwrap();
        let mut first = Box::pin(listener.accept());
        let mut second = Box::pin(listener.accept());
        assert!(future::poll_once(&mut first).await.is_none());
        assert!(future::poll_once(&mut second).await.is_none());
        let clients = [(); 2].map(|()| support::Peer::connect(addr).unwrap());
        let (a, b) = future::try_zip(first, second).await.unwrap();
        let mut accepted = [a.1, b.1];
        let mut connected = clients.each_ref().map(|c| c.local_addr().unwrap());
        accepted.sort();
        connected.sort();
        assert_eq!(accepted, connected);
    });
}

#[test]
fn a_dropped_accept_loses_no_connection() {
    let _leak_check = support::DescriptorLeakCheck::new();
    block_on(async {
        let listener = listen().await;
        let addr = listener.local_addr().unwrap();
        let mut accept = Box::pin(listener.accept());
        assert!(future::poll_once(&mut accept).await.is_none());
        let client = support::Peer::connect(addr).unwrap();
        drop(accept);
        let (_, peer) = listener.accept().await.unwrap();
        assert_eq!(peer, client.local_addr().unwrap());
    });
}

#[test]
fn incoming_yields_connections_in_order() {
    let _leak_check = support::DescriptorLeakCheck::new();
    block_on(async {
        let listener = listen().await;
        let addr = listener.local_addr().unwrap();
        let mut incoming = listener.incoming();
        assert!(future::poll_once(incoming.next()).await.is_none());
        // Not more than wait in the queue of any system.
        let clients: Vec<_> = (0..100)
            .map(|_| support::Peer::connect(addr).unwrap())
            .collect();
        for client in &clients {
            let stream = incoming.next().await.unwrap().unwrap();
            assert_eq!(stream.peer_addr().unwrap(), client.local_addr().unwrap());
        }
        assert!(future::poll_once(incoming.next()).await.is_none());
    });
}

#[test]
fn poll_accept_wakes_its_task() {
    let _leak_check = support::DescriptorLeakCheck::new();
    block_on(async {
        let listener = listen().await;
        let addr = listener.local_addr().unwrap();
        let mut accept = pin!(poll_fn(|cx| listener.poll_accept(cx)));
        assert!(future::poll_once(&mut accept).await.is_none());
        let client = support::Peer::connect(addr).unwrap();
        let (_, peer) = accept.await.unwrap();
        assert_eq!(peer, client.local_addr().unwrap());
    });
}

#[test]
fn a_connection_over_ipv6_has_its_address() {
    let _leak_check = support::DescriptorLeakCheck::new();
    block_on(async {
        // Some machines have no IPv6.
        let Ok(listener) = runtime_net::TcpListener::bind("[::1]:0").await else {
            return;
        };
        let client = support::Peer::connect(listener.local_addr().unwrap()).unwrap();
        let (_, peer) = listener.accept().await.unwrap();
        assert_eq!(peer, client.local_addr().unwrap());
    });
}
