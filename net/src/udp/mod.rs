//! UDP sockets.
//!
//! [`UdpSocket`] sends and receives datagrams one by one, or in [batches](UdpSocket::send_batch),
//! with their ancillary data: [`Transmit`] and [`Received`].
//!
//! # Platform-specific behavior
//! * The [behavior of all sockets](crate#platform-specific-behavior) applies.
//! * A batch is one system call on Linux and Android (sendmmsg, recvmmsg), and one for each
//!   datagram elsewhere. FreeBSD's functions of that name are such a loop themselves.
//! * The kernel cuts and joins segments (GSO, GRO) on Linux and Android only. Elsewhere
//!   [`max_segments`](UdpSocket::max_segments) is 1 and [`set_gro`](UdpSocket::set_gro) fails with
//!   `Unsupported`.
//! * The ECN bits of received IPv4 datagrams are available on Linux, Android, FreeBSD and Apple's
//!   systems, those of IPv6 everywhere. They cannot be sent over IPv4 on NetBSD, OpenBSD and
//!   DragonFly. The source address of IPv4 datagrams cannot be chosen on DragonFly.
//! * [`set_dont_fragment`](UdpSocket::set_dont_fragment) is unsupported for IPv4 on NetBSD, OpenBSD
//!   and DragonFly.
//! * An error in the middle of a [batch](UdpSocket::recv_batch) is returned by the next call when
//!   receiving on Linux, and lost otherwise.
//! * Sending waits while the send buffer is full. A full queue of the interface is the error
//!   ENOBUFS on macOS and the BSDs; Linux drops the datagram silently (send(2)).
//! * Sending to a port without a socket makes a later operation of a *connected* socket fail with
//!   `ConnectionRefused`. An unconnected socket gets that error on Linux only, if it enabled
//!   IP_RECVERR.
//! * A datagram longer than the buffer is truncated silently everywhere, as in std.
//!   [`recv_msg`](UdpSocket::recv_msg) and [`recv_batch`](UdpSocket::recv_batch) report it.
//!
//! # Examples
//! ```
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
