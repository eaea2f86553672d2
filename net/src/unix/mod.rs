//! Sockets of one machine: streams, datagrams, and descriptors that travel through them.
//!
//! * [`UnixListener`] accepts, [`UnixStream`] is a connection, which [splits](UnixStream::split).
//! * [`UnixDatagram`] sends and receives datagrams.
//! * [`UnixStream::send_fds`] and [`UnixStream::recv_fds`] pass descriptors to another process.
//!
//! An address is a path, or on Linux an abstract name, which no file stands for: std's
//! `std::os::linux::net::SocketAddrExt` makes one, and the functions that end in `_addr` take it. As
//! with std, binding to a path that exists fails, and nobody removes the file afterwards.
//!
//! # What differs between platforms
//! * What holds for [all sockets](crate#what-differs-between-platforms).
//! * Abstract names exist on Linux and Android only. A path may have 107 bytes there, 103 elsewhere.
//!   Binding to an empty path makes the system choose an abstract name there (unix(7), "autobind"), and
//!   fails elsewhere.
//! * A listener whose queue is full makes connecting wait on Linux (it is tried again after 5 ms and
//!   then more, since the system has no event for it) and fail with `ConnectionRefused` elsewhere.
//! * A receiver of datagrams whose queue is full makes sending to it wait on Linux. macOS and the BSDs
//!   have no event for it, and return ENOBUFS (`uipc_send` and `sbappendaddr` of their kernels): try
//!   again after a while.
//! * A process that may not open all [descriptors of a message](UnixStream::recv_fds) gets as many as it
//!   may on Linux, and is told; macOS and the BSDs close them all and fail, with EMSGSIZE or, on newer
//!   FreeBSDs, `EMFILE` (`unp_externalize` of their kernels).
//! * macOS has no MSG_CMSG_CLOEXEC: a program that another thread starts while descriptors arrive may
//!   inherit them.
//! * [`UCred::pid`] is told on Linux, Android and Apple's systems. NetBSD knows of no peer where both were
//!   made as a [pair](UnixStream::pair).
//! * Linux passes at most 253 descriptors in a message; so do we, everywhere.
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
mod stream;

pub use cred::UCred;
pub use datagram::UnixDatagram;
pub use fds::ReceivedFds;
pub use listener::{Incoming, UnixListener};
pub use std::os::unix::net::SocketAddr;
pub use stream::{OwnedReadHalf, OwnedWriteHalf, ReadHalf, ReuniteError, UnixStream, WriteHalf};
