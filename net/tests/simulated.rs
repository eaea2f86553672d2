//! Sockets inside and outside of a simulation.
#![cfg(feature = "sim")]

mod support;

use std::cell::RefCell;
use std::future::Future;
use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Waker};
use std::time::Duration;

use futures_lite::{AsyncReadExt, AsyncWriteExt};
use runtime_net::{TcpListener, TcpStream, UdpSocket, lookup_host};
use runtime_reactor::sim::{Crash, Host, Kernel};
use runtime_reactor::{Backend, Reactor};
use support::{kind, run};

/// The program of a host.
type Program = Pin<Box<dyn Future<Output = ()>>>;

/// Runs the futures of hosts, each on a reactor of its own, until the first of them has completed.
fn run_hosts(kernel: &Kernel, hosts: Vec<(Host, Program)>) {
    let mut hosts: Vec<_> = hosts
        .into_iter()
        .map(|(host, future)| (Reactor::on_host(&host).unwrap(), Some(future)))
        .collect();
    loop {
        // Twice, since a registration reaches the kernel with the turn after the poll.
        for _ in 0..2 {
            for (index, (reactor, future)) in hosts.iter_mut().enumerate() {
                let _entered = reactor.enter();
                reactor.turn(Some(Duration::ZERO)).unwrap();
                let mut cx = Context::from_waker(Waker::noop());
                let polled = future.as_mut().map(|it| it.as_mut().poll(&mut cx));
                if polled.is_some_and(|polled| polled.is_ready()) {
                    *future = None;
                    if index == 0 {
                        return;
                    }
                }
            }
        }
        let next = kernel.next_event().expect("the network is at rest");
        kernel.advance_to(next);
    }
}

fn two_hosts() -> (Kernel, Host, Host) {
    let kernel = Kernel::new(5);
    let one = kernel.add_host("one", [IpAddr::from([10, 0, 0, 1])]);
    let two = kernel.add_host("two", [IpAddr::from([10, 0, 0, 2])]);
    (kernel, one.unwrap(), two.unwrap())
}

#[test]
fn two_hosts_talk_over_tcp_by_name_and_in_virtual_time() {
    let (kernel, one, two) = two_hosts();
    let client = Box::pin(async {
        let mut stream = TcpStream::connect("two:80").await.unwrap();
        let local = stream.local_addr().unwrap();
        assert_eq!(local.ip(), IpAddr::from([10, 0, 0, 1]));
        stream.write_all(b"question").await.unwrap();
        stream.close().await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert_eq!(answer, "answer to question");
    });
    let server = Box::pin(async {
        let listener = TcpListener::bind("0.0.0.0:80").await.unwrap();
        let (mut stream, peer) = listener.accept().await.unwrap();
        assert_eq!(peer.ip(), IpAddr::from([10, 0, 0, 1]));
        let mut question = String::new();
        stream.read_to_string(&mut question).await.unwrap();
        let answer = format!("answer to {question}");
        stream.write_all(answer.as_bytes()).await.unwrap();
    });
    let events = Rc::new(RefCell::new(0));
    let counted = events.clone();
    kernel.set_observer(Some(Box::new(move |_| *counted.borrow_mut() += 1)));
    run_hosts(&kernel, vec![(one, client), (two, server)]);
    assert!(*events.borrow() > 10);
    assert!(kernel.now() > Duration::ZERO && kernel.now() < Duration::from_secs(1));
}

#[test]
fn a_crash_of_the_peer_is_a_reset_or_silence() {
    for how in [Crash::Reset, Crash::Silent] {
        let (kernel, one, two) = two_hosts();
        let victim = two.clone();
        let crashing = kernel.clone();
        let client = Box::pin(async move {
            let mut stream = TcpStream::connect("two:80").await.unwrap();
            stream.read_exact(&mut [0]).await.unwrap();
            crashing.crash(victim.id(), how);
            if how == Crash::Silent {
                stream.write_all(b"lost").await.unwrap();
            }
            let error = stream.read(&mut [0]).await.unwrap_err();
            let expected = match how {
                Crash::Reset => ErrorKind::ConnectionReset,
                Crash::Silent => ErrorKind::TimedOut,
            };
            assert_eq!(error.kind(), expected);
        });
        let server = Box::pin(async {
            let listener = TcpListener::bind("0.0.0.0:80").await.unwrap();
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.write_all(b"x").await.unwrap();
            std::future::pending::<()>().await;
        });
        run_hosts(&kernel, vec![(one, client), (two, server)]);
    }
}

#[test]
fn a_real_socket_inside_a_simulation_is_an_error_that_names_it() {
    let outside = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let reactor = Reactor::with_backend(Backend::Sim).unwrap();
    run(&reactor, async {
        let socket = UdpSocket::from_std(outside).unwrap();
        let error = socket.recv(&mut [0]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(
            error.to_string().contains("not one of this simulation"),
            "{error}"
        );
    });
}

#[test]
fn a_simulated_socket_outside_its_simulation_is_an_error_that_says_so() {
    let reactor = Reactor::with_backend(Backend::Sim).unwrap();
    let (stream, socket) = run(&reactor, async {
        let (one, _two) = support::connected().await;
        (one, support::udp_socket().await)
    });
    let real = Reactor::with_backend(Backend::available()[0]).unwrap();
    let _entered = real.enter();
    let errors = [
        stream.try_read(&mut [0; 4]).unwrap_err(),
        stream.try_write(b"x").unwrap_err(),
        stream.local_addr().unwrap_err(),
        socket.try_recv(&mut [0; 4]).unwrap_err(),
    ];
    for error in errors {
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
        assert!(
            error.to_string().contains("a socket of a simulation"),
            "{error}"
        );
    }
}

#[test]
fn names_outside_the_simulation_are_those_of_the_resolver() {
    let reactor = Reactor::with_backend(Backend::Sim).unwrap();
    run(&reactor, async {
        let found: Vec<SocketAddr> = lookup_host("localhost:80").await.unwrap().collect();
        assert!(found.iter().all(|addr| addr.ip().is_loopback()) && found.len() == 2);
        let unknown = lookup_host("elsewhere.test:80").await;
        assert!(unknown.is_err());
        let unreachable = TcpStream::connect("192.0.2.1:80").await;
        assert_eq!(kind(unreachable), ErrorKind::NetworkUnreachable);
    });
}
