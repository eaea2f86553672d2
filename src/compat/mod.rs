//! Adapters to the traits of other libraries.
//!
//! | module | feature | adapts to |
//! |---|---|---|
//! | `hyper` | `hyper` | hyper 1.x: its traits for I/O, timers and executors |
//! | `hyper_util` | `hyper-util` | hyper-util: a server with limits, and connectors |
//! | `quinn` | `quinn` | quinn: its traits for sockets, timers and tasks |
//! | `tokio` | `tokio-io`; `tokio` for the context | tokio's traits for I/O, and its context |
//!
//! The feature `axum` adds no module: the listeners of [`net`](crate::net) implement its trait.

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
