//! What the tests of this crate share.
#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test binary uses its own part; examples include a part of it"
)]

use std::net;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use runtime_net::internal::Resolve;
use runtime_net::{TcpListener, TcpStream, UdpSocket};

include!("block_on.rs");

/// How many descriptors below 512 are open.
pub fn open() -> usize {
    // SAFETY: F_GETFD takes no pointer, and says of a number that is no descriptor that it is none.
    let is_open = |fd: &i32| unsafe { libc::fcntl(*fd, libc::F_GETFD) } != -1;
    (0..512).filter(is_open).count()
}

/// Sees to it that a test leaves as many descriptors open as it found. They are the whole process's, so
/// such tests run one by one.
pub struct LeavesNothingOpen {
    before: usize,
    _alone: MutexGuard<'static, ()>,
}

impl LeavesNothingOpen {
    pub fn new() -> LeavesNothingOpen {
        static ONE_BY_ONE: Mutex<()> = Mutex::new(());
        let alone = ONE_BY_ONE.lock().unwrap_or_else(PoisonError::into_inner);
        LeavesNothingOpen {
            before: open(),
            _alone: alone,
        }
    }
}

impl Drop for LeavesNothingOpen {
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

/// A listener on a port of its own.
pub async fn listen() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").await.unwrap()
}

/// A connection, ours and the blocking end of a peer.
pub async fn pair() -> (TcpStream, net::TcpStream) {
    let listener = listen().await;
    let peer = net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (ours, _) = listener.accept().await.unwrap();
    (ours, peer)
}

/// Both ends ours; the first one connected.
pub async fn connected() -> (TcpStream, TcpStream) {
    let listener = listen().await;
    let connect = TcpStream::connect(listener.local_addr().unwrap());
    let (connected, accepted) = futures_lite::future::try_zip(connect, listener.accept())
        .await
        .unwrap();
    (connected, accepted.0)
}

/// Closes one end so that the other is told of a reset.
pub fn reset(peer: net::TcpStream) {
    let linger = Some(std::time::Duration::ZERO);
    socket2::SockRef::from(&peer).set_linger(linger).unwrap();
}

/// An address on which nobody listens, since it was free a moment ago and is still held.
pub struct ClosedPort(socket2::Socket);

impl ClosedPort {
    pub fn new() -> ClosedPort {
        let socket =
            socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        let any: net::SocketAddr = ([127, 0, 0, 1], 0).into();
        socket.bind(&any.into()).unwrap();
        ClosedPort(socket)
    }

    pub fn addr(&self) -> net::SocketAddr {
        self.0.local_addr().unwrap().as_socket().unwrap()
    }
}

/// A listener whose queue is full: Linux drops the first packet of whoever comes next.
pub struct FullQueue {
    _listener: socket2::Socket,
    _queued: net::TcpStream,
    pub addr: net::SocketAddr,
}

impl FullQueue {
    pub fn new() -> FullQueue {
        let listener =
            socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        let any: net::SocketAddr = ([127, 0, 0, 1], 0).into();
        listener.bind(&any.into()).unwrap();
        listener.listen(0).unwrap();
        let addr = listener.local_addr().unwrap().as_socket().unwrap();
        FullQueue {
            _queued: net::TcpStream::connect(addr).unwrap(),
            _listener: listener,
            addr,
        }
    }
}

/// Gives every name the same addresses, and not at once.
pub struct Fixed(pub Vec<net::SocketAddr>);

impl Resolve for Fixed {
    fn resolve(
        &self,
        _: String,
    ) -> std::pin::Pin<Box<dyn Future<Output = std::io::Result<Vec<net::SocketAddr>>> + Send>> {
        let addrs = self.0.clone();
        Box::pin(async move {
            futures_lite::future::yield_now().await;
            Ok(addrs)
        })
    }
}

/// Whether the peer's end can be waited for: select knows of none.
pub fn tells_ends() -> bool {
    std::env::var("RUNTIME_BACKEND").as_deref() != Ok("select")
}

/// What kind of error it is.
pub fn kind<T: std::fmt::Debug>(result: std::io::Result<T>) -> std::io::ErrorKind {
    result.unwrap_err().kind()
}

/// A socket for datagrams on a port of its own.
pub async fn udp_socket() -> UdpSocket {
    UdpSocket::bind("127.0.0.1:0").await.unwrap()
}

/// Two of them that are connected to each other.
pub async fn udp_pair() -> (UdpSocket, UdpSocket) {
    let (one, two) = (udp_socket().await, udp_socket().await);
    one.connect(two.local_addr().unwrap()).await.unwrap();
    two.connect(one.local_addr().unwrap()).await.unwrap();
    (one, two)
}

/// A path of a test's own, whose file goes with it.
pub struct Place(pub PathBuf);

impl Place {
    pub fn new(name: &str) -> Place {
        let name = format!("runtime-{}-{name}", std::process::id());
        Place(std::env::temp_dir().join(name))
    }
}

impl AsRef<std::path::Path> for Place {
    fn as_ref(&self) -> &std::path::Path {
        &self.0
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}
