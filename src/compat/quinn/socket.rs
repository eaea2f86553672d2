//! A UDP socket of the system as quinn uses it.

// The socket is a `Source` with the system calls of quinn-udp. Rejected: `net::UdpSocket`, which
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

use quinn::udp::{BATCH_SIZE, RecvMeta, Transmit, UdpSockRef, UdpSocketState};
use quinn::{AsyncUdpSocket, UdpPoller};
use runtime_reactor::{Direction, Interest, Source};

/// A socket on which quinn-udp makes the system calls.
#[derive(Debug)]
pub(super) struct Socket {
    source: Source<UdpSocket>,
    state: UdpSocketState,
    /// Set while the last datagram found no space.
    is_full: AtomicBool,
}

impl Socket {
    /// # Errors
    /// Returns `Other` if no runtime drives this thread, and the errors of setsockopt(2).
    pub(super) fn new(socket: UdpSocket) -> io::Result<Socket> {
        // It is non-blocking afterwards.
        let state = UdpSocketState::new(UdpSockRef::from(&socket))?;
        // A batch that is not full has emptied the socket, as a short read does a stream.
        let source = Source::new(socket).streaming().writing_on_demand();
        // It is first polled by the endpoint's task, or by a task that sends, on any thread.
        source.attach()?;
        let is_full = AtomicBool::new(false);
        Ok(Socket {
            source,
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
        let sent = self.source.try_io(Direction::Write, send);
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
        let requested = bufs.len().min(meta.len()).min(BATCH_SIZE);
        let recv = |socket: &UdpSocket| self.state.recv(UdpSockRef::from(socket), bufs, meta);
        self.source
            .poll_transfer(Direction::Read, cx, requested, recv)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.source.get_ref().local_addr()
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
            source, is_full, ..
        } = &*self.0;
        if is_full.load(Ordering::Relaxed) {
            ready!(source.poll_ready(Interest::WRITABLE, cx))?;
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

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    #[test]
    fn a_batch_that_is_not_full_has_emptied_the_socket() {
        let runtime = crate::Runtime::new().unwrap();
        let is_edge = runtime.backend() == crate::Backend::Epoll;
        runtime.block_on(async {
            let ours = UdpSocket::bind("127.0.0.1:0").unwrap();
            let theirs = UdpSocket::bind("127.0.0.1:0").unwrap();
            theirs.connect(ours.local_addr().unwrap()).unwrap();
            let socket = Socket::new(ours).unwrap();
            let mut memory = [[0; 1500]; 2];
            let mut receive = |cx: &mut Context<'_>| {
                let mut bufs = memory.each_mut().map(|buf| IoSliceMut::new(buf));
                socket.poll_recv(cx, &mut bufs, &mut [RecvMeta::default(); 2])
            };
            for datagrams in 1..=3 {
                theirs.send(b"datagram").unwrap();
                assert_eq!(poll_fn(&mut receive).await.unwrap(), 1, "{datagrams}");
            }
            if is_edge {
                // It is not attempted again, although there is one by now.
                theirs.send(b"datagram").unwrap();
                let mut receive_now = |cx: &mut Context<'_>| Poll::Ready(receive(cx));
                assert!(poll_fn(&mut receive_now).await.is_pending());
                assert_eq!(poll_fn(&mut receive).await.unwrap(), 1);
            }
        });
    }
}
