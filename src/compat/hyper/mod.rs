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
mod io;

use std::future::Future;
use std::pin::Pin;
use std::time::{Duration, Instant};

use hyper::rt;

use crate::time;

pub use files::{FileBody, FileIo, Files, SharedFile};
pub use io::Io;

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
