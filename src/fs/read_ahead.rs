//! The read-ahead buffer of a file.

use std::io::{self, IoSliceMut, Read, Seek, SeekFrom};
use std::mem;

use crate::sys::cached::{self, Attempt};

/// The minimum number of bytes that a job asks the file for. Switching to another thread and back
/// costs about as much as copying this many bytes.
const MIN_BYTES: usize = 64 * 1024;
/// The default maximum number of bytes that a job moves. Other files share the pool, and each file
/// keeps its buffer.
pub(super) const MAX_BYTES: usize = 2 * 1024 * 1024;

/// Bytes read from the file and not yet returned to its user.
#[derive(Default)]
pub(super) struct Buffer {
    pub(super) bytes: Vec<u8>,
    /// The unread part is `bytes[start..end]`.
    start: usize,
    end: usize,
}

impl Buffer {
    pub(super) fn unread(&self) -> &[u8] {
        &self.bytes[self.start..self.end]
    }

    /// Copies unread bytes to `buf`, and returns their number.
    pub(super) fn read(&mut self, buf: &mut [u8]) -> usize {
        let n = self.unread().len().min(buf.len());
        buf[..n].copy_from_slice(&self.unread()[..n]);
        self.start += n;
        n
    }

    /// Takes the memory of the buffer for data to be written, unless it holds unread bytes.
    pub(super) fn take_spare(&mut self) -> Vec<u8> {
        if !self.unread().is_empty() {
            return Vec::new();
        }
        (self.start, self.end) = (0, 0);
        mem::take(&mut self.bytes)
    }

    /// Copies unread bytes to several buffers, and returns their number.
    pub(super) fn read_vectored(&mut self, bufs: &mut [IoSliceMut<'_>]) -> usize {
        bufs.iter_mut().map(|buf| self.read(buf)).sum()
    }

    /// Makes one read of at most `max` bytes, for a user who asked for `requested` bytes.
    pub(super) fn fill(
        &mut self,
        mut file: &std::fs::File,
        requested: usize,
        max: usize,
    ) -> io::Result<()> {
        let length = requested.max(MIN_BYTES).min(max);
        (self.start, self.end) = (0, 0);
        if self.bytes.len() < length {
            self.bytes.resize(length, 0);
        }
        self.end = retry(|| file.read(&mut self.bytes[..length]))?;
        Ok(())
    }

    /// Attempts to read `length` bytes that are in memory.
    pub(super) fn fill_cached(&mut self, file: &std::fs::File, length: usize) -> Attempt {
        (self.start, self.end) = (0, 0);
        if self.bytes.len() < length {
            self.bytes.resize(length, 0);
        }
        let attempt = cached::read(file, &mut self.bytes[..length], None);
        if let Attempt::Read(n) = attempt {
            self.end = n;
        }
        attempt
    }

    /// Drops the unread bytes, and moves the file's position back by their number.
    pub(super) fn rewind(&mut self, mut file: &std::fs::File) -> io::Result<()> {
        let unread = self.unread().len();
        if unread > 0 {
            file.seek(SeekFrom::Current(-(unread as i64)))?;
            (self.start, self.end) = (0, 0);
        }
        Ok(())
    }

    /// Like `rewind`, but keeps the unread bytes of a file that cannot seek.
    pub(super) fn rewind_or_keep(&mut self, file: &std::fs::File) -> io::Result<()> {
        match self.rewind(file) {
            Err(e) if e.raw_os_error() == Some(libc::ESPIPE) => Ok(()),
            result => result,
        }
    }
}

pub(super) fn retry<R>(mut op: impl FnMut() -> io::Result<R>) -> io::Result<R> {
    loop {
        match op() {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}
