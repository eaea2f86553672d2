//! Names are looked up by the resolver of the thread.

mod support;

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;

use runtime_net::internal::{Resolve, enter_resolver, resolve_blocking};
use runtime_net::{TcpStream, lookup_host};
use support::{ClosedPort, FixedAddresses, block_on, listen};

/// Looks up names on the current thread, which it blocks.
struct Blocking;

impl Resolve for Blocking {
    fn resolve(
        &self,
        name: String,
    ) -> Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send + Sync>> {
        Box::pin(async move { resolve_blocking(&name) })
    }
}

#[test]
fn connecting_to_a_name_tries_all_its_addresses() {
    let _leak_check = support::DescriptorLeakCheck::new();
    block_on(async {
        let (closed, listener) = (ClosedPort::new(), listen().await);
        let open = listener.local_addr().unwrap();
        let _entered = enter_resolver(Rc::new(FixedAddresses(vec![closed.addr(), open])));
        let stream = TcpStream::connect("service.test:1").await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), open);
    });
}

#[test]
fn the_error_of_a_name_without_addresses_names_it() {
    let _leak_check = support::DescriptorLeakCheck::new();
    block_on(async {
        let _entered = enter_resolver(Rc::new(FixedAddresses(Vec::new())));
        let error = TcpStream::connect("service.test:1").await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        assert!(error.to_string().contains("service.test:1"), "{error}");
    });
}

#[test]
fn the_innermost_resolver_is_used_until_its_guard_is_dropped() {
    let _leak_check = support::DescriptorLeakCheck::new();
    block_on(async {
        let [one, two] = [1, 2].map(|port| SocketAddr::from(([192, 0, 2, 1], port)));
        let _outer = enter_resolver(Rc::new(FixedAddresses(vec![one])));
        {
            let _inner = enter_resolver(Rc::new(FixedAddresses(vec![two])));
            assert_eq!(lookup_host("x.test:0").await.unwrap().next(), Some(two));
        }
        assert_eq!(lookup_host("x.test:0").await.unwrap().next(), Some(one));
    });
}

#[test]
fn addresses_are_not_looked_up() {
    let _leak_check = support::DescriptorLeakCheck::new();
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
fn a_resolver_can_use_the_blocking_lookup() {
    let _leak_check = support::DescriptorLeakCheck::new();
    block_on(async {
        let _entered = enter_resolver(Rc::new(Blocking));
        // From /etc/hosts; which of the two loopbacks it is, if any, is the machine's choice.
        let mut found = lookup_host(("localhost", 7)).await.unwrap();
        assert!(found.all(|addr| addr.ip().is_loopback() && addr.port() == 7));
    });
}

/// A resolver that fails for every name.
struct KnowsNoName;

impl Resolve for KnowsNoName {
    fn resolve(
        &self,
        _: String,
    ) -> Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send + Sync>> {
        Box::pin(async { Err(io::Error::new(io::ErrorKind::NotFound, "unknown name")) })
    }
}

#[test]
fn the_error_of_a_lookup_names_the_name() {
    let _leak_check = support::DescriptorLeakCheck::new();
    block_on(async {
        let _entered = enter_resolver(Rc::new(KnowsNoName));
        let error = TcpStream::connect(("db.test", 5432)).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        assert_eq!(error.to_string(), "look up db.test:5432: unknown name");
    });
}
