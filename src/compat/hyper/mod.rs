//! Adapters for hyper 1.x (feature `hyper`).
//!
//! [`Io`] wraps a stream for hyper, [`Executor`] spawns hyper's tasks, and [`Timer`] provides its
//! timers. [`FileIo`] sends files without copying them. Streams, services and bodies need not be
//! `Send`.
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
//!         eprintln!("connection failed: {e}");
//!     }
//! });
//! # Ok::<(), std::io::Error>(())
//! # }).unwrap();
//! ```

mod files;

pub use files::{FileBody, FileIo, Files};

use std::any::Any;
use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use futures_io::{AsyncRead, AsyncWrite};
use hyper::rt::{self, ReadBufCursor};
use pin_project_lite::pin_project;

use crate::io::scratch;
use crate::net::{TcpStream, UnixStream};
use crate::{sys, time};

pin_project! {
    /// A wrapper that implements hyper's `Read` and `Write` for a futures-io stream, with vectored
    /// writes.
    ///
    /// Wrap the socket itself, and put a wrapper of your own around the `Io`: a [`TcpStream`] or
    /// [`UnixStream`] is read straight into the buffer of hyper.
    #[derive(Debug, Clone)]
    pub struct Io<T> {
        #[pin]
        stream: T,
    }
}

impl<T> Io<T> {
    /// Wraps a stream.
    pub fn new(stream: T) -> Io<T> {
        Io { stream }
    }

    /// Returns a reference to the stream.
    pub fn get_ref(&self) -> &T {
        &self.stream
    }

    /// Returns a mutable reference to the stream.
    pub fn get_mut(&mut self) -> &mut T {
        &mut self.stream
    }

    /// Returns the stream.
    pub fn into_inner(self) -> T {
        self.stream
    }
}

/// Reads a [`TcpStream`] or [`UnixStream`] straight into the buffer of hyper. Other streams are
/// read into a buffer of the thread, in pieces of at most 64 KiB, which are copied to that of
/// hyper.
impl<T: AsyncRead + 'static> rt::Read for Io<T> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut cursor: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let stream = self.project().stream;
        let any: &dyn Any = &*stream;
        // The compiler knows the answers.
        if let Some(stream) = any.downcast_ref::<TcpStream>() {
            return sys::hyper::poll_read(stream, cx, cursor);
        }
        if let Some(stream) = any.downcast_ref::<UnixStream>() {
            return sys::hyper::poll_read(stream, cx, cursor);
        }
        // hyper's buffer is not initialized. Copying what was read is cheaper than clearing the
        // whole buffer first, and needs no assumption about the `poll_read` of another crate.
        scratch::with_buffer(|buffer| {
            let room = cursor.remaining().min(buffer.len());
            let read = ready!(stream.poll_read(cx, &mut buffer[..room]))?;
            cursor.put_slice(&buffer[..read]);
            Poll::Ready(Ok(()))
        })
    }
}

impl<T: AsyncWrite> rt::Write for Io<T> {
    forward_write!(poll_shutdown => poll_close);

    fn is_write_vectored(&self) -> bool {
        true
    }
}

/// An executor that spawns hyper's futures, which need not be `Send`, on the current runtime.
#[derive(Debug, Clone, Copy, Default)]
pub struct Executor;

impl<F> rt::Executor<F> for Executor
where
    F: Future + 'static,
    F::Output: 'static,
{
    /// # Panics
    /// Panics outside a runtime.
    fn execute(&self, future: F) {
        drop(crate::spawn(future));
    }
}

/// A timer that implements hyper's timeouts by [`time::sleep`](crate::time::sleep()).
#[derive(Debug, Clone, Copy, Default)]
pub struct Timer;

impl rt::Timer for Timer {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn rt::Sleep>> {
        Box::pin(time::sleep(duration))
    }

    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn rt::Sleep>> {
        Box::pin(time::sleep_until(deadline))
    }

    /// Returns the time of the runtime's clock, which [`pause`](crate::time::pause) can stop.
    fn now(&self) -> Instant {
        runtime_reactor::internal::clock::now()
    }

    fn reset(&self, sleep: &mut Pin<Box<dyn rt::Sleep>>, deadline: Instant) {
        match sleep.as_mut().downcast_mut_pin::<time::Sleep>() {
            Some(mut sleep) => sleep.reset(deadline),
            None => *sleep = self.sleep_until(deadline),
        }
    }
}

impl rt::Sleep for time::Sleep {}
