//! `closed` of TCP connections. Unix sockets and pipes test it in their own files.

mod support;

use std::io::{ErrorKind, Write};
use std::net::Shutdown;

use futures_lite::{AsyncReadExt, future};
use runtime_net::Interest;
use runtime_reactor::Reactor;
use support::{pair, run};

#[test]
fn a_half_close_completes_closed_and_unread_bytes_stay() {
    let _leak_check = support::DescriptorLeakCheck::new();
    if !support::reports_closed() {
        return;
    }
    let reactor = Reactor::new().unwrap();
    run(&reactor, async {
        let (mut stream, mut peer) = pair().await;
        let mut closed = Box::pin(stream.closed());
        assert!(future::poll_once(&mut closed).await.is_none());
        peer.write_all(b"unread").unwrap();
        assert!(future::poll_once(&mut closed).await.is_none());
        peer.shutdown(Shutdown::Write).unwrap();
        closed.await.unwrap();
        let readiness = stream.ready(Interest::CLOSED).await.unwrap();
        assert!(readiness.is_read_closed());
        let mut all = String::new();
        stream.read_to_string(&mut all).await.unwrap();
        assert_eq!(all, "unread");
        stream.closed().await.unwrap();
        assert_eq!(reactor.stats().registrations, 1);
    });
}

#[test]
fn a_reset_completes_closed_too() {
    let _leak_check = support::DescriptorLeakCheck::new();
    if !support::reports_closed() {
        return;
    }
    support::block_on(async {
        let (stream, peer) = pair().await;
        support::reset(peer);
        stream.closed().await.unwrap();
        assert_eq!(
            stream.try_read(&mut [0; 4]).unwrap_err().kind(),
            ErrorKind::ConnectionReset,
            "the pending error is not consumed"
        );
    });
}

#[test]
fn a_server_gives_up_a_request_whose_client_has_closed() {
    let _leak_check = support::DescriptorLeakCheck::new();
    if !support::reports_closed() {
        return;
    }
    support::block_on(async {
        let (stream, peer) = pair().await;
        let work = async {
            future::pending::<()>().await;
            "done"
        };
        let closed = async {
            stream.closed().await.unwrap();
            "closed"
        };
        let mut race = Box::pin(future::or(work, closed));
        assert!(future::poll_once(&mut race).await.is_none());
        drop(peer);
        assert_eq!(race.await, "closed");
    });
}
