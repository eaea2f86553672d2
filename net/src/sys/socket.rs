//! Creating sockets of any kind, and writing to them without SIGPIPE.

use std::io;
use std::os::fd::{AsFd, AsRawFd};

#[cfg(feature = "sim")]
use runtime_reactor::sim::{SocketKind, SocketOption};
use socket2::{Domain, Protocol, SockRef, Socket, Type};

use super::call::{call, open};
use super::control::Plain;
use super::errno::cvt;
#[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple")))]
use super::unsupported::unsupported;
use crate::error::invalid;

/// The flags of sending calls: without SIGPIPE, which would kill the process. EPIPE is returned
/// anyway.
#[cfg(not(target_vendor = "apple"))]
pub(crate) const SEND_FLAGS: libc::c_int = libc::MSG_NOSIGNAL;
/// The flags of sending calls. Apple's sockets have SO_NOSIGPIPE instead.
#[cfg(target_vendor = "apple")]
pub(crate) const SEND_FLAGS: libc::c_int = 0;

/// Says that more bytes follow at once, so that they may go into the same packet.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) const MORE_FLAG: libc::c_int = libc::MSG_MORE;
/// Says nothing: this system has no such flag.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(crate) const MORE_FLAG: libc::c_int = 0;

/// The maximum number of buffers of a vectored call: IOV_MAX, 1024 on Linux, macOS and the BSDs
/// (sysconf(3)). `sendmsg` rejects more with EMSGSIZE.
pub(crate) const MAX_BUFFERS: usize = 1024;

/// Creates a socket, non-blocking and close-on-exec.
pub(crate) fn new(domain: Domain, kind: Type, protocol: Option<Protocol>) -> io::Result<Socket> {
    open!(
        |host| host.socket(simulated_kind(domain, kind)?).map(Socket::from),
        new_real(domain, kind, protocol)
    )
}

/// Returns the kind of a simulated socket.
#[cfg(feature = "sim")]
fn simulated_kind(domain: Domain, kind: Type) -> io::Result<SocketKind> {
    let is_v6 = domain == Domain::IPV6;
    match (domain == Domain::UNIX, kind) {
        (false, Type::STREAM) => Ok(SocketKind::Tcp { is_v6 }),
        (false, Type::DGRAM) => Ok(SocketKind::Udp { is_v6 }),
        (true, Type::STREAM) => Ok(SocketKind::UnixStream),
        (true, Type::DGRAM) => Ok(SocketKind::UnixDatagram),
        _ => Err(io::Error::from_raw_os_error(libc::EPROTONOSUPPORT)),
    }
}

/// Creates a socket by one system call.
#[cfg(not(target_vendor = "apple"))]
fn new_real(domain: Domain, kind: Type, protocol: Option<Protocol>) -> io::Result<Socket> {
    Socket::new(domain, kind.nonblocking(), protocol)
}

/// Creates a socket. macOS has no flags for that.
#[cfg(target_vendor = "apple")]
fn new_real(domain: Domain, kind: Type, protocol: Option<Protocol>) -> io::Result<Socket> {
    let socket = Socket::new(domain, kind, protocol)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// Keeps SIGPIPE from killing the process, where that is an option of the socket.
#[cfg(target_vendor = "apple")]
pub(crate) fn suppress_sigpipe(socket: &impl AsFd) -> io::Result<()> {
    call!(
        socket,
        |_host, _fd| Ok(()),
        SockRef::from(socket).set_nosigpipe(true)
    )
}

/// Does nothing: each call suppresses SIGPIPE by [`SEND_FLAGS`].
#[cfg(not(target_vendor = "apple"))]
pub(crate) fn suppress_sigpipe(_: &impl AsFd) -> io::Result<()> {
    Ok(())
}

/// Returns the interface that the socket uses. The simulated kernel has no names for interfaces.
pub(crate) fn device(socket: &impl AsFd) -> io::Result<Option<Vec<u8>>> {
    call!(
        socket,
        |_host, _fd| Ok(None),
        device_real(SockRef::from(socket))
    )
}

/// Sets the interface that the socket uses.
pub(crate) fn bind_device(socket: &impl AsFd, interface: Option<&[u8]>) -> io::Result<()> {
    call!(
        socket,
        |_host, _fd| Err(io::Error::from_raw_os_error(libc::ENODEV)),
        bind_device_real(SockRef::from(socket), interface)
    )
}

/// Returns the interface that the socket uses.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn device_real(socket: SockRef<'_>) -> io::Result<Option<Vec<u8>>> {
    socket.device()
}

/// Sets the interface that the socket uses.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn bind_device_real(socket: SockRef<'_>, interface: Option<&[u8]>) -> io::Result<()> {
    socket.bind_device(interface)
}

/// Returns the interface that the socket uses. Apple's systems number interfaces, by an option of
/// each family: IP_BOUND_IF and IPV6_BOUND_IF.
#[cfg(target_vendor = "apple")]
fn device_real(socket: SockRef<'_>) -> io::Result<Option<Vec<u8>>> {
    let index = if socket.local_addr()?.is_ipv4() {
        socket.device_index_v4()?
    } else {
        socket.device_index_v6()?
    };
    index.map(super::interface::name_of).transpose()
}

/// Sets the interface that the socket uses.
#[cfg(target_vendor = "apple")]
fn bind_device_real(socket: SockRef<'_>, interface: Option<&[u8]>) -> io::Result<()> {
    let index = interface.map(super::interface::index_of).transpose()?;
    if socket.local_addr()?.is_ipv4() {
        socket.bind_device_by_index_v4(index)
    } else {
        socket.bind_device_by_index_v6(index)
    }
}

/// Fails: this system cannot bind a socket to an interface.
#[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple")))]
fn device_real(_: SockRef<'_>) -> io::Result<Option<Vec<u8>>> {
    Err(unsupported("binding to a network interface"))
}

/// Fails: this system cannot bind a socket to an interface.
#[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple")))]
fn bind_device_real(_: SockRef<'_>, _: Option<&[u8]>) -> io::Result<()> {
    Err(unsupported("binding to a network interface"))
}

/// Returns the type of service of IPv4 packets, or the traffic class of an IPv6 socket.
pub(crate) fn tos(socket: &impl AsFd) -> io::Result<u32> {
    call!(
        socket,
        |host, fd| Ok(host.option(fd, SocketOption::Tos)? as u32),
        tos_real(SockRef::from(socket))
    )
}

fn tos_real(socket: SockRef<'_>) -> io::Result<u32> {
    if socket.local_addr()?.is_ipv4() {
        socket.tos_v4()
    } else {
        socket.tclass_v6()
    }
}

/// Sets the type of service of IPv4 packets, and the traffic class of an IPv6 socket.
pub(crate) fn set_tos(socket: &impl AsFd, tos: u32) -> io::Result<()> {
    if tos > 255 {
        // Linux would truncate it.
        return Err(invalid(format!("a type of service is 0 to 255, not {tos}")));
    }
    call!(
        socket,
        |host, fd| host.set_option(fd, SocketOption::Tos, tos as i32),
        set_tos_real(SockRef::from(socket), tos)
    )
}

fn set_tos_real(socket: SockRef<'_>, tos: u32) -> io::Result<()> {
    if socket.local_addr()?.is_ipv4() {
        return socket.set_tos_v4(tos);
    }
    socket.set_tclass_v6(tos)?;
    // On Linux both apply to a dual-stack socket; elsewhere such a socket rejects those of IPv4.
    if cfg!(any(target_os = "linux", target_os = "android")) && !socket.only_v6()? {
        return socket.set_tos_v4(tos);
    }
    Ok(())
}

/// Sets a socket option to a value of the size that the system expects.
pub(crate) fn set_option<T: Plain>(
    socket: &impl AsFd,
    level: libc::c_int,
    option: libc::c_int,
    value: T,
) -> io::Result<()> {
    // SAFETY: setsockopt reads one `T`, which has no padding (`Plain`) and outlives the call.
    let result = unsafe {
        libc::setsockopt(
            socket.as_fd().as_raw_fd(),
            level,
            option,
            (&raw const value).cast(),
            size_of::<T>() as libc::socklen_t,
        )
    };
    cvt(result).map(drop)
}

/// Returns a socket option of the size of `T`, which the system may fill in part.
pub(crate) fn option<T: Plain + Default>(
    socket: &impl AsFd,
    level: libc::c_int,
    option: libc::c_int,
) -> io::Result<T> {
    let mut value = T::default();
    let mut len = size_of::<T>() as libc::socklen_t;
    // SAFETY: getsockopt writes at most `len` bytes to a `T`, for which any bytes are valid
    // (`Plain`); both outlive the call.
    let result = unsafe {
        libc::getsockopt(
            socket.as_fd().as_raw_fd(),
            level,
            option,
            (&raw mut value).cast(),
            &mut len,
        )
    };
    cvt(result).map(|_| value)
}
