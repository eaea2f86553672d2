//! A socket for datagrams.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::net::Shutdown;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::net::{self, SocketAddr};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use runtime_reactor::internal::set_nonblocking;
use runtime_reactor::{Direction, Interest, Readiness, Source};
use socket2::{SockAddr, SockRef, Socket, Type};

use super::addr::display;
use crate::backoff::{Backoff, Retry};
use crate::error::during;
use crate::sys::socket::{SEND_FLAGS, suppress_sigpipe};
use crate::sys::unix;

/// A socket for datagrams within one machine. None is lost, and they arrive in order. On macOS and the
/// BSDs a receiver that is full [is an error](crate::unix#what-differs-between-platforms), and the sender's
/// part to try again.
///
/// Datagrams keep their bounds: one that does not fit the buffer is cut, and the rest of it is gone
/// ([`recv_fds`](UnixDatagram::recv_fds) tells).
///
/// # Examples
/// ```
/// use runtime::net::UnixDatagram;
///
/// # runtime::block_on(async {
/// let (one, two) = UnixDatagram::pair()?;
/// one.send(b"hello").await?;
/// let mut buffer = [0; 16];
/// assert_eq!(two.recv(&mut buffer).await?, 5);
/// # std::io::Result::Ok(())
/// # }).unwrap();
/// ```
pub struct UnixDatagram {
    pub(super) source: Source<net::UnixDatagram>,
    /// Whether receiving was ended. Linux lets a non-blocking socket say WouldBlock from then on, for
    /// ever, and is always readable.
    recv_shut_down: AtomicBool,
}

impl UnixDatagram {
    /// Makes a socket file at `path`, to which others can send.
    ///
    /// # Errors
    /// As [`UnixListener::bind`](crate::UnixListener::bind).
    ///
    /// # Examples
    /// See [`send_to_addr`](UnixDatagram::send_to_addr).
    pub fn bind(path: impl AsRef<Path>) -> io::Result<UnixDatagram> {
        let path = path.as_ref();
        let bound = unix::path_addr(path).and_then(|addr| UnixDatagram::bind_to(&addr));
        bound.map_err(|e| with_context(format!("bind {}", path.display()), e))
    }

    /// [`bind`](UnixDatagram::bind) to an address that may be an abstract name.
    ///
    /// # Errors
    /// As `bind`.
    pub fn bind_addr(addr: &SocketAddr) -> io::Result<UnixDatagram> {
        let bound = unix::from_std(addr).and_then(|addr| UnixDatagram::bind_to(&addr));
        bound.map_err(|e| with_context(format!("bind {}", display(addr)), e))
    }

    fn bind_to(addr: &SockAddr) -> io::Result<UnixDatagram> {
        let socket = unix::socket(Type::DGRAM)?;
        socket.bind(addr)?;
        Ok(UnixDatagram::new(socket))
    }

    /// A socket without a name: it can send, and receive from a peer that it is connected to.
    ///
    /// # Errors
    /// What socket(2) says.
    pub fn unbound() -> io::Result<UnixDatagram> {
        unix::socket(Type::DGRAM).map(UnixDatagram::new)
    }

    /// Two sockets that are connected to each other.
    ///
    /// # Errors
    /// What socketpair(2) says.
    pub fn pair() -> io::Result<(UnixDatagram, UnixDatagram)> {
        let (one, two) = unix::pair(Type::DGRAM)?;
        Ok((UnixDatagram::new(one), UnixDatagram::new(two)))
    }

    /// Makes the socket at `path` the one that is sent to, and the only one that is received from.
    ///
    /// # Errors
    /// As `connect to /run/it: ...`: `NotFound`, `ConnectionRefused` if nobody has the file open,
    /// `PermissionDenied` and others of connect(2); `InvalidInput` if the path is too long or has a
    /// zero in it.
    pub fn connect(&self, path: impl AsRef<Path>) -> io::Result<()> {
        let path = path.as_ref();
        let connected = self.source.get_ref().connect(path);
        connected.map_err(|e| with_context(format!("connect to {}", path.display()), e))
    }

    /// [`connect`](UnixDatagram::connect) to an address that may be an abstract name.
    ///
    /// # Errors
    /// As `connect`.
    pub fn connect_addr(&self, addr: &SocketAddr) -> io::Result<()> {
        let connected = self.source.get_ref().connect_addr(addr);
        connected.map_err(|e| with_context(format!("connect to {}", display(addr)), e))
    }

    /// Wraps a socket that this crate made: non-blocking, and nobody else has it.
    fn new(socket: Socket) -> UnixDatagram {
        let socket = net::UnixDatagram::from(OwnedFd::from(socket));
        UnixDatagram::from_source(Source::new(socket).sole_owner())
    }

    fn from_source(source: Source<net::UnixDatagram>) -> UnixDatagram {
        UnixDatagram {
            source,
            recv_shut_down: AtomicBool::new(false),
        }
    }

    /// Takes over a socket of std's, and makes it non-blocking.
    ///
    /// # Errors
    /// What fcntl(2) says.
    ///
    /// # Platform notes
    /// Somebody else may hold a duplicate of it, so on epoll it costs a system call to be dropped
    /// once it was waited for.
    pub fn from_std(socket: net::UnixDatagram) -> io::Result<UnixDatagram> {
        set_nonblocking(socket.as_fd())?;
        suppress_sigpipe(&socket)?;
        Ok(UnixDatagram::from_source(Source::new(socket)))
    }

    /// Gives back std's socket, **still non-blocking**.
    pub fn into_std(self) -> net::UnixDatagram {
        self.source.into_inner()
    }

    /// Ends receiving, sending, or both, at once for all who use it: whoever waits is woken. Sending
    /// fails with `BrokenPipe` from then on; receiving gives what is there already, and then 0 bytes.
    ///
    /// # Errors
    /// `NotConnected`, on some systems.
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        // First, so that whoever is woken by it knows; on other threads, too.
        let ends = how != Shutdown::Write && !self.recv_shut_down.swap(true, Ordering::SeqCst);
        let ended = self.source.get_ref().shutdown(how);
        if ends && ended.is_err() {
            self.recv_shut_down.store(false, Ordering::SeqCst);
        }
        ended
    }

    /// `recv`, but where it found nothing after receiving was ended: then `end`.
    pub(super) fn ending<R>(
        &self,
        mut recv: impl FnMut(&net::UnixDatagram) -> io::Result<R>,
        end: impl Fn() -> io::Result<R>,
    ) -> impl FnMut(&net::UnixDatagram) -> io::Result<R> {
        move |socket| match recv(socket) {
            Err(e) if e.kind() == io::ErrorKind::WouldBlock && self.recv_shut_down() => end(),
            result => result,
        }
    }

    fn recv_shut_down(&self) -> bool {
        self.recv_shut_down.load(Ordering::SeqCst)
    }

    /// Our address.
    ///
    /// # Errors
    /// What getsockname(2) says.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.source.get_ref().local_addr()
    }

    /// The address it is [connected](UnixDatagram::connect) to.
    ///
    /// # Errors
    /// `NotConnected`.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.source.get_ref().peer_addr()
    }

    /// Takes the error that waits to be told, if there is one.
    ///
    /// # Errors
    /// What getsockopt(2) says.
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.source.get_ref().take_error()
    }
}

/// The end of receiving.
fn end_of_messages() -> io::Result<(usize, SocketAddr)> {
    Ok((0, SocketAddr::from_pathname("")?))
}

/// Sending and receiving.
impl UnixDatagram {
    /// Sends a datagram to the socket it is [connected](UnixDatagram::connect) to, and says how many
    /// bytes that was, which is all of them. It waits while the receiver's queue is full.
    ///
    /// # Errors
    /// `NotConnected` (on some systems another one), `ConnectionRefused` or `ConnectionReset` if the
    /// peer is gone, `BrokenPipe` after a shutdown, EMSGSIZE if it is too long for our
    /// buffer, and others of send(2); those of [waiting](crate#errors).
    ///
    /// # Cancel safety
    /// Dropping the future sends nothing.
    ///
    /// # Platform notes
    /// macOS and the BSDs do not wait for the receiver: ENOBUFS.
    ///
    /// # Examples
    /// See [`UnixDatagram`].
    pub async fn send(&self, buf: &[u8]) -> io::Result<usize> {
        poll_fn(|cx| self.poll_send(cx, buf)).await
    }

    /// [`send`](UnixDatagram::send) for those who write futures by hand.
    ///
    /// # Errors
    /// As `send`.
    pub fn poll_send(&self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.source.poll_io(Direction::Write, cx, |socket| {
            SockRef::from(socket).send_with_flags(buf, SEND_FLAGS)
        })
    }

    /// Sends a datagram, if there is room.
    ///
    /// # Errors
    /// `WouldBlock` if there is none; else as [`send`](UnixDatagram::send).
    pub fn try_send(&self, buf: &[u8]) -> io::Result<usize> {
        self.source.try_io(Direction::Write, |socket| {
            SockRef::from(socket).send_with_flags(buf, SEND_FLAGS)
        })
    }

    /// Sends a datagram to the socket at `path`, and says how many bytes that was, which is all of
    /// them. It waits while the receiver's queue is full.
    ///
    /// # Errors
    /// As [`send`](UnixDatagram::send) and [`connect`](UnixDatagram::connect).
    ///
    /// # Cancel safety
    /// Dropping the future sends nothing.
    ///
    /// # Platform notes
    /// The system has no event for a place in the queue of a socket one is not connected to, so it is
    /// tried again after 5 ms and then more, up to 160 ms. To a receiver that is often busy,
    /// [`connect`](UnixDatagram::connect). macOS and the BSDs do not wait for the receiver: ENOBUFS.
    ///
    /// # Examples
    /// See [`send_to_addr`](UnixDatagram::send_to_addr).
    pub async fn send_to(&self, buf: &[u8], path: impl AsRef<Path>) -> io::Result<usize> {
        let path = path.as_ref();
        self.send_with_backoff(|socket| socket.send_to(buf, path))
            .await
    }

    /// [`send_to`](UnixDatagram::send_to) an address that may be an abstract name, such as that of
    /// whom [`recv_from`](UnixDatagram::recv_from) told.
    ///
    /// # Errors
    /// As `send_to`.
    ///
    /// # Cancel safety
    /// Dropping the future sends nothing.
    ///
    /// # Platform notes
    /// As `send_to`.
    ///
    /// # Examples
    /// ```
    /// use runtime::net::UnixDatagram;
    ///
    /// # runtime::block_on(async {
    /// # let name = |end| std::env::temp_dir().join(format!("runtime-doc-{end}-{}", std::process::id()));
    /// # let (here, there) = (name("here"), name("there"));
    /// let server = UnixDatagram::bind(&here)?;
    /// let client = UnixDatagram::bind(&there)?;
    /// client.send_to(b"ping", &here).await?;
    /// let (_, sender) = server.recv_from(&mut [0; 8]).await?;
    /// server.send_to_addr(b"pong", &sender).await?;
    /// assert_eq!(client.recv(&mut [0; 8]).await?, 4);
    /// # std::fs::remove_file(here)?;
    /// # std::fs::remove_file(there)?;
    /// # std::io::Result::Ok(())
    /// # }).unwrap();
    /// ```
    pub async fn send_to_addr(&self, buf: &[u8], addr: &SocketAddr) -> io::Result<usize> {
        self.send_with_backoff(|socket| socket.send_to_addr(buf, addr))
            .await
    }

    /// Tries until there is room, with rests.
    async fn send_with_backoff(
        &self,
        mut send: impl FnMut(&net::UnixDatagram) -> io::Result<usize>,
    ) -> io::Result<usize> {
        let mut backoff = Backoff::default();
        poll_fn(|cx| {
            loop {
                ready!(backoff.poll_ready(cx))?;
                match send(self.source.get_ref()) {
                    Err(e) if e.kind() == io::ErrorKind::WouldBlock => backoff.begin_delay(),
                    Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                    result => return Poll::Ready(result),
                }
            }
        })
        .await
    }

    /// Sends a datagram to the socket at `path`, if there is room.
    ///
    /// # Errors
    /// `WouldBlock` if there is none; else as [`send_to`](UnixDatagram::send_to).
    pub fn try_send_to(&self, buf: &[u8], path: impl AsRef<Path>) -> io::Result<usize> {
        // Past the reactor: whether another receiver has room says nothing of this one.
        self.source.get_ref().send_to(buf, path)
    }

    /// [`try_send_to`](UnixDatagram::try_send_to) an address that may be an abstract name.
    ///
    /// # Errors
    /// As `try_send_to`.
    pub fn try_send_to_addr(&self, buf: &[u8], addr: &SocketAddr) -> io::Result<usize> {
        self.source.get_ref().send_to_addr(buf, addr)
    }

    /// Receives a datagram, and says how many bytes of `buf` it fills. What does not fit is lost.
    ///
    /// # Errors
    /// What recv(2) says, such as `ConnectionReset` if the peer of a connected socket has connected to
    /// another one (Linux); those of [waiting](crate#errors).
    ///
    /// # Cancel safety
    /// Dropping the future loses no datagram.
    ///
    /// # Examples
    /// See [`UnixDatagram`].
    pub async fn recv(&self, buf: &mut [u8]) -> io::Result<usize> {
        poll_fn(|cx| self.poll_recv(cx, buf)).await
    }

    /// [`recv`](UnixDatagram::recv) for those who write futures by hand.
    ///
    /// # Errors
    /// As `recv`.
    pub fn poll_recv(&self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        self.source
            .poll_io(Direction::Read, cx, self.ending(|s| s.recv(buf), || Ok(0)))
    }

    /// Receives a datagram, if there is one.
    ///
    /// # Errors
    /// `WouldBlock` if there is none; else as [`recv`](UnixDatagram::recv).
    pub fn try_recv(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.source
            .try_io(Direction::Read, self.ending(|s| s.recv(buf), || Ok(0)))
    }

    /// Receives a datagram, and says how many bytes of `buf` it fills and who sent it, which seldom
    /// has a name. What does not fit is lost.
    ///
    /// # Errors
    /// As [`recv`](UnixDatagram::recv).
    ///
    /// # Cancel safety
    /// Dropping the future loses no datagram.
    ///
    /// # Examples
    /// See [`send_to_addr`](UnixDatagram::send_to_addr).
    pub async fn recv_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        poll_fn(|cx| self.poll_recv_from(cx, buf)).await
    }

    /// [`recv_from`](UnixDatagram::recv_from) for those who write futures by hand.
    ///
    /// # Errors
    /// As [`recv`](UnixDatagram::recv).
    pub fn poll_recv_from(
        &self,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<(usize, SocketAddr)>> {
        let recv = self.ending(|socket| socket.recv_from(buf), end_of_messages);
        self.source.poll_io(Direction::Read, cx, recv)
    }

    /// Receives a datagram and its sender, if there is one.
    ///
    /// # Errors
    /// `WouldBlock` if there is none; else as [`recv`](UnixDatagram::recv).
    pub fn try_recv_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        let recv = self.ending(|socket| socket.recv_from(buf), end_of_messages);
        self.source.try_io(Direction::Read, recv)
    }
}

/// Readiness without an operation.
impl UnixDatagram {
    /// Waits until some of `interest` may be ready, and says what.
    ///
    /// It may be wrong, and it is said again and again until a `try_` method finds nothing.
    ///
    /// # Errors
    /// Those of [waiting](crate#errors).
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing.
    pub async fn ready(&self, interest: Interest) -> io::Result<Readiness> {
        self.source.ready(interest).await
    }

    /// Waits until receiving may be worth a [try](UnixDatagram::try_recv).
    ///
    /// # Errors
    /// As [`ready`](UnixDatagram::ready).
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing.
    pub async fn readable(&self) -> io::Result<()> {
        self.ready(Interest::READABLE).await.map(drop)
    }

    /// Waits until sending may be worth a [try](UnixDatagram::try_send).
    ///
    /// # Errors
    /// As [`ready`](UnixDatagram::ready).
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing.
    pub async fn writable(&self) -> io::Result<()> {
        self.ready(Interest::WRITABLE).await.map(drop)
    }

    /// Tries an operation of your own on the descriptor, such as a system call that is missing
    /// here, and notes it if that finds nothing. It must not block.
    ///
    /// # Errors
    /// `WouldBlock` if it is known that there is nothing (then `op` is not called), and what `op`
    /// returns. With no interest at all there is nothing.
    pub fn try_io<R>(
        &self,
        interest: Interest,
        op: impl FnMut(&net::UnixDatagram) -> io::Result<R>,
    ) -> io::Result<R> {
        self.source.try_any(interest, op)
    }
}

crate::descriptor::descriptor!(UnixDatagram, net::UnixDatagram, source);
