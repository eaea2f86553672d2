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
//! For each signal signal-hook-registry finds a handler when it is used first, and calls that one for
//! the rest of the process's life before it tells anybody (the documentation of its `register`; it looks once).
//! So:
//! * A handler that was there before the first listener of all is called too, and is back when the last
//!   listener goes.
//! * One that somebody installs with sigaction(2) while there are listeners keeps the signal from them,
//!   unless it calls the one it replaced. It stays when they go.
//! * One that somebody installs in a pause, while there is no listener, is put aside by the next one and
//!   back when the last one goes, but **not called in between**. The one that was there before the first
//!   listener of all is, although it was replaced.
//! * Actions that others (tokio, signal-hook) have registered with signal-hook-registry are called while its
//!   handler is installed. Registered before our first listener, that is always. Registered later, it is only
//!   while there is a listener of ours, since the registry does not install its handler again: so keep
//!   one for as long as you mix the two.
//!
//! # Platform notes
//! The same on all systems, but for `SignalKind::info`, which Linux has
//! not, and the numbers behind the names. Signals that come faster than they are told count as one, on every
//! system. A child process that was forked and not yet executed does not tell the parent's listeners; nor
//! are they of use in a child that goes on to be one of its own (see
//! [`after_fork_child`](crate::Runtime::after_fork_child)).

mod listener;
pub mod unix;

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use runtime_reactor::internal::with_context;

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
        Poll::Ready(result.map_err(|e| with_context("wait for Ctrl-C", e)))
    }
}
