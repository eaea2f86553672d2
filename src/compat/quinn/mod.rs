//! quinn, an implementation of QUIC, on the sockets, tasks and timers of this crate (feature
//! `quinn`).
//!
//! Give [`Runtime::current`] to `quinn::Endpoint::new`. The
//! [guide](crate::guide::libraries#quinn) has an example, and HTTP/3 runs on it through h3-quinn.
//!
//! All connections of an endpoint share one socket. With many of them, give it a receive buffer
//! larger than the system's default (`SO_RCVBUF`; 208 KiB on Linux) before it becomes an endpoint:
//! datagrams that find no space there are lost and sent again.
//!
//! # In a simulated world
//!
//! An endpoint also runs on a host of a simulated world (feature `sim`), on a socket that is bound
//! with [`net::UdpSocket`](crate::net::UdpSocket) and converted by
//! [`into_std`](crate::net::UdpSocket::into_std). [`Runtime::rng_seed`] takes quinn's random
//! numbers from the seed of the world. Some numbers still come from the system: the bytes of
//! connection IDs, reset keys and tokens, and the random numbers of TLS. They change what datagrams
//! contain, but not their lengths and times, which the trace compares, under two conditions:
//!
//! * Both runs have the same certificate, with a key whose signatures have a fixed length, such as
//!   Ed25519 or RSA. The length of an ECDSA signature varies.
//! * The runs share no `ClientConfig` or `ServerConfig`. A second run would resume the TLS sessions
//!   of the first.
//!
//! rustls checks certificates by the time of the system.

#[cfg(feature = "sim")]
mod simulated;
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

    /// Returns a seed for `EndpointConfig::rng_seed`: on a simulated host one that the seed of the
    /// world decides, and elsewhere `None`, so that quinn takes its random numbers from the system.
    ///
    /// # Examples
    /// ```
    /// use quinn::EndpointConfig;
    /// use runtime::compat::quinn::Runtime;
    ///
    /// # runtime::block_on(async {
    /// let mut config = EndpointConfig::default();
    /// config.rng_seed(Runtime::current().rng_seed());
    /// # });
    /// ```
    pub fn rng_seed(&self) -> Option<[u8; 32]> {
        #[cfg(feature = "sim")]
        if runtime_reactor::sim::current_host().is_some() {
            let mut seed = [0; 32];
            crate::rng().fill(&mut seed);
            return Some(seed);
        }
        None
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
    /// `Unsupported` on a simulated host if the socket is not one of this host.
    fn wrap_udp_socket(&self, socket: UdpSocket) -> io::Result<Arc<dyn AsyncUdpSocket>> {
        #[cfg(feature = "sim")]
        if runtime_reactor::sim::current_host().is_some() {
            return Ok(Arc::new(simulated::Socket::new(socket)?));
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
