//! UDP.
//!
//! [`UdpSocket`] sends and receives datagrams one by one, and [many in a call](UdpSocket::send_batch),
//! with what travels beside them: [`Transmit`] and [`Received`].
//!
//! # What differs between platforms
//! * What holds for [all sockets](crate#what-differs-between-platforms).
//! * Many datagrams are one system call on Linux and Android (sendmmsg, recvmmsg), and one each
//!   elsewhere. FreeBSD's calls of that name are such a loop themselves.
//! * Segmentation by the kernel (GSO, GRO) exists on Linux and Android only:
//!   [`max_segments`](UdpSocket::max_segments) is 1 elsewhere, [`set_gro`](UdpSocket::set_gro) is
//!   `Unsupported`.
//! * The ECN bits of received datagrams are told for IPv4 on Linux, Android, FreeBSD and Apple's
//!   systems, for IPv6 everywhere; they can be set for IPv4 but on NetBSD, OpenBSD and DragonFly. The
//!   source address cannot be chosen for IPv4 on DragonFly.
//! * Fragments cannot be [forbidden](UdpSocket::set_dont_fragment) for IPv4 on NetBSD, OpenBSD and
//!   DragonFly.
//! * An error that comes in the middle of a [batch](UdpSocket::recv_batch) is told by the next call when
//!   receiving on Linux, and lost otherwise.
//! * Sending waits while the socket's buffer is full. That the queue of the interface is full is an
//!   error (ENOBUFS) on macOS and the BSDs; Linux drops the datagram and says nothing (send(2)).
//! * Sending to a port where nobody listens makes a later operation of a *connected* socket fail with
//!   `ConnectionRefused`; a socket that is not connected hears of it on Linux only if it asks
//!   (IP_RECVERR).
//! * A datagram longer than the buffer is cut, everywhere and silently, as with std: what is beyond is
//!   gone. [`recv_msg`](UdpSocket::recv_msg) and [`recv_batch`](UdpSocket::recv_batch) tell.
//!
//! # Examples
//! ```
//! use futures_lite::future;
//! use runtime::net::UdpSocket;
//!
//! # runtime::block_on(async {
//! let server = UdpSocket::bind("127.0.0.1:0").await?;
//! let client = UdpSocket::bind("127.0.0.1:0").await?;
//! client.connect(server.local_addr()?).await?;
//! client.send(b"ping").await?;
//! let mut buffer = [0; 1500];
//! let (n, from) = server.recv_from(&mut buffer).await?;
//! server.send_to(&buffer[..n], from).await?;
//! assert_eq!(client.recv(&mut buffer).await?, 4);
//! # std::io::Result::Ok(())
//! # }).unwrap();
//! ```

mod batch;
pub(crate) mod message;
mod options;
mod socket;

pub use message::{Ecn, Received, Transmit};
pub use socket::UdpSocket;
