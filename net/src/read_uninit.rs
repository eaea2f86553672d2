//! Reading straight into memory that is not initialized.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::AsFd;
use std::task::{Context, Poll, ready};

use runtime_reactor::{Direction, Source};

use crate::sys::read_buf::Unfilled;
use crate::tcp::TcpStream;
use crate::unix::UnixStream;

/// Keeps other crates from implementing the trait, whose callers rely on what it returns.
mod sealed {
    pub trait Sealed {}
}

/// A stream that reads into memory that is not initialized.
pub trait ReadUninit: sealed::Sealed {
    /// Reads into the start of `room` and returns what was read. Nothing else is written to `room`.
    ///
    /// An empty result means the end of the stream, unless `room` is empty.
    ///
    /// # Errors
    /// Returns the errors of recv(2) and of waiting.
    fn poll_read_uninit<'b>(
        &self,
        cx: &mut Context<'_>,
        room: &'b mut [MaybeUninit<u8>],
    ) -> Poll<io::Result<&'b mut [u8]>>;
}

fn poll_read<'b, T: AsFd>(
    source: &Source<T>,
    cx: &mut Context<'_>,
    room: &'b mut [MaybeUninit<u8>],
) -> Poll<io::Result<&'b mut [u8]>> {
    let mut unfilled = Unfilled::new(room);
    let asked = unfilled.len();
    if asked != 0 {
        let read = |io: &T| unfilled.recv(io.as_fd());
        ready!(source.poll_transfer(Direction::Read, cx, asked, read))?;
    }
    Poll::Ready(Ok(unfilled.into_filled()))
}

macro_rules! read_uninit {
    ($($stream:ty),*) => {$(
        impl sealed::Sealed for $stream {}

        impl ReadUninit for $stream {
            fn poll_read_uninit<'b>(
                &self,
                cx: &mut Context<'_>,
                room: &'b mut [MaybeUninit<u8>],
            ) -> Poll<io::Result<&'b mut [u8]>> {
                poll_read(&self.source, cx, room)
            }
        }
    )*};
}

read_uninit!(TcpStream, UnixStream);
