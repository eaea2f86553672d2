//! What a file reads before anybody asks for it.

use std::io::{self, Read, Seek, SeekFrom};
use std::mem;

/// A job reads at least this much, if the file has it: a hop to another thread and back costs as
/// much as copying so many bytes.
const MIN_BYTES: usize = 64 * 1024;
/// No job moves more: other files share the pool, and the buffer stays with its file.
pub(super) const MAX_BYTES: usize = 2 * 1024 * 1024;

/// What was read ahead.
#[derive(Default)]
pub(super) struct Buffer {
    pub(super) bytes: Vec<u8>,
    /// The part that has not been given out: `bytes[start..end]`.
    start: usize,
    end: usize,
}

impl Buffer {
    pub(super) fn unread(&self) -> &[u8] {
        &self.bytes[self.start..self.end]
    }

    /// Gives out what there is room for.
    pub(super) fn read(&mut self, buf: &mut [u8]) -> usize {
        let n = self.unread().len().min(buf.len());
        buf[..n].copy_from_slice(&self.unread()[..n]);
        self.start += n;
        n
    }

    /// Its memory, for what is to be written, unless it still holds what was read ahead.
    pub(super) fn take_spare(&mut self) -> Vec<u8> {
        if !self.unread().is_empty() {
            return Vec::new();
        }
        (self.start, self.end) = (0, 0);
        mem::take(&mut self.bytes)
    }

    /// One read, for somebody who has asked for so many bytes.
    pub(super) fn fill(&mut self, mut file: &std::fs::File, requested: usize) -> io::Result<()> {
        let length = requested.clamp(MIN_BYTES, MAX_BYTES);
        (self.start, self.end) = (0, 0);
        if self.bytes.len() < length {
            self.bytes.resize(length, 0);
        }
        self.end = retry(|| file.read(&mut self.bytes[..length]))?;
        Ok(())
    }

    /// Moves the file back to where its user thinks it is.
    pub(super) fn rewind(&mut self, mut file: &std::fs::File) -> io::Result<()> {
        let unread = self.unread().len();
        if unread > 0 {
            file.seek(SeekFrom::Current(-(unread as i64)))?;
            (self.start, self.end) = (0, 0);
        }
        Ok(())
    }

    /// As `rewind`; but what cannot seek has no position to correct, and the bytes stay here.
    pub(super) fn rewind_or_keep(&mut self, file: &std::fs::File) -> io::Result<()> {
        match self.rewind(file) {
            Err(e) if e.raw_os_error() == Some(libc::ESPIPE) => Ok(()),
            result => result,
        }
    }
}

fn retry<R>(mut op: impl FnMut() -> io::Result<R>) -> io::Result<R> {
    loop {
        match op() {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}
