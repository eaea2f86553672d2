//! Pipes within one host. The reader holds the data.

use std::collections::VecDeque;
use std::io;
use std::os::fd::OwnedFd;

use super::placeholder::SocketId;
use super::record::HostId;
use super::socket::{Body, PipeEnd};
use super::state::{State, os};
use super::tcp::copy_out;

/// The number of bytes that a pipe holds (pipe(7)).
pub(super) const CAPACITY: usize = 65_536;
/// The number of bytes up to which a write is whole or not at all (`PIPE_BUF`), and the room that
/// makes the writer ready.
pub(super) const ATOMIC: usize = 4096;

impl State {
    fn pipe_mut(&mut self, id: SocketId) -> io::Result<&mut PipeEnd> {
        match self.sockets.get_mut(&id).map(|socket| &mut socket.body) {
            Some(Body::Pipe(end)) => Ok(end),
            _ => Err(os(libc::ENOTSOCK)),
        }
    }

    /// Creates a pipe, and returns reader and writer.
    pub(super) fn create_pipe(&mut self, host: HostId) -> io::Result<(OwnedFd, OwnedFd)> {
        let end = |is_writer| {
            Body::Pipe(PipeEnd {
                is_writer,
                other: None,
                data: VecDeque::new(),
            })
        };
        let (reader, reader_fd) = self.open_socket(host, end(false))?;
        let (writer, writer_fd) = match self.open_socket(host, end(true)) {
            Ok(opened) => opened,
            Err(e) => {
                self.remove_socket(reader);
                return Err(e);
            }
        };
        self.pipe_mut(reader)?.other = Some(writer);
        self.pipe_mut(writer)?.other = Some(reader);
        Ok((reader_fd, writer_fd))
    }

    pub(super) fn write_pipe(
        &mut self,
        id: SocketId,
        bufs: &[io::IoSlice<'_>],
    ) -> io::Result<usize> {
        let end = self.pipe_mut(id)?;
        if !end.is_writer {
            return Err(os(libc::EBADF));
        }
        let reader = end.other.ok_or_else(|| os(libc::EPIPE))?;
        let pipe = self.pipe_mut(reader)?;
        let total: usize = bufs.iter().map(|buf| buf.len()).sum();
        let mut room = CAPACITY - pipe.data.len();
        if room == 0 || (total <= ATOMIC && room < total) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let mut written = 0;
        for buf in bufs {
            let len = buf.len().min(room);
            pipe.data.extend(&buf[..len]);
            room -= len;
            written += len;
        }
        self.touch(reader);
        Ok(written)
    }

    pub(super) fn read_pipe(&mut self, id: SocketId, bufs: &mut [&mut [u8]]) -> io::Result<usize> {
        let end = self.pipe_mut(id)?;
        if end.is_writer {
            return Err(os(libc::EBADF));
        }
        let writer = end.other;
        if end.data.is_empty() {
            return match writer {
                None => Ok(0),
                Some(_) => Err(io::ErrorKind::WouldBlock.into()),
            };
        }
        let n = copy_out(&end.data, bufs);
        end.data.drain(..n);
        if let Some(writer) = writer {
            self.touch(writer);
        }
        Ok(n)
    }

    /// Closes an end of a pipe whose last descriptor is closed.
    pub(super) fn close_pipe(&mut self, id: SocketId) {
        let Some(socket) = self.remove_socket(id) else {
            return;
        };
        if let Body::Pipe(PipeEnd {
            other: Some(other), ..
        }) = socket.body
        {
            if let Ok(end) = self.pipe_mut(other) {
                end.other = None;
            }
            self.touch(other);
        }
    }
}
