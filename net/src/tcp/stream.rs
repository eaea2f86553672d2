//! A TCP connection.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::net::{self, Shutdown, SocketAddr};
use std::ops::Range;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::task::{Context, Poll};
use std::time::Duration;

use runtime_reactor::{Direction, Source};

use super::connect;
use super::keepalive::TcpKeepalive;
use crate::addr::{ToSocketAddrs, sealed::Internal};
use crate::methods;
use crate::send_file::SendFile;
use crate::split::{self, sealed::Connection};
use crate::sys::adopt::set_nonblocking;
use crate::sys::options::Options;
use crate::sys::{names, tcp};
use crate::transfer;

/// A TCP connection between a local and a remote socket.
///
/// `TcpStream` and `&TcpStream` implement [`AsyncRead`](futures_io::AsyncRead) and
/// [`AsyncWrite`](futures_io::AsyncWrite); the extension traits of `runtime::io` add the rest.
/// Reading and writing at the same time needs no lock: see [`split`](TcpStream::split).
///
/// Closing it (`poll_close`) shuts down writing; dropping it closes the socket. Nothing is
/// buffered, so flushing does nothing. Writing to a connection that the peer has closed fails with
/// `BrokenPipe` and does not raise SIGPIPE, whatever the signal's disposition.
///
/// # Cancel safety
/// A read or a write that returned `Pending` has transferred nothing.
///
/// # Examples
/// ```
/// use runtime::io::AsyncReadExt;
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
    /// Connects to the first address of `addr` that answers.
    ///
    /// Several addresses are raced as in RFC 8305 ("Happy Eyeballs"): IPv6 and IPv4 alternate,
    /// beginning with the family of the first address. The next attempt begins 250 ms after the one
    /// before, or as soon as that one fails. The first connection cancels the other attempts.
    ///
    /// # Errors
    /// Returns the errors of all addresses as one,
    /// `connect to [::1]:80: ...; to 127.0.0.1:80: ...`. Its kind and its
    /// [`source`](std::error::Error::source) are those of the last failure: `ConnectionRefused` if
    /// no socket listens on the address, `TimedOut`, `HostUnreachable`, `NetworkUnreachable`, and
    /// the others of [`TcpSocket::connect`](crate::TcpSocket::connect); `runtime::io::os_error`
    /// returns the number of the last failure. Returns `InvalidInput` if there is no address, and
    /// the errors of [`lookup_host`](crate::lookup_host). The system decides how long an attempt
    /// may take, on Linux about two minutes: see [`connect_timeout`](TcpStream::connect_timeout).
    ///
    /// # Cancel safety
    /// Dropping the future cancels all attempts and closes their sockets.
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

    /// Connects like [`connect`](TcpStream::connect), within `limit`.
    ///
    /// The limit covers the lookup of the name and all attempts. A limit of zero expires at the
    /// reactor's next turn; one of more than a hundred years never does.
    ///
    /// # Errors
    /// Returns `TimedOut`, with the state of every address, if the limit expires, and the errors of
    /// `connect`. `runtime::io::os_error` returns the number of an error of the system, and `None`
    /// for an expired limit.
    ///
    /// # Cancel safety
    /// Dropping the future cancels all attempts and closes their sockets.
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

    /// Converts a `std` connection, and makes it non-blocking.
    ///
    /// # Errors
    /// Returns the errors of fcntl(2).
    ///
    /// # Platform-specific behavior
    /// Its descriptor may have duplicates, so on epoll dropping it costs a system call once it has
    /// waited. On macOS `SO_NOSIGPIPE` is left unchanged; std sets it.
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

    /// Wraps a connection that this crate made: non-blocking and without duplicates.
    pub(super) fn new(stream: net::TcpStream) -> TcpStream {
        TcpStream::from_source(Source::new(stream).streaming().sole_owner())
    }

    pub(super) fn from_source(source: Source<net::TcpStream>) -> TcpStream {
        TcpStream { source }
    }

    /// Returns the `std` connection, **still non-blocking** and deregistered.
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

    /// Borrows the connection as a reader and a writer, for two futures of one task.
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
    /// let stream = TcpStream::connect(address).await?;
    /// let (mut reader, mut writer) = stream.split();
    /// let mut echo = [0; 5];
    /// runtime::try_join!(writer.write_all(b"hello"), reader.read_exact(&mut echo))?;
    /// assert_eq!(&echo, b"hello");
    /// # std::io::Result::Ok(())
    /// # }).unwrap();
    /// # server.join().unwrap();
    /// ```
    pub fn split(&self) -> (ReadHalf<'_>, WriteHalf<'_>) {
        split::split(self)
    }

    /// Splits the connection into a reader and a writer, for two tasks, which may run on different
    /// threads.
    ///
    /// It costs one allocation. Dropping the writer shuts down writing; dropping both closes the
    /// connection.
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
    /// runtime::try_join!(write, reader.read_to_string(&mut echo))?;
    /// assert_eq!(echo, "hello");
    /// # std::io::Result::Ok(())
    /// # }).unwrap();
    /// # server.join().unwrap();
    /// ```
    pub fn into_split(self) -> (OwnedReadHalf, OwnedWriteHalf) {
        split::into_split(self)
    }

    /// Reads bytes without removing them: the next read returns them again. Returns their number.
    ///
    /// A result of 0 means the end of the stream, unless `buf` is empty.
    ///
    /// # Errors
    /// Returns `ConnectionReset` if the peer reset the connection, `TimedOut` if the peer stopped
    /// answering, other errors of recv(2), and the [errors of waiting](crate#errors).
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

    /// Poll-based version of [`peek`](TcpStream::peek).
    ///
    /// # Errors
    /// Returns the errors of `peek`.
    pub fn poll_peek(&self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        if buf.is_empty() {
            return Poll::Ready(Ok(0));
        }
        self.source
            .poll_io(Direction::Read, cx, |stream| tcp::peek(stream, buf))
    }

    /// Shuts down reading, writing, or both, at once for all users of the connection.
    ///
    /// Waiting tasks are woken. After `Shutdown::Write` the peer's data can still be read.
    ///
    /// # Errors
    /// Returns `NotConnected` if the socket is no longer connected.
    ///
    /// # Platform-specific behavior
    /// After `Shutdown::Read` Linux still receives bytes of the peer, and reading returns them. The
    /// BSDs and macOS discard them.
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        names::shutdown(self, how)
    }

    /// Returns the local address.
    ///
    /// # Errors
    /// Returns the errors of getsockname(2).
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        names::local_addr(self)
    }

    /// Returns the peer's address.
    ///
    /// # Errors
    /// Returns `NotConnected` if the socket is no longer connected.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        names::peer_addr(self)
    }

    /// Sends a part of a file, and returns the number of bytes.
    ///
    /// The bytes are not copied through this process where the system has sendfile(2). The number
    /// is less than the length of the range if the file ends before. Neither uses nor changes the
    /// position of the file, and does not wait for a pending write of a `runtime::fs::File`: flush
    /// it first. A part of the file that is not in memory is first read by a job on the blocking
    /// pool, so that the thread does not wait for the disk.
    ///
    /// Do not write to the socket before the future is complete or dropped, unless the order of
    /// the bytes does not matter.
    ///
    /// # Errors
    /// Returns `BrokenPipe` if writing was shut down or the peer has closed the connection,
    /// `ConnectionReset` if the peer reset it, an error with the code ESPIPE if the file cannot
    /// seek, and other errors of sendfile(2), pread(2) and send(2).
    ///
    /// # Cancel safety
    /// Dropping the future stops the transfer. [`SendFile::sent`](crate::SendFile::sent) returns
    /// how much was sent.
    ///
    /// # Platform-specific behavior
    /// NetBSD and OpenBSD have no sendfile(2), so a job reads the file, and the bytes are copied.
    /// The same happens with files for which the system refuses it, and where SIGPIPE is not
    /// ignored, since sendfile(2) raises it. On Linux, whether a part is in memory is the kernel's
    /// answer to preadv2(2) with `RWF_NOWAIT`; a job reads files whose file system does not support
    /// that. On macOS a job always reads first.
    ///
    /// # Examples
    /// ```
    /// use runtime::fs::{self, File};
    /// use runtime::net::TcpStream;
    ///
    /// # let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    /// # let address = listener.local_addr().unwrap();
    /// # let client = std::thread::spawn(move || {
    /// #     let mut text = String::new();
    /// #     std::io::Read::read_to_string(&mut listener.accept().unwrap().0, &mut text).unwrap();
    /// #     assert_eq!(text, "ello");
    /// # });
    /// # runtime::block_on(async {
    /// # let name = format!("runtime-doc-send-file-{}", std::process::id());
    /// # let path = std::env::temp_dir().join(name);
    /// fs::write(&path, "hello").await?;
    /// let file = File::open(&path).await?;
    /// let stream = TcpStream::connect(address).await?;
    /// assert_eq!(stream.send_file(&file, 1..u64::MAX).await?, 4); // up to the end
    /// # fs::remove_file(&path).await?;
    /// # std::io::Result::Ok(())
    /// # }).unwrap();
    /// # client.join().unwrap();
    /// ```
    pub fn send_file<'a>(&'a self, file: &'a impl AsFd, range: Range<u64>) -> SendFile<'a> {
        SendFile::new(&self.source, file.as_fd(), range)
    }

    methods::take_error!(source);

    methods::attach!(source);

    methods::ready! {
        ///
        /// # Examples
        /// ```
        /// use runtime::net::TcpStream;
        /// use runtime::io::Interest;
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
    }

    methods::readable! { try_read,
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
        /// let n = loop {
        ///     stream.readable().await?;
        ///     let mut buffer = [0; 1024]; // takes no memory while the task waits
        ///     match stream.try_read(&mut buffer) {
        ///         Err(e) if e.kind() == ErrorKind::WouldBlock => continue,
        ///         result => break result?,
        ///     }
        /// };
        /// assert_eq!(n, 5);
        /// # std::io::Result::Ok(())
        /// # }).unwrap();
        /// # server.join().unwrap();
        /// ```
    }

    methods::writable!(try_write);
    methods::poll_ready!(poll_read_ready, readable, READABLE);
    methods::poll_ready!(poll_write_ready, writable, WRITABLE);

    methods::closed! {
        /// A peer that vanished without closing the connection is noticed by
        /// [keepalive probes](TcpStream::set_tcp_keepalive) only.
        ///
        /// # Examples
        /// Giving up a request whose client has closed the connection:
        /// ```
        /// use runtime::net::TcpStream;
        ///
        /// # let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        /// # let address = listener.local_addr().unwrap();
        /// # let mut client = std::net::TcpStream::connect(address).unwrap();
        /// # let stream = TcpStream::from_std(listener.accept().unwrap().0).unwrap();
        /// # std::io::Write::write_all(&mut client, b"GET / HTTP/1.0").unwrap();
        /// # drop(client);
        /// # runtime::block_on(async {
        /// let answer = async { std::future::pending::<String>().await };
        /// let outcome = runtime::select! {
        ///     answer = answer => Some(answer),
        ///     closed = stream.closed() => { closed?; None }
        /// };
        /// assert_eq!(outcome, None);
        /// # std::io::Result::Ok(())
        /// # }).unwrap();
        /// ```
    }

    methods::try_read! {
        /// Returns `ConnectionReset` if the peer reset the connection, `TimedOut` if the peer
        /// stopped answering, and other errors of recv(2).
    }

    methods::try_write! {
        /// Returns `BrokenPipe` if writing was shut down or the peer has closed the connection,
        /// `ConnectionReset` if the peer reset it, and other errors of send(2).
    }

    methods::try_vectored!();

    methods::try_io! { net::TcpStream,
        ///
        /// With [`Interest::PRIORITY`](crate::Interest::PRIORITY) `op` is called even if no urgent
        /// data is known to have arrived, and the readiness for urgent data is cleared.
        ///
        /// # Examples
        /// ```
        /// use std::io::{ErrorKind, Read};
        /// use std::net;
        /// use runtime::io::Interest;
        /// use runtime::net::TcpStream;
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
    }

    /// Returns true if small writes are sent at once (`TCP_NODELAY`).
    ///
    /// # Errors
    /// Returns the errors of getsockopt(2).
    pub fn nodelay(&self) -> io::Result<bool> {
        Options::of(self).tcp_nodelay()
    }

    /// Sets whether small writes are sent at once (`TCP_NODELAY`) instead of being delayed while
    /// earlier ones are unacknowledged. Off by default.
    ///
    /// # Errors
    /// Returns the errors of setsockopt(2).
    pub fn set_nodelay(&self, nodelay: bool) -> io::Result<()> {
        Options::of(self).set_tcp_nodelay(nodelay)
    }

    methods::quickack!();
    methods::tos!();

    /// Returns the time to live of IPv4 packets (`IP_TTL`).
    ///
    /// # Errors
    /// Returns the errors of getsockopt(2).
    pub fn ttl(&self) -> io::Result<u32> {
        Options::of(self).ttl_v4()
    }

    /// Sets the time to live of IPv4 packets (`IP_TTL`): the number of routers that a packet may
    /// pass, 1 to 255. The default of most systems is 64.
    ///
    /// # Errors
    /// Returns `InvalidInput` if `ttl` is out of range, and the errors of setsockopt(2).
    pub fn set_ttl(&self, ttl: u32) -> io::Result<()> {
        Options::of(self).set_ttl_v4(ttl)
    }

    /// Returns how long closing the socket waits for written bytes to be acknowledged
    /// (`SO_LINGER`).
    ///
    /// # Errors
    /// Returns the errors of getsockopt(2).
    pub fn linger(&self) -> io::Result<Option<Duration>> {
        Options::of(self).linger()
    }

    /// Sets how long closing the socket waits for written bytes to be acknowledged (`SO_LINGER`),
    /// in whole seconds, rounded up.
    ///
    /// * `None`, the default: dropping returns at once, and the system keeps sending.
    /// * Zero: dropping returns at once and discards unsent bytes; the peer gets `ConnectionReset`.
    /// * More: **dropping blocks the thread**, and every task on it, until all bytes are
    ///   acknowledged or the time has passed. To know that the peer has received everything, shut
    ///   down writing and read until the end of the stream instead.
    ///
    /// # Errors
    /// Returns the errors of setsockopt(2).
    ///
    /// # Platform-specific behavior
    /// On Linux dropping blocks although the socket is non-blocking (observed on 6.18;
    /// `inet_release` does not look at the flag; tokio-rs/tokio#7751). `shutdown` does not block,
    /// contrary to socket(7). The BSDs do not wait when the socket is non-blocking.
    pub fn set_linger(&self, linger: Option<Duration>) -> io::Result<()> {
        Options::of(self).set_linger(tcp::whole_seconds(linger))
    }

    /// Returns true if the system probes an idle connection (`SO_KEEPALIVE`).
    ///
    /// # Errors
    /// Returns the errors of getsockopt(2).
    pub fn keepalive(&self) -> io::Result<bool> {
        Options::of(self).keepalive()
    }

    /// Sets whether the system probes an idle connection (`SO_KEEPALIVE`). Off by default.
    ///
    /// The schedule is the system's: on Linux the first probe is sent after two hours (tcp(7)). See
    /// [`set_tcp_keepalive`](TcpStream::set_tcp_keepalive).
    ///
    /// # Errors
    /// Returns the errors of setsockopt(2).
    pub fn set_keepalive(&self, keepalive: bool) -> io::Result<()> {
        Options::of(self).set_keepalive(keepalive)
    }

    /// Sets the schedule of keepalive probes, and turns them on.
    ///
    /// # Errors
    /// Returns `InvalidInput` if a time is less than a second or, on Linux, more than 32767
    /// seconds; `Unsupported` on OpenBSD, which has one schedule for all connections; and other
    /// errors of setsockopt(2).
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
        Options::of(self).set_tcp_keepalive(keepalive)
    }
}

transfer::read_from_source!(TcpStream);
transfer::write_to_source!(TcpStream, transfer::shutdown_write);

impl Connection for TcpStream {
    fn shutdown_write(&self) {
        // It fails only if the connection was closed, and then nothing is left to shut down.
        let _ = self.shutdown(Shutdown::Write);
    }
}

crate::descriptor::descriptor!(TcpStream, net::TcpStream, source);

/// The borrowed reading half of a connection: see [`TcpStream::split`].
pub type ReadHalf<'a> = split::ReadHalf<'a, TcpStream>;
/// The borrowed writing half of a connection: see [`TcpStream::split`].
pub type WriteHalf<'a> = split::WriteHalf<'a, TcpStream>;
/// The owned reading half of a connection: see [`TcpStream::into_split`].
pub type OwnedReadHalf = split::OwnedReadHalf<TcpStream>;
/// The owned writing half of a connection: see [`TcpStream::into_split`].
pub type OwnedWriteHalf = split::OwnedWriteHalf<TcpStream>;
split::writing_halves!(TcpStream, SocketAddr: WriteHalf<'_>, OwnedWriteHalf);
split::reading_halves!(TcpStream, SocketAddr: ReadHalf<'_>, OwnedReadHalf);

macro_rules! peeking_halves {
    ($($half:ty),*) => {$(
        impl $half {
            /// Reads bytes without removing them, and returns their number: see
            /// [`TcpStream::peek`].
            ///
            /// # Errors
            /// Returns the errors of `TcpStream::peek`.
            ///
            /// # Cancel safety
            /// Dropping the future loses nothing.
            pub async fn peek(&self, buf: &mut [u8]) -> io::Result<usize> {
                self.as_ref().peek(buf).await
            }

            /// Poll-based version of [`peek`](Self::peek).
            ///
            /// # Errors
            /// Returns the errors of `peek`.
            pub fn poll_peek(
                &self,
                cx: &mut Context<'_>,
                buf: &mut [u8],
            ) -> Poll<io::Result<usize>> {
                self.as_ref().poll_peek(cx, buf)
            }
        }
    )*};
}

peeking_halves!(ReadHalf<'_>, OwnedReadHalf);

/// An attempt to reunite halves of two different connections.
pub type ReuniteError = split::ReuniteError<TcpStream>;
