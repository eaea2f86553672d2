//! Adapters to the traits of other libraries.
//!
//! Each module needs the feature that its documentation names.

/// Implements the methods that the writer traits of futures-io, hyper and tokio have in common, by
/// calling those of the wrapped `stream`. The method that closes a writer is `$close` in the
/// implemented trait and `$inner_close` in the stream's trait.
#[cfg(any(feature = "hyper", feature = "tokio-io"))]
macro_rules! forward_write {
    ($close:ident => $inner_close:ident) => {
        fn poll_write(
            self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            buf: &[u8],
        ) -> Poll<io::Result<usize>> {
            self.project().stream.poll_write(cx, buf)
        }

        fn poll_write_vectored(
            self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            bufs: &[IoSlice<'_>],
        ) -> Poll<io::Result<usize>> {
            self.project().stream.poll_write_vectored(cx, bufs)
        }

        fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            self.project().stream.poll_flush(cx)
        }

        fn $close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            self.project().stream.$inner_close(cx)
        }
    };
}

#[cfg(feature = "hyper")]
pub mod hyper;
#[cfg(feature = "hyper-util")]
pub mod hyper_util;
#[cfg(feature = "quinn")]
pub mod quinn;
#[cfg(feature = "tokio-io")]
pub mod tokio;
