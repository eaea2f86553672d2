//! The runtimes that are measured. Each file implements spawning, sleeping and serving for one
//! peer, in the same order. The measurements are the same code for all (`micro.rs`).

use std::future::Future;
use std::net::TcpListener;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

pub(crate) mod bare;
pub(crate) mod compio;
pub(crate) mod monoio;
pub(crate) mod ours;
pub(crate) mod smol;
pub(crate) mod tokio;
pub(crate) mod tokio_local;

/// The peers in the order of the tables: `runtime`, the lower bound, the others.
pub(crate) const ALL: [&str; 9] = [
    "runtime",
    "bare",
    "tokio",
    "tokio-local",
    "smol",
    "monoio",
    "monoio-uring",
    "compio",
    "compio-uring",
];

/// The peers that serve [`Service::HelloTimed`].
pub(crate) const HAVE_HEADER_TIMER: [&str; 3] = ["runtime", "tokio", "tokio-local"];

/// The size in bytes of the read buffer that each connection holds.
pub(crate) const BUFFER: usize = 4096;

/// The service of a server for each connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Service {
    /// Echoes until the end of the stream.
    Echo,
    /// Echoes one message and closes.
    Once,
    /// Serves HTTP/1.1 through hyper.
    Hello,
    /// Serves HTTP/1.1 through hyper with its limit for the headers: a timer is armed and dropped
    /// for each request. Only for the peers of [`HAVE_HEADER_TIMER`].
    HelloTimed,
}

/// Runs tasks.
pub(crate) trait Tasks {
    /// Runs a future and its tasks on a new runtime.
    fn block_on<F: Future>(future: F) -> F::Output;

    /// Spawns on the runtime of this thread with the peer's own function.
    fn spawn<F>(future: F) -> impl Future<Output = F::Output> + Unpin
    where
        F: Future + 'static,
        F::Output: 'static;
}

/// Runs tasks, timers, blocking jobs and servers.
pub(crate) trait Peer: Tasks {
    fn sleep(duration: Duration) -> impl Future<Output = ()>;

    /// Sleeps at most `slack` longer than `duration`, if there is such an option.
    fn sleep_with_slack(duration: Duration, _slack: Duration) -> impl Future<Output = ()> {
        Self::sleep(duration)
    }

    /// Limits a future; returns `None` if the limit passed first.
    fn timeout<F: Future>(limit: Duration, future: F) -> impl Future<Output = Option<F::Output>>;

    fn spawn_blocking(job: fn() -> u64) -> impl Future<Output = u64>;

    /// Accepts and serves until the process is killed.
    fn serve(listener: TcpListener, service: Service);
}

/// A future that is not `Send`, for executors that require `Send` but poll on one thread here.
pub(crate) struct AssertSend<F>(F);

impl<F> AssertSend<F> {
    pub(crate) fn new(inner: F) -> AssertSend<F> {
        AssertSend(inner)
    }

    pub(crate) fn into_inner(self) -> F {
        self.0
    }
}

// SAFETY: the peers that receive it run on one thread; its contents were created there and stay
// there.
unsafe impl<F> Send for AssertSend<F> {}

impl<F: Future> Future for AssertSend<F> {
    type Output = AssertSend<F::Output>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        // SAFETY: the field is structurally pinned; it is never moved out.
        let inner = unsafe { self.map_unchecked_mut(|it| &mut it.0) };
        inner.poll(cx).map(AssertSend)
    }
}

/// A join handle whose output is mapped to that of the task.
pub(crate) struct Map<J, F>(pub(crate) J, pub(crate) F);

impl<J: Future + Unpin, F: Fn(J::Output) -> T + Unpin, T> Future for Map<J, F> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        Pin::new(&mut self.0).poll(cx).map(&self.1)
    }
}
