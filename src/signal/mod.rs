//! Being told of signals.
//!
//! [`ctrl_c`] is enough for most programs; [`unix::signal`] listens to any other signal. Any number
//! of listeners may wait for the same signal, on any number of runtimes in one process: all are told.
//!
//! # How it works
//! The first listener of a signal installs a handler (that of signal-hook-registry, which calls
//! what was installed before it as well). The handler writes a byte to a socket pair of each
//! listener, which waits for that in the reactor like for any other descriptor: two descriptors a
//! listener, and no thread. **When the last listener goes, the disposition is put back** to what
//! it was before the first one came, so that Ctrl-C ends the process again.
//!
//! # Coalescing
//! A signal is not a message: the kernel keeps only one of each kind that a process has not taken
//! yet (signal(7)), and so does a listener with those that come between two polls. What is promised
//! is that a listener is told at least once after the last signal of the time since it was made or was told.
//!
//! # Other handlers
//! A handler that somebody installs with sigaction(2) while there are listeners stays, when they
//! go. Actions of others in signal-hook-registry (as tokio's and signal-hook's are) stay too, if one was there
//! first; one that comes after our first listener goes deaf with our last one, so keep a
//! listener for as long as you mix the two.
//!
//! # Platform notes
//! The same on all systems, but for `SignalKind::info`, which Linux has
//! not. A child process that was forked and not yet executed does not tell the parent's listeners.

mod listener;
pub mod unix;

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::error::during;
use unix::{Signal, SignalKind};

/// Waits for Ctrl-C, that is for the signal SIGINT, once.
///
/// It counts from this call on, not from the first poll: a signal in between is not lost. Any number
/// of tasks may wait; all are told.
///
/// # Errors
/// If the handler cannot be installed or no descriptor is left (two are needed); and when it has to
/// wait outside a runtime.
///
/// # Cancel safety
/// Dropping the future forgets the signals it has not told of.
///
/// # Platform notes
/// While any such future lives, SIGINT does not end the process by itself. Once the last one is gone
/// it does again: a second Ctrl-C ends a program whose orderly end takes too long. To stay
/// in charge, keep a [`unix::signal`] of [`SignalKind::interrupt`].
///
/// # Examples
/// ```no_run
/// #[runtime::main]
/// async fn main() -> std::io::Result<()> {
///     runtime::signal::ctrl_c().await?;
///     println!("asked to end");
///     Ok(())
/// }
/// ```
pub fn ctrl_c() -> CtrlC {
    CtrlC {
        signal: Some(unix::signal(SignalKind::interrupt())),
    }
}

/// The future of [`ctrl_c`].
#[derive(Debug)]
#[must_use = "futures do nothing unless awaited"]
pub struct CtrlC {
    /// An error that is not told yet, or how the signal is heard; `None` once it was ready.
    signal: Option<io::Result<Signal>>,
}

impl Future for CtrlC {
    type Output = io::Result<()>;

    /// # Panics
    /// If it is polled after it was ready.
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let signal = self.signal.take();
        let result = match signal.expect("ctrl_c was polled after it was ready") {
            Ok(mut signal) => match signal.poll_recv(cx) {
                Poll::Ready(result) => result,
                Poll::Pending => {
                    self.signal = Some(Ok(signal));
                    return Poll::Pending;
                }
            },
            Err(e) => Err(e),
        };
        Poll::Ready(result.map_err(|e| during("wait for Ctrl-C", e)))
    }
}
