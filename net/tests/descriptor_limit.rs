//! Connecting in a process that may have no descriptor any more.
//!
//! This is a test binary of its own with one test, because the limit belongs to the process.

mod support;

use std::future::Future;
use std::io::ErrorKind;
use std::net;
use std::pin::pin;
use std::task::{Context, Waker};

use runtime_net::TcpSocket;
use runtime_reactor::Reactor;
use socket2::{Domain, SockRef, Socket, Type};
use support::ClosedPort;

/// Sets the soft limit of descriptors to zero.
fn allow_no_descriptor() {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: getrlimit writes one rlimit, which outlives the call.
    let got = unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) };
    assert_eq!(got, 0);
    limit.rlim_cur = 0;
    // SAFETY: setrlimit reads one rlimit, which outlives the call.
    let set = unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &limit) };
    assert_eq!(set, 0);
}

/// poll(2) rejects a list of one descriptor under this limit.
#[test]
fn an_attempt_that_failed_without_a_reason_is_noticed_under_a_limit_of_zero() {
    if support::is_simulated("the limit is about poll(2), and the socket is one of std") {
        return;
    }
    let reactor = Reactor::new().unwrap();
    let closed = ClosedPort::new();
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_nonblocking(true).unwrap();
    let stream = net::TcpStream::from(socket);
    let duplicate = stream.try_clone().unwrap();
    allow_no_descriptor();
    let _entered = reactor.enter();
    let socket = TcpSocket::from_std_stream(stream).unwrap();
    let mut connecting = pin!(socket.connect(closed.addr()));
    let mut cx = Context::from_waker(Waker::noop());
    assert!(connecting.as_mut().poll(&mut cx).is_pending());
    reactor.turn(None).unwrap(); // the attempt has been refused
    let refused = SockRef::from(&duplicate).take_error().unwrap();
    assert_eq!(refused.unwrap().kind(), ErrorKind::ConnectionRefused);
    let connected = support::run(&reactor, connecting);
    assert_eq!(connected.unwrap_err().kind(), ErrorKind::ConnectionAborted);
}
