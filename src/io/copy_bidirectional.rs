//! Copying in both directions at once.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_io::{AsyncRead, AsyncWrite};

use super::copy::{Memory, Route, Transfer};

/// Copies from `a` to `b` and from `b` to `a` until both have ended, and returns the number of
/// bytes from `a` and from `b`.
///
/// When one side ends, the writing half of the other side is closed and the opposite direction
/// continues, so that half-closed connections stay half-closed.
///
/// Between sockets [`net::relay`](crate::net::relay()) does the same without copying the bytes.
///
/// # Errors
/// Returns the first error of either direction, as listed by [`copy`](super::copy()). What had
/// arrived in the other direction by then is forwarded as far as its writer takes it without
/// waiting.
///
/// # Cancel safety
/// Not cancel safe: data that was read but not yet written is lost.
///
/// # Examples
/// The example `proxy` is a complete program. In short:
/// ```
/// use runtime::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
/// use runtime::net::UnixStream;
///
/// # runtime::block_on(async {
/// let (mut client, mut front) = UnixStream::pair()?;
/// let (mut back, mut server) = UnixStream::pair()?;
/// let relay = runtime::spawn(async move { copy_bidirectional(&mut front, &mut back).await });
/// client.write_all(b"question").await?;
/// client.close().await?;
/// let mut question = String::new();
/// server.read_to_string(&mut question).await?;
/// assert_eq!(question, "question");
/// server.write_all(b"answer").await?; // the other direction is still open
/// drop(server);
/// assert_eq!(relay.await??, (8, 6));
/// # std::io::Result::Ok(())
/// # }).unwrap();
/// ```
pub async fn copy_bidirectional<A, B>(a: &mut A, b: &mut B) -> io::Result<(u64, u64)>
where
    A: AsyncRead + AsyncWrite + Unpin + ?Sized,
    B: AsyncRead + AsyncWrite + Unpin + ?Sized,
{
    copy_both_through(Memory, Memory, a, b).await
}

/// Copies like [`copy_bidirectional`] on the given routes.
pub(crate) async fn copy_both_through<T, U, A, B>(
    there: T,
    back: U,
    a: &mut A,
    b: &mut B,
) -> io::Result<(u64, u64)>
where
    T: Route<A, B>,
    U: Route<B, A>,
    A: AsyncRead + AsyncWrite + Unpin + ?Sized,
    B: AsyncRead + AsyncWrite + Unpin + ?Sized,
{
    let mut there = OneWay::Copying(Transfer::new(there));
    let mut back = OneWay::Copying(Transfer::new(back));
    poll_fn(|cx| {
        // Both are polled whatever the first returns: if it is pending, so that each registers its
        // waker; if it fails, so that the answer of a peer that has closed its side is forwarded.
        let sent = there.poll(cx, Pin::new(&mut *a), Pin::new(&mut *b));
        let received = back.poll(cx, Pin::new(&mut *b), Pin::new(&mut *a));
        let (sent, received) = (sent?, received?);
        Poll::Ready(Ok((ready!(sent), ready!(received))))
    })
    .await
}

/// One direction, until its writer is closed.
#[derive(Debug)]
enum OneWay<T> {
    Copying(Transfer<T>),
    Closing(u64),
    Done(u64),
}

impl<T> OneWay<T> {
    fn poll<R, W>(
        &mut self,
        cx: &mut Context<'_>,
        mut reader: Pin<&mut R>,
        mut writer: Pin<&mut W>,
    ) -> io::Result<Poll<u64>>
    where
        T: Route<R, W>,
        R: AsyncRead + ?Sized,
        W: AsyncWrite + ?Sized,
    {
        loop {
            match self {
                OneWay::Copying(transfer) => {
                    match transfer.poll_copy(cx, reader.as_mut(), writer.as_mut())? {
                        Poll::Ready(total) => *self = OneWay::Closing(total),
                        Poll::Pending => return Ok(Poll::Pending),
                    }
                }
                OneWay::Closing(total) => match writer.as_mut().poll_close(cx)? {
                    Poll::Ready(()) => *self = OneWay::Done(*total),
                    Poll::Pending => return Ok(Poll::Pending),
                },
                OneWay::Done(total) => return Ok(Poll::Ready(*total)),
            }
        }
    }
}
