//! Passing descriptors between processes.

use std::future::poll_fn;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::task::{Context, Poll, ready};

use runtime_reactor::{Direction, Source};

use super::datagram::UnixDatagram;
use super::stream::UnixStream;
use crate::error::invalid;
use crate::sys::unix::{self, FdMessage, MAX_FDS};

/// The description of received bytes and descriptors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReceivedFds {
    /// The number of bytes written to the buffer.
    pub len: usize,
    /// The number of places of the list that were filled.
    pub fds: usize,
    /// True if something was lost: bytes of a datagram; descriptors for which there was no place;
    /// or, on Linux, descriptors that the process may not open, see
    /// [`recv_fds`](UnixStream::recv_fds). Lost descriptors are closed.
    pub is_truncated: bool,
}

/// Moves descriptors into `places`, and closes those that do not fit.
fn fill(message: FdMessage, places: &mut [Option<OwnedFd>]) -> ReceivedFds {
    let mut fds = message.fds.into_iter();
    let mut filled = 0;
    for (place, fd) in places.iter_mut().zip(&mut fds) {
        *place = Some(fd);
        filled += 1;
    }
    ReceivedFds {
        len: message.len,
        fds: filled,
        is_truncated: message.is_truncated || fds.next().is_some(),
    }
}

fn check_count(fds: &[BorrowedFd<'_>]) -> io::Result<()> {
    if fds.len() > MAX_FDS {
        return Err(invalid(format!(
            "{} descriptors are too many for one message: send at most {MAX_FDS}",
            fds.len()
        )));
    }
    Ok(())
}

async fn send<T: AsFd>(
    source: &Source<T>,
    buf: &[u8],
    fds: &[BorrowedFd<'_>],
) -> io::Result<usize> {
    let send = |socket: &T| unix::send_fds(socket, buf, fds);
    poll_fn(|cx| source.poll_io(Direction::Write, cx, send)).await
}

fn poll_recv<T: AsFd>(
    source: &Source<T>,
    cx: &mut Context<'_>,
    recv: impl FnMut(&T) -> io::Result<FdMessage>,
    fds: &mut [Option<OwnedFd>],
) -> Poll<io::Result<ReceivedFds>> {
    let message = ready!(source.poll_io(Direction::Read, cx, recv))?;
    Poll::Ready(Ok(fill(message, fds)))
}

impl UnixStream {
    /// Writes bytes and, with the first of them, duplicates of `fds`, at most 253. Returns the
    /// number of bytes written: at least one, perhaps not all, but all descriptors are sent with
    /// them.
    ///
    /// Write the rest by [`write_all`](futures_io::AsyncWrite). A peer that reads the bytes without
    /// [`recv_fds`](UnixStream::recv_fds) closes the descriptors without noticing.
    ///
    /// # Errors
    /// Returns `InvalidInput` if `buf` is empty or there are too many descriptors; ETOOMANYREFS if
    /// too many descriptors are in flight, and other errors of unix(7); the errors of
    /// [`try_write`](UnixStream::try_write); and the [errors of waiting](crate#errors).
    ///
    /// # Cancel safety
    /// A dropped future has written nothing and passed nothing.
    ///
    /// # Examples
    /// ```
    /// use std::os::fd::AsFd;
    /// use runtime::net::UnixStream;
    ///
    /// # runtime::block_on(async {
    /// let (one, two) = UnixStream::pair()?;
    /// let file = std::fs::File::open("/dev/null")?;
    /// one.send_fds(b"a file", &[file.as_fd()]).await?;
    ///
    /// let (mut buffer, mut fds) = ([0; 16], [None]);
    /// let received = two.recv_fds(&mut buffer, &mut fds).await?;
    /// assert_eq!((received.len, received.fds, received.is_truncated), (6, 1, false));
    /// let file = std::fs::File::from(fds[0].take().unwrap());
    /// # std::io::Result::Ok(())
    /// # }).unwrap();
    /// ```
    pub async fn send_fds(&self, buf: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<usize> {
        check_count(fds)?;
        if buf.is_empty() {
            // Between two bytes of a stream there is nothing that could carry descriptors.
            return Err(invalid(
                "descriptors need a byte that carries them: send at least one".to_owned(),
            ));
        }
        send(&self.source, buf, fds).await
    }

    /// Reads bytes into `buf`, and moves the descriptors that came with them into the first places
    /// of `fds`.
    ///
    /// The descriptors are close-on-exec. Reading stops behind the bytes that carry descriptors. A
    /// result of 0 means the end of the stream, unless `buf` is empty. Descriptors for which there
    /// is no place are closed, and [reported](ReceivedFds::is_truncated). A descriptor that was in
    /// a filled place before is dropped. Descriptors that only `SO_PASSPIDFD` adds are closed and
    /// not reported.
    ///
    /// # Errors
    /// Returns the errors of [`try_read`](UnixStream::try_read), and the
    /// [errors of waiting](crate#errors). On macOS and the BSDs returns EMSGSIZE (newer FreeBSDs:
    /// `EMFILE`) if the process may not open all descriptors, which are then closed.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing.
    ///
    /// # Platform-specific behavior
    /// Linux opens as many descriptors as the process may still have (`RLIMIT_NOFILE`), closes the
    /// others, and reports it (MSG_CTRUNC).
    ///
    /// # Examples
    /// See [`send_fds`](UnixStream::send_fds).
    pub async fn recv_fds(
        &self,
        buf: &mut [u8],
        fds: &mut [Option<OwnedFd>],
    ) -> io::Result<ReceivedFds> {
        poll_fn(|cx| poll_recv(&self.source, cx, |socket| unix::recv_fds(socket, buf), fds)).await
    }
}

impl UnixDatagram {
    /// Sends a datagram with duplicates of `fds`, at most 253, to the peer of a connected socket,
    /// and returns its length.
    ///
    /// # Errors
    /// Returns `InvalidInput` if there are too many descriptors, ETOOMANYREFS if too many
    /// descriptors are in flight, and the errors of [`send`](UnixDatagram::send).
    ///
    /// # Cancel safety
    /// A dropped future has sent nothing.
    ///
    /// # Examples
    /// ```
    /// use std::os::fd::AsFd;
    /// use runtime::net::UnixDatagram;
    ///
    /// # runtime::block_on(async {
    /// let (one, two) = UnixDatagram::pair()?;
    /// let file = std::fs::File::open("/dev/null")?;
    /// one.send_fds(b"a file", &[file.as_fd()]).await?;
    /// let mut fds = [None, None];
    /// let received = two.recv_fds(&mut [0; 16], &mut fds).await?;
    /// assert_eq!((received.len, received.fds), (6, 1));
    /// assert!(fds[0].is_some() && fds[1].is_none());
    /// # std::io::Result::Ok(())
    /// # }).unwrap();
    /// ```
    pub async fn send_fds(&self, buf: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<usize> {
        check_count(fds)?;
        send(&self.source, buf, fds).await
    }

    /// Receives a datagram into `buf`, and moves the descriptors that came with it into the first
    /// places of `fds`.
    ///
    /// The descriptors are close-on-exec. Those for which there is no place are closed, and bytes
    /// that do not fit are lost; both are [reported](ReceivedFds::is_truncated).
    ///
    /// # Errors
    /// Returns the errors of [`recv`](UnixDatagram::recv), and on macOS and the BSDs EMSGSIZE
    /// (newer FreeBSDs: `EMFILE`) if the process may not open all descriptors.
    ///
    /// # Cancel safety
    /// Dropping the future loses no datagram.
    ///
    /// # Platform-specific behavior
    /// See [`UnixStream::recv_fds`].
    ///
    /// # Examples
    /// See [`send_fds`](UnixDatagram::send_fds).
    pub async fn recv_fds(
        &self,
        buf: &mut [u8],
        fds: &mut [Option<OwnedFd>],
    ) -> io::Result<ReceivedFds> {
        poll_fn(|cx| {
            let recv = |socket: &_| unix::recv_fds(socket, buf);
            let recv = self.until_shutdown(recv, || Ok(FdMessage::default()));
            poll_recv(&self.source, cx, recv, fds)
        })
        .await
    }
}
