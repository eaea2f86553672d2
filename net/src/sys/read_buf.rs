//! Reading into memory that is not initialized.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use tokio::io::ReadBuf;

/// The most bytes that one call reads: macOS refuses more than a C `int` holds (read(2)).
const MAX_BYTES: usize = libc::c_int::MAX as usize - 1;

/// Returns how many bytes one [`read`] may put into `buf`.
pub(crate) fn asked(buf: &ReadBuf<'_>) -> usize {
    buf.remaining().min(MAX_BYTES)
}

/// Reads from a descriptor into the unfilled part of `buf`, which is not cleared before.
///
/// # Errors
/// Returns the error of read(2).
pub(crate) fn read(fd: BorrowedFd<'_>, buf: &mut ReadBuf<'_>) -> io::Result<usize> {
    let asked = asked(buf);
    // SAFETY: the slice must not be de-initialized. It is only given to read(2), which writes
    // initialized bytes and nothing else.
    let room = unsafe { buf.unfilled_mut() };
    // SAFETY: read(2) writes at most `asked` bytes to the pointer. The slice has that many, since
    // `asked` is at most its length, and it outlives the call.
    let n = unsafe { libc::read(fd.as_raw_fd(), room.as_mut_ptr().cast(), asked) };
    let n = usize::try_from(n).map_err(|_| io::Error::last_os_error())?;
    // SAFETY: the first `n` bytes of the unfilled part must be initialized. read(2) returns how
    // many bytes it has written from the start.
    unsafe { buf.assume_init(n) };
    buf.advance(n);
    Ok(n)
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::mem::MaybeUninit;
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixStream;

    use super::*;

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
    }

    #[test]
    fn a_read_that_fails_leaves_the_buffer_as_it_was() {
        let (ours, _theirs) = UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        let mut memory = [MaybeUninit::uninit(); 4];
        let mut buf = ReadBuf::uninit(&mut memory);
        let error = read(ours.as_fd(), &mut buf).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
        assert!(buf.filled().is_empty() && buf.initialized().is_empty());
    }
}
