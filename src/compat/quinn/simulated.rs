//! A UDP socket of a simulated host as quinn uses it.

use std::io::{self, IoSliceMut};
use std::net::{self, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use quinn::udp::{BATCH_SIZE, EcnCodepoint, RecvMeta, Transmit};
use quinn::{AsyncUdpSocket, UdpPoller};
use runtime_net::UdpSocket;
use runtime_net::udp::{self, Ecn, Received};
use runtime_reactor::internal::with_context;

/// A socket whose datagrams the simulated kernel carries, one by one.
#[derive(Debug)]
pub(super) struct Socket(UdpSocket);

impl Socket {
    /// # Errors
    /// Returns `Unsupported` if the socket is not one of this simulated host.
    pub(super) fn new(socket: net::UdpSocket) -> io::Result<Socket> {
        let socket = UdpSocket::from_std(socket)?;
        let set_options = || {
            socket.set_dont_fragment(true)?;
            socket.set_recv_ecn(true)?;
            socket.set_recv_destination(true)?;
            socket.attach()
        };
        set_options().map_err(|e| {
            let hint = "make a QUIC endpoint of a socket (on a simulated host, bind it with \
                        runtime::net::UdpSocket and pass the socket that into_std returns)";
            with_context(hint, e)
        })?;
        Ok(Socket(socket))
    }
}

impl AsyncUdpSocket for Socket {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        Box::pin(Poller(self))
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        let mut datagram = udp::Transmit::to(transmit.contents, transmit.destination);
        datagram.ecn = transmit.ecn.and_then(|ecn| Ecn::from_tos(ecn as u8));
        datagram.source = transmit.src_ip;
        match self.0.try_send_msg(&datagram) {
            Ok(_) => Ok(()),
            // Like quinn-udp: to QUIC a datagram that could not be sent is a lost one.
            Err(e) if e.raw_os_error().is_some() && e.kind() != io::ErrorKind::WouldBlock => Ok(()),
            Err(e) => Err(e),
        }
    }

    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        bufs: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        let mut received = [Received::default(); BATCH_SIZE];
        let max = meta.len().min(BATCH_SIZE);
        let n = ready!(self.0.poll_recv_batch(cx, bufs, &mut received[..max]))?;
        for (meta, received) in meta.iter_mut().zip(&received[..n]) {
            *meta = RecvMeta {
                addr: received.addr,
                len: received.len,
                stride: received.segment_size,
                ecn: received
                    .ecn
                    .and_then(|ecn| EcnCodepoint::from_bits(ecn as u8)),
                dst_ip: received.destination,
            };
        }
        Poll::Ready(Ok(n))
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }

    fn may_fragment(&self) -> bool {
        false
    }
}

/// Waits until the socket is writable, for one task.
#[derive(Debug)]
struct Poller(Arc<Socket>);

impl UdpPoller for Poller {
    fn poll_writable(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.0.poll_send_ready(cx)
    }
}
