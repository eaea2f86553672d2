//! quinn, an implementation of QUIC, on the sockets, tasks and timers of this crate (feature
//! `quinn`).
//!
//! Give [`Runtime::current`] to `quinn::Endpoint::new`. The
//! [guide](crate::guide::libraries#quinn) has an example, and HTTP/3 runs on it through h3-quinn.
//!
//! All connections of an endpoint share one socket. With many of them, give it a receive buffer
//! larger than the system's default (`SO_RCVBUF`; 208 KiB on Linux) before it becomes an endpoint:
//! datagrams that find no space there are lost and sent again.

// The socket is `io::Async` with the system calls of quinn-udp. Rejected: `net::UdpSocket`, which
// has batches, offload and congestion marks too. quinn asks for all of them in the types of
// quinn-udp and for a socket that any thread sends on, so its socket type would only be converted
// to ours and back, in twice the lines, and quinn-udp's workarounds for kernels would be lost.

use std::fmt;
use std::future::Future;
use std::io::{self, IoSliceMut};
use std::net::{SocketAddr, UdpSocket};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Instant;

use quinn::udp::{RecvMeta, Transmit, UdpSockRef, UdpSocketState};
use quinn::{AsyncTimer, AsyncUdpSocket, UdpPoller};

use crate::Handle;
use crate::io::Async;
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
        let state = UdpSocketState::new(UdpSockRef::from(&socket))?;
        let socket = Async::new(socket)?;
        // It is first polled by the endpoint's task, or by a task that sends, on any thread.
        socket.attach()?;
        let is_full = AtomicBool::new(false);
        Ok(Arc::new(Socket {
            socket,
            state,
            is_full,
        }))
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

#[derive(Debug)]
struct Socket {
    socket: Async<UdpSocket>,
    state: UdpSocketState,
    /// Set while the last datagram found no space.
    is_full: AtomicBool,
}

impl AsyncUdpSocket for Socket {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        Box::pin(Poller(self))
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        let send = |socket: &UdpSocket| self.state.send(UdpSockRef::from(socket), transmit);
        let sent = self.socket.try_write_with(send);
        if matches!(&sent, Err(e) if e.kind() == io::ErrorKind::WouldBlock) {
            self.is_full.store(true, Ordering::Relaxed);
        }
        sent
    }

    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        bufs: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        let recv = |socket: &UdpSocket| self.state.recv(UdpSockRef::from(socket), bufs, meta);
        self.socket.poll_read_with(cx, recv)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.get_ref().local_addr()
    }

    fn max_transmit_segments(&self) -> usize {
        self.state.max_gso_segments()
    }

    fn max_receive_segments(&self) -> usize {
        self.state.gro_segments()
    }

    fn may_fragment(&self) -> bool {
        self.state.may_fragment()
    }
}

/// Waits until the socket is writable, for one task.
struct Poller(Arc<Socket>);

impl UdpPoller for Poller {
    fn poll_writable(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // quinn asks before each datagram, and again after one that found no space. The kernel is
        // only asked in the second case, as the answer costs a system call.
        let Socket {
            socket, is_full, ..
        } = &*self.0;
        if is_full.load(Ordering::Relaxed) {
            ready!(socket.poll_write_ready(cx))?;
            is_full.store(false, Ordering::Relaxed);
        }
        Poll::Ready(Ok(()))
    }
}

impl fmt::Debug for Poller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Poller").finish_non_exhaustive()
    }
}
