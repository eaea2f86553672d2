//! Names are looked up by whoever entered a resolver.

mod support;

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;

use runtime_net::internal::{Resolve, enter_resolver, resolve_blocking};
use runtime_net::{TcpStream, lookup_host};
use support::{ClosedPort, Fixed, block_on, listen};

/// Looks up names in the thread that asks: good enough for one that does nothing else.
struct Blocking;

impl Resolve for Blocking {
    fn resolve(
        &self,
        name: String,
    ) -> Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send>> {
        Box::pin(async move { resolve_blocking(&name) })
    }
}

#[test]
fn connecting_to_a_name_tries_all_its_addresses() {
    let _open = support::LeavesNothingOpen::new();
    block_on(async {
        let (closed, listener) = (ClosedPort::new(), listen().await);
        let open = listener.local_addr().unwrap();
        let _entered = enter_resolver(Rc::new(Fixed(vec![closed.addr(), open])));
        let stream = TcpStream::connect("service.test:1").await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), open);
    });
}

#[test]
fn a_name_without_addresses_is_named() {
    let _open = support::LeavesNothingOpen::new();
    block_on(async {
        let _entered = enter_resolver(Rc::new(Fixed(Vec::new())));
        let error = TcpStream::connect("service.test:1").await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        assert!(error.to_string().contains("service.test:1"), "{error}");
    });
}

#[test]
fn the_inner_resolver_answers_until_it_is_left() {
    let _open = support::LeavesNothingOpen::new();
    block_on(async {
        let [one, two] = [1, 2].map(|port| SocketAddr::from(([192, 0, 2, 1], port)));
        let _outer = enter_resolver(Rc::new(Fixed(vec![one])));
        {
            let _inner = enter_resolver(Rc::new(Fixed(vec![two])));
            assert_eq!(lookup_host("x.test:0").await.unwrap().next(), Some(two));
        }
        assert_eq!(lookup_host("x.test:0").await.unwrap().next(), Some(one));
    });
}

#[test]
fn addresses_are_not_asked_for() {
    let _open = support::LeavesNothingOpen::new();
    block_on(async {
        // No resolver: a name would fail.
        for text in ["127.0.0.1:7", "[::1]:7"] {
            let found: Vec<_> = lookup_host(text).await.unwrap().collect();
            assert_eq!(found, [text.parse().unwrap()]);
        }
        assert_eq!(lookup_host(("::1", 7)).await.unwrap().count(), 1);
        assert_eq!(
            lookup_host((String::from("10.0.0.1"), 7))
                .await
                .unwrap()
                .count(),
            1
        );
    });
}

#[test]
fn the_blocking_lookup_is_one_a_resolver_can_be_made_of() {
    let _open = support::LeavesNothingOpen::new();
    block_on(async {
        let _entered = enter_resolver(Rc::new(Blocking));
        // From /etc/hosts; which of the two loopbacks it is, if any, is the machine's choice.
        let mut found = lookup_host(("localhost", 7)).await.unwrap();
        assert!(found.all(|addr| addr.ip().is_loopback() && addr.port() == 7));
    });
}

/// Knows no name.
struct Ignorant;

impl Resolve for Ignorant {
    fn resolve(
        &self,
        _: String,
    ) -> Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send>> {
        Box::pin(async { Err(io::Error::new(io::ErrorKind::NotFound, "never heard of it")) })
    }
}

#[test]
fn what_the_resolver_says_is_told_with_the_name() {
    let _open = support::LeavesNothingOpen::new();
    block_on(async {
        let _entered = enter_resolver(Rc::new(Ignorant));
        let error = TcpStream::connect(("db.test", 5432)).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        assert_eq!(error.to_string(), "look up db.test:5432: never heard of it");
    });
}
