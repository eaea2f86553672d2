//! Unix sockets: streams and datagrams within one machine, and descriptors passed through them.
//!
//! * [`UnixListener`] accepts connections; [`UnixStream`] is one, which
//!   [splits](UnixStream::split).
//! * [`UnixDatagram`] sends and receives datagrams.
//! * [`UnixSocket`] is bound or given a queue before it becomes one of them.
//! * [`UnixStream::send_fds`] and [`UnixStream::recv_fds`] pass descriptors to another process.
//!
//! An address is a path, or on Linux an abstract name without a file, which std's
//! `std::os::linux::net::SocketAddrExt` makes and the functions with names in `_addr` take. As in
//! std, binding to a path that exists fails, and the file stays behind.
//!
//! # Platform-specific behavior
//! * The [behavior of all sockets](crate#platform-specific-behavior) applies.
//! * Abstract names exist on Linux and Android only. A path may have 107 bytes there, 103
//!   elsewhere. Binding to an empty path makes Linux choose an abstract name (unix(7), "autobind"),
//!   and fails elsewhere.
//! * Connecting to a listener with a full queue waits on Linux (it is tried again after 5 ms and
//!   then longer, since the system has no event for it) and fails with `ConnectionRefused`
//!   elsewhere.
//! * Sending a datagram to a receiver with a full queue waits on Linux. macOS and the BSDs have no
//!   event for it, and return ENOBUFS (`uipc_send` and `sbappendaddr` of their kernels): try again
//!   later.
//! * A process that may not open all [descriptors of a message](UnixStream::recv_fds) gets as many
//!   as it may on Linux, and a report; macOS and the BSDs close them all and fail, with EMSGSIZE
//!   or, on newer FreeBSDs, `EMFILE` (`unp_externalize` of their kernels).
//! * macOS has no MSG_CMSG_CLOEXEC: a program that another thread starts while descriptors arrive
//!   may inherit them.
//! * [`UCred::pid`] is known on Linux, Android and Apple's systems. NetBSD has no credentials for a
//!   [pair](UnixStream::pair).
//! * Linux passes at most 253 descriptors in a message; so does this crate, everywhere.
//!
//! # Examples
//! ```
//! use runtime::io::{AsyncReadExt, AsyncWriteExt};
//! use runtime::net::UnixStream;
//!
//! # runtime::block_on(async {
//! let (mut one, mut two) = UnixStream::pair()?;
//! one.write_all(b"hello").await?;
//! drop(one);
//! let mut text = String::new();
//! two.read_to_string(&mut text).await?;
//! assert_eq!(text, "hello");
//! # std::io::Result::Ok(())
//! # }).unwrap();
//! ```

mod addr;
pub(crate) mod cred;
mod datagram;
mod fds;
mod listener;
mod socket;
mod stream;

pub use cred::UCred;
pub use datagram::UnixDatagram;
pub use fds::ReceivedFds;
pub use listener::{Incoming, UnixListener};
pub use socket::UnixSocket;
pub use std::os::unix::net::SocketAddr;
pub use stream::{OwnedReadHalf, OwnedWriteHalf, ReadHalf, ReuniteError, UnixStream, WriteHalf};
