//! A request to the thread of a runtime.

use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use runtime_executor::internal::Call;

/// A request to a runtime, whose answer is awaited or [waited for](Request::wait). Created by
/// [`Handle::tasks`](crate::Handle::tasks) and [`Handle::metrics`](crate::Handle::metrics).
///
/// On the runtime's own thread it is complete at once. On other threads it is answered between two
/// polls of tasks, while the runtime runs.
///
/// # Errors
/// Returns `Other` if the runtime was dropped.
///
/// # Panics
/// Panics if it is polled after completion.
///
/// # Cancel safety
/// Dropping the request loses nothing but the answer.
#[must_use = "the answer is awaited, or waited for by `wait`"]
pub struct Request<T>(Call<T>);

impl<T> Request<T> {
    pub(super) fn new(call: Call<T>) -> Request<T> {
        Request(call)
    }

    /// Blocks the calling thread until the answer arrives, at most for `limit`.
    ///
    /// A task should await the request instead, unless it asks the runtime that it runs on.
    ///
    /// # Errors
    /// Returns `TimedOut` if there is no answer in time: the thread of the runtime is in the poll
    /// of a task, or the runtime is not running. Returns `Other` if the runtime was dropped.
    ///
    /// # Examples
    /// ```
    /// use std::time::Duration;
    ///
    /// # fn main() -> std::io::Result<()> {
    /// let runtime = runtime::Runtime::new()?;
    /// let handle = runtime.handle().clone();
    /// let other = std::thread::spawn(move || handle.tasks().wait(Duration::from_secs(30)));
    /// while !other.is_finished() {
    ///     runtime.block_on(runtime::time::sleep(Duration::from_millis(1)));
    /// }
    /// println!("{}", other.join().unwrap()?);
    /// # Ok(())
    /// # }
    /// ```
    pub fn wait(mut self, limit: Duration) -> io::Result<T> {
        self.wait_at_most(limit)
            .unwrap_or_else(|| Err(no_answer(limit)))
    }

    /// Blocks the calling thread until the answer arrives. Returns `None` after `limit`; the
    /// request can be waited for again.
    pub(super) fn wait_at_most(&mut self, limit: Duration) -> Option<io::Result<T>> {
        let begin = Instant::now();
        let waker = Waker::from(Arc::new(Unparker(thread::current())));
        let mut cx = Context::from_waker(&waker);
        loop {
            if let Poll::Ready(answer) = Pin::new(&mut *self).poll(&mut cx) {
                return Some(answer);
            }
            match limit.checked_sub(begin.elapsed()) {
                Some(rest) if !rest.is_zero() => thread::park_timeout(rest),
                _ => return None,
            }
        }
    }
}

/// Returns the error of a request that was not answered in time.
pub(super) fn no_answer(limit: Duration) -> io::Error {
    let text = format!("the thread of the runtime did not answer in {limit:?}");
    io::Error::new(io::ErrorKind::TimedOut, text)
}

impl<T> Future for Request<T> {
    type Output = io::Result<T>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        let dropped = |_| io::Error::other("the runtime was dropped before it could answer");
        Pin::new(&mut self.0).poll(cx).map_err(dropped)
    }
}

impl<T> fmt::Debug for Request<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request").finish_non_exhaustive()
    }
}

/// A waker that ends `thread::park_timeout`.
struct Unparker(Thread);

impl Wake for Unparker {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}
