//! The operations of a file that are performed on the thread that asks for them, because they do
//! not wait: reads of what is in memory, and changes of the position.

use std::future::poll_fn;
use std::io::{self, IoSliceMut, Seek, SeekFrom};
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};

use runtime_executor::internal::Proceed;

use super::File;
use crate::fs::job::pool;
use crate::fs::piece::{PIECE_BYTES, weight};
use crate::fs::read_ahead::Buffer;
use crate::sys::cached::{self, Attempt};

/// Reads of fewer bytes are collected: a system call costs as much as copying this many bytes.
const MIN_BYTES: usize = 4 * 1024;
/// The number of bytes that a read in the place of several small ones asks for.
const COLLECTED_BYTES: usize = 8 * 1024;

/// One buffer or several into which a file is read.
pub(super) trait Buffers {
    fn total_len(&self) -> usize;

    /// Copies unread bytes, and returns their number.
    fn take_from(&mut self, buffer: &mut Buffer) -> usize;

    /// Attempts to read at most `max` bytes from the position of the file.
    fn read_cached(&mut self, file: &std::fs::File, max: usize) -> Attempt;
}

impl Buffers for &mut [u8] {
    fn total_len(&self) -> usize {
        self.len()
    }

    fn take_from(&mut self, buffer: &mut Buffer) -> usize {
        buffer.read(self)
    }

    fn read_cached(&mut self, file: &std::fs::File, max: usize) -> Attempt {
        let length = self.len().min(max);
        cached::read(file, &mut self[..length], None)
    }
}

impl Buffers for &mut [IoSliceMut<'_>] {
    fn total_len(&self) -> usize {
        self.iter().map(|buf| buf.len()).sum()
    }

    fn take_from(&mut self, buffer: &mut Buffer) -> usize {
        buffer.read_vectored(self)
    }

    fn read_cached(&mut self, file: &std::fs::File, max: usize) -> Attempt {
        let mut total = 0;
        let mut fits = |buf: &IoSliceMut<'_>| {
            total += buf.len();
            total <= max
        };
        let whole = self.iter().take_while(|buf| fits(buf)).count();
        let is_empty = self[..whole].iter().all(|buf| buf.is_empty());
        match self.get_mut(whole) {
            // The first buffer that is not empty is larger than `max`.
            Some(buf) if is_empty => cached::read(file, &mut buf[..max], None),
            _ => cached::read_vectored(file, &mut self[..whole]),
        }
    }
}

impl File {
    /// Attempts to read what is in memory. `None` means that a job must read.
    pub(super) fn poll_read_cached(
        &mut self,
        cx: &mut Context<'_>,
        bufs: &mut impl Buffers,
    ) -> Poll<Option<usize>> {
        if !self.reads_here() {
            return Poll::Ready(None);
        }
        let length = bufs.total_len().min(self.max_bytes).min(PIECE_BYTES);
        ready!(self.proceed.poll_weighted(cx, weight(length)));
        let file = &self.shared.file;
        let attempt = if length >= MIN_BYTES {
            bufs.read_cached(file, length)
        } else {
            let mut buffer = self.shared.buffer();
            match buffer.fill_cached(file, COLLECTED_BYTES.min(self.max_bytes)) {
                Attempt::Read(n) if n > 0 => Attempt::Read(bufs.take_from(&mut buffer)),
                attempt => attempt,
            }
        };
        Poll::Ready(match attempt {
            Attempt::Read(n) => Some(n),
            Attempt::Blocked => None,
            Attempt::Unsupported => {
                self.reads_cached.store(false, Ordering::Relaxed);
                None
            }
        })
    }

    /// Returns true if operations that do not wait are performed on this thread.
    pub(super) fn reads_here(&self) -> bool {
        self.reads_cached.load(Ordering::Relaxed) && pool().is_ok()
    }

    /// Reads what is in memory from `offset` on. Returns the number of bytes, and true if they are
    /// the last ones of the file.
    pub(super) async fn read_cached_at(&self, buf: &mut [u8], offset: u64) -> (usize, bool) {
        let mut length = 0;
        if !self.reads_here() || offset > i64::MAX as u64 {
            return (0, false);
        }
        let mut proceed = Proceed::default();
        while length < buf.len() {
            let end = buf.len().min(length + PIECE_BYTES);
            poll_fn(|cx| proceed.poll_weighted(cx, weight(end - length))).await;
            let piece = &mut buf[length..end];
            match cached::read(&self.shared.file, piece, Some(offset + length as u64)) {
                Attempt::Read(0) => return (length, true),
                Attempt::Read(n) => length += n,
                Attempt::Blocked => break,
                Attempt::Unsupported => {
                    self.reads_cached.store(false, Ordering::Relaxed);
                    break;
                }
            }
        }
        (length, false)
    }

    /// Changes the position of a file that can be read here, unless that needs its size: a network
    /// file system would ask its server. `None` means that a job must do it.
    pub(super) fn poll_seek_cached(
        &mut self,
        cx: &mut Context<'_>,
        to: SeekFrom,
    ) -> Poll<Option<io::Result<u64>>> {
        if matches!(to, SeekFrom::End(_)) || !self.reads_here() {
            return Poll::Ready(None);
        }
        ready!(self.proceed.poll(cx));
        let mut file = &self.shared.file;
        let rewound = self.shared.buffer().rewind(file);
        Poll::Ready(Some(rewound.and_then(|()| file.seek(to))))
    }
}
