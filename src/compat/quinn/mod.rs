//! quinn, an implementation of QUIC, on the sockets, tasks and timers of this crate (feature
//! `quinn`).
//!
//! Give [`Runtime::current`] to `quinn::Endpoint::new`. The
//! [guide](crate::guide::libraries#quinn) has an example, and HTTP/3 runs on it through h3-quinn.
//!
//! All connections of an endpoint share one socket. With many of them, give it a receive buffer
//! larger than the system's default (`SO_RCVBUF`; 208 KiB on Linux) before it becomes an endpoint:
//! datagrams that find no space there are lost and sent again.

mod socket;

use std::future::Future;
use std::io;
use std::net::UdpSocket;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use quinn::{AsyncTimer, AsyncUdpSocket};

use self::socket::Socket;
use crate::Handle;
use crate::time::{Sleep, sleep_until};

/// The runtime that quinn runs an endpoint on.
///
/// Datagrams are sent and received in batches, with segmentation offload in both directions and
/// with congestion marks, as far as the system supports them (quinn-udp). The tasks of an endpoint
/// and its connections run on the thread of this runtime; connections can be used on any thread.
#[derive(Debug, Clone)]
pub struct Runtime {
    handle: Handle,
}

impl Runtime {
    /// Returns the runtime of this thread.
    ///
    /// # Panics
    /// Panics if no runtime drives this thread.
    #[track_caller]
    pub fn current() -> Runtime {
        Runtime {
            handle: Handle::current(),
        }
    }
}

impl quinn::Runtime for Runtime {
    fn new_timer(&self, deadline: Instant) -> Pin<Box<dyn AsyncTimer>> {
        Box::pin(sleep_until(deadline))
    }

    /// Returns the time of the runtime's clock, which [`pause`](crate::time::pause) can stop.
    fn now(&self) -> Instant {
        runtime_reactor::internal::clock::now()
    }

    fn spawn(&self, future: Pin<Box<dyn Future<Output = ()> + Send>>) {
        drop(self.handle.spawn(future));
    }

    /// # Errors
    /// Returns `Other` if no runtime drives this thread, and the errors of setsockopt(2). Returns
    /// `Unsupported` in a simulated world, whose sockets quinn-udp does not know.
    fn wrap_udp_socket(&self, socket: UdpSocket) -> io::Result<Arc<dyn AsyncUdpSocket>> {
        #[cfg(feature = "sim")]
        if crate::sim::elapsed().is_some() {
            return Err(io::Error::new(
                io::ErrorKind::Unsupported,
                "make a QUIC endpoint: quinn-udp makes system calls of its own, which a simulated \
                 world does not have",
            ));
        }
        Ok(Arc::new(Socket::new(socket)?))
    }
}

impl AsyncTimer for Sleep {
    fn reset(mut self: Pin<&mut Self>, deadline: Instant) {
        Sleep::reset(&mut self, deadline);
    }

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        Future::poll(self, cx)
    }
}
