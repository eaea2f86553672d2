//! Limiting how long a future may take.

use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use std::{error, fmt, io};

use pin_project_lite::pin_project;

use super::{Instant, Sleep};

/// Awaits `future` for at most `limit`.
///
/// The limit begins when the future first has to wait. The future is polled before the limit is
/// checked: a future that is ready completes regardless of the limit, and without reading the
/// clock.
///
/// # Errors
/// Returns [`Elapsed`] if the limit passes first. The future is dropped with the [`Timeout`]; pass
/// `&mut future` to keep it.
///
/// # Panics
/// The returned future panics if it has to wait outside a runtime, or after the runtime in which it
/// waits was dropped.
///
/// # Cancel safety
/// Cancel safe if `future` is.
///
/// # Examples
/// ```
/// use std::future::pending;
/// use std::time::Duration;
/// use runtime::time::timeout;
///
/// # runtime::block_on(async {
/// let limit = Duration::from_millis(1);
/// assert_eq!(timeout(limit, async { 42 }).await, Ok(42));
/// assert!(timeout(limit, pending::<()>()).await.is_err());
/// # });
/// ```
#[track_caller]
pub fn timeout<F: IntoFuture>(limit: Duration, future: F) -> Timeout<F::IntoFuture> {
    Timeout {
        future: future.into_future(),
        limit: Limit::After(limit),
        sleep: None,
        location: Location::caller(),
    }
}

/// Awaits `future` until `deadline` at the latest.
///
/// The future is polled before the deadline is checked: a future that is ready completes even after
/// the deadline.
///
/// # Errors
/// Returns [`Elapsed`] if the deadline passes first. The future is dropped with the [`Timeout`];
/// pass `&mut future` to keep it.
///
/// # Panics
/// The returned future panics if it has to wait outside a runtime, or after the runtime in which it
/// waits was dropped.
///
/// # Cancel safety
/// Cancel safe if `future` is.
///
/// # Examples
/// ```
/// use std::future::pending;
/// use runtime::time::{Duration, Instant, timeout_at};
///
/// # runtime::block_on(async {
/// // One deadline for several steps.
/// let deadline = Instant::now() + Duration::from_millis(2);
/// assert_eq!(timeout_at(deadline, async { 1 }).await, Ok(1));
/// assert!(timeout_at(deadline, pending::<()>()).await.is_err());
/// # });
/// ```
#[track_caller]
pub fn timeout_at<F: IntoFuture>(
    deadline: impl Into<Instant>,
    future: F,
) -> Timeout<F::IntoFuture> {
    Timeout {
        future: future.into_future(),
        limit: Limit::At(deadline.into()),
        sleep: None,
        location: Location::caller(),
    }
}

#[derive(Debug, Clone, Copy)]
enum Limit {
    After(Duration),
    At(Instant),
}

pin_project! {
    /// The future returned by [`timeout`] and [`timeout_at`].
    #[derive(Debug)]
    #[must_use = "futures do nothing unless awaited"]
    pub struct Timeout<F> {
        #[pin]
        future: F,
        limit: Limit,
        // Created when the future first has to wait.
        sleep: Option<Sleep>,
        location: &'static Location<'static>,
    }
}

impl<F> Timeout<F> {
    /// Returns a reference to the wrapped future.
    pub fn get_ref(&self) -> &F {
        &self.future
    }

    /// Returns a mutable reference to the wrapped future.
    pub fn get_mut(&mut self) -> &mut F {
        &mut self.future
    }

    /// Returns the wrapped future.
    pub fn into_inner(self) -> F {
        self.future
    }
}

impl<F: Future> Future for Timeout<F> {
    type Output = Result<F::Output, Elapsed>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        if let Poll::Ready(output) = this.future.poll(cx) {
            return Poll::Ready(Ok(output));
        }
        let (limit, location) = (*this.limit, *this.location);
        let sleep = this.sleep.get_or_insert_with(|| match limit {
            Limit::After(limit) => Sleep::new(
                super::saturating_add(Instant::now(), limit),
                "timeout",
                location,
            ),
            Limit::At(deadline) => Sleep::new(deadline, "timeout_at", location),
        });
        ready!(Pin::new(sleep).poll(cx));
        Poll::Ready(Err(Elapsed(())))
    }
}

/// The error returned when the limit of a [`timeout`] or [`timeout_at`] has passed.
///
/// It converts to an [`io::Error`] of kind `TimedOut`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Elapsed(());

impl fmt::Display for Elapsed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the time limit has passed")
    }
}

impl error::Error for Elapsed {}

impl From<Elapsed> for io::Error {
    fn from(elapsed: Elapsed) -> io::Error {
        io::Error::new(io::ErrorKind::TimedOut, elapsed)
    }
}
