//! Helpers that the tests of this crate share.
#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test binary uses its own part"
)]

use std::future::Future;
use std::mem::MaybeUninit;
use std::net;
use std::panic::Location;
use std::path::PathBuf;
use std::pin::pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use runtime_net::internal::Resolve;
use runtime_net::{TcpListener, TcpStream, UdpSocket};
use runtime_reactor::internal::clock::{self, PauseOwner};
use runtime_reactor::{Notifier, Reactor};

pub mod other_code;
mod peer;

pub use peer::{Peer, PeerListener};

struct Woken(AtomicBool, Notifier);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
        self.1.notify();
    }
}

/// Runs a future on a reactor of its own.
pub fn block_on<F: Future>(future: F) -> F::Output {
    run(&Reactor::new().unwrap(), future)
}

/// Runs a future on `reactor`.
pub fn run<F: Future>(reactor: &Rc<Reactor>, future: F) -> F::Output {
    let _entered = reactor.enter();
    let woken = Arc::new(Woken(AtomicBool::new(true), reactor.notifier()));
    let waker = Waker::from(woken.clone());
    let mut future = pin!(future);
    loop {
        if woken.0.swap(false, Ordering::SeqCst) {
            let mut cx = Context::from_waker(&waker);
            if let Poll::Ready(output) = future.as_mut().poll(&mut cx) {
                return output;
            }
        }
        reactor.turn(None).unwrap();
    }
}

/// The owner of a paused clock: its only task is the future that [`run`] polls.
struct OneTask;

impl PauseOwner for OneTask {
    fn is_idle(&self) -> bool {
        true
    }

    fn report_stuck(&self) -> ! {
        panic!("the clock is paused, and nothing is left to wait for")
    }

    fn report_held_by_io(&self) {}
}

/// Pauses the clock of a reactor, which then moves to the next deadline whenever no event is there.
/// Does nothing on the simulated kernel, which goes by the clock of the system here.
pub fn pause(reactor: &Reactor) {
    if !runs_on_sim() {
        clock::pause(reactor, Rc::new(OneTask), true, Location::caller());
    }
}

/// The time since a moment, by the clock that was [paused](pause).
pub struct Stopwatch(Instant);

impl Stopwatch {
    pub fn start() -> Stopwatch {
        Stopwatch(clock::now())
    }

    /// Asserts that exactly `time` has passed, and at least that where the clock runs.
    pub fn assert_passed(&self, time: Duration) {
        let passed = clock::now() - self.0;
        let is_right = passed == time || passed > time && runs_on_sim();
        assert!(is_right, "{passed:?} instead of {time:?}");
    }
}

fn runs_on_sim() -> bool {
    std::env::var_os("RUNTIME_BACKEND").is_some_and(|name| name == "sim")
}

/// Returns the number of open descriptors below 512, without those of regular files. A thread that
/// frees memory may have such a file open at any moment: glibc's malloc reads
/// /proc/sys/vm/overcommit_memory when it first shrinks a heap (`check_may_shrink_heap`).
pub fn open() -> usize {
    let is_counted = |fd: &i32| {
        let mut status = MaybeUninit::<libc::stat>::uninit();
        // SAFETY: fstat writes one stat, to memory of its size, and fails for a number that is not
        // a descriptor.
        let result = unsafe { libc::fstat(*fd, status.as_mut_ptr()) };
        // SAFETY: fstat has written it, because it returned 0.
        result == 0 && unsafe { status.assume_init() }.st_mode & libc::S_IFMT != libc::S_IFREG
    };
    (0..512).filter(is_counted).count()
}

/// Checks that a test leaves as many descriptors open as it found. Descriptors belong to the whole
/// process, so such tests run one by one.
pub struct DescriptorLeakCheck {
    before: usize,
    _alone: MutexGuard<'static, ()>,
}

impl DescriptorLeakCheck {
    pub fn new() -> DescriptorLeakCheck {
        static ONE_BY_ONE: Mutex<()> = Mutex::new(());
        let alone = ONE_BY_ONE.lock().unwrap_or_else(PoisonError::into_inner);
        DescriptorLeakCheck {
            before: open(),
            _alone: alone,
        }
    }
}

impl Drop for DescriptorLeakCheck {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            assert_eq!(open(), self.before, "descriptors before and after");
        }
    }
}

/// Polls once, with a waker that does nothing.
pub fn poll_once<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    std::pin::Pin::new(future).poll(&mut Context::from_waker(Waker::noop()))
}

/// Returns a listener on a free port.
pub async fn listen() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").await.unwrap()
}

/// Returns a connection, and the blocking socket of its peer.
pub async fn pair() -> (TcpStream, Peer) {
    let listener = listen().await;
    let peer = Peer::connect(listener.local_addr().unwrap()).unwrap();
    let (ours, _) = listener.accept().await.unwrap();
    (ours, peer)
}

/// Returns both ends of a connection, the connecting one first.
pub async fn connected() -> (TcpStream, TcpStream) {
    let listener = listen().await;
    let connect = TcpStream::connect(listener.local_addr().unwrap());
    let (connected, accepted) = futures_lite::future::try_zip(connect, listener.accept())
        .await
        .unwrap();
    (connected, accepted.0)
}

/// Closes one end so that the other gets a reset.
pub fn reset(peer: Peer) {
    peer.close_with_reset();
}

/// An address without a listener: that of a client, which no other socket gets. Systems other than
/// Linux do not refuse clients of a socket that is only bound, and drop what they send.
pub struct ClosedPort {
    client: Peer,
    _server: Peer,
}

impl ClosedPort {
    pub fn new() -> ClosedPort {
        let (client, _server) = Peer::pair();
        ClosedPort { client, _server }
    }

    pub fn addr(&self) -> net::SocketAddr {
        self.client.local_addr().unwrap()
    }
}

/// A listener whose queue is full: Linux drops the first packet of the next client.
pub struct FullQueue {
    _listener: PeerListener,
    _queued: Peer,
    pub addr: net::SocketAddr,
}

impl FullQueue {
    pub fn new() -> FullQueue {
        let listener = PeerListener::bind(0);
        let addr = listener.local_addr();
        FullQueue {
            _queued: Peer::connect(addr).unwrap(),
            _listener: listener,
            addr,
        }
    }
}

/// A resolver that yields the same addresses for every name, after one `Pending`.
pub struct FixedAddresses(pub Vec<net::SocketAddr>);

type Found = std::io::Result<Vec<net::SocketAddr>>;

impl Resolve for FixedAddresses {
    fn resolve(&self, _: String) -> std::pin::Pin<Box<dyn Future<Output = Found> + Send + Sync>> {
        let addrs = self.0.clone();
        Box::pin(async move {
            futures_lite::future::yield_now().await;
            Ok(addrs)
        })
    }
}

/// Returns true if the backend reports the end of the peer: select does not, nor poll without
/// POLLRDHUP.
pub fn reports_closed() -> bool {
    reports(cfg!(any(
        target_os = "linux",
        target_os = "android",
        target_os = "freebsd"
    )))
}

/// Returns true if the backend reports the end of the reader of a pipe: select does not, nor
/// NetBSD's poll.
pub fn reports_errors() -> bool {
    reports(cfg!(not(target_os = "netbsd")))
}

/// Returns true if the tests run on the simulated kernel, and reports why a test is skipped then.
pub fn is_simulated(why: &str) -> bool {
    let is = runs_on_sim();
    if is {
        eprintln!("SKIPPED on the simulated kernel: {why}");
    }
    is
}

fn reports(poll_does: bool) -> bool {
    let reports = match std::env::var("RUNTIME_BACKEND").as_deref() {
        Ok("select") => false,
        Ok("poll") => poll_does,
        _ => true,
    };
    if !reports {
        eprintln!("NOT TESTED: this backend does not report the end");
    }
    reports
}

/// Returns the kind of the error.
pub fn kind<T: std::fmt::Debug>(result: std::io::Result<T>) -> std::io::ErrorKind {
    result.unwrap_err().kind()
}

/// Returns a UDP socket on a free port.
pub async fn udp_socket() -> UdpSocket {
    UdpSocket::bind("127.0.0.1:0").await.unwrap()
}

/// Returns two UDP sockets that are connected to each other.
pub async fn udp_pair() -> (UdpSocket, UdpSocket) {
    let (one, two) = (udp_socket().await, udp_socket().await);
    one.connect(two.local_addr().unwrap()).await.unwrap();
    two.connect(one.local_addr().unwrap()).await.unwrap();
    (one, two)
}

/// A path whose file is removed when it is dropped.
pub struct TempPath(pub PathBuf);

impl TempPath {
    pub fn new(name: &str) -> TempPath {
        let name = format!("runtime-{}-{name}", std::process::id());
        TempPath(std::env::temp_dir().join(name))
    }
}

impl AsRef<std::path::Path> for TempPath {
    fn as_ref(&self) -> &std::path::Path {
        &self.0
    }
}

impl Drop for TempPath {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}
