//! Sending bytes and parts of files in turn, for a connection that owns both.

use std::io::{self, IoSlice};
use std::net;
use std::os::fd::BorrowedFd;
use std::task::{Context, Poll};

use runtime_reactor::Direction;

use crate::send_file::FileTransfer;
use crate::sys::bytes;
use crate::tcp::TcpStream;

/// Sends `file`, the same at each poll, until all of the transfer was sent or the file has ended.
/// Returns the number of bytes sent.
///
/// # Errors
/// Returns the errors of [`TcpStream::send_file`].
pub fn poll_send_file(
    stream: &TcpStream,
    transfer: &mut FileTransfer,
    file: BorrowedFd<'_>,
    cx: &mut Context<'_>,
) -> Poll<io::Result<u64>> {
    transfer.poll(&stream.source, file, cx)
}

/// Writes the bytes that precede a file, into the same packet if possible. The file must follow at
/// once.
///
/// # Errors
/// Returns the errors of send(2) and of waiting.
pub fn poll_write_more(
    stream: &TcpStream,
    cx: &mut Context<'_>,
    bufs: &[IoSlice<'_>],
) -> Poll<io::Result<usize>> {
    let write = |io: &net::TcpStream| bytes::send_more(io, bufs);
    stream.source.poll_io(Direction::Write, cx, write)
}
