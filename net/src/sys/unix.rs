//! System calls of Unix sockets: addresses, credentials and descriptors in messages.

use std::ffi::OsStr;
use std::io::{self, IoSlice};
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram, UnixListener, UnixStream};
use std::path::Path;

#[cfg(feature = "sim")]
use runtime_reactor::sim::UnixName;
use socket2::{Domain, MsgHdr, SockAddr, SockRef, Socket, Type};

use super::accept::accept_from;
use super::call::{call, open};
use super::control::{Control, space, value};
use super::errno::cvt;
use super::socket::{self, SEND_FLAGS};
use crate::unix::cred::UCred;

/// Creates a socket, non-blocking and close-on-exec.
pub(crate) fn socket(kind: Type) -> io::Result<Socket> {
    socket::new(Domain::UNIX, kind, None)
}

/// Creates two connected sockets, non-blocking and close-on-exec.
pub(crate) fn pair(kind: Type) -> io::Result<(Socket, Socket)> {
    open!(
        |host| {
            let (one, two) = host.unix_pair(kind == Type::STREAM)?;
            Ok((one.into(), two.into()))
        },
        pair_real(kind)
    )
}

fn pair_real(kind: Type) -> io::Result<(Socket, Socket)> {
    let (one, two) = Socket::pair(Domain::UNIX, kind, None)?;
    one.set_nonblocking(true)?;
    two.set_nonblocking(true)?;
    Ok((one, two))
}

/// Binds a socket to a name.
pub(crate) fn bind(socket: &Socket, addr: &SockAddr) -> io::Result<()> {
    call!(
        socket,
        |host, fd| host.bind_unix(fd, &simulated_name(addr)?),
        socket.bind(addr)
    )
}

/// Connects a socket to one with a name.
pub(crate) fn connect(socket: &impl AsFd, addr: &SockAddr) -> io::Result<()> {
    call!(
        socket,
        |host, fd| host.connect_unix(fd, &simulated_name(addr)?),
        SockRef::from(socket).connect(addr)
    )
}

/// Sends a datagram to the peer.
pub(crate) fn send(socket: &UnixDatagram, buf: &[u8]) -> io::Result<usize> {
    call!(
        socket,
        |host, fd| host.send_message(fd, buf, None, &[]),
        SockRef::from(socket).send_with_flags(buf, SEND_FLAGS)
    )
}

/// Sends a datagram to the socket with a name.
pub(crate) fn send_to(socket: &UnixDatagram, buf: &[u8], addr: &SocketAddr) -> io::Result<usize> {
    call!(
        socket,
        |host, fd| host.send_message(fd, buf, Some(&UnixName::from_std(addr)), &[]),
        socket.send_to_addr(buf, addr)
    )
}

/// Receives a datagram.
pub(crate) fn recv(socket: &UnixDatagram, buf: &mut [u8]) -> io::Result<usize> {
    call!(
        socket,
        |host, fd| Ok(host.recv_message(fd, buf, false)?.len),
        socket.recv(buf)
    )
}

/// Receives a datagram and the name of its sender.
pub(crate) fn recv_from(socket: &UnixDatagram, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
    call!(
        socket,
        |host, fd| {
            let received = host.recv_message(fd, buf, false)?;
            Ok((received.len, received.from.to_std()?))
        },
        socket.recv_from(buf)
    )
}

#[cfg(feature = "sim")]
fn simulated_name(addr: &SockAddr) -> io::Result<UnixName> {
    Ok(UnixName::from_std(&to_std(addr)?))
}

/// Accepts a connection, non-blocking and close-on-exec. Returns it with the peer's address.
pub(crate) fn accept(listener: &UnixListener) -> io::Result<(UnixStream, SocketAddr)> {
    call!(
        listener,
        |host, fd| {
            let (socket, peer) = host.accept_unix(fd)?;
            Ok((socket.into(), peer.to_std()?))
        },
        accept_real(listener)
    )
}

fn accept_real(listener: &UnixListener) -> io::Result<(UnixStream, SocketAddr)> {
    let (socket, peer) = accept_from(SockRef::from(listener))?;
    Ok((socket.into(), to_std(&peer)?))
}

/// Converts an address of socket2 to one of std.
pub(super) fn to_std(addr: &SockAddr) -> io::Result<SocketAddr> {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    if let Some(name) = addr.as_abstract_namespace() {
        use std::os::linux::net::SocketAddrExt;
        return SocketAddr::from_abstract_name(name);
    }
    // Not `as_unix`, which panics for a peer's name that std cannot represent: 108 bytes without a
    // zero on Linux, more than one zero at the end elsewhere. The connection is still usable.
    let path = addr
        .as_pathname()
        .map_or(&b""[..], |path| path.as_os_str().as_bytes());
    let path = path.split(|&byte| byte == 0).next().unwrap_or_default();
    SocketAddr::from_pathname(OsStr::from_bytes(path)).or_else(|_| {
        // An empty path is an unnamed address.
        SocketAddr::from_pathname("")
    })
}

/// Converts a path to an address of socket2. std rejects a path with a zero byte; socket2 would use
/// the part before it.
pub(crate) fn path_addr(path: &Path) -> io::Result<SockAddr> {
    from_std(&SocketAddr::from_pathname(path)?)
}

/// Converts a `std` address to one of socket2.
pub(crate) fn from_std(addr: &SocketAddr) -> io::Result<SockAddr> {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    {
        use std::ffi::OsStr;
        use std::os::linux::net::SocketAddrExt;
        use std::os::unix::ffi::OsStrExt;
        if let Some(name) = addr.as_abstract_name() {
            let path = [&[0], name].concat();
            return SockAddr::unix(OsStr::from_bytes(&path));
        }
    }
    SockAddr::unix(addr.as_pathname().unwrap_or(Path::new("")))
}

/// Returns the credentials of the peer, which in a simulation is this process.
pub(crate) fn peer_cred(stream: &UnixStream) -> io::Result<UCred> {
    call!(
        stream,
        |host, fd| {
            host.peer_unix(fd)?;
            let (one, _two) = UnixStream::pair()?;
            peer_cred_real(&one)
        },
        peer_cred_real(stream)
    )
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn peer_cred_real(stream: &UnixStream) -> io::Result<UCred> {
    use std::os::fd::AsRawFd;
    let mut cred = libc::ucred {
        pid: 0,
        uid: 0,
        gid: 0,
    };
    let mut len = size_of::<libc::ucred>() as libc::socklen_t;
    // SAFETY: getsockopt writes at most `len` bytes to `cred`; both outlive the call.
    let result = unsafe {
        libc::getsockopt(
            stream.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_PEERCRED,
            (&raw mut cred).cast(),
            &mut len,
        )
    };
    cvt(result)?;
    // 0 is a process that is not visible from this PID namespace.
    let pid = (cred.pid != 0).then_some(cred.pid);
    Ok(UCred::new(cred.uid, cred.gid, pid))
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn peer_cred_real(stream: &UnixStream) -> io::Result<UCred> {
    use std::os::fd::AsRawFd;
    let (mut uid, mut gid) = (0, 0);
    // SAFETY: getpeereid writes one uid and one gid, which outlive the call.
    cvt(unsafe { libc::getpeereid(stream.as_raw_fd(), &mut uid, &mut gid) })?;
    Ok(UCred::new(uid, gid, peer_pid(stream)))
}

#[cfg(target_vendor = "apple")]
fn peer_pid(stream: &UnixStream) -> Option<i32> {
    use std::os::fd::AsRawFd;
    let mut pid: libc::pid_t = 0;
    let mut len = size_of::<libc::pid_t>() as libc::socklen_t;
    // SAFETY: getsockopt writes at most `len` bytes to `pid`; both outlive the call.
    let result = unsafe {
        libc::getsockopt(
            stream.as_raw_fd(),
            libc::SOL_LOCAL,
            libc::LOCAL_PEERPID,
            (&raw mut pid).cast(),
            &mut len,
        )
    };
    (result == 0 && pid != 0).then_some(pid)
}

#[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple")))]
fn peer_pid(_: &UnixStream) -> Option<i32> {
    None
}

/// The maximum number of descriptors in a message: SCM_MAX_FD of Linux (unix(7)). Other systems
/// allow more.
pub(crate) const MAX_FDS: usize = 253;

/// The size of the buffer for received descriptors: more than Linux sends, as much as fits an mbuf
/// cluster of the BSDs (2048 bytes), so that the kernel never truncates.
const RECV_SPACE: usize = space(512 * size_of::<RawFd>());

/// The flags of recvmsg: descriptors are close-on-exec, where the system can do that.
#[cfg(target_vendor = "apple")]
const RECV_FLAGS: libc::c_int = 0;
#[cfg(not(target_vendor = "apple"))]
const RECV_FLAGS: libc::c_int = libc::MSG_CMSG_CLOEXEC;

pub(crate) fn send_fds(
    socket: &impl AsFd,
    buf: &[u8],
    fds: &[BorrowedFd<'_>],
) -> io::Result<usize> {
    call!(
        socket,
        |host, fd| host.send_message(fd, buf, None, fds),
        send_fds_real(socket, buf, fds)
    )
}

fn send_fds_real(socket: &impl AsFd, buf: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<usize> {
    use std::os::fd::AsRawFd;
    let mut control = Control::<{ space(MAX_FDS * size_of::<RawFd>()) }>::new();
    let raw: Vec<RawFd> = fds.iter().map(AsRawFd::as_raw_fd).collect();
    let contents = [IoSlice::new(buf)];
    let mut message = MsgHdr::new().with_buffers(&contents);
    if !raw.is_empty() {
        control.push(libc::SOL_SOCKET, libc::SCM_RIGHTS, &raw);
        message = message.with_control(control.as_bytes());
    }
    SockRef::from(socket).sendmsg(&message, SEND_FLAGS)
}

/// Bytes that were received, all descriptors with them, and whether either was truncated.
#[derive(Default)]
pub(crate) struct FdMessage {
    pub(crate) len: usize,
    pub(crate) fds: Vec<OwnedFd>,
    pub(crate) is_truncated: bool,
}

pub(crate) fn recv_fds(socket: &impl AsFd, buf: &mut [u8]) -> io::Result<FdMessage> {
    call!(
        socket,
        |host, fd| {
            let received = host.recv_message(fd, buf, false)?;
            Ok(FdMessage {
                len: received.len,
                fds: received.rights,
                is_truncated: received.full_len > received.len,
            })
        },
        recv_fds_real(socket, buf)
    )
}

fn recv_fds_real(socket: &impl AsFd, buf: &mut [u8]) -> io::Result<FdMessage> {
    let mut control = Control::<RECV_SPACE>::new();
    let (len, _, flags) = control.recv(socket, None, buf, RECV_FLAGS)?;
    let mut fds = Vec::new();
    for (level, kind, data) in control.iter() {
        match (level, kind) {
            // SAFETY: the kernel has just written these messages for this call, and each is taken
            // once.
            (libc::SOL_SOCKET, libc::SCM_RIGHTS) => fds.extend(unsafe { take_fds(data) }),
            // Comes with every message once SO_PASSPIDFD is set, which this crate never does.
            #[cfg(any(target_os = "linux", target_os = "android"))]
            // SAFETY: as above.
            (libc::SOL_SOCKET, SCM_PIDFD) => drop(unsafe { take_fds(data) }),
            _ => {}
        }
    }
    close_on_exec(&fds)?;
    Ok(FdMessage {
        len,
        fds,
        // Bytes of a datagram, or descriptors: Linux opens as many as the process may still have.
        is_truncated: flags & (libc::MSG_TRUNC | libc::MSG_CTRUNC) != 0,
    })
}

/// The type of a control message with a pidfd of the sender (include/linux/socket.h, Linux 6.5),
/// which libc does not define.
#[cfg(any(target_os = "linux", target_os = "android"))]
const SCM_PIDFD: libc::c_int = 4;

/// Takes the descriptors out of a control message. A negative number, such as the error of a pidfd
/// that could not be opened (`scm_pidfd_recv` in include/net/scm.h), is skipped.
///
/// # Safety
/// The kernel has opened them for this process, and nothing else owns them.
unsafe fn take_fds(data: &[u8]) -> Vec<OwnedFd> {
    let numbers = data.chunks_exact(size_of::<RawFd>());
    let numbers = numbers.filter_map(value::<RawFd>);
    let opened = numbers.filter(|&number| number >= 0);
    // SAFETY: the descriptors are open and owned by nothing else, as the caller guarantees.
    opened
        .map(|number| unsafe { OwnedFd::from_raw_fd(number) })
        .collect()
}

#[cfg(target_vendor = "apple")]
fn close_on_exec(fds: &[OwnedFd]) -> io::Result<()> {
    fds.iter()
        .try_for_each(|fd| SockRef::from(fd).set_cloexec(true))
}

#[cfg(not(target_vendor = "apple"))]
fn close_on_exec(_: &[OwnedFd]) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::mem;

    use super::*;

    /// Returns the address of a peer with `path` as its raw bytes.
    fn bound(path: &[u8]) -> SockAddr {
        let mut storage = socket2::SockAddrStorage::zeroed();
        // SAFETY: the storage is large enough for every kind of address, a sockaddr_un included.
        let unix = unsafe { storage.view_as::<libc::sockaddr_un>() };
        unix.sun_family = libc::AF_UNIX as libc::sa_family_t;
        for (place, &byte) in unix.sun_path.iter_mut().zip(path) {
            *place = byte as libc::c_char;
        }
        let len = mem::offset_of!(libc::sockaddr_un, sun_path) + path.len();
        // SAFETY: the storage holds an address of this length.
        unsafe { SockAddr::new(storage, len as libc::socklen_t) }
    }

    #[test]
    fn every_name_of_a_peer_can_be_converted() {
        let full =
            [b'x'; size_of::<libc::sockaddr_un>() - mem::offset_of!(libc::sockaddr_un, sun_path)];
        let mut zeros = full;
        zeros[3..].fill(0);
        assert!(to_std(&bound(&full)).is_ok());
        let short = to_std(&bound(&zeros)).unwrap();
        assert_eq!(short.as_pathname(), Some(Path::new("xxx")));
        assert!(to_std(&bound(b"")).unwrap().is_unnamed());
    }
}
