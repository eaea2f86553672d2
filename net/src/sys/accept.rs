//! Accepting connections, and the classification of its errors.

use std::io;

use runtime_reactor::internal::os_error;
use socket2::{SockAddr, SockRef, Socket};

/// Accepts a connection, non-blocking and close-on-exec, by one system call.
#[cfg(not(target_vendor = "apple"))]
pub(super) fn accept_from(listener: SockRef<'_>) -> io::Result<(Socket, SockAddr)> {
    listener.accept4(libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK)
}

/// Accepts a connection, non-blocking, close-on-exec and without SIGPIPE: macOS has no accept4. It
/// rejects options of a connection that the peer has reset already (EINVAL, `sosetoptlock` of XNU),
/// which is an error of that connection alone.
#[cfg(target_vendor = "apple")]
pub(super) fn accept_from(listener: SockRef<'_>) -> io::Result<(Socket, SockAddr)> {
    let (socket, peer) = listener.accept_raw()?;
    socket.set_cloexec(true)?;
    socket.set_nonblocking(true)?;
    let silent = socket.set_nosigpipe(true);
    silent.map_err(|_| io::Error::from_raw_os_error(libc::ECONNABORTED))?;
    Ok((socket, peer))
}

/// The cause of an error of `accept`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AcceptError {
    /// The connection, which failed in the queue. The next one may succeed.
    Connection,
    /// The process or the system, which has no descriptor or memory left. The connection stays in
    /// the queue.
    Exhausted,
    /// The listener: the next call fails too.
    Listener,
}

/// Classifies an error of `accept`, or of registering the listener, whose number follows words.
///
/// accept(2) of Linux: "already-pending network errors on the new socket [...] should be treated
/// like EAGAIN by retrying". The other systems return ECONNABORTED only.
pub(crate) fn classify(error: &io::Error) -> AcceptError {
    match os_error(error).unwrap_or(0) {
        libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM => AcceptError::Exhausted,
        // The limit of descriptors that epoll watches, of registering the listener: epoll_ctl(2).
        libc::ENOSPC => AcceptError::Exhausted,
        libc::ECONNABORTED
        | libc::ECONNRESET
        | libc::EPROTO
        | libc::EPERM
        | libc::ENETDOWN
        | libc::ENETUNREACH
        | libc::ENOPROTOOPT
        | libc::EHOSTDOWN
        | libc::EHOSTUNREACH
        | libc::EOPNOTSUPP
        | libc::ETIMEDOUT
        | libc::ESOCKTNOSUPPORT
        | libc::EPROTONOSUPPORT => AcceptError::Connection,
        #[cfg(any(target_os = "linux", target_os = "android"))]
        libc::ENONET | libc::ENOSR => AcceptError::Connection,
        _ => AcceptError::Listener,
    }
}

/// Returns true if a socket that cannot listen returns this error, again and again. A listener
/// returns it for a single connection.
pub(crate) fn is_unsupported(error: &io::Error) -> bool {
    os_error(error) == Some(libc::EOPNOTSUPP)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(errno: libc::c_int) -> AcceptError {
        classify(&io::Error::from_raw_os_error(errno))
    }

    #[test]
    fn errors_of_accept_are_classified() {
        assert_eq!(of(libc::EMFILE), AcceptError::Exhausted);
        assert_eq!(of(libc::ENOMEM), AcceptError::Exhausted);
        assert_eq!(of(libc::ECONNABORTED), AcceptError::Connection);
        assert_eq!(of(libc::EPERM), AcceptError::Connection);
        assert_eq!(of(libc::EINVAL), AcceptError::Listener);
        assert_eq!(of(libc::EBADF), AcceptError::Listener);
        let in_words = |errno| {
            let error = io::Error::from_raw_os_error(errno);
            classify(&crate::error::with_context(
                "cannot wait for descriptor 5",
                error,
            ))
        };
        assert_eq!(in_words(libc::ENOMEM), AcceptError::Exhausted);
        assert_eq!(in_words(libc::ENOSPC), AcceptError::Exhausted);
        let without_errno = io::Error::other("no errno");
        assert_eq!(classify(&without_errno), AcceptError::Listener);
    }
}
