//! A future with a limit.

use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};
use std::{error, fmt, io};

use pin_project_lite::pin_project;

use super::Sleep;

/// Awaits `future`, but no longer than `limit`, counted from the first time that it has to wait.
///
/// The future is polled first: one that is ready costs no look at the clock, and gets its value
/// through whatever the limit.
///
/// # Errors
/// [`Elapsed`] if the limit passes first. The future is dropped with the `Timeout`; pass it as
/// `&mut future` to keep it.
///
/// # Panics
/// When it has to wait outside a runtime, or after the runtime in which it waits is gone.
///
/// # Cancel safety
/// That of `future`.
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

/// Awaits `future`, but no longer than until `deadline`. See [`timeout`].
///
/// # Errors
/// [`Elapsed`] if the deadline passes first. A future that is ready when it is first polled gets
/// its value through, also after the deadline.
///
/// # Panics
/// As [`timeout`].
///
/// # Cancel safety
/// That of `future`.
///
/// # Examples
/// ```
/// use std::future::pending;
/// use std::time::{Duration, Instant};
/// use runtime::time::timeout_at;
///
/// # runtime::block_on(async {
/// // One deadline for several steps.
/// let deadline = Instant::now() + Duration::from_millis(2);
/// assert_eq!(timeout_at(deadline, async { 1 }).await, Ok(1));
/// assert!(timeout_at(deadline, pending::<()>()).await.is_err());
/// # });
/// ```
#[track_caller]
pub fn timeout_at<F: IntoFuture>(deadline: Instant, future: F) -> Timeout<F::IntoFuture> {
    Timeout {
        future: future.into_future(),
        limit: Limit::At(deadline),
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
    /// The future of [`timeout`] and [`timeout_at`].
    #[derive(Debug)]
    #[must_use = "futures do nothing unless awaited"]
    pub struct Timeout<F> {
        #[pin]
        future: F,
        limit: Limit,
        // Made when the future first has to wait.
        sleep: Option<Sleep>,
        location: &'static Location<'static>,
    }
}

impl<F> Timeout<F> {
    /// The future.
    pub fn get_ref(&self) -> &F {
        &self.future
    }

    /// The future, to be changed.
    pub fn get_mut(&mut self) -> &mut F {
        &mut self.future
    }

    /// The future without the limit.
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

/// The limit of a [`timeout`] has passed.
///
/// It becomes an [`io::Error`] of kind `TimedOut` by `?`.
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
