//! The sockets of [`runtime`](https://docs.rs/runtime): TCP, UDP, those of one machine, and pipes, over
//! the sources of its reactor.
//!
//! * [`TcpListener`] accepts, and goes on accepting when the process has run out of descriptors.
//! * [`TcpStream`] is a connection; it [splits](TcpStream::split) into a reader and a writer.
//! * [`TcpSocket`] is a socket with options to set before it becomes one of the two.
//! * [`UdpSocket`] sends and receives datagrams, one by one or many in a call.
//! * [`UnixStream`], [`UnixListener`] and [`UnixDatagram`] stay within the machine, and can pass
//!   descriptors on. [`pipe`] has pipes.
//! * [`ToSocketAddrs`] is what all of them take for an address; [`lookup_host`] resolves a name.
//!
//! Every socket is `Send + Sync`. An operation is simply tried; only one that finds nothing waits,
//! in the reactor of the polling thread.
//!
//! # Errors
//! What waiting says is the same everywhere: kind `Other` if no runtime drives this thread, or the one
//! in which the socket first waited is gone; `AlreadyExists` if another socket waits for the same open
//! file (on epoll); `Unsupported` for an [`Interest`] of which the platform cannot tell. Where a method
//! names the system call alone ("what getsockopt(2) says"), that fails only on a descriptor that is no
//! such socket, which `TryFrom<OwnedFd>` does not find out, and on macOS for options of a connection
//! that the peer has reset (`InvalidInput`).
//!
//! # What differs between platforms
//! Each module has its list. For all of them:
//! * A descriptor is closed on exec and non-blocking from the moment it is made, but on macOS, which
//!   has no calls for that: a program that another thread starts in between inherits it.
//! * The end of the peer (`closed`) is told by epoll and kqueue, by poll where there is POLLRDHUP
//!   (Linux, Android, FreeBSD), and not by select, with which `closed` is `Unsupported`.
//! * Urgent data ([`Interest::PRIORITY`]) is told by epoll and poll, and not by kqueue and select.
//!
//! This crate waits for descriptors and deadlines and knows no tasks. Looking up a name blocks a
//! thread, and threads are not its business either: the runtime lends it a [`Resolve`].

#![deny(unsafe_code)]

mod accept;
mod addr;
mod backoff;
mod descriptor;
mod error;
mod methods;
pub mod pipe;
mod resolve;
pub mod split;
#[allow(
    unsafe_code,
    reason = "system calls; every block says what it owes to whom"
)]
mod sys;
pub mod tcp;
#[cfg(feature = "tokio-io")]
mod tokio_io;
mod transfer;
pub mod udp;
pub mod unix;

pub use addr::{SocketAddrs, ToSocketAddrs, lookup_host};
pub use resolve::{Resolve, ResolverEntered, enter_resolver, resolve_blocking};
pub use runtime_reactor::{Interest, Readiness};
pub use tcp::{TcpListener, TcpSocket, TcpStream};
pub use udp::UdpSocket;
pub use unix::{UnixDatagram, UnixListener, UnixStream};
