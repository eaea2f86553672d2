//! Connecting to several addresses, of which some refuse, some hang and some answer.

mod support;

use std::future::{Future, pending};
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::time::{Duration, Instant};

use futures_lite::future;
use runtime_net::internal::{Resolve, enter_resolver};
use runtime_net::{TcpStream, lookup_host};
use runtime_reactor::Reactor;
use support::{ClosedPort, FixedAddresses, FullQueue, Stopwatch, block_on, listen, run};

const SHORT: Duration = Duration::from_millis(20);

/// Longer than any of these tests takes.
const LONG: Duration = Duration::from_secs(60);

/// A resolver whose lookups never complete.
struct NeverAnswers;

impl Resolve for NeverAnswers {
    fn resolve(
        &self,
        _: String,
    ) -> Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send + Sync>> {
        Box::pin(pending())
    }
}

#[test]
fn an_address_that_hangs_loses_the_race_and_its_socket_is_closed() {
    let _leak_check = support::DescriptorLeakCheck::new();
    let reactor = Reactor::new().unwrap();
    support::pause(&reactor);
    run(&reactor, async {
        let (full, listener) = (FullQueue::new(), listen().await);
        let open = listener.local_addr().unwrap();
        let _entered = enter_resolver(Rc::new(FixedAddresses(vec![full.addr, open])));
        let watch = Stopwatch::start();
        let stream = TcpStream::connect("service.test:1").await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), open);
        watch.assert_passed(Duration::from_millis(250));
        drop(stream);
        future::yield_now().await;
    });
    reactor.turn(Some(Duration::ZERO)).unwrap();
    let stats = reactor.stats();
    assert_eq!((stats.sources, stats.timers), (0, 0), "{stats:?}");
}

#[test]
fn a_connection_within_the_limit_is_made_by_name_and_by_address() {
    let _leak_check = support::DescriptorLeakCheck::new();
    block_on(async {
        let (closed, listener) = (ClosedPort::new(), listen().await);
        let open = listener.local_addr().unwrap();
        let _entered = enter_resolver(Rc::new(FixedAddresses(vec![closed.addr(), open])));
        let stream = TcpStream::connect_timeout("service.test:1", LONG).await;
        assert_eq!(stream.unwrap().peer_addr().unwrap(), open);
        // A limit that no clock can represent never expires.
        let stream = TcpStream::connect_timeout(open, Duration::MAX).await;
        assert_eq!(stream.unwrap().peer_addr().unwrap(), open);
    });
}

#[test]
fn the_error_of_an_expired_limit_names_the_state_of_every_address() {
    let _leak_check = support::DescriptorLeakCheck::new();
    let reactor = Reactor::new().unwrap();
    run(&reactor, async {
        let (closed, full) = (ClosedPort::new(), FullQueue::new());
        let addrs = [closed.addr(), full.addr];
        // The clock runs: paused, it could reach the limit before the kernel reports the refusal.
        let before = Instant::now();
        let error = TcpStream::connect_timeout(&addrs[..], SHORT)
            .await
            .unwrap_err();
        assert!(before.elapsed() >= SHORT);
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        let refused = io::Error::from_raw_os_error(libc::ECONNREFUSED);
        let expected = format!(
            "connect to {}: {refused}; to {}: no answer; the limit of 20ms has passed",
            closed.addr(),
            full.addr
        );
        assert_eq!(error.to_string(), expected);
    });
    reactor.turn(Some(Duration::ZERO)).unwrap();
    assert_eq!(reactor.stats().sources, 0, "no source is left");
}

#[test]
fn errors_within_the_limit_are_those_of_connect() {
    let _leak_check = support::DescriptorLeakCheck::new();
    block_on(async {
        let closed = ClosedPort::new();
        let error = TcpStream::connect_timeout(closed.addr(), LONG)
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        let text = format!("connect to {}: ", closed.addr());
        assert!(error.to_string().starts_with(&text), "{error}");
        let none: &[SocketAddr] = &[];
        let error = TcpStream::connect_timeout(none, LONG).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    });
}

#[test]
fn the_limit_covers_the_lookup() {
    let _leak_check = support::DescriptorLeakCheck::new();
    let reactor = Reactor::new().unwrap();
    support::pause(&reactor);
    run(&reactor, async {
        let _entered = enter_resolver(Rc::new(NeverAnswers));
        let watch = Stopwatch::start();
        let error = TcpStream::connect_timeout("service.test:1", SHORT)
            .await
            .unwrap_err();
        watch.assert_passed(SHORT);
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        let said = error.to_string();
        assert_eq!(said, "look up service.test:1: no answer within 20ms");
    });
}

#[test]
fn a_lookup_without_an_answer_can_be_canceled() {
    let _leak_check = support::DescriptorLeakCheck::new();
    block_on(async {
        let _entered = enter_resolver(Rc::new(NeverAnswers));
        let mut lookup = Box::pin(lookup_host("service.test:1"));
        assert!(future::poll_once(&mut lookup).await.is_none());
        let mut connect = Box::pin(TcpStream::connect("service.test:1"));
        assert!(future::poll_once(&mut connect).await.is_none());
    });
}
