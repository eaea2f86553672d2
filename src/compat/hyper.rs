//! hyper 1.x on these sockets, tasks and timers (feature `hyper`).
//!
//! [`Io`] dresses a stream for hyper, [`Executor`] spawns what hyper spawns, [`Timer`] measures its
//! time limits. Nothing has to be `Send`.
//!
//! # Examples
//! ```
//! use std::convert::Infallible;
//! use http_body_util::Full;
//! use hyper::body::{Bytes, Incoming};
//! use hyper::server::conn::http1;
//! use hyper::service::service_fn;
//! use hyper::{Request, Response};
//! use runtime::compat::hyper::{Io, Timer};
//! use runtime::net::TcpListener;
//!
//! async fn hello(_: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
//!     Ok(Response::new(Full::from("hello")))
//! }
//!
//! # runtime::block_on(async {
//! let listener = TcpListener::bind("127.0.0.1:0").await?;
//! # let client = runtime::net::TcpStream::connect(listener.local_addr()?).await?;
//! # drop(client);
//! let (stream, _) = listener.accept().await?;
//! runtime::spawn(async move {
//!     let served = http1::Builder::new()
//!         .timer(Timer)
//!         .serve_connection(Io::new(stream), service_fn(hello));
//!     if let Err(e) = served.await {
//!         eprintln!("a connection failed: {e}");
//!     }
//! });
//! # Ok::<(), std::io::Error>(())
//! # }).unwrap();
//! ```

use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use futures_io::{AsyncRead, AsyncWrite};
use hyper::rt::{self, ReadBufCursor};
use pin_project_lite::pin_project;

use crate::io::scratch;
use crate::time;

pin_project! {
    /// A stream of `futures-io`, as hyper's `Read` and `Write`, vectored writes included.
    #[derive(Debug, Clone)]
    pub struct Io<T> {
        #[pin]
        stream: T,
    }
}

impl<T> Io<T> {
    /// Dresses a stream for hyper.
    pub fn new(stream: T) -> Io<T> {
        Io { stream }
    }

    /// The stream.
    pub fn get_ref(&self) -> &T {
        &self.stream
    }

    /// The stream, to be changed.
    pub fn get_mut(&mut self) -> &mut T {
        &mut self.stream
    }

    /// The stream, undressed.
    pub fn into_inner(self) -> T {
        self.stream
    }
}

impl<T: AsyncRead> rt::Read for Io<T> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut cursor: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        // hyper's buffer is not initialised. Copying what was read is cheaper than clearing all of
        // the buffer first, and needs no promise about a stranger's `poll_read`.
        scratch::with_buffer(|buffer| {
            let room = cursor.remaining().min(buffer.len());
            let read = ready!(self.project().stream.poll_read(cx, &mut buffer[..room]))?;
            cursor.put_slice(&buffer[..read]);
            Poll::Ready(Ok(()))
        })
    }
}

impl<T: AsyncWrite> rt::Write for Io<T> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.project().stream.poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.project().stream.poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.project().stream.poll_close(cx)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.project().stream.poll_write_vectored(cx, slices)
    }
}

/// Spawns what hyper spawns, on the runtime of this thread. The futures need not be `Send`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Executor;

impl<F> rt::Executor<F> for Executor
where
    F: Future + 'static,
    F::Output: 'static,
{
    /// # Panics
    /// Outside a runtime.
    fn execute(&self, future: F) {
        drop(crate::spawn(future));
    }
}

/// Measures hyper's time limits.
#[derive(Debug, Clone, Copy, Default)]
pub struct Timer;

impl rt::Timer for Timer {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn rt::Sleep>> {
        Box::pin(time::sleep(duration))
    }

    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn rt::Sleep>> {
        Box::pin(time::sleep_until(deadline))
    }

    fn reset(&self, sleep: &mut Pin<Box<dyn rt::Sleep>>, deadline: Instant) {
        match sleep.as_mut().downcast_mut_pin::<time::Sleep>() {
            Some(mut sleep) => sleep.reset(deadline),
            None => *sleep = self.sleep_until(deadline),
        }
    }
}

impl rt::Sleep for time::Sleep {}
