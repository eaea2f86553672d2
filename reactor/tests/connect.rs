//! Connects that complete or fail after `EINPROGRESS`.

mod support;

use std::future::poll_fn;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsRawFd, FromRawFd};
use std::sync::Barrier;
use std::task::{Context, Waker};
use std::thread;

use runtime_reactor::{Direction, Source};
use support::{Task, block_on, reactor, watchdog};

fn socket() -> TcpStream {
    // SAFETY: socket takes three integers.
    let fd = unsafe { libc::socket(libc::AF_INET, libc::SOCK_STREAM, 0) };
    assert_ne!(fd, -1);
    // SAFETY: the kernel has just returned this descriptor, and it has no other owner.
    unsafe { TcpStream::from_raw_fd(fd) }
}

fn address_of(port: u16) -> libc::sockaddr_in {
    // SAFETY: a sockaddr_in consists of integers, for which all-zero is valid.
    let mut address: libc::sockaddr_in = unsafe { std::mem::zeroed() };
    address.sin_family = libc::AF_INET as _;
    address.sin_port = port.to_be();
    address.sin_addr.s_addr = u32::from(Ipv4Addr::LOCALHOST).to_be();
    address
}

/// Returns a socket whose connect to `to` has begun.
fn begin(to: SocketAddr) -> Source<TcpStream> {
    let stream = socket();
    stream.set_nonblocking(true).unwrap();
    let address = address_of(to.port());
    // SAFETY: `address` is a valid sockaddr_in of the size that is passed.
    let begun = unsafe {
        libc::connect(
            stream.as_raw_fd(),
            (&raw const address).cast(),
            size_of_val(&address) as libc::socklen_t,
        )
    };
    let e = io::Error::last_os_error();
    assert!(
        begun == 0 || e.raw_os_error() == Some(libc::EINPROGRESS),
        "{e}"
    );
    Source::new(stream).sole_owner()
}

fn completed(source: &Source<TcpStream>) -> impl Future<Output = io::Result<()>> {
    poll_fn(|cx| source.poll_begun(Direction::Write, cx).map_ok(drop))
}

#[test]
fn a_refused_connect_completes_with_its_error() {
    let _watchdog = watchdog();
    let (reactor, _entered) = reactor();
    // The port of a client, which no other socket gets. Systems other than Linux do not refuse
    // clients of a socket that is only bound.
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let source = begin(client.local_addr().unwrap());
    block_on(&reactor, completed(&source)).unwrap();
    let e = source
        .get_ref()
        .take_error()
        .unwrap()
        .expect("it was refused");
    assert_eq!(e.kind(), io::ErrorKind::ConnectionRefused);
}

#[test]
fn an_accepted_connect_completes() {
    let _watchdog = watchdog();
    let (reactor, _entered) = reactor();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let source = begin(listener.local_addr().unwrap());
    block_on(&reactor, completed(&source)).unwrap();
    assert!(source.get_ref().take_error().unwrap().is_none());
    assert!(source.get_ref().peer_addr().is_ok());
}

#[test]
fn a_connect_begun_here_completes_on_the_thread_it_was_moved_to() {
    let _watchdog = watchdog();
    let (reactor, _entered) = reactor();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let source = begin(listener.local_addr().unwrap());
    let mut cx = Context::from_waker(Waker::noop());
    assert!(source.poll_begun(Direction::Write, &mut cx).is_pending());
    let barrier = Barrier::new(2);
    let done = std::sync::atomic::AtomicBool::new(false);
    let notifier = reactor.notifier();
    thread::scope(|s| {
        s.spawn(|| {
            let (their_reactor, _entered) = support::reactor();
            let task = Task::default();
            let waker = task.waker();
            barrier.wait();
            while source
                .poll_begun(Direction::Write, &mut Context::from_waker(&waker))
                .is_pending()
            {
                their_reactor
                    .turn(Some(std::time::Duration::from_millis(1)))
                    .unwrap();
            }
            done.store(true, std::sync::atomic::Ordering::SeqCst);
            notifier.notify();
        });
        barrier.wait();
        support::turn_until(&reactor, || done.load(std::sync::atomic::Ordering::SeqCst));
    });
    assert!(source.get_ref().peer_addr().is_ok());
}
