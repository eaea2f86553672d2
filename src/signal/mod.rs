//! Waiting for signals.
//!
//! [`ctrl_c`] is enough for most programs; [`unix::signal`] listens to any other signal. Any number
//! of listeners may wait for the same signal, on any number of runtimes: each receives it.
//!
//! # Implementation
//! The first listener for a signal installs the handler of signal-hook-registry, which also calls
//! the handler that was installed before. The handler writes a byte to the socket pair of each
//! listener, which waits for it in the reactor like any other descriptor. A listener uses two
//! descriptors and no thread. **Dropping the last listener restores the disposition** that was
//! there before the first one, so that Ctrl-C ends the process again.
//!
//! # Coalescing
//! A signal is not a message. The kernel keeps one pending signal of each kind (signal(7)), and a
//! listener combines the signals that arrive between two polls. A listener completes at least once
//! after the last signal since its creation or its last completion.
//!
//! # Other signal handlers
//! signal-hook-registry saves the handler of a signal when the signal is first used, and calls that
//! handler before its own actions for the rest of the process's life.
//!
//! * A handler installed before the first listener is called too, and is restored when the last
//!   listener is dropped.
//! * A handler installed with sigaction(2) while there are listeners takes the signal from them,
//!   unless it calls the handler it replaced. It stays when they are dropped.
//! * A handler installed while there are no listeners is replaced by the next listener and restored
//!   when the last one is dropped, but is **not called in between**. The handler saved by the
//!   registry is called, although it was replaced.
//! * Actions that other crates (tokio, signal-hook) register with signal-hook-registry are called
//!   while its handler is installed. Actions registered before the first listener are always
//!   called; later ones only while there is a listener, because the registry does not install its
//!   handler again. A program that uses both should keep a listener.
//!
//! # Platform-specific behavior
//! `SignalKind::info` does not exist on Linux, and the numbers of signals differ. A child process
//! between fork(2) and execve(2) does not notify the parent's listeners; they do not work in a
//! child that continues without execve(2) either (see
//! [`after_fork_child`](crate::Runtime::after_fork_child)).

mod listener;
pub mod unix;

use std::future::Future;
use std::io;
use std::os::fd::RawFd;
use std::pin::Pin;
use std::task::{Context, Poll};

use runtime_reactor::internal::with_context;

pub(crate) use listener::Installed;
use unix::{Signal, SignalKind};

/// Waits for one Ctrl-C, which is the signal SIGINT.
///
/// The listener is created by this call, not by the first poll: a signal in between is not lost.
/// Any number of tasks may wait; each receives the signal.
///
/// While such a future exists, SIGINT does not end the process. After the last one is dropped, it
/// does: a second Ctrl-C then ends a program whose shutdown takes too long. To keep control, keep a
/// [`unix::signal`] of [`SignalKind::interrupt`].
///
/// # Errors
/// Returns the system's error if the handler cannot be installed or no descriptor is available; two
/// are needed. Returns `Other` if the future has to wait outside a runtime, or if the runtime in
/// which it waited was dropped. [`io::os_error`](crate::io::os_error) returns the number of an
/// error of the system.
///
/// # Panics
/// Panics if the future is polled after completion.
///
/// # Cancel safety
/// Dropping the future discards the signals that it has received and not returned.
///
/// # Examples
/// ```no_run
/// #[runtime::main]
/// async fn main() -> std::io::Result<()> {
///     runtime::signal::ctrl_c().await?;
///     println!("shutting down");
///     Ok(())
/// }
/// ```
pub fn ctrl_c() -> CtrlC {
    CtrlC {
        signal: Some(unix::signal(SignalKind::interrupt())),
    }
}

/// Returns the signal whose listener waits for a descriptor.
pub(crate) fn awaited_at(fd: RawFd) -> Option<SignalKind> {
    listener::signal_of(fd).map(SignalKind::from_raw)
}

/// The future returned by [`ctrl_c`].
#[derive(Debug)]
#[must_use = "futures do nothing unless awaited"]
pub struct CtrlC {
    /// The listener, or the error of creating it; `None` after completion.
    signal: Option<io::Result<Signal>>,
}

impl Future for CtrlC {
    type Output = io::Result<()>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let signal = self.signal.take();
        let result = match signal.expect("ctrl_c was polled after completion") {
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
