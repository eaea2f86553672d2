//! A connection that never has to wait is never registered.

mod support;

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::task::Poll;

use runtime_reactor::Source;
use support::{Task, poll_read, poll_write, reactor, watchdog};

/// Reads a request that has arrived, and answers it, without waiting.
fn serve(source: &Source<TcpStream>, task: &Task) {
    let read = poll_read(source, task, &mut [0; 64]);
    assert!(matches!(read, Poll::Ready(Ok(7))));
    let written = poll_write(source, task, b"response");
    assert!(matches!(written, Poll::Ready(Ok(8))));
}

#[test]
fn a_connection_served_at_once_costs_no_registration() {
    let _watchdog = watchdog();
    let (reactor, _entered) = reactor();
    let task = Task::default();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    for _ in 0..10 {
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        client.write_all(b"request").unwrap();
        let (stream, _) = listener.accept().unwrap();
        // Until the request has arrived, which may take a while on a loopback too.
        stream.peek(&mut [0]).unwrap();
        stream.set_nonblocking(true).unwrap();
        let source = Source::new(stream).streaming().sole_owner();
        serve(&source, &task);
        drop(source);
        assert_eq!(client.read(&mut [0; 64]).unwrap(), 8);
    }
    let stats = reactor.stats();
    assert_eq!(
        (stats.registrations, stats.removals, stats.waits),
        (0, 0, 0)
    );
}

#[test]
fn a_connection_that_waits_is_registered_once_and_never_removed() {
    let _watchdog = watchdog();
    let (reactor, _entered) = reactor();
    let task = Task::default();
    let (source, mut peer) = support::tcp_pair();
    for round in 1..=10 {
        assert!(poll_read(&source, &task, &mut [0; 64]).is_pending());
        peer.write_all(b"request").unwrap();
        support::turn_until(&reactor, || task.count() == round);
        serve(&source, &task);
    }
    drop(source);
    let stats = reactor.stats();
    assert_eq!(
        (stats.registrations, stats.reregistrations, stats.removals),
        (1, 0, 0)
    );
}
