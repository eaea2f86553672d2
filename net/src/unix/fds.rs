//! Descriptors that travel from process to process.

use std::future::poll_fn;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::task::{Context, Poll, ready};

use runtime_reactor::{Direction, Source};

use super::datagram::UnixDatagram;
use super::stream::UnixStream;
use crate::error::invalid;
use crate::sys::unix::{self, MAX_FDS, WithFds};

/// What came with descriptors, or without.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReceivedFds {
    /// So many bytes of the buffer were written.
    pub len: usize,
    /// So many places of the list were filled.
    pub fds: usize,
    /// Whether something was cut off: descriptors for which there was no place, or (on Linux alone, see
    /// [`recv_fds`](UnixStream::recv_fds)) which this process may not have any more, or bytes of a
    /// datagram. It is gone, and closed.
    pub is_truncated: bool,
}

/// Takes descriptors into places that are free, and closes the others.
fn place((len, mut came, was_cut): WithFds, places: &mut [Option<OwnedFd>]) -> ReceivedFds {
    let mut filled = 0;
    for (place, fd) in places.iter_mut().zip(&mut came) {
        *place = Some(fd);
        filled += 1;
    }
    ReceivedFds {
        len,
        fds: filled,
        is_truncated: was_cut || came.next().is_some(),
    }
}

fn check(buf: &[u8], fds: &[BorrowedFd<'_>], is_stream: bool) -> io::Result<()> {
    if fds.len() > MAX_FDS {
        let text = format!(
            "{} descriptors are too many: {MAX_FDS} may be sent",
            fds.len()
        );
        return Err(invalid(text));
    }
    if is_stream && buf.is_empty() {
        // A stream has no place between two bytes that descriptors could hang on.
        return Err(invalid(
            "descriptors travel with a byte at least".to_owned(),
        ));
    }
    Ok(())
}

fn poll_send<T: AsFd>(
    source: &Source<T>,
    cx: &mut Context<'_>,
    buf: &[u8],
    fds: &[BorrowedFd<'_>],
) -> Poll<io::Result<usize>> {
    source.poll_io(Direction::Write, cx, |socket| {
        unix::send_fds(socket, buf, fds)
    })
}

fn poll_recv<T: AsFd>(
    source: &Source<T>,
    cx: &mut Context<'_>,
    recv: impl FnMut(&T) -> io::Result<WithFds>,
    fds: &mut [Option<OwnedFd>],
) -> Poll<io::Result<ReceivedFds>> {
    let came = ready!(source.poll_io(Direction::Read, cx, recv))?;
    Poll::Ready(Ok(place(came, fds)))
}

/// Passing descriptors.
impl UnixStream {
    /// Writes bytes, and with the first of them duplicates of `fds`, at most 253. Says how many bytes
    /// were written: at least one, perhaps not all, but all descriptors went with them. Go on with
    /// [`write`](futures_io::AsyncWrite).
    ///
    /// A peer that reads these bytes without [`recv_fds`](UnixStream::recv_fds) closes the
    /// descriptors without knowing.
    ///
    /// # Errors
    /// `InvalidInput` if `buf` is empty or there are too many descriptors; as
    /// [writing](UnixStream::try_write); what unix(7) says, ETOOMANYREFS among it if too many
    /// descriptors are under way; those of [waiting](crate#errors).
    ///
    /// # Cancel safety
    /// Dropping the future writes nothing and passes nothing.
    ///
    /// # Examples
    /// ```
    /// use std::os::fd::AsFd;
    /// use runtime::net::UnixStream;
    ///
    /// # runtime::block_on(async {
    /// let (here, there) = UnixStream::pair()?;
    /// let file = std::fs::File::open("/dev/null")?;
    /// here.send_fds(b"a file", &[file.as_fd()]).await?;
    ///
    /// let (mut buffer, mut fds) = ([0; 16], [None]);
    /// let received = there.recv_fds(&mut buffer, &mut fds).await?;
    /// assert_eq!((received.len, received.fds, received.is_truncated), (6, 1, false));
    /// let file = std::fs::File::from(fds[0].take().unwrap());
    /// # std::io::Result::Ok(())
    /// # }).unwrap();
    /// ```
    pub async fn send_fds(&self, buf: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<usize> {
        check(buf, fds, true)?;
        poll_fn(|cx| poll_send(&self.source, cx, buf, fds)).await
    }

    /// Reads bytes, and the descriptors that came with them into the first places of `fds`; they are
    /// closed on exec. Where they lie in the stream the reading stops, so that it is known which
    /// bytes they came with. 0 bytes are the end of the stream, unless `buf` is empty.
    ///
    /// Descriptors for which there is no place are closed, and
    /// [told of](ReceivedFds::is_truncated). What lay in a place before is dropped if it is filled.
    /// Descriptors that come uninvited (`SO_PASSPIDFD`) are closed without a word.
    ///
    /// # Errors
    /// As [reading](UnixStream::try_read); those of [waiting](crate#errors). On macOS and the BSDs
    /// EMSGSIZE (newer FreeBSDs: `EMFILE`) if the process may not open them all: then they are closed.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing.
    ///
    /// # Platform notes
    /// Linux opens as many descriptors as the process may still have (`RLIMIT_NOFILE`), closes the
    /// others, and tells (MSG_CTRUNC).
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

/// Passing descriptors.
impl UnixDatagram {
    /// Sends a datagram to the peer of a connected socket, and with it duplicates of `fds`, at most
    /// 253.
    ///
    /// # Errors
    /// `InvalidInput` if there are too many descriptors; ETOOMANYREFS if too many are under way; as
    /// [`send`](UnixDatagram::send).
    ///
    /// # Cancel safety
    /// Dropping the future sends nothing.
    ///
    /// # Examples
    /// ```
    /// use std::os::fd::AsFd;
    /// use runtime::net::UnixDatagram;
    ///
    /// # runtime::block_on(async {
    /// let (here, there) = UnixDatagram::pair()?;
    /// let file = std::fs::File::open("/dev/null")?;
    /// here.send_fds(b"a file", &[file.as_fd()]).await?;
    /// let mut fds = [None, None];
    /// let received = there.recv_fds(&mut [0; 16], &mut fds).await?;
    /// assert_eq!((received.len, received.fds), (6, 1));
    /// assert!(fds[0].is_some() && fds[1].is_none());
    /// # std::io::Result::Ok(())
    /// # }).unwrap();
    /// ```
    pub async fn send_fds(&self, buf: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<usize> {
        check(buf, fds, false)?;
        poll_fn(|cx| poll_send(&self.source, cx, buf, fds)).await
    }

    /// Receives a datagram, and the descriptors that came with it into the first places of `fds`;
    /// they are closed on exec. Descriptors for which there is no place are closed, and
    /// [told of](ReceivedFds::is_truncated), and so are bytes that do not fit.
    ///
    /// # Errors
    /// As [`recv`](UnixDatagram::recv), and as [`UnixStream::recv_fds`].
    ///
    /// # Cancel safety
    /// Dropping the future loses no datagram.
    ///
    /// # Platform notes
    /// As [`UnixStream::recv_fds`].
    ///
    /// # Examples
    /// See [`send_fds`](UnixDatagram::send_fds).
    pub async fn recv_fds(
        &self,
        buf: &mut [u8],
        fds: &mut [Option<OwnedFd>],
    ) -> io::Result<ReceivedFds> {
        let nothing = || Ok((0, Vec::new().into_iter(), false));
        poll_fn(|cx| {
            let recv = self.ending(|socket| unix::recv_fds(socket, buf), nothing);
            poll_recv(&self.source, cx, recv, fds)
        })
        .await
    }
}
