//! The system calls of the reactor: one family in a file, one backend in a file.
//!
//! [`selector`] is the contract that every backend keeps, and the place to begin. [`epoll`],
//! `kqueue`, [`poll`] and [`select`] are the backends; [`level`] is what poll and select share and
//! [`notify`] what ends their waits. `conformance` is the test suite of the contract.
//!
//! This is the only part of the crate with `unsafe` code and with `cfg(target_os)`.

use std::io;

pub use self::backend::Backend;
pub(crate) use self::event::Event;
pub use self::fcntl::set_nonblocking;
pub use self::fork::forks;
pub(crate) use self::fork::start_counting_forks;
pub(crate) use self::fstat::UNPOLLABLE;
pub(crate) use self::fstat::check_pollable;
pub use self::pipe::pipe;
#[cfg(test)]
pub(crate) use self::poll::is_ready;
pub(crate) use self::poll::ready_now;
pub(crate) use self::ppoll::pause;
pub(crate) use self::selector::{Notify, Selector};
pub(crate) use self::shuffled::Shuffled;

mod backend;
#[cfg(all(test, not(loom)))]
mod conformance;
mod cvt;
#[cfg(any(target_os = "linux", target_os = "android"))]
mod epoll;
mod event;
mod fcntl;
mod fd_set;
mod fork;
mod fstat;
#[cfg(any(
    test, // on a model, where the system has no kqueue
    target_vendor = "apple",
    target_os = "freebsd",
    target_os = "dragonfly",
    target_os = "netbsd",
    target_os = "openbsd",
))]
mod kqueue;
mod level;
mod long_poll_list;
mod notify;
mod pipe;
mod poll;
mod ppoll;
#[cfg(all(test, not(loom)))]
pub(crate) mod scripted;
mod select;
mod selector;
mod shuffled;
#[cfg(feature = "sim")]
pub(crate) mod sim;
mod timeout;

/// Opens a selector of `backend`.
///
/// # Errors
/// Returns `Unsupported` if this platform does not have the backend, and the error of the system
/// call that opens it, such as `EMFILE`.
pub(crate) fn open(backend: Backend) -> io::Result<Box<dyn Selector>> {
    match backend {
        #[cfg(any(target_os = "linux", target_os = "android"))]
        Backend::Epoll => Ok(Box::new(epoll::Epoll::new()?)),
        #[cfg(any(
            target_vendor = "apple",
            target_os = "freebsd",
            target_os = "dragonfly",
            target_os = "netbsd",
            target_os = "openbsd",
        ))]
        Backend::Kqueue => Ok(Box::new(kqueue::Kqueue::new()?)),
        Backend::Poll => Ok(Box::new(poll::Poll::new()?)),
        Backend::Select => Ok(Box::new(select::Select::new()?)),
        #[cfg(feature = "sim")]
        Backend::Sim => open_on(&open_host()?),
        #[allow(unreachable_patterns, reason = "reached where a backend is left out")]
        other => {
            let available = Backend::available_names();
            let text = format!("this platform has no backend {other}; available here: {available}");
            Err(io::Error::new(io::ErrorKind::Unsupported, text))
        }
    }
}

/// Creates a simulated kernel in real time, and returns its only host.
///
/// # Errors
/// Returns the system's error if no descriptor is available.
#[cfg(feature = "sim")]
pub(crate) fn open_host() -> io::Result<sim::Host> {
    sim::Kernel::alone()
}

/// Opens the selector of a simulated host.
///
/// # Errors
/// Returns the system's error if no descriptor is available.
#[cfg(feature = "sim")]
pub(crate) fn open_on(host: &sim::Host) -> io::Result<Box<dyn Selector>> {
    Ok(Box::new(sim::Sim::on(host)?))
}
