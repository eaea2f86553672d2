//! Relaying between sockets and pipes without copying.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use runtime_net::internal::{Drained, Filled, Splice};

use crate::io::copy::{Route, copy_through};
use crate::io::copy_bidirectional::copy_both_through;
use crate::net::{SpliceRead, SpliceWrite};

/// Forwards everything from `a` to `b` and from `b` to `a` until both have ended, and returns the
/// number of bytes from `a` and from `b`.
///
/// This is [`io::copy_bidirectional`](crate::io::copy_bidirectional()) for sockets. On Linux the
/// kernel moves the bytes of a busy direction from one socket to the other (splice(2)), which takes
/// half the time of copying them. A direction that moves little at a time is copied, which is then
/// cheaper, and so is everything where the system has no splice or refuses it.
///
/// When one side ends, the writing half of the other side is closed and the opposite direction
/// continues, so that half-closed connections stay half-closed. No buffer and no pipe is held while
/// there is nothing to forward. A direction whose writer is slow keeps up to 512 KiB in a pipe and
/// stops reading. Urgent data is not forwarded.
///
/// # Errors
/// Returns the first error of either direction: those of recv(2), send(2) and splice(2), and the
/// [errors of waiting](runtime_net#errors). What had arrived in the other direction by then is
/// forwarded as far as its writer takes it without waiting.
///
/// # Cancel safety
/// Not cancel safe: bytes that were read but not yet written are lost, at most 512 KiB in each
/// direction.
///
/// # Platform-specific behavior
/// Splicing needs Linux, and that the signal SIGPIPE is ignored, as Rust's runtime has it from the
/// start of a program: splice(2) cannot suppress the signal. A thread has up to 32 pipes for this;
/// where more writers are slow at the same time, the others are served by copying. Other systems
/// copy: SO_SPLICE of FreeBSD and OpenBSD is not used.
///
/// # Examples
/// The example `proxy` is a complete program. In short:
/// ```
/// use runtime::io::{AsyncReadExt, AsyncWriteExt};
/// use runtime::net::{UnixStream, relay};
///
/// # runtime::block_on(async {
/// let (mut client, mut front) = UnixStream::pair()?;
/// let (mut back, mut server) = UnixStream::pair()?;
/// let relaying = runtime::spawn(async move { relay(&mut front, &mut back).await });
/// client.write_all(b"question").await?;
/// client.close().await?;
/// let mut question = String::new();
/// server.read_to_string(&mut question).await?;
/// assert_eq!(question, "question");
/// server.write_all(b"answer").await?; // the other direction is still open
/// drop(server);
/// assert_eq!(relaying.await??, (8, 6));
/// # std::io::Result::Ok(())
/// # }).unwrap();
/// ```
pub async fn relay<A, B>(a: &mut A, b: &mut B) -> io::Result<(u64, u64)>
where
    A: SpliceRead + SpliceWrite + Unpin + ?Sized,
    B: SpliceRead + SpliceWrite + Unpin + ?Sized,
{
    copy_both_through(Kernel::default(), Kernel::default(), a, b).await
}

/// Forwards everything from `reader` to `writer` and returns the number of bytes.
///
/// This is [`io::copy`](crate::io::copy()) for sockets and pipes, and one direction of a [`relay`]:
/// the kernel moves the bytes where it can. `writer` is not closed.
///
/// Both arguments are taken by value; pass `&mut reader`, or `&stream` for a socket, to keep them.
///
/// # Errors
/// Returns the errors of reading from `reader` and of writing to `writer`.
///
/// # Cancel safety
/// Not cancel safe: bytes that were read but not yet written are lost, at most 512 KiB.
///
/// # Platform-specific behavior
/// See [`relay`].
///
/// # Examples
/// Sending the output of a pipe to a socket:
/// ```
/// use runtime::io::{AsyncReadExt, AsyncWriteExt};
/// use runtime::net::{UnixStream, forward, pipe};
///
/// # runtime::block_on(async {
/// let (mut sender, receiver) = pipe::pipe()?;
/// let (near, mut far) = UnixStream::pair()?;
/// sender.write_all(b"output").await?;
/// drop(sender);
/// assert_eq!(forward(receiver, near).await?, 6);
/// let mut text = String::new();
/// far.read_to_string(&mut text).await?;
/// assert_eq!(text, "output");
/// # std::io::Result::Ok(())
/// # }).unwrap();
/// ```
pub async fn forward<R, W>(reader: R, writer: W) -> io::Result<u64>
where
    R: SpliceRead,
    W: SpliceWrite,
{
    copy_through(Kernel::default(), reader, writer).await
}

/// A splice that moves at least this many bytes is cheaper than a copy.
const MIN_SPLICE: usize = 16 * 1024;

/// The route through a pipe of the kernel, while there is much to move, and through memory
/// otherwise.
#[derive(Debug, Default)]
struct Kernel {
    splice: Splice,
    /// True if the last read found much.
    is_busy: bool,
}

impl<R: SpliceRead + ?Sized, W: SpliceWrite + ?Sized> Route<R, W> for Kernel {
    fn poll_fill(
        &mut self,
        cx: &mut Context<'_>,
        reader: Pin<&mut R>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<Filled>> {
        let filled = if self.is_busy && self.splice.is_supported() {
            ready!(self.splice.poll_fill(cx, &*reader, buffer))?
        } else {
            Filled::Buffer(ready!(reader.poll_read(cx, buffer))?)
        };
        self.is_busy = match filled {
            Filled::Pipe(len) => len >= MIN_SPLICE,
            Filled::Buffer(len) => len == buffer.len(),
        };
        Poll::Ready(Ok(filled))
    }

    fn has_bytes(&self) -> bool {
        self.splice.has_bytes()
    }

    fn poll_drain(
        &mut self,
        cx: &mut Context<'_>,
        writer: Pin<&mut W>,
    ) -> Poll<io::Result<Drained>> {
        self.splice.poll_drain(cx, &*writer)
    }
}
