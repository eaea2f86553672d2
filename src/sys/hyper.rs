//! Reading into the memory of hyper.

use std::io;
use std::task::{Context, Poll, ready};

use hyper::rt::ReadBufCursor;
use runtime_net::internal::ReadUninit;

/// Reads from `stream` into the buffer of hyper, which is not cleared before, and advances it.
///
/// # Errors
/// Returns the errors of recv(2) and of waiting.
pub(crate) fn poll_read(
    stream: &impl ReadUninit,
    cx: &mut Context<'_>,
    mut cursor: ReadBufCursor<'_>,
) -> Poll<io::Result<()>> {
    // SAFETY: no byte may be de-initialized. `poll_read_uninit`, which only the crate of the
    // sockets implements, has recv(2) write to the memory and nothing else.
    let room = unsafe { cursor.as_mut() };
    let n = ready!(stream.poll_read_uninit(cx, room))?.len();
    // SAFETY: the next `n` bytes must be initialized. `poll_read_uninit` returns the start of the
    // memory as a slice of `n` bytes.
    unsafe { cursor.advance(n) };
    Poll::Ready(Ok(()))
}
