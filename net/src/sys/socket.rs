//! What every kind of socket needs.

use std::io;
use std::os::fd::AsFd;

#[cfg(target_vendor = "apple")]
use socket2::SockRef;
use socket2::{Domain, Protocol, Socket, Type};

/// What keeps a write to a closed connection from killing the process with SIGPIPE: EPIPE is told
/// as an error anyway.
#[cfg(not(target_vendor = "apple"))]
pub(crate) const SEND_FLAGS: libc::c_int = libc::MSG_NOSIGNAL;
/// Apple's sockets have SO_NOSIGPIPE instead, which is set when they are made.
#[cfg(target_vendor = "apple")]
pub(crate) const SEND_FLAGS: libc::c_int = 0;

/// The most buffers one vectored call takes: IOV_MAX, which is 1024 on Linux, macOS and the BSDs
/// (sysconf(3)). `sendmsg` refuses more with EMSGSIZE.
pub(crate) const MAX_BUFFERS: usize = 1024;

/// A non-blocking socket, closed on exec: one system call.
#[cfg(not(target_vendor = "apple"))]
pub(crate) fn new(domain: Domain, kind: Type, protocol: Option<Protocol>) -> io::Result<Socket> {
    Socket::new(domain, kind.nonblocking(), protocol)
}

/// A non-blocking socket, closed on exec, without SIGPIPE: macOS has no flags for `socket`.
#[cfg(target_vendor = "apple")]
pub(crate) fn new(domain: Domain, kind: Type, protocol: Option<Protocol>) -> io::Result<Socket> {
    let socket = Socket::new(domain, kind, protocol)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// Keeps writing to a closed connection from killing the process, where that is a property of the
/// socket.
#[cfg(target_vendor = "apple")]
pub(crate) fn suppress_sigpipe(socket: &impl AsFd) -> io::Result<()> {
    SockRef::from(socket).set_nosigpipe(true)
}

/// Keeps writing to a closed connection from killing the process: elsewhere each call says so.
#[cfg(not(target_vendor = "apple"))]
pub(crate) fn suppress_sigpipe(_: &impl AsFd) -> io::Result<()> {
    Ok(())
}
