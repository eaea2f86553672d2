//! Sending files.

use std::fmt;
use std::fs::File;
use std::future::Future;
use std::io;
use std::net;
use std::ops::Range;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::FileExt;
use std::os::unix::net::UnixStream;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use runtime_reactor::{Direction, Source};

use crate::resolve::{self, BlockingRead};
use crate::sys::sendfile;
use crate::transfer;

/// The maximum number of bytes that one call sends.
const PIECE_BYTES: u64 = 128 * 1024;
/// The number of bytes that a job brings into memory.
const AHEAD_BYTES: u64 = 1024 * 1024;

/// The transfer of a part of a file to a socket.
///
/// Returned by [`TcpStream::send_file`](crate::TcpStream::send_file) and
/// [`UnixStream::send_file`](crate::UnixStream::send_file).
///
/// The output is the number of bytes sent. It is less than the length of the range if the file ends
/// before.
///
/// # Cancel safety
/// Dropping the future stops the transfer. [`sent`](SendFile::sent) returns the number of bytes
/// that were passed to the system by then, also after an error.
#[must_use = "futures do nothing unless polled"]
pub struct SendFile<'a> {
    socket: &'a dyn Target,
    file: BorrowedFd<'a>,
    transfer: FileTransfer,
}

/// The state of a transfer, apart from socket and file: for code that owns both.
pub struct FileTransfer {
    start: u64,
    /// The part that was not sent yet.
    rest: Range<u64>,
    /// The part of the file before this offset is in memory.
    in_memory: u64,
    job: Option<BlockingRead>,
    way: Way,
    /// The bytes that a job has read to be copied, and the number of them that were sent.
    copied: (Vec<u8>, usize),
}

/// The route of the bytes to the socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// The first poll decides.
    Undecided,
    Sendfile,
    Copy,
}

/// A socket that files are sent to.
pub(crate) trait Target: Send + Sync {
    /// Attempts an operation, and waits while it would block.
    fn poll_send_file(
        &self,
        cx: &mut Context<'_>,
        send: &mut dyn FnMut(BorrowedFd<'_>) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>>;

    fn poll_write(&self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>>;
}

macro_rules! target {
    ($($socket:ty),*) => {$(
        impl Target for Source<$socket> {
            fn poll_send_file(
                &self,
                cx: &mut Context<'_>,
                send: &mut dyn FnMut(BorrowedFd<'_>) -> io::Result<usize>,
            ) -> Poll<io::Result<usize>> {
                // A short count may be the end of the file, so it says nothing about the socket.
                self.poll_io(Direction::Write, cx, |socket| send(socket.as_fd()))
            }

            fn poll_write(&self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
                transfer::poll_write(self, cx, bytes)
            }
        }
    )*};
}

target!(net::TcpStream, UnixStream);

impl<'a> SendFile<'a> {
    pub(crate) fn new(
        socket: &'a dyn Target,
        file: BorrowedFd<'a>,
        range: Range<u64>,
    ) -> SendFile<'a> {
        SendFile {
            socket,
            file,
            transfer: FileTransfer::new(range),
        }
    }

    /// Returns the number of bytes sent so far.
    pub fn sent(&self) -> u64 {
        self.transfer.sent()
    }
}

impl FileTransfer {
    /// Creates the transfer of a part of a file.
    pub fn new(range: Range<u64>) -> FileTransfer {
        FileTransfer {
            start: range.start,
            // No file is longer, and the system's offsets are signed.
            rest: range.start..range.end.min(i64::MAX as u64),
            in_memory: range.start,
            job: None,
            way: Way::Undecided,
            copied: (Vec::new(), 0),
        }
    }

    /// Begins the transfer of a part of any file to the same socket. Whether SIGPIPE is ignored is
    /// not checked again.
    pub fn restart(&mut self, range: Range<u64>) {
        let way = match self.way {
            Way::Sendfile => Way::Sendfile,
            // Another file may be sent without copying.
            Way::Undecided | Way::Copy => Way::Undecided,
        };
        *self = FileTransfer {
            way,
            ..FileTransfer::new(range)
        };
    }

    /// Sets the part of the same file that is sent next. Unless it begins where the transfer has
    /// got to, what is known about the file in memory is forgotten.
    pub fn set_range(&mut self, range: Range<u64>) {
        if range.start == self.rest.start {
            self.start = range.start;
            self.rest.end = range.end.min(i64::MAX as u64);
        } else {
            self.restart(range);
        }
    }

    /// Sets the transfer to send what precedes `offset` without a check. The caller knows that it
    /// is in memory.
    pub fn set_in_memory(&mut self, offset: u64) {
        self.in_memory = self.in_memory.max(offset);
    }

    /// Returns the number of bytes sent so far.
    pub fn sent(&self) -> u64 {
        self.rest.start - self.start
    }

    /// Sends `file` to `socket`, the same at each poll, until all was sent or the file has ended.
    /// Returns the number of bytes sent.
    pub(crate) fn poll(
        &mut self,
        socket: &dyn Target,
        file: BorrowedFd<'_>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<u64>> {
        if self.way == Way::Undecided {
            self.way = if sendfile::is_silent() {
                Way::Sendfile
            } else {
                Way::Copy
            };
        }
        while !self.rest.is_empty() {
            if ready!(self.poll_piece(socket, file, cx))? {
                break;
            }
        }
        Poll::Ready(Ok(self.sent()))
    }

    /// Sends or reads one piece. Returns true at the end.
    fn poll_piece(
        &mut self,
        socket: &dyn Target,
        file: BorrowedFd<'_>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<bool>> {
        if let Some(job) = &mut self.job {
            let read = ready!(job.as_mut().poll(cx));
            self.job = None;
            let bytes = read?;
            if self.way == Way::Copy {
                let at_end = bytes.is_empty();
                self.copied = (bytes, 0);
                return Poll::Ready(Ok(at_end));
            }
            self.in_memory = self.rest.start.saturating_add(AHEAD_BYTES);
        }
        if self.way == Way::Copy {
            return self.poll_copied(socket, file, cx);
        }
        if self.rest.start >= self.in_memory {
            let piece = self.rest.start..self.rest.end.min(self.rest.start + PIECE_BYTES);
            if resolve::is_in_memory(file, piece.clone()) {
                self.in_memory = piece.end;
            } else if !self.start_job(file, AHEAD_BYTES)? {
                // There is no thread for it.
                self.in_memory = piece.end;
            } else {
                return Poll::Ready(Ok(false));
            }
        }
        let count = (self.rest.end.min(self.in_memory) - self.rest.start).min(PIECE_BYTES);
        let offset = self.rest.start;
        let mut send =
            |socket: BorrowedFd<'_>| sendfile::sendfile(socket, file, offset, count as usize);
        match ready!(socket.poll_send_file(cx, &mut send)) {
            Ok(sent) => {
                self.rest.start += sent as u64;
                Poll::Ready(Ok(sent == 0))
            }
            Err(e) if sendfile::must_copy(&e) => {
                self.way = Way::Copy;
                Poll::Ready(Ok(false))
            }
            Err(e) => Poll::Ready(Err(e)),
        }
    }

    /// Sends bytes that were read, or begins to read some.
    fn poll_copied(
        &mut self,
        socket: &dyn Target,
        file: BorrowedFd<'_>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<bool>> {
        let left = self.rest.end - self.rest.start;
        let unsent = &self.copied.0[self.copied.1..];
        let unsent = &unsent[..unsent
            .len()
            .min(usize::try_from(left).unwrap_or(usize::MAX))];
        if unsent.is_empty() {
            let length = PIECE_BYTES.min(left);
            if self.start_job(file, length)? {
                return Poll::Ready(Ok(false));
            }
            let bytes = read_at(file, self.rest.start, length)?;
            let at_end = bytes.is_empty();
            self.copied = (bytes, 0);
            return Poll::Ready(Ok(at_end));
        }
        let sent = ready!(socket.poll_write(cx, unsent))?;
        self.copied.1 += sent;
        self.rest.start += sent as u64;
        Poll::Ready(Ok(false))
    }

    /// Begins to read `length` bytes on another thread. Returns false if there is none.
    fn start_job(&mut self, file: BorrowedFd<'_>, length: u64) -> io::Result<bool> {
        let file = file.try_clone_to_owned()?;
        let (offset, keep) = (self.rest.start, self.way == Way::Copy);
        let length = length.min(self.rest.end - offset);
        let job = move || {
            let file = file.as_fd();
            if keep {
                return read_at(file, offset, length);
            }
            let end = offset + length;
            let mut at = offset;
            while at < end {
                match read_at(file, at, PIECE_BYTES.min(end - at))?.len() {
                    0 => break,
                    n => at += n as u64,
                }
            }
            Ok(Vec::new())
        };
        self.job = resolve::read_blocking(Box::new(job));
        Ok(self.job.is_some())
    }
}

/// Reads up to `length` bytes. Blocks.
fn read_at(file: BorrowedFd<'_>, offset: u64, length: u64) -> io::Result<Vec<u8>> {
    let file = File::from(file.try_clone_to_owned()?);
    let mut bytes = vec![0; length as usize];
    loop {
        match file.read_at(&mut bytes, offset) {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            read => {
                bytes.truncate(read?);
                return Ok(bytes);
            }
        }
    }
}

impl Future for SendFile<'_> {
    type Output = io::Result<u64>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<u64>> {
        let SendFile {
            socket,
            file,
            transfer,
        } = &mut *self;
        transfer.poll(*socket, *file, cx)
    }
}

impl fmt::Debug for SendFile<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SendFile")
            .field("file", &self.file)
            .field("sent", &self.sent())
            .field("rest", &self.transfer.rest)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for FileTransfer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileTransfer")
            .field("sent", &self.sent())
            .field("rest", &self.rest)
            .finish_non_exhaustive()
    }
}
