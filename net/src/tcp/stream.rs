//! A connection.

use std::fmt;
use std::future::poll_fn;
use std::io::{self, IoSlice, IoSliceMut};
use std::net::{self, Shutdown, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::task::{Context, Poll};
use std::time::Duration;

use runtime_reactor::internal::set_nonblocking;
use runtime_reactor::{Direction, Interest, Readiness, Source};
use socket2::{SockRef, TcpKeepalive};

use super::connect;
use crate::addr::{ToSocketAddrs, sealed::Internal};
use crate::split::{self, sealed::Connection};
use crate::sys::tcp;
use crate::transfer;

/// A connection.
///
/// `TcpStream` and `&TcpStream` are [`AsyncRead`](futures_io::AsyncRead) and
/// [`AsyncWrite`](futures_io::AsyncWrite); the extension traits of
/// futures-lite or futures-util add the rest. Reading and writing at the same time needs no lock:
/// see [`split`](TcpStream::split).
///
/// Closing it (`poll_close`) ends our half of the connection and nothing else; dropping it closes
/// the socket. Nothing is buffered here, so flushing does nothing.
///
/// A write to a connection that is gone fails with `BrokenPipe`; SIGPIPE is not raised, whatever
/// the process has set for it.
///
/// # Cancel safety
/// A read or a write that returned `Pending` has done nothing.
///
/// # Examples
/// ```
/// use runtime::io::{AsyncReadExt, AsyncWriteExt};
/// use runtime::net::TcpStream;
///
/// # let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
/// # let address = listener.local_addr().unwrap();
/// # let server = std::thread::spawn(move || {
/// #     std::io::Write::write_all(&mut listener.accept().unwrap().0, b"hello").unwrap();
/// # });
/// # runtime::block_on(async {
/// let mut stream = TcpStream::connect(address).await?;
/// let mut greeting = String::new();
/// stream.read_to_string(&mut greeting).await?;
/// assert_eq!(greeting, "hello");
/// # std::io::Result::Ok(())
/// # }).unwrap();
/// # server.join().unwrap();
/// ```
pub struct TcpStream {
    pub(crate) source: Source<net::TcpStream>,
}

impl TcpStream {
    /// Connects to the first of `addr`'s addresses that answers.
    ///
    /// If there are several, whether a name led to them or a list, they race after RFC 8305 ("Happy
    /// Eyeballs"): IPv6 and IPv4 take turns, beginning with the family that comes first; an attempt
    /// that has not come to its end after 250 ms is joined by the next one, and one that fails is
    /// followed at once. As soon as there is a connection the other attempts are given up and their
    /// sockets closed.
    ///
    /// # Errors
    /// `connect to [::1]:80: ...; to 127.0.0.1:80: ...`, with what every address said. Kind and
    /// [`source`](std::error::Error::source), which is the system's own error, are those of the last
    /// to fail; the kinds are listed at [`TcpSocket::connect`](crate::TcpSocket::connect).
    /// `InvalidInput` and others as [`lookup_host`](crate::lookup_host); `InvalidInput` too if there
    /// is no address at all. How long the system waits for an answer is its own decision, on Linux
    /// some two minutes: see [`connect_timeout`](TcpStream::connect_timeout).
    ///
    /// # Cancel safety
    /// Dropping the future gives up all attempts and closes their sockets.
    ///
    /// # Examples
    /// ```
    /// use std::io::ErrorKind;
    /// use runtime::net::TcpStream;
    ///
    /// # runtime::block_on(async {
    /// let error = TcpStream::connect("127.0.0.1:1").await.unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    /// assert!(error.to_string().starts_with("connect to 127.0.0.1:1: "));
    /// # });
    /// ```
    pub async fn connect(addr: impl ToSocketAddrs) -> io::Result<TcpStream> {
        let source = connect::connect(addr.target(Internal)).await?;
        Ok(TcpStream::from_source(source))
    }

    /// As [`connect`](TcpStream::connect), and gives up when `limit` has passed, which is for all
    /// of it: looking up the name, and every attempt. A limit of zero has passed at the reactor's
    /// next turn; one of more than a hundred years never does.
    ///
    /// # Errors
    /// As `connect`; `TimedOut`, with what became of every address, when the limit has passed.
    ///
    /// # Cancel safety
    /// As `connect`.
    ///
    /// # Examples
    /// ```
    /// use std::time::Duration;
    /// use runtime::net::TcpStream;
    ///
    /// # runtime::block_on(async {
    /// # let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    /// # let addr = listener.local_addr()?;
    /// let stream = TcpStream::connect_timeout(addr, Duration::from_secs(5)).await?;
    /// assert_eq!(stream.peer_addr()?, addr);
    /// # std::io::Result::Ok(())
    /// # }).unwrap();
    /// ```
    pub async fn connect_timeout(
        addr: impl ToSocketAddrs,
        limit: Duration,
    ) -> io::Result<TcpStream> {
        let source = connect::connect_timeout(addr.target(Internal), limit).await?;
        Ok(TcpStream::from_source(source))
    }

    /// Takes over a connection of std's, and makes it non-blocking.
    ///
    /// # Errors
    /// What fcntl(2) says.
    ///
    /// # Platform notes
    /// Somebody else may hold a duplicate of it, so on epoll it costs a system call to be dropped
    /// once it was waited for. macOS: SIGPIPE stays as the one who made the socket has set it
    /// (std turns it off).
    ///
    /// # Examples
    /// ```
    /// use runtime::io::AsyncWriteExt;
    /// use runtime::net::TcpStream;
    ///
    /// # runtime::block_on(async {
    /// # let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    /// let connected = std::net::TcpStream::connect(listener.local_addr()?)?;
    /// let mut stream = TcpStream::from_std(connected)?;
    /// stream.write_all(b"hello").await?;
    /// # std::io::Result::Ok(())
    /// # }).unwrap();
    /// ```
    pub fn from_std(stream: net::TcpStream) -> io::Result<TcpStream> {
        set_nonblocking(stream.as_fd())?;
        Ok(TcpStream::from_source(Source::new(stream).streaming()))
    }

    /// Wraps a connection that this crate made: non-blocking, and nobody else has it.
    pub(super) fn new(stream: net::TcpStream) -> TcpStream {
        TcpStream::from_source(Source::new(stream).streaming().sole_owner())
    }

    pub(super) fn from_source(source: Source<net::TcpStream>) -> TcpStream {
        TcpStream { source }
    }

    /// Gives back std's connection, **still non-blocking**.
    ///
    /// # Examples
    /// ```
    /// use runtime::net::TcpStream;
    ///
    /// # runtime::block_on(async {
    /// # let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    /// # let address = listener.local_addr()?;
    /// let stream = TcpStream::connect(address).await?.into_std();
    /// stream.set_nonblocking(false)?;
    /// # std::io::Result::Ok(())
    /// # }).unwrap();
    /// ```
    pub fn into_std(self) -> net::TcpStream {
        self.source.into_inner()
    }

    /// Borrows it as a reader and a writer, for two futures of one task.
    ///
    /// # Examples
    /// ```
    /// use futures_lite::{AsyncReadExt, AsyncWriteExt, future};
    /// use runtime::net::TcpStream;
    ///
    /// # let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    /// # let address = listener.local_addr().unwrap();
    /// # let server = std::thread::spawn(move || {
    /// #     let (stream, _) = listener.accept().unwrap();
    /// #     std::io::copy(&mut &stream, &mut &stream).unwrap();
    /// # });
    /// # runtime::block_on(async {
    /// let stream = TcpStream::connect(address).await?;
    /// let (mut reader, mut writer) = stream.split();
    /// let mut echo = [0; 5];
    /// future::try_zip(writer.write_all(b"hello"), reader.read_exact(&mut echo)).await?;
    /// assert_eq!(&echo, b"hello");
    /// # std::io::Result::Ok(())
    /// # }).unwrap();
    /// # server.join().unwrap();
    /// ```
    pub fn split(&self) -> (ReadHalf<'_>, WriteHalf<'_>) {
        split::split(self)
    }

    /// Turns it into a reader and a writer, for two tasks, of which each may be on a thread of its own.
    /// It costs one allocation.
    ///
    /// Dropping the writer ends our half of the connection; dropping both closes it.
    ///
    /// # Examples
    /// ```
    /// use runtime::io::{AsyncReadExt, AsyncWriteExt};
    /// use runtime::net::TcpStream;
    ///
    /// # let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    /// # let address = listener.local_addr().unwrap();
    /// # let server = std::thread::spawn(move || {
    /// #     let (stream, _) = listener.accept().unwrap();
    /// #     std::io::copy(&mut &stream, &mut &stream).unwrap();
    /// # });
    /// # runtime::block_on(async {
    /// let (mut reader, mut writer) = TcpStream::connect(address).await?.into_split();
    /// let write = async move { writer.write_all(b"hello").await }; // and drop it
    /// let mut echo = String::new();
    /// let read = reader.read_to_string(&mut echo);
    /// futures_lite::future::try_zip(write, read).await?;
    /// assert_eq!(echo, "hello");
    /// # std::io::Result::Ok(())
    /// # }).unwrap();
    /// # server.join().unwrap();
    /// ```
    pub fn into_split(self) -> (OwnedReadHalf, OwnedWriteHalf) {
        split::into_split(self)
    }

    /// Reads what has come without taking it away: the next read gets it again. 0 bytes are the
    /// end of the stream, unless `buf` is empty.
    ///
    /// # Errors
    /// As reading: `ConnectionReset` if the peer broke the connection, `TimedOut` if it was not heard of
    /// any more, and others of recv(2); those of [waiting](crate#errors).
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing.
    ///
    /// # Examples
    /// ```
    /// use runtime::io::AsyncReadExt;
    /// use runtime::net::TcpStream;
    ///
    /// # let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    /// # let address = listener.local_addr().unwrap();
    /// # let server = std::thread::spawn(move || {
    /// #     std::io::Write::write_all(&mut listener.accept().unwrap().0, b"GET /").unwrap();
    /// # });
    /// # runtime::block_on(async {
    /// let mut stream = TcpStream::connect(address).await?;
    /// let mut first = [0];
    /// assert_eq!(stream.peek(&mut first).await?, 1);
    /// let mut all = [0; 5];
    /// stream.read_exact(&mut all).await?;
    /// assert_eq!((&first, &all), (b"G", b"GET /"));
    /// # std::io::Result::Ok(())
    /// # }).unwrap();
    /// # server.join().unwrap();
    /// ```
    pub async fn peek(&self, buf: &mut [u8]) -> io::Result<usize> {
        poll_fn(|cx| self.poll_peek(cx, buf)).await
    }

    /// [`peek`](TcpStream::peek) for those who write futures by hand.
    ///
    /// # Errors
    /// As reading.
    pub fn poll_peek(&self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        if buf.is_empty() {
            return Poll::Ready(Ok(0));
        }
        self.source
            .poll_io(Direction::Read, cx, |stream| stream.peek(buf))
    }

    /// Ends the connection in one direction or in both, at once for all who use it: whoever waits is
    /// woken. Reading what the peer sent before is still possible after `Shutdown::Write`.
    ///
    /// # Errors
    /// `NotConnected` if it is not connected any more.
    ///
    /// # Platform notes
    /// After `Shutdown::Read` Linux still takes what the peer sends, and reading finds it. The BSDs and
    /// macOS throw it away.
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.source.get_ref().shutdown(how)
    }

    /// Our address.
    ///
    /// # Errors
    /// What getsockname(2) says.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.source.get_ref().local_addr()
    }

    /// The peer's address.
    ///
    /// # Errors
    /// `NotConnected` if it is not connected any more.
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

/// Readiness without an operation.
impl TcpStream {
    /// Waits until some of `interest` may be ready, and says what.
    ///
    /// It may be wrong, and it is said again and again until a `try_` method finds nothing.
    ///
    /// # Errors
    /// Those of [waiting](crate#errors): `Other` outside a runtime and after the end of the one in which
    /// the connection waited, `Unsupported` for an interest of which the platform cannot tell.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing.
    ///
    /// # Platform notes
    /// Of the peer's end and of urgent data [not every platform](crate#what-differs-between-platforms)
    /// tells.
    ///
    /// # Examples
    /// ```
    /// use runtime::net::{Interest, TcpStream};
    ///
    /// # let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    /// # let address = listener.local_addr().unwrap();
    /// # runtime::block_on(async {
    /// let stream = TcpStream::connect(address).await?;
    /// let readiness = stream.ready(Interest::READABLE | Interest::WRITABLE).await?;
    /// assert!(readiness.is_writable());
    /// # std::io::Result::Ok(())
    /// # }).unwrap();
    /// ```
    pub async fn ready(&self, interest: Interest) -> io::Result<Readiness> {
        self.source.ready(interest).await
    }

    /// Waits until reading may be worth a [try](TcpStream::try_read).
    ///
    /// # Errors
    /// As [`ready`](TcpStream::ready).
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing.
    ///
    /// # Examples
    /// ```
    /// use std::io::ErrorKind;
    /// use runtime::net::TcpStream;
    ///
    /// # let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    /// # let address = listener.local_addr().unwrap();
    /// # let server = std::thread::spawn(move || {
    /// #     std::io::Write::write_all(&mut listener.accept().unwrap().0, b"hello").unwrap();
    /// # });
    /// # runtime::block_on(async {
    /// let stream = TcpStream::connect(address).await?;
    /// let mut buffer = [0; 1024]; // not held while nothing comes
    /// let n = loop {
    ///     stream.readable().await?;
    ///     match stream.try_read(&mut buffer) {
    ///         Err(e) if e.kind() == ErrorKind::WouldBlock => continue,
    ///         result => break result?,
    ///     }
    /// };
    /// assert_eq!(&buffer[..n], b"hello");
    /// # std::io::Result::Ok(())
    /// # }).unwrap();
    /// # server.join().unwrap();
    /// ```
    pub async fn readable(&self) -> io::Result<()> {
        self.ready(Interest::READABLE).await.map(drop)
    }

    /// Waits until writing may be worth a [try](TcpStream::try_write).
    ///
    /// # Errors
    /// As [`ready`](TcpStream::ready).
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing.
    pub async fn writable(&self) -> io::Result<()> {
        self.ready(Interest::WRITABLE).await.map(drop)
    }

    /// Waits until the peer will send no more: it has ended its half (as closing and shutting down
    /// both do), or the connection broke, or we have shut down reading ourselves.
    ///
    /// What it sent before stays where it is: nothing is read, and data that nobody reads does not
    /// keep the end from being seen. A peer that vanished without a word is found out by
    /// [`keepalive`](TcpStream::set_tcp_keepalive) only.
    ///
    /// # Errors
    /// As [`ready`](TcpStream::ready).
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing. Once it has completed it would complete again.
    ///
    /// # Platform notes
    /// EPOLLRDHUP on Linux, EV_EOF on kqueue, POLLRDHUP with poll, where that exists. With select it fails
    /// with `Unsupported`.
    ///
    /// # Examples
    /// A request that nobody waits for any more need not be answered:
    /// ```
    /// use futures_lite::future;
    /// use runtime::net::TcpStream;
    ///
    /// # let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    /// # let mut client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    /// # let stream = TcpStream::from_std(listener.accept().unwrap().0).unwrap();
    /// # std::io::Write::write_all(&mut client, b"GET / HTTP/1.0").unwrap();
    /// # drop(client);
    /// # runtime::block_on(async {
    /// let answer = async { future::pending().await };
    /// let gone = async {
    ///     stream.closed().await?;
    ///     Ok(None)
    /// };
    /// let outcome: std::io::Result<Option<String>> = future::or(answer, gone).await;
    /// assert_eq!(outcome?, None);
    /// # std::io::Result::Ok(())
    /// # }).unwrap();
    /// ```
    pub async fn closed(&self) -> io::Result<()> {
        self.ready(Interest::CLOSED).await.map(drop)
    }

    /// Reads what is there, and says how many bytes that was. 0 bytes are the end of the stream, unless
    /// `buf` is empty.
    ///
    /// # Errors
    /// `WouldBlock` if there is nothing; else as [reading](TcpStream::peek).
    pub fn try_read(&self, buf: &mut [u8]) -> io::Result<usize> {
        transfer::try_read(&self.source, buf)
    }

    /// [`try_read`](TcpStream::try_read) into several buffers, one after the other.
    ///
    /// # Errors
    /// `WouldBlock` if there is nothing; else as reading.
    pub fn try_read_vectored(&self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        transfer::try_read_vectored(&self.source, bufs)
    }

    /// Writes as much as there is room for, and says how many bytes that was.
    ///
    /// # Errors
    /// `WouldBlock` if there is no room; `BrokenPipe` if our half has ended or the connection is gone,
    /// `ConnectionReset` if the peer broke it, and others of send(2).
    pub fn try_write(&self, buf: &[u8]) -> io::Result<usize> {
        transfer::try_write(&self.source, buf)
    }

    /// [`try_write`](TcpStream::try_write) from several buffers, one after the other.
    ///
    /// # Errors
    /// `WouldBlock` if there is no room; else as writing.
    pub fn try_write_vectored(&self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        transfer::try_write_vectored(&self.source, bufs)
    }

    /// Tries an operation of your own on the descriptor, such as a system call that is missing
    /// here, and notes it if that finds nothing. It must not block.
    ///
    /// With an interest in both directions `op` is called up to twice. With [`Interest::PRIORITY`]
    /// it is called even if no urgent data is known of, and what is known counts as seen to.
    ///
    /// # Errors
    /// `WouldBlock` if it is known that there is nothing (then `op` is not called), and what `op`
    /// returns. With no interest at all there is nothing.
    ///
    /// # Examples
    /// ```
    /// use std::io::{ErrorKind, Read};
    /// use std::net;
    /// use runtime::net::{Interest, TcpStream};
    ///
    /// # let listener = net::TcpListener::bind("127.0.0.1:0")?;
    /// # let std_stream = net::TcpStream::connect(listener.local_addr()?)?;
    /// let stream = TcpStream::from_std(std_stream)?;
    /// let error = stream.try_io(Interest::READABLE, |mut stream: &net::TcpStream| {
    ///     stream.read(&mut [0])
    /// });
    /// assert_eq!(error.unwrap_err().kind(), ErrorKind::WouldBlock);
    /// # std::io::Result::Ok(())
    /// ```
    pub fn try_io<R>(
        &self,
        interest: Interest,
        op: impl FnMut(&net::TcpStream) -> io::Result<R>,
    ) -> io::Result<R> {
        self.source.try_any(interest, op)
    }
}

/// Options.
impl TcpStream {
    /// Whether small writes are sent at once (`TCP_NODELAY`) instead of waiting for more while
    /// others are not acknowledged.
    ///
    /// # Errors
    /// What getsockopt(2) says.
    pub fn nodelay(&self) -> io::Result<bool> {
        self.source.get_ref().nodelay()
    }

    /// Sets [`nodelay`](TcpStream::nodelay). At first it is off.
    ///
    /// # Errors
    /// What setsockopt(2) says.
    pub fn set_nodelay(&self, nodelay: bool) -> io::Result<()> {
        self.source.get_ref().set_nodelay(nodelay)
    }

    /// How many routers an IPv4 packet may pass (`IP_TTL`), 1 to 255; 64 at first on most systems.
    ///
    /// # Errors
    /// What getsockopt(2) says.
    pub fn ttl(&self) -> io::Result<u32> {
        self.source.get_ref().ttl()
    }

    /// Sets [`ttl`](TcpStream::ttl).
    ///
    /// # Errors
    /// `InvalidInput` if it is not 1 to 255; what setsockopt(2) says.
    pub fn set_ttl(&self, ttl: u32) -> io::Result<()> {
        self.source.get_ref().set_ttl(ttl)
    }

    /// How long dropping the connection waits for what was written to be acknowledged
    /// (`SO_LINGER`).
    ///
    /// # Errors
    /// What getsockopt(2) says.
    pub fn linger(&self) -> io::Result<Option<Duration>> {
        SockRef::from(self).linger()
    }

    /// Sets [`linger`](TcpStream::linger), in whole seconds; a part of one counts as one.
    ///
    /// * `None`, as it is at first: dropping returns at once, and the system goes on sending what
    ///   was written.
    /// * Zero: dropping returns at once and throws away what was written; the peer gets
    ///   `ConnectionReset`.
    /// * More: **dropping blocks the thread**, and every task on it, until all is acknowledged or
    ///   the time is over. Nobody wants this in an async program; to know that the peer has got
    ///   everything, close our half and read until the end of the stream.
    ///
    /// # Errors
    /// What setsockopt(2) says.
    ///
    /// # Platform notes
    /// Linux: dropping blocks although the socket is non-blocking (seen on 6.18;
    /// `inet_release` does not look at the flag; tokio-rs/tokio#7751). `shutdown` does not block,
    /// other than socket(7) says. The BSDs do not wait when the socket is non-blocking.
    pub fn set_linger(&self, linger: Option<Duration>) -> io::Result<()> {
        SockRef::from(self).set_linger(tcp::whole_seconds(linger))
    }

    /// Whether the system asks an idle peer whether it is still there (`SO_KEEPALIVE`).
    ///
    /// # Errors
    /// What getsockopt(2) says.
    pub fn keepalive(&self) -> io::Result<bool> {
        SockRef::from(self).keepalive()
    }

    /// Sets [`keepalive`](TcpStream::keepalive), with the system's own times: on Linux the first
    /// question comes after two hours (tcp(7)).
    ///
    /// # Errors
    /// What setsockopt(2) says.
    pub fn set_keepalive(&self, keepalive: bool) -> io::Result<()> {
        SockRef::from(self).set_keepalive(keepalive)
    }

    /// Turns [`keepalive`](TcpStream::keepalive) on, with times of your own, in whole seconds.
    ///
    /// # Errors
    /// `InvalidInput` for times of less than a second or, on Linux, more than 32767; what setsockopt(2)
    /// says.
    ///
    /// # Examples
    /// ```
    /// use std::time::Duration;
    /// use runtime::net::TcpStream;
    /// use runtime::net::tcp::TcpKeepalive;
    ///
    /// # let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    /// # let std_stream = std::net::TcpStream::connect(listener.local_addr()?)?;
    /// let stream = TcpStream::from_std(std_stream)?;
    /// stream.set_tcp_keepalive(&TcpKeepalive::new().with_time(Duration::from_secs(60)))?;
    /// assert!(stream.keepalive()?);
    /// # std::io::Result::Ok(())
    /// ```
    pub fn set_tcp_keepalive(&self, keepalive: &TcpKeepalive) -> io::Result<()> {
        SockRef::from(self).set_tcp_keepalive(keepalive)
    }
}

transfer::read_from_source!(TcpStream);
transfer::write_to_source!(TcpStream, transfer::shutdown_write);

impl Connection for TcpStream {
    fn end_writing(&self) {
        // It fails only on a connection that is gone, which is what we want.
        let _ = self.shutdown(Shutdown::Write);
    }
}

crate::descriptor::descriptor!(TcpStream, net::TcpStream, source);

/// The reading half of a borrowed connection: see [`TcpStream::split`].
pub type ReadHalf<'a> = split::ReadHalf<'a, TcpStream>;
/// The writing half of a borrowed connection: see [`TcpStream::split`].
pub type WriteHalf<'a> = split::WriteHalf<'a, TcpStream>;
/// The reading half of a connection: see [`TcpStream::into_split`].
pub type OwnedReadHalf = split::OwnedReadHalf<TcpStream>;
/// The writing half of a connection: see [`TcpStream::into_split`].
pub type OwnedWriteHalf = split::OwnedWriteHalf<TcpStream>;
/// Halves that do not belong together: see [`reunite`](split::OwnedReadHalf::reunite).
pub type ReuniteError = split::ReuniteError<TcpStream>;
