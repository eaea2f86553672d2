//! Reading into memory that is not initialized.

use std::io;
use std::mem::MaybeUninit;
#[cfg(feature = "tokio-io")]
use std::os::fd::AsRawFd;
use std::os::fd::BorrowedFd;
use std::slice;

use socket2::SockRef;
#[cfg(feature = "tokio-io")]
use tokio::io::ReadBuf;

use super::call::call;

/// The most bytes that one call reads: macOS refuses more than a C `int` holds (read(2)).
const MAX_BYTES: usize = libc::c_int::MAX as usize - 1;

/// Memory that one read fills from the start, and that need not be initialized before.
pub(crate) struct Unfilled<'a> {
    room: &'a mut [MaybeUninit<u8>],
    /// The number of bytes at the start that the last read has initialized.
    filled: usize,
}

impl<'a> Unfilled<'a> {
    /// Wraps memory, of which a read uses as much as one call may read.
    pub(crate) fn new(room: &'a mut [MaybeUninit<u8>]) -> Unfilled<'a> {
        let len = room.len().min(MAX_BYTES);
        Unfilled {
            room: &mut room[..len],
            filled: 0,
        }
    }

    /// Returns how many bytes one call may return.
    pub(crate) fn len(&self) -> usize {
        self.room.len()
    }

    /// Receives from a socket into the memory, and returns the number of bytes. Nothing else is
    /// written to it.
    ///
    /// On Linux this costs a tenth less than read(2) of a short message.
    ///
    /// # Errors
    /// Returns the error of recv(2).
    pub(crate) fn recv(&mut self, fd: BorrowedFd<'_>) -> io::Result<usize> {
        self.filled = call!(
            &fd,
            |host, fd| read_simulated(&host, fd, self.room),
            SockRef::from(&fd).recv(self.room)
        )?;
        Ok(self.filled)
    }

    /// Reads from a descriptor into the memory, and returns the number of bytes. Nothing else is
    /// written to it.
    ///
    /// # Errors
    /// Returns the error of read(2).
    #[cfg(feature = "tokio-io")]
    pub(crate) fn read(&mut self, fd: BorrowedFd<'_>) -> io::Result<usize> {
        self.filled = call!(
            &fd,
            |host, fd| read_simulated(&host, fd, self.room),
            self.read_real(fd)
        )?;
        Ok(self.filled)
    }

    #[cfg(feature = "tokio-io")]
    fn read_real(&mut self, fd: BorrowedFd<'_>) -> io::Result<usize> {
        let (start, len) = (self.room.as_mut_ptr(), self.room.len());
        // SAFETY: read(2) writes at most `len` bytes to the pointer. The slice has that many, is
        // borrowed mutably and outlives the call.
        let n = unsafe { libc::read(fd.as_raw_fd(), start.cast(), len) };
        usize::try_from(n).map_err(|_| io::Error::last_os_error())
    }

    /// Returns what was read.
    pub(crate) fn into_filled(self) -> &'a mut [u8] {
        let start = self.room.as_mut_ptr().cast();
        // SAFETY: the slice has these bytes and is borrowed mutably for as long as the result; they
        // are initialized, since only `recv` and `read` set `filled`, to the number that the system
        // call has written.
        unsafe { slice::from_raw_parts_mut(start, self.filled) }
    }
}

/// Reads from a simulated descriptor, which only writes to memory that is initialized.
#[cfg(feature = "sim")]
fn read_simulated(
    host: &runtime_reactor::sim::Host,
    fd: BorrowedFd<'_>,
    room: &mut [MaybeUninit<u8>],
) -> io::Result<usize> {
    let mut bytes = vec![0; room.len().min(MAX_SIMULATED)];
    let n = host.recv(fd, &mut [&mut bytes], false)?;
    for (place, byte) in room.iter_mut().zip(&bytes[..n]) {
        place.write(*byte);
    }
    Ok(n)
}

/// The most bytes that one call reads from a simulated descriptor.
#[cfg(feature = "sim")]
const MAX_SIMULATED: usize = 256 << 10;

/// Returns how many bytes one call may put into `buf`.
#[cfg(feature = "tokio-io")]
pub(crate) fn asked(buf: &ReadBuf<'_>) -> usize {
    buf.remaining().min(MAX_BYTES)
}

/// Receives from a socket into the unfilled part of `buf`, which is not cleared before.
///
/// # Errors
/// Returns the error of recv(2).
#[cfg(feature = "tokio-io")]
pub(crate) fn recv(fd: BorrowedFd<'_>, buf: &mut ReadBuf<'_>) -> io::Result<usize> {
    fill(buf, |unfilled| unfilled.recv(fd))
}

/// Reads from a descriptor into the unfilled part of `buf`, which is not cleared before.
///
/// # Errors
/// Returns the error of read(2).
#[cfg(feature = "tokio-io")]
pub(crate) fn read(fd: BorrowedFd<'_>, buf: &mut ReadBuf<'_>) -> io::Result<usize> {
    fill(buf, |unfilled| unfilled.read(fd))
}

/// Fills `buf` by `call`, which is one of the methods of `Unfilled`.
#[cfg(feature = "tokio-io")]
fn fill(
    buf: &mut ReadBuf<'_>,
    call: impl FnOnce(&mut Unfilled<'_>) -> io::Result<usize>,
) -> io::Result<usize> {
    // SAFETY: the slice must not be de-initialized. `Unfilled` only has the system write to it,
    // which writes initialized bytes and nothing else.
    let room = unsafe { buf.unfilled_mut() };
    let n = call(&mut Unfilled::new(room))?;
    // SAFETY: the first `n` bytes of the unfilled part must be initialized. Both callers return how
    // many bytes the system has written from the start.
    unsafe { buf.assume_init(n) };
    buf.advance(n);
    Ok(n)
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn a_receive_fills_the_start_of_the_memory() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let mut memory = [MaybeUninit::new(b'-'); 8];
        theirs.write_all(b"abc").unwrap();
        let mut unfilled = Unfilled::new(&mut memory);
        assert_eq!(unfilled.len(), 8);
        assert_eq!(unfilled.recv(ours.as_fd()).unwrap(), 3);
        assert_eq!(unfilled.into_filled(), b"abc");
        // SAFETY: the whole array was initialized above.
        let memory = memory.map(|byte| unsafe { byte.assume_init() });
        assert_eq!(&memory, b"abc-----");
    }

    #[test]
    fn a_receive_that_fails_fills_nothing() {
        let (ours, _theirs) = UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        let mut memory = [MaybeUninit::uninit(); 8];
        let mut unfilled = Unfilled::new(&mut memory);
        let error = unfilled.recv(ours.as_fd()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
        assert!(unfilled.into_filled().is_empty());
    }

    #[cfg(feature = "tokio-io")]
    #[test]
    fn a_read_appends_to_what_is_filled_and_initializes_no_more_than_it_read() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let mut memory = [MaybeUninit::uninit(); 16];
        let mut buf = ReadBuf::uninit(&mut memory);
        buf.put_slice(b"ab");
        theirs.write_all(b"cde").unwrap();
        assert_eq!(read(ours.as_fd(), &mut buf).unwrap(), 3);
        assert_eq!(buf.filled(), b"abcde");
        assert_eq!(buf.initialized().len(), 5);
        theirs.write_all(b"fg").unwrap();
        assert_eq!(recv(ours.as_fd(), &mut buf).unwrap(), 2);
        assert_eq!(buf.filled(), b"abcdefg");
        assert_eq!(buf.initialized().len(), 7);
    }

    #[cfg(feature = "tokio-io")]
    #[test]
    fn a_read_that_fails_leaves_the_buffer_as_it_was() {
        let (ours, _theirs) = UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        let mut memory = [MaybeUninit::uninit(); 4];
        let mut buf = ReadBuf::uninit(&mut memory);
        let error = read(ours.as_fd(), &mut buf).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
        let error = recv(ours.as_fd(), &mut buf).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
        assert!(buf.filled().is_empty() && buf.initialized().is_empty());
    }
}
