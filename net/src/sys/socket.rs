//! Creating sockets of any kind, and writing to them without SIGPIPE.

use std::io;
use std::os::fd::AsFd;

#[cfg(target_vendor = "apple")]
use socket2::SockRef;
use socket2::{Domain, Protocol, Socket, Type};

/// The flags of sending calls: without SIGPIPE, which would kill the process. EPIPE is returned
/// anyway.
#[cfg(not(target_vendor = "apple"))]
pub(crate) const SEND_FLAGS: libc::c_int = libc::MSG_NOSIGNAL;
/// The flags of sending calls. Apple's sockets have SO_NOSIGPIPE instead.
#[cfg(target_vendor = "apple")]
pub(crate) const SEND_FLAGS: libc::c_int = 0;

/// The maximum number of buffers of a vectored call: IOV_MAX, 1024 on Linux, macOS and the BSDs
/// (sysconf(3)). `sendmsg` rejects more with EMSGSIZE.
pub(crate) const MAX_BUFFERS: usize = 1024;

/// Creates a socket, non-blocking and closed on exec, by one system call.
#[cfg(not(target_vendor = "apple"))]
pub(crate) fn new(domain: Domain, kind: Type, protocol: Option<Protocol>) -> io::Result<Socket> {
    Socket::new(domain, kind.nonblocking(), protocol)
}

/// Creates a socket, non-blocking and closed on exec. macOS has no flags for that.
#[cfg(target_vendor = "apple")]
pub(crate) fn new(domain: Domain, kind: Type, protocol: Option<Protocol>) -> io::Result<Socket> {
    let socket = Socket::new(domain, kind, protocol)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// Keeps SIGPIPE from killing the process, where that is an option of the socket.
#[cfg(target_vendor = "apple")]
pub(crate) fn suppress_sigpipe(socket: &impl AsFd) -> io::Result<()> {
    SockRef::from(socket).set_nosigpipe(true)
}

/// Does nothing: each call suppresses SIGPIPE by [`SEND_FLAGS`].
#[cfg(not(target_vendor = "apple"))]
pub(crate) fn suppress_sigpipe(_: &impl AsFd) -> io::Result<()> {
    Ok(())
}
