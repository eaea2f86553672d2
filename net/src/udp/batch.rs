//! Datagrams with what travels beside them, and many of them in one call.

use std::future::poll_fn;
use std::io::{self, IoSliceMut};
use std::task::{Context, Poll};

use runtime_reactor::Direction;

use super::message::{Received, Transmit};
use super::socket::UdpSocket;
use crate::sys::udp;

/// Datagrams with what travels beside them.
impl UdpSocket {
    /// Sends a datagram with what travels beside it; says how many bytes that was, which is all of
    /// them.
    ///
    /// # Errors
    /// As [`send`](UdpSocket::send) and [`send_to`](UdpSocket::send_to); `Unsupported` for what the
    /// [platform](crate::udp#what-differs-between-platforms) has not; `InvalidInput` for a segment size
    /// out of its range, a source of another family than the destination, more segments than the system
    /// takes, or, by system, a source that is not ours (others say `AddrNotAvailable`). A network card
    /// that cannot do its part of the cutting makes Linux answer EIO: then send segments one by one.
    ///
    /// # Cancel safety
    /// Dropping the future sends nothing.
    ///
    /// # Examples
    /// With a mark that the receiver asks for, and cut into segments where the system does that:
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
    pub async fn send_msg(&self, transmit: &Transmit<'_>) -> io::Result<usize> {
        poll_fn(|cx| self.poll_send_msg(cx, transmit)).await
    }

    /// [`send_msg`](UdpSocket::send_msg) for those who write futures by hand.
    ///
    /// # Errors
    /// As `send_msg`.
    pub fn poll_send_msg(
        &self,
        cx: &mut Context<'_>,
        transmit: &Transmit<'_>,
    ) -> Poll<io::Result<usize>> {
        let send = |socket: &_| udp::send(socket, transmit);
        self.source.poll_io(Direction::Write, cx, send)
    }

    /// Sends a datagram with what travels beside it, if there is room.
    ///
    /// # Errors
    /// `WouldBlock` if there is none; else as [`send_msg`](UdpSocket::send_msg).
    pub fn try_send_msg(&self, transmit: &Transmit<'_>) -> io::Result<usize> {
        let send = |socket: &_| udp::send(socket, transmit);
        self.source.try_io(Direction::Write, send)
    }

    /// Receives a datagram and what travels beside it, and tells when the buffer was too short.
    ///
    /// # Errors
    /// As [`recv`](UdpSocket::recv).
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
    pub async fn recv_msg(&self, buf: &mut [u8]) -> io::Result<Received> {
        poll_fn(|cx| self.poll_recv_msg(cx, buf)).await
    }

    /// [`recv_msg`](UdpSocket::recv_msg) for those who write futures by hand.
    ///
    /// # Errors
    /// As `recv_msg`.
    pub fn poll_recv_msg(
        &self,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<Received>> {
        let recv = |socket: &_| udp::recv(socket, buf);
        self.source.poll_io(Direction::Read, cx, recv)
    }

    /// Receives a datagram and what travels beside it, if there is one.
    ///
    /// # Errors
    /// `WouldBlock` if there is none; else as [`recv_msg`](UdpSocket::recv_msg).
    pub fn try_recv_msg(&self, buf: &mut [u8]) -> io::Result<Received> {
        self.source
            .try_io(Direction::Read, |socket| udp::recv(socket, buf))
    }
}

/// Many datagrams in one call.
impl UdpSocket {
    /// Sends as many of `transmits` as there is room for, in order, and says how many that was: at
    /// least one, and at most 32 on Linux, unless there are none to send. Go on with the rest.
    ///
    /// # Errors
    /// As [`send_msg`](UdpSocket::send_msg), if the first one fails. If another one does, the call
    /// succeeds with those before it, and the one that failed is the first of the next call. What is
    /// wrong with that datagram (it is too long, say) is told then. What the system tells but once
    /// (`ConnectionRefused` for an earlier datagram of a connected socket) is not told at all if it came
    /// in the middle of a batch: sendmmsg(2), BUGS. Nothing is lost by that but the hint.
    ///
    /// # Cancel safety
    /// Dropping the future sends nothing.
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
    pub async fn send_batch(&self, transmits: &[Transmit<'_>]) -> io::Result<usize> {
        poll_fn(|cx| self.poll_send_batch(cx, transmits)).await
    }

    /// [`send_batch`](UdpSocket::send_batch) for those who write futures by hand.
    ///
    /// # Errors
    /// As `send_batch`.
    pub fn poll_send_batch(
        &self,
        cx: &mut Context<'_>,
        transmits: &[Transmit<'_>],
    ) -> Poll<io::Result<usize>> {
        if transmits.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let send = |socket: &_| udp::send_batch(socket, transmits);
        self.source.poll_io(Direction::Write, cx, send)
    }

    /// Sends as many of `transmits` as there is room for.
    ///
    /// # Errors
    /// `WouldBlock` if there is none; else as [`send_batch`](UdpSocket::send_batch).
    pub fn try_send_batch(&self, transmits: &[Transmit<'_>]) -> io::Result<usize> {
        if transmits.is_empty() {
            return Ok(0);
        }
        let send = |socket: &_| udp::send_batch(socket, transmits);
        self.source.try_io(Direction::Write, send)
    }

    /// Receives as many datagrams as there are, one into each of `bufs`, and says in `received` what
    /// came with them, and how many that was: at least one, and at most 32 on Linux, unless there
    /// are no buffers.
    ///
    /// # Errors
    /// As [`recv_msg`](UdpSocket::recv_msg), if nothing was received before it.
    ///
    /// # Cancel safety
    /// Dropping the future loses no datagram.
    ///
    /// # Platform notes
    /// An error that comes after a datagram was received is told by the next call on Linux (recvmmsg(2)).
    /// Elsewhere it is not told: what the system tells but once is then lost, as with the recvmmsg of
    /// FreeBSD's libc.
    ///
    /// # Examples
    /// See [`send_batch`](UdpSocket::send_batch).
    pub async fn recv_batch(
        &self,
        bufs: &mut [IoSliceMut<'_>],
        received: &mut [Received],
    ) -> io::Result<usize> {
        poll_fn(|cx| self.poll_recv_batch(cx, bufs, received)).await
    }

    /// [`recv_batch`](UdpSocket::recv_batch) for those who write futures by hand.
    ///
    /// # Errors
    /// As `recv_batch`.
    pub fn poll_recv_batch(
        &self,
        cx: &mut Context<'_>,
        bufs: &mut [IoSliceMut<'_>],
        received: &mut [Received],
    ) -> Poll<io::Result<usize>> {
        if bufs.is_empty() || received.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let recv = |socket: &_| udp::recv_batch(socket, bufs, received);
        self.source.poll_io(Direction::Read, cx, recv)
    }

    /// Receives as many datagrams as there are.
    ///
    /// # Errors
    /// `WouldBlock` if there is none; else as [`recv_batch`](UdpSocket::recv_batch).
    pub fn try_recv_batch(
        &self,
        bufs: &mut [IoSliceMut<'_>],
        received: &mut [Received],
    ) -> io::Result<usize> {
        if bufs.is_empty() || received.is_empty() {
            return Ok(0);
        }
        let recv = |socket: &_| udp::recv_batch(socket, bufs, received);
        self.source.try_io(Direction::Read, recv)
    }

    /// How many segments one [`Transmit`] may be cut into: 1 where the kernel cuts nothing, else 64,
    /// which every Linux that cuts takes (since 4.18; udp(7)). It costs a system call.
    pub fn max_segments(&self) -> usize {
        udp::max_segments(self.source.get_ref())
    }

    /// Whether the kernel may join datagrams of one sender, all of one size but the last, into one
    /// receipt: see [`Received::segment_size`]. The buffers should then hold 64 kB. At first it does
    /// not.
    ///
    /// # Errors
    /// `Unsupported` on other platforms than Linux and Android; what setsockopt(2) says.
    pub fn set_gro(&self, join: bool) -> io::Result<()> {
        udp::set_gro(self.source.get_ref(), join)
    }

    /// Whether [`Received::ecn`] is told. At first it is not.
    ///
    /// # Errors
    /// `Unsupported` where the [platform](crate::udp#what-differs-between-platforms) has it not; what
    /// setsockopt(2) says.
    pub fn set_recv_ecn(&self, tell: bool) -> io::Result<()> {
        udp::set_recv_ecn(self.source.get_ref(), tell)
    }

    /// Whether [`Received::destination`] and [`Received::interface`] are told. At first they are not.
    ///
    /// # Errors
    /// What setsockopt(2) says.
    pub fn set_recv_destination(&self, tell: bool) -> io::Result<()> {
        udp::set_recv_destination(self.source.get_ref(), tell)
    }
}
