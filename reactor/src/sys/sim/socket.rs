//! Simulated sockets: what the kernel knows of each.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::os::fd::{OwnedFd, RawFd};

use super::address::UnixName;
use super::placeholder::SocketId;
use super::record::HostId;
use super::tcp::Connection;
use crate::token::Token;

/// The size of send buffers that no option has set.
pub(super) const SEND_BUFFER: i32 = 256 << 10;
/// The size of receive buffers that no option has set.
pub(super) const RECEIVE_BUFFER: i32 = 128 << 10;
/// The size of the buffers of Unix sockets and of UDP (`net.core.wmem_default` of Linux).
pub(super) const DATAGRAM_BUFFER: i32 = 212_992;

/// The kind of a socket: its family and type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SocketKind {
    /// A TCP socket.
    Tcp {
        /// True for IPv6.
        is_v6: bool,
    },
    /// A UDP socket.
    Udp {
        /// True for IPv6.
        is_v6: bool,
    },
    /// A Unix stream socket.
    UnixStream,
    /// A Unix datagram socket.
    UnixDatagram,
}

/// An option of a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs, reason = "the names are those of the system's options")]
pub enum SocketOption {
    ReuseAddress,
    ReusePort,
    OnlyV6,
    NoDelay,
    QuickAck,
    Keepalive,
    /// In seconds, as the two below.
    KeepaliveTime,
    KeepaliveInterval,
    KeepaliveRetries,
    /// In seconds; -1 is off.
    Linger,
    Ttl,
    Tos,
    SendBuffer,
    ReceiveBuffer,
    Broadcast,
    DontFragment,
    MulticastTtl,
    MulticastLoop,
    MulticastHopsV6,
    MulticastLoopV6,
    ReportTos,
    ReportDestination,
    Gro,
}

/// A socket, or an end of a pipe.
#[derive(Debug)]
pub(super) struct Socket {
    pub(super) host: HostId,
    pub(super) body: Body,
    /// The pending error (`SO_ERROR`), or 0.
    pub(super) error: i32,
    pub(super) options: BTreeMap<SocketOption, i32>,
    /// The registrations of its descriptors with the selector of the host.
    pub(super) registrations: Vec<(RawFd, Token)>,
    /// True while it is in the list of sockets that the next wait reports.
    pub(super) is_changed: bool,
    /// True while the program has a descriptor of it.
    pub(super) is_held: bool,
}

/// The state that is particular to a kind of socket.
#[derive(Debug)]
pub(super) enum Body {
    Tcp(TcpSocket),
    Udp(UdpSocket),
    Stream(StreamSocket),
    Datagram(DatagramSocket),
    Pipe(PipeEnd),
}

#[derive(Debug)]
pub(super) struct TcpSocket {
    pub(super) is_v6: bool,
    pub(super) local: Option<SocketAddr>,
    pub(super) peer: Option<SocketAddr>,
    pub(super) state: TcpState,
}

#[derive(Debug)]
pub(super) enum TcpState {
    Idle,
    Listening(Listener),
    Connection {
        connection: Box<Connection>,
        /// The listener in whose queue it is or will be.
        listener: Option<SocketId>,
        /// When the kernel looks at its timers, as a key of the queue of events.
        timer: Option<(std::time::Duration, u64)>,
    },
}

#[derive(Debug)]
pub(super) struct Listener {
    pub(super) backlog: usize,
    /// The number of connections that are not established yet.
    pub(super) begun: usize,
    pub(super) queue: VecDeque<SocketId>,
}

#[derive(Debug)]
pub(super) struct UdpSocket {
    pub(super) is_v6: bool,
    pub(super) local: Option<SocketAddr>,
    pub(super) peer: Option<SocketAddr>,
    pub(super) queue: VecDeque<Datagram>,
    pub(super) queued_bytes: usize,
    pub(super) is_read_shut: bool,
    pub(super) is_write_shut: bool,
}

#[derive(Debug)]
pub(super) struct Datagram {
    pub(super) from: SocketAddr,
    pub(super) to: SocketAddr,
    pub(super) tos: u8,
    pub(super) data: Vec<u8>,
}

#[derive(Debug, Default)]
pub(super) struct StreamSocket {
    pub(super) name: UnixName,
    pub(super) state: StreamState,
    pub(super) received: VecDeque<u8>,
    /// Descriptors that came with the byte at a position, counted from the first byte.
    pub(super) rights: VecDeque<(u64, Vec<OwnedFd>)>,
    /// The number of bytes that were read.
    pub(super) position: u64,
    pub(super) is_read_shut: bool,
    pub(super) is_write_shut: bool,
}

#[derive(Debug, Default)]
pub(super) enum StreamState {
    #[default]
    Idle,
    Listening(Listener),
    Connected {
        /// `None` once the peer is closed.
        peer: Option<SocketId>,
        peer_name: UnixName,
    },
}

#[derive(Debug, Default)]
pub(super) struct DatagramSocket {
    pub(super) name: UnixName,
    pub(super) peer: Option<(SocketId, UnixName)>,
    pub(super) queue: VecDeque<Message>,
    pub(super) is_read_shut: bool,
    pub(super) is_write_shut: bool,
}

/// A datagram of a Unix socket.
#[derive(Debug)]
pub(super) struct Message {
    pub(super) from: UnixName,
    pub(super) data: Vec<u8>,
    pub(super) rights: Vec<OwnedFd>,
}

/// An end of a pipe. The reader holds the data.
#[derive(Debug)]
pub(super) struct PipeEnd {
    pub(super) is_writer: bool,
    /// `None` once the other end is closed.
    pub(super) other: Option<SocketId>,
    pub(super) data: VecDeque<u8>,
}

impl Socket {
    pub(super) fn new(host: HostId, body: Body) -> Socket {
        Socket {
            host,
            body,
            error: 0,
            options: BTreeMap::new(),
            registrations: Vec::new(),
            is_changed: false,
            is_held: false,
        }
    }

    /// Returns the value of an option.
    pub(super) fn option(&self, option: SocketOption) -> i32 {
        if let Some(value) = self.options.get(&option) {
            return *value;
        }
        match option {
            SocketOption::Linger => -1,
            SocketOption::KeepaliveTime => 7200,
            SocketOption::KeepaliveInterval => 75,
            SocketOption::KeepaliveRetries => 9,
            SocketOption::Ttl => 64,
            SocketOption::MulticastTtl
            | SocketOption::MulticastLoop
            | SocketOption::MulticastHopsV6
            | SocketOption::MulticastLoopV6
            | SocketOption::QuickAck => 1,
            SocketOption::SendBuffer => match self.body {
                Body::Tcp(_) => SEND_BUFFER,
                _ => DATAGRAM_BUFFER,
            },
            SocketOption::ReceiveBuffer => match self.body {
                Body::Tcp(_) => RECEIVE_BUFFER,
                _ => DATAGRAM_BUFFER,
            },
            _ => 0,
        }
    }

    /// Returns true if an option is set.
    pub(super) fn is_set(&self, option: SocketOption) -> bool {
        self.option(option) != 0
    }

    /// Checks that the socket is one of IPv6.
    ///
    /// # Errors
    /// Returns ENOPROTOOPT if it is not.
    pub(super) fn check_is_v6(&self) -> io::Result<()> {
        match &self.body {
            Body::Tcp(TcpSocket { is_v6: true, .. }) | Body::Udp(UdpSocket { is_v6: true, .. }) => {
                Ok(())
            }
            _ => Err(io::Error::from_raw_os_error(libc::ENOPROTOOPT)),
        }
    }

    /// Returns the option as a number of bytes.
    pub(super) fn size(&self, option: SocketOption) -> usize {
        self.option(option).max(1) as usize
    }

    /// Returns the local address of TCP and UDP.
    pub(super) fn local_inet(&self) -> Option<SocketAddr> {
        match &self.body {
            Body::Tcp(socket) => socket.local,
            Body::Udp(socket) => socket.local,
            _ => None,
        }
    }
}
