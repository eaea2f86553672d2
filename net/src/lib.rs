//! The sockets of [`runtime`](https://docs.rs/uniloop): TCP, UDP, Unix sockets and pipes.
//!
//! Programs use them as `runtime::net`. They are `Send + Sync`. An operation is simply attempted;
//! one that would block registers its descriptor, at most once, with the reactor of the polling
//! thread, and waits there.
//!
//! # Examples
//! An echo server and a client of it, in one thread:
//! ```
//! use runtime::io::{self, AsyncReadExt, AsyncWriteExt};
//! use runtime::net::{TcpListener, TcpStream};
//!
//! #[runtime::main]
//! async fn main() -> io::Result<()> {
//!     let listener = TcpListener::bind("127.0.0.1:0").await?;
//!     let address = listener.local_addr()?;
//!     runtime::spawn(async move {
//!         let (stream, _) = listener.accept().await?;
//!         let (reader, writer) = stream.split();
//!         io::copy(reader, writer).await
//!     });
//!     let mut stream = TcpStream::connect(address).await?;
//!     stream.write_all(b"hello").await?;
//!     stream.close().await?; // shuts down writing; the echo can still be read
//!     let mut echo = String::new();
//!     stream.read_to_string(&mut echo).await?;
//!     assert_eq!(echo, "hello");
//!     Ok(())
//! }
//! ```
//!
//! # Modules
//! * [`tcp`]: [`TcpListener`] accepts connections and survives running out of descriptors,
//!   [`TcpStream`] is a connection, [`TcpSocket`] sets options before it becomes one of the two.
//! * [`udp`]: [`UdpSocket`] sends and receives datagrams, one by one or in batches.
//! * [`unix`]: [`UnixListener`], [`UnixStream`] and [`UnixDatagram`] stay within the machine, and
//!   pass descriptors between processes.
//! * [`pipe`]: pipes between tasks, to child processes, and with names.
//! * [`ToSocketAddrs`] is what an address can be given as; [`lookup_host`] resolves a name.
//!
//! # Errors
//! Every operation that waits can also return:
//! * `Other` if no runtime drives the current thread, or if the runtime in which the socket first
//!   waited was dropped;
//! * `AlreadyExists` if another socket waits for the same open file (epoll);
//! * `Unsupported` for an interest that the platform cannot report.
//!
//! An error of binding, connecting, listening, opening or waiting names its object in its text, so
//! its [`raw_os_error`](std::io::Error::raw_os_error) is `None`; `runtime::io::os_error` returns
//! its number. An operation on an open socket or pipe returns the system's error unchanged.
//!
//! Where only the system call is named ("the errors of getsockopt(2)"), the method fails for a
//! descriptor of another kind, which `TryFrom<OwnedFd>` does not detect, and on macOS for options
//! of a connection that the peer has reset (`InvalidInput`).
//!
//! # Platform-specific behavior
//! Each module lists its own. For all of them:
//! * A descriptor is non-blocking and close-on-exec from its creation, except on macOS, which has
//!   no calls for that: a program that another thread starts in between inherits it.
//! * The end of the peer (`closed`) is reported by epoll and kqueue, and by poll where POLLRDHUP
//!   exists (Linux, Android, FreeBSD). With select `closed` fails with `Unsupported`.
//! * Urgent data (`Interest::PRIORITY`) is reported by epoll and poll, not by kqueue and select.

#![cfg_attr(docsrs, feature(doc_cfg))]
#![deny(unsafe_code)]

mod accept;
mod addr;
#[cfg(feature = "axum")]
mod axum_listener;
mod backoff;
mod descriptor;
mod error;
mod methods;
pub mod pipe;
mod read_uninit;
mod resolve;
mod send_file;
mod send_parts;
mod splice;
mod split;
#[allow(
    unsafe_code,
    reason = "system calls; every block names its obligation and its keeper"
)]
mod sys;
pub mod tcp;
#[cfg(feature = "tokio-io")]
mod tokio_io;
mod transfer;
pub mod udp;
pub mod unix;

pub use addr::{SocketAddrs, ToSocketAddrs, lookup_host};
pub use runtime_reactor::{Interest, Readiness};
pub use send_file::SendFile;
pub use splice::{SpliceRead, SpliceWrite};
pub use tcp::{TcpListener, TcpSocket, TcpStream};
pub use udp::UdpSocket;
pub use unix::{UnixDatagram, UnixListener, UnixSocket, UnixStream};

#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing {
    pub use crate::addr::fuzz as addresses;
    pub use crate::sys::udp::fuzz as control;
}

/// The parts that the crate `runtime` needs to look up names, to read into the memory of other
/// libraries, and to relay without copying. Not a stable interface.
#[doc(hidden)]
pub mod internal {
    pub use crate::read_uninit::ReadUninit;
    pub use crate::resolve::{
        BlockingRead, ReadJob, Resolve, ResolverGuard, enter_resolver, resolve_blocking,
    };
    pub use crate::send_file::FileTransfer;
    pub use crate::send_parts::{poll_send_file, poll_write_more};
    pub use crate::splice::{Drained, Filled, Splice};
    pub use crate::sys::describe::describe_socket;
}
