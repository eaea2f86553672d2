//! A description of any socket, from its number alone.

use std::os::fd::RawFd;

use socket2::SockAddr;

use super::errno::cvt;

/// Returns kind and addresses of a socket, such as `TCP 10.0.0.1:80 -> 10.0.0.7:5123`. Returns
/// `None` if `fd` is not an open socket. Makes up to four system calls.
pub fn describe_socket(fd: RawFd) -> Option<String> {
    let kind = option(fd, libc::SO_TYPE)?;
    let local = address(fd, libc::getsockname)?;
    let peer = address(fd, libc::getpeername).map(|peer| text(&peer));
    let is_unix = i32::from(local.family()) == libc::AF_UNIX;
    let is_listener = option(fd, libc::SO_ACCEPTCONN) == Some(1);
    let kind = match (kind, is_unix, is_listener) {
        (libc::SOCK_STREAM, false, false) => "TCP",
        (libc::SOCK_STREAM, false, true) => "TCP listener",
        (libc::SOCK_STREAM, true, false) => "Unix stream",
        (libc::SOCK_STREAM, true, true) => "Unix listener",
        (libc::SOCK_DGRAM, false, _) => "UDP",
        (libc::SOCK_DGRAM, true, _) => "Unix datagram socket",
        _ => "socket",
    };
    let mut description = kind.to_owned();
    for part in [text(&local), peer.map_or(String::new(), arrow)] {
        if !part.is_empty() {
            description.push(' ');
            description.push_str(&part);
        }
    }
    Some(description)
}

fn arrow(peer: String) -> String {
    if peer.is_empty() {
        return peer;
    }
    format!("-> {peer}")
}

/// Returns an address as text, empty for an unnamed Unix socket.
fn text(address: &SockAddr) -> String {
    if let Some(address) = address.as_socket() {
        return address.to_string();
    }
    if let Some(path) = address.as_pathname() {
        return path.display().to_string();
    }
    let name = address.as_abstract_namespace().unwrap_or_default();
    if name.is_empty() {
        return String::new();
    }
    format!("@{}", String::from_utf8_lossy(name))
}

/// Returns an option of the level SOL_SOCKET that is an integer.
fn option(fd: RawFd, name: libc::c_int) -> Option<libc::c_int> {
    let mut value: libc::c_int = 0;
    let mut len = size_of_val(&value) as libc::socklen_t;
    // SAFETY: getsockopt requires room for `len` bytes, which the integer has. A number that is no
    // open socket is an error.
    let result = unsafe {
        libc::getsockopt(
            fd,
            libc::SOL_SOCKET,
            name,
            (&raw mut value).cast(),
            &mut len,
        )
    };
    cvt(result).ok().map(|_| value)
}

type AddressCall =
    unsafe extern "C" fn(libc::c_int, *mut libc::sockaddr, *mut libc::socklen_t) -> libc::c_int;

fn address(fd: RawFd, call: AddressCall) -> Option<SockAddr> {
    let ask = |storage: *mut libc::sockaddr, len: *mut libc::socklen_t| {
        // SAFETY: both calls require room for `len` bytes, which `try_init` provides. A number that
        // is no open socket is an error.
        cvt(unsafe { call(fd, storage, len) })
    };
    // SAFETY: the closure must store an address and its length, which the kernel does.
    let address = unsafe { SockAddr::try_init(|storage, len| ask(storage.cast(), len)) };
    Some(address.ok()?.1)
}
