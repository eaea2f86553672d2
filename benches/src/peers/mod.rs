//! Who is measured. Each file says how one peer spawns, sleeps and serves, in the same order, so that
//! they can be laid side by side; what is done with that is the same code for all (`micro.rs`).

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

/// As they stand in tables: ours, the floor, the others.
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

/// How many bytes a server reads at a time: each connection holds a buffer of this size.
pub(crate) const BUFFER: usize = 4096;

/// What a server does with a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Service {
    /// Writes back what it reads, until the end.
    Echo,
    /// Reads once, writes that back, closes.
    Once,
    /// HTTP/1.1 through hyper.
    Hello,
}

/// Runs tasks.
pub(crate) trait Tasks {
    /// Runs a future, and the tasks meanwhile, on a runtime of its own.
    fn block_on<F: Future>(future: F) -> F::Output;

    /// Spawns on the runtime of this thread. Every peer's own spawn function, whatever it asks for.
    fn spawn<F>(future: F) -> impl Future<Output = F::Output> + Unpin
    where
        F: Future + 'static,
        F::Output: 'static;
}

/// Runs tasks, timers, blocking jobs and servers.
pub(crate) trait Peer: Tasks {
    fn sleep(duration: Duration) -> impl Future<Output = ()>;

    /// `None` if the limit passed first.
    fn timeout<F: Future>(limit: Duration, future: F) -> impl Future<Output = Option<F::Output>>;

    fn spawn_blocking(job: fn() -> u64) -> impl Future<Output = u64>;

    /// Accepts and serves until the process is killed.
    fn serve(listener: TcpListener, service: Service);
}

/// What is spawned on executors that ask for `Send`, by a process that has one thread to poll it.
pub(crate) struct AssertSend<F>(F);

impl<F> AssertSend<F> {
    pub(crate) fn new(inner: F) -> AssertSend<F> {
        AssertSend(inner)
    }

    pub(crate) fn into_inner(self) -> F {
        self.0
    }
}

// SAFETY: the peers that it is given to run on one thread, where what is in it was made and stays.
unsafe impl<F> Send for AssertSend<F> {}

impl<F: Future> Future for AssertSend<F> {
    type Output = AssertSend<F::Output>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        // SAFETY: the field is structurally pinned: nothing moves out of it.
        let inner = unsafe { self.map_unchecked_mut(|it| &mut it.0) };
        inner.poll(cx).map(AssertSend)
    }
}

/// A spawned task whose handle gives something else than the output.
pub(crate) struct Map<J, F>(pub(crate) J, pub(crate) F);

impl<J: Future + Unpin, F: Fn(J::Output) -> T + Unpin, T> Future for Map<J, F> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        Pin::new(&mut self.0).poll(cx).map(&self.1)
    }
}
