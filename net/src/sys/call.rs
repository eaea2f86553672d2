//! The seam between the real kernel and a simulated one: which of them a system call goes to.

/// Makes a system call of a descriptor: that of the simulated host on which the thread is, or the
/// real one.
///
/// Without the feature `sim` it is the real call and nothing else.
#[cfg(feature = "sim")]
macro_rules! call {
    ($io:expr, |$host:ident, $fd:ident| $simulated:expr, $real:expr) => {
        match runtime_reactor::sim::current_host() {
            Some($host) => {
                let $fd = std::os::fd::AsFd::as_fd($io);
                $simulated
            }
            None => $crate::sys::call::outside(std::os::fd::AsFd::as_fd($io), $real),
        }
    };
}

/// Makes a system call of a descriptor.
#[cfg(not(feature = "sim"))]
macro_rules! call {
    ($io:expr, |$host:ident, $fd:ident| $simulated:expr, $real:expr) => {
        $real
    };
}

/// Makes a system call that returns a new descriptor: that of the simulated host on which the
/// thread is, or the real one.
#[cfg(feature = "sim")]
macro_rules! open {
    (|$host:ident| $simulated:expr, $real:expr) => {
        match runtime_reactor::sim::current_host() {
            Some($host) => $simulated,
            None => $real,
        }
    };
}

/// Makes a system call that returns a new descriptor.
#[cfg(not(feature = "sim"))]
macro_rules! open {
    (|$host:ident| $simulated:expr, $real:expr) => {
        $real
    };
}

pub(crate) use {call, open};

/// Returns the result of a real call. An error because the descriptor is no socket says so, if it
/// is that of a simulated one.
#[cfg(feature = "sim")]
pub(crate) fn outside<R>(
    fd: std::os::fd::BorrowedFd<'_>,
    result: std::io::Result<R>,
) -> std::io::Result<R> {
    match result {
        Err(e) if matches!(e.raw_os_error(), Some(libc::ENOTSOCK | libc::EBADF)) => {
            Err(runtime_reactor::sim::outside_simulation(fd).unwrap_or(e))
        }
        result => result,
    }
}

/// Returns true if this thread is on a simulated host.
pub(crate) fn is_simulated() -> bool {
    #[cfg(feature = "sim")]
    return runtime_reactor::sim::current_host().is_some();
    #[cfg(not(feature = "sim"))]
    false
}
