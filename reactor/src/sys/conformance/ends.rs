//! The sockets and pipes of the suite: those of std, or those of a simulated kernel.

use std::fs::File;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
#[cfg(feature = "sim")]
use std::os::fd::OwnedFd;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, RawFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

use super::cvt;
#[cfg(feature = "sim")]
use crate::sys::sim::{Host, Kernel, SocketKind, UnixName};

/// A socket, or an end of a pipe.
pub(super) enum End {
    Tcp(TcpStream),
    Unix(UnixStream),
    Pipe(File),
    #[cfg(feature = "sim")]
    Simulated(OwnedFd),
}

/// A listener.
pub(super) enum Listener {
    Std(TcpListener),
    Unix(UnixListener),
    #[cfg(feature = "sim")]
    Simulated(OwnedFd),
}

#[cfg(feature = "sim")]
thread_local! {
    static HOST: std::cell::RefCell<Option<Host>> = const { std::cell::RefCell::new(None) };
}

/// Makes the ends of this thread those of the real kernel.
pub(super) fn use_real_kernel() {
    #[cfg(feature = "sim")]
    HOST.set(None);
}

/// Opens the selector of a simulated host, to which the ends of this thread belong from now on.
#[cfg(feature = "sim")]
pub(super) fn open_simulated() -> io::Result<Box<dyn crate::sys::Selector>> {
    let host = Kernel::alone()?;
    let selector = crate::sys::open_on(&host)?;
    HOST.set(Some(host));
    Ok(selector)
}

#[cfg(feature = "sim")]
fn simulated() -> Option<Host> {
    HOST.with_borrow(Clone::clone)
}

#[cfg(feature = "sim")]
fn host() -> Host {
    simulated().expect("the end belongs to a simulated host")
}

/// Returns two connected Unix sockets, non-blocking.
pub(super) fn pair() -> (End, End) {
    #[cfg(feature = "sim")]
    if let Some(host) = simulated() {
        let (ours, theirs) = host.unix_pair(true).unwrap();
        return (End::Simulated(ours), End::Simulated(theirs));
    }
    let (ours, theirs) = UnixStream::pair().unwrap();
    ours.set_nonblocking(true).unwrap();
    theirs.set_nonblocking(true).unwrap();
    (End::Unix(ours), End::Unix(theirs))
}

/// Returns two connected TCP sockets, non-blocking.
pub(super) fn tcp_pair() -> (End, End) {
    let listener = Listener::bind();
    let theirs = listener.connect();
    (listener.accept().unwrap(), theirs)
}

/// Returns the reader and the writer of a non-blocking pipe.
pub(super) fn pipe() -> (End, End) {
    #[cfg(feature = "sim")]
    if let Some(host) = simulated() {
        let (reader, writer) = host.pipe().unwrap();
        return (End::Simulated(reader), End::Simulated(writer));
    }
    let mut ends = [-1; 2];
    // SAFETY: the pointer is valid for the two descriptors that pipe writes.
    cvt(unsafe { libc::pipe(ends.as_mut_ptr()) }).unwrap();
    // SAFETY: the kernel has just returned these descriptors, and they have no other owner.
    let [reader, writer] = ends.map(|end| unsafe { File::from_raw_fd(end) });
    for end in [&reader, &writer] {
        crate::sys::set_nonblocking(end.as_fd()).unwrap();
    }
    (End::Pipe(reader), End::Pipe(writer))
}

/// Starts a connect without waiting for it.
pub(super) fn connect(to: SocketAddr) -> (End, io::Result<libc::c_int>) {
    #[cfg(feature = "sim")]
    if let Some(host) = simulated() {
        let socket = host.socket(SocketKind::Tcp { is_v6: false }).unwrap();
        let begun = host.connect_inet(socket.as_fd(), to).map(|()| 0);
        return (End::Simulated(socket), begun);
    }
    let SocketAddr::V4(to) = to else {
        unreachable!("an IPv4 address")
    };
    // SAFETY: a sockaddr_in consists of integers, for which all-zero is valid. (It has one more
    // field on the BSDs, so a literal would not compile everywhere.)
    let mut address: libc::sockaddr_in = unsafe { std::mem::zeroed() };
    address.sin_family = libc::AF_INET as _;
    address.sin_port = to.port().to_be();
    address.sin_addr.s_addr = u32::from(*to.ip()).to_be();
    // SAFETY: socket takes three integers.
    let fd = cvt(unsafe { libc::socket(libc::AF_INET, libc::SOCK_STREAM, 0) }).unwrap();
    // SAFETY: the kernel has just returned this descriptor, and it has no other owner.
    let stream = unsafe { TcpStream::from_raw_fd(fd) };
    stream.set_nonblocking(true).unwrap();
    let size = size_of_val(&address) as libc::socklen_t;
    // SAFETY: `address` is a valid sockaddr_in of the size that is passed.
    let begun = cvt(unsafe { libc::connect(fd, (&raw const address).cast(), size) });
    (End::Tcp(stream), begun)
}

/// Connects a Unix socket, non-blocking, so that a full backlog is an error.
pub(super) fn connect_unix(path: &Path) -> io::Result<End> {
    #[cfg(feature = "sim")]
    if let Some(host) = simulated() {
        let socket = host.socket(SocketKind::UnixStream)?;
        host.connect_unix(socket.as_fd(), &UnixName::from_path(path))?;
        return Ok(End::Simulated(socket));
    }
    // SAFETY: a sockaddr_un consists of integers, for which all-zero is valid.
    let mut address: libc::sockaddr_un = unsafe { std::mem::zeroed() };
    address.sun_family = libc::AF_UNIX as _;
    let bytes = path.as_os_str().as_encoded_bytes();
    assert!(bytes.len() < address.sun_path.len());
    for (place, byte) in address.sun_path.iter_mut().zip(bytes) {
        *place = *byte as _;
    }
    // SAFETY: socket takes three integers.
    let fd = cvt(unsafe { libc::socket(libc::AF_UNIX, libc::SOCK_STREAM, 0) })?;
    // SAFETY: the kernel has just returned this descriptor, and it has no other owner.
    let stream = unsafe { UnixStream::from_raw_fd(fd) };
    stream.set_nonblocking(true)?;
    let size = size_of_val(&address) as libc::socklen_t;
    // SAFETY: `address` is a valid sockaddr_un of the size that is passed; its path ends in 0.
    cvt(unsafe { libc::connect(fd, (&raw const address).cast(), size) })?;
    Ok(End::Unix(stream))
}

impl Listener {
    /// Listens on a path, non-blocking.
    pub(super) fn bind_unix(path: &Path, backlog: i32) -> Listener {
        #[cfg(feature = "sim")]
        if let Some(host) = simulated() {
            let socket = host.socket(SocketKind::UnixStream).unwrap();
            let name = UnixName::from_path(path);
            host.bind_unix(socket.as_fd(), &name).unwrap();
            host.listen(socket.as_fd(), backlog).unwrap();
            return Listener::Simulated(socket);
        }
        let listener = UnixListener::bind(path).unwrap();
        // SAFETY: listen takes two integers. On a listener it only changes the backlog.
        cvt(unsafe { libc::listen(listener.as_raw_fd(), backlog) }).unwrap();
        listener.set_nonblocking(true).unwrap();
        Listener::Unix(listener)
    }

    /// Listens on a free port, non-blocking.
    pub(super) fn bind() -> Listener {
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        #[cfg(feature = "sim")]
        if let Some(host) = simulated() {
            let socket = host.socket(SocketKind::Tcp { is_v6: false }).unwrap();
            host.bind_inet(socket.as_fd(), any).unwrap();
            host.listen(socket.as_fd(), 128).unwrap();
            return Listener::Simulated(socket);
        }
        Listener::Std(TcpListener::bind(any).unwrap())
    }

    pub(super) fn set_nonblocking(&self) {
        match self {
            Listener::Std(listener) => listener.set_nonblocking(true).unwrap(),
            Listener::Unix(listener) => listener.set_nonblocking(true).unwrap(),
            #[cfg(feature = "sim")]
            Listener::Simulated(_) => {}
        }
    }

    pub(super) fn local_addr(&self) -> SocketAddr {
        match self {
            Listener::Std(listener) => listener.local_addr().unwrap(),
            Listener::Unix(_) => unreachable!("a listener of TCP"),
            #[cfg(feature = "sim")]
            Listener::Simulated(fd) => host().local_inet(fd.as_fd()).unwrap(),
        }
    }

    /// Returns the client's end of a connection to this listener, non-blocking.
    pub(super) fn connect(&self) -> End {
        match self {
            Listener::Std(_) => {
                let client = TcpStream::connect(self.local_addr()).unwrap();
                client.set_nonblocking(true).unwrap();
                End::Tcp(client)
            }
            Listener::Unix(_) => unreachable!("a listener of TCP"),
            #[cfg(feature = "sim")]
            Listener::Simulated(_) => connect(self.local_addr()).0,
        }
    }

    pub(super) fn accept(&self) -> io::Result<End> {
        match self {
            Listener::Std(listener) => {
                let (accepted, _) = listener.accept()?;
                accepted.set_nonblocking(true)?;
                Ok(End::Tcp(accepted))
            }
            Listener::Unix(listener) => Ok(End::Unix(listener.accept()?.0)),
            #[cfg(feature = "sim")]
            Listener::Simulated(fd) => {
                let (host, fd) = (host(), fd.as_fd());
                let accepted = match host.kind(fd)? {
                    Some(SocketKind::UnixStream) => host.accept_unix(fd)?.0,
                    _ => host.accept_inet(fd)?.0,
                };
                Ok(End::Simulated(accepted))
            }
        }
    }
}

impl AsRawFd for Listener {
    fn as_raw_fd(&self) -> RawFd {
        match self {
            Listener::Std(listener) => listener.as_raw_fd(),
            Listener::Unix(listener) => listener.as_raw_fd(),
            #[cfg(feature = "sim")]
            Listener::Simulated(fd) => fd.as_raw_fd(),
        }
    }
}

impl End {
    /// Returns true if the end cannot be used by another thread.
    pub(super) fn is_simulated(&self) -> bool {
        #[cfg(feature = "sim")]
        if let End::Simulated(_) = self {
            return true;
        }
        false
    }

    pub(super) fn set_nonblocking(&self, on: bool) -> io::Result<()> {
        match self {
            End::Tcp(stream) => stream.set_nonblocking(on),
            End::Unix(stream) => stream.set_nonblocking(on),
            End::Pipe(_) => Err(io::ErrorKind::Unsupported.into()),
            #[cfg(feature = "sim")]
            End::Simulated(_) => Ok(()),
        }
    }

    pub(super) fn try_clone(&self) -> io::Result<End> {
        match self {
            End::Tcp(stream) => stream.try_clone().map(End::Tcp),
            End::Unix(stream) => stream.try_clone().map(End::Unix),
            End::Pipe(file) => file.try_clone().map(End::Pipe),
            #[cfg(feature = "sim")]
            End::Simulated(fd) => fd.try_clone().map(End::Simulated),
        }
    }

    pub(super) fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        match self {
            End::Tcp(stream) => stream.shutdown(how),
            End::Unix(stream) => stream.shutdown(how),
            End::Pipe(_) => Err(io::ErrorKind::Unsupported.into()),
            #[cfg(feature = "sim")]
            End::Simulated(fd) => host().shutdown(fd.as_fd(), how),
        }
    }

    pub(super) fn take_error(&self) -> io::Result<Option<io::Error>> {
        match self {
            End::Tcp(stream) => stream.take_error(),
            End::Unix(stream) => stream.take_error(),
            End::Pipe(_) => Ok(None),
            #[cfg(feature = "sim")]
            End::Simulated(fd) => host().take_error(fd.as_fd()),
        }
    }

    /// Returns the local address of a TCP socket.
    pub(super) fn local_addr(&self) -> io::Result<SocketAddr> {
        match self {
            End::Tcp(stream) => stream.local_addr(),
            #[cfg(feature = "sim")]
            End::Simulated(fd) => host().local_inet(fd.as_fd()),
            _ => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    /// Sends each write at once, also while others are unacknowledged.
    pub(super) fn set_nodelay(&self) {
        if let End::Tcp(stream) = self {
            stream.set_nodelay(true).unwrap();
        }
    }
}

impl AsRawFd for End {
    fn as_raw_fd(&self) -> RawFd {
        match self {
            End::Tcp(stream) => stream.as_raw_fd(),
            End::Unix(stream) => stream.as_raw_fd(),
            End::Pipe(file) => file.as_raw_fd(),
            #[cfg(feature = "sim")]
            End::Simulated(fd) => fd.as_raw_fd(),
        }
    }
}

impl AsFd for End {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            End::Tcp(stream) => stream.as_fd(),
            End::Unix(stream) => stream.as_fd(),
            End::Pipe(file) => file.as_fd(),
            #[cfg(feature = "sim")]
            End::Simulated(fd) => fd.as_fd(),
        }
    }
}

impl Read for &End {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match self {
            End::Tcp(stream) => (&*stream).read(buf),
            End::Unix(stream) => (&*stream).read(buf),
            End::Pipe(file) => (&*file).read(buf),
            #[cfg(feature = "sim")]
            End::Simulated(fd) => host().recv(fd.as_fd(), &mut [buf], false),
        }
    }
}

impl Write for &End {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        match self {
            End::Tcp(stream) => (&*stream).write(buf),
            End::Unix(stream) => (&*stream).write(buf),
            End::Pipe(file) => (&*file).write(buf),
            #[cfg(feature = "sim")]
            End::Simulated(fd) => host().send(fd.as_fd(), &[io::IoSlice::new(buf)]),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Read for End {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        (&*self).read(buf)
    }
}

impl Write for End {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        (&*self).write(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
