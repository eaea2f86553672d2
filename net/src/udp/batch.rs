//! Datagrams with ancillary data, and batches of them.

use std::io::{self, IoSliceMut};

use super::message::{Received, Transmit};
use super::socket::UdpSocket;
use crate::methods;
use crate::sys::udp;

impl UdpSocket {
    methods::operation! {
        /// Sends a datagram with ancillary data, and returns the number of bytes sent.
        ///
        /// # Errors
        /// Returns the errors of [`send`](UdpSocket::send) and [`send_to`](UdpSocket::send_to);
        /// `Unsupported` for what the [platform](crate::udp#platform-specific-behavior) lacks;
        /// `InvalidInput` if the segment size is out of range, if the source is of another family
        /// than the destination, or if there are too many segments. A source that is not an address
        /// of this machine is `InvalidInput` or `AddrNotAvailable`, depending on the system. Linux
        /// returns EIO if the network card cannot cut segments: send them one by one then.
        ///
        /// # Cancel safety
        /// A dropped future has sent nothing.
        ///
        /// # Examples
        /// With ECN bits, and cut into segments where the kernel does that:
        /// ```
        /// use runtime::net::UdpSocket;
        /// use runtime::net::udp::{Ecn, Transmit};
        ///
        /// # runtime::block_on(async {
        /// # if cfg!(not(any(target_os = "linux", target_os = "android"))) { return Ok(()); }
        /// let socket = UdpSocket::bind("127.0.0.1:0").await?;
        /// socket.set_recv_ecn(true)?;
        /// let mut transmit = Transmit::to(b"onetwo", socket.local_addr()?);
        /// transmit.ecn = Some(Ecn::Ect0);
        /// if socket.max_segments() > 1 {
        ///     transmit.segment_size = Some(3);
        /// }
        /// assert_eq!(socket.send_msg(&transmit).await?, 6);
        /// let received = socket.recv_msg(&mut [0; 16]).await?;
        /// assert_eq!(received.ecn, Some(Ecn::Ect0));
        /// # std::io::Result::Ok(())
        /// # }).unwrap();
        /// ```
        send_msg, poll_send_msg, try_send_msg(transmit: &Transmit<'_>) -> usize;
        Write, |self| |socket| udp::send(socket, transmit)
    }

    methods::operation! {
        /// Receives a datagram into `buf` and its ancillary data, and reports whether it was
        /// truncated.
        ///
        /// # Errors
        /// Returns the errors of [`recv`](UdpSocket::recv).
        ///
        /// # Cancel safety
        /// Dropping the future loses no datagram.
        ///
        /// # Examples
        /// ```
        /// use runtime::net::UdpSocket;
        ///
        /// # runtime::block_on(async {
        /// let socket = UdpSocket::bind("127.0.0.1:0").await?;
        /// let address = socket.local_addr()?;
        /// socket.send_to(b"much too long", address).await?;
        /// let mut buffer = [0; 4];
        /// let received = socket.recv_msg(&mut buffer).await?;
        /// assert!(received.is_truncated);
        /// assert_eq!((&buffer, received.len, received.addr), (b"much", 4, address));
        /// # std::io::Result::Ok(())
        /// # }).unwrap();
        /// ```
        recv_msg, poll_recv_msg, try_recv_msg(buf: &mut [u8]) -> Received;
        Read, |self| |socket| udp::recv(socket, buf)
    }

    methods::operation! {
        /// Sends as many of `transmits` as fit, in order, and returns their number: at least one,
        /// at most 32 on Linux, and 0 only if there are none. Call it again for the rest.
        ///
        /// # Errors
        /// Returns the errors of [`send_msg`](UdpSocket::send_msg) if the first datagram fails. If
        /// a later one fails, the call returns the number of those before it, and the failed one is
        /// the first of the next call, which returns its error. An error that the system reports
        /// only once (`ConnectionRefused` for an earlier datagram of a connected socket) is lost if
        /// it occurs in the middle of a batch: sendmmsg(2), BUGS.
        ///
        /// # Cancel safety
        /// A dropped future has sent nothing.
        ///
        /// # Examples
        /// ```
        /// use std::io::IoSliceMut;
        /// use runtime::net::UdpSocket;
        /// use runtime::net::udp::{Received, Transmit};
        ///
        /// # runtime::block_on(async {
        /// let socket = UdpSocket::bind("127.0.0.1:0").await?;
        /// let address = socket.local_addr()?;
        /// let mut to_send = &[Transmit::to(b"one", address), Transmit::to(b"three", address)][..];
        /// while !to_send.is_empty() {
        ///     let sent = socket.send_batch(to_send).await?;
        ///     to_send = &to_send[sent..];
        /// }
        ///
        /// let mut memory = [[0; 1500]; 2];
        /// let mut received = [Received::default(); 2];
        /// let mut lengths = Vec::new();
        /// while lengths.len() < 2 {
        ///     let mut bufs = memory.each_mut().map(|buf| IoSliceMut::new(buf));
        ///     let n = socket.recv_batch(&mut bufs, &mut received).await?;
        ///     lengths.extend(received[..n].iter().map(|one| one.len));
        /// }
        /// assert_eq!(lengths, [3, 5]);
        /// # std::io::Result::Ok(())
        /// # }).unwrap();
        /// ```
        send_batch, poll_send_batch, try_send_batch(transmits: &[Transmit<'_>]) -> usize,
        transmits.is_empty() => 0;
        Write, |self| |socket| udp::send_batch(socket, transmits)
    }

    methods::operation! {
        /// Receives as many datagrams as are available, one into each of `bufs` with its
        /// description in `received`, and returns their number: at least one, at most 32 on Linux,
        /// and 0 only if there are no buffers.
        ///
        /// # Errors
        /// Returns the errors of [`recv_msg`](UdpSocket::recv_msg) if no datagram was received
        /// before.
        ///
        /// # Cancel safety
        /// Dropping the future loses no datagram.
        ///
        /// # Platform-specific behavior
        /// An error that follows a received datagram is returned by the next call on Linux
        /// (recvmmsg(2)). Elsewhere, as in the recvmmsg of FreeBSD's libc, it is lost if the system
        /// reports it only once.
        ///
        /// # Examples
        /// See [`send_batch`](UdpSocket::send_batch).
        recv_batch, poll_recv_batch, try_recv_batch(
            bufs: &mut [IoSliceMut<'_>],
            received: &mut [Received]
        ) -> usize,
        bufs.is_empty() || received.is_empty() => 0;
        Read, |self| |socket| udp::recv_batch(socket, bufs, received)
    }

    /// Returns the number of segments that one [`Transmit`] may be cut into: 64 where the kernel
    /// cuts (Linux 4.18; udp(7)), otherwise 1.
    ///
    /// It costs a system call.
    pub fn max_segments(&self) -> usize {
        udp::max_segments(self.source.get_ref())
    }

    /// Sets whether the kernel may join datagrams of one sender, all of one size except the last,
    /// into one: see [`Received::segment_size`]. Off by default. Buffers should then hold 64 KiB.
    ///
    /// # Errors
    /// Returns `Unsupported` on platforms other than Linux and Android, and the errors of
    /// setsockopt(2).
    pub fn set_gro(&self, join: bool) -> io::Result<()> {
        udp::set_gro(self.source.get_ref(), join)
    }

    /// Sets whether [`Received::ecn`] is filled in. Off by default.
    ///
    /// # Errors
    /// Returns `Unsupported` where the [platform](crate::udp#platform-specific-behavior) lacks it,
    /// and the errors of setsockopt(2).
    pub fn set_recv_ecn(&self, report: bool) -> io::Result<()> {
        udp::set_recv_ecn(self.source.get_ref(), report)
    }

    /// Sets whether [`Received::destination`] and [`Received::interface`] are filled in. Off by
    /// default.
    ///
    /// # Errors
    /// Returns the errors of setsockopt(2).
    pub fn set_recv_destination(&self, report: bool) -> io::Result<()> {
        udp::set_recv_destination(self.source.get_ref(), report)
    }
}
