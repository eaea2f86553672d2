//! A UDP socket of the system as quinn uses it.

// The socket is `io::Async` with the system calls of quinn-udp. Rejected: `net::UdpSocket`, which
// has batches, offload and congestion marks too. quinn asks for all of them in the types of
// quinn-udp and for a socket that any thread sends on, so its socket type would only be converted
// to ours and back, in twice the lines, and quinn-udp's workarounds for kernels would be lost.

use std::fmt;
use std::io::{self, IoSliceMut};
use std::net::{SocketAddr, UdpSocket};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use quinn::udp::{RecvMeta, Transmit, UdpSockRef, UdpSocketState};
use quinn::{AsyncUdpSocket, UdpPoller};

use crate::io::Async;

/// A socket on which quinn-udp makes the system calls.
#[derive(Debug)]
pub(super) struct Socket {
    socket: Async<UdpSocket>,
    state: UdpSocketState,
    /// Set while the last datagram found no space.
    is_full: AtomicBool,
}

impl Socket {
    /// # Errors
    /// Returns `Other` if no runtime drives this thread, and the errors of setsockopt(2).
    pub(super) fn new(socket: UdpSocket) -> io::Result<Socket> {
        let state = UdpSocketState::new(UdpSockRef::from(&socket))?;
        let socket = Async::new(socket)?;
        // It is first polled by the endpoint's task, or by a task that sends, on any thread.
        socket.attach()?;
        let is_full = AtomicBool::new(false);
        Ok(Socket {
            socket,
            state,
            is_full,
        })
    }
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
