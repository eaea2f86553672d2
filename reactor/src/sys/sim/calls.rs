//! The system calls of a simulated host. They return the errors of the real ones.

use std::io::{self, IoSlice};
use std::net::{IpAddr, Shutdown, SocketAddr};
use std::os::fd::{BorrowedFd, OwnedFd, RawFd};

use super::address::UnixName;
use super::host::Host;
use super::placeholder::SocketId;
use super::socket::{
    Body, DatagramSocket, SocketKind, SocketOption, StreamSocket, TcpSocket, TcpState, UdpSocket,
};
use super::state::{State, os};
use super::udp::ReceivedDatagram;
use super::unix::ReceivedMessage;
use crate::interest::Readiness;

impl Host {
    /// Creates a socket.
    ///
    /// # Errors
    /// Returns the system's error if no descriptor is available, and `Unsupported` while the host
    /// is down.
    pub fn socket(&self, kind: SocketKind) -> io::Result<OwnedFd> {
        self.up(|state| {
            let body = match kind {
                SocketKind::Tcp { is_v6 } => Body::Tcp(TcpSocket::new(is_v6)),
                SocketKind::Udp { is_v6 } => Body::Udp(UdpSocket::new(is_v6)),
                SocketKind::UnixStream => Body::Stream(StreamSocket::default()),
                SocketKind::UnixDatagram => Body::Datagram(DatagramSocket::default()),
            };
            state.open_socket(self.id, body).map(|(_, fd)| fd)
        })
    }

    /// Creates two connected Unix sockets, of streams or of datagrams.
    ///
    /// # Errors
    /// Returns the errors of [`socket`](Host::socket).
    pub fn unix_pair(&self, stream: bool) -> io::Result<(OwnedFd, OwnedFd)> {
        self.up(|state| state.unix_pair(self.id, stream))
    }

    /// Creates a pipe, and returns reader and writer.
    ///
    /// # Errors
    /// Returns the errors of [`socket`](Host::socket).
    pub fn pipe(&self) -> io::Result<(OwnedFd, OwnedFd)> {
        self.up(|state| state.create_pipe(self.id))
    }

    fn up<R>(&self, f: impl FnOnce(&mut State) -> io::Result<R>) -> io::Result<R> {
        self.kernel.with(|state| {
            let host = state.host(self.id);
            if host.down.is_some() {
                let text = format!("the simulated host {:?} is down", host.name);
                return Err(io::Error::new(io::ErrorKind::Unsupported, text));
            }
            f(state)
        })
    }

    /// Returns the kind of a socket. Returns `None` for an end of a pipe.
    ///
    /// # Errors
    /// Returns `Unsupported` if the descriptor is none of this host, as all calls below do.
    pub fn kind(&self, fd: BorrowedFd<'_>) -> io::Result<Option<SocketKind>> {
        self.with_socket(fd, |state, id| {
            Ok(match &state.sockets[&id].body {
                Body::Tcp(tcp) => Some(SocketKind::Tcp { is_v6: tcp.is_v6 }),
                Body::Udp(udp) => Some(SocketKind::Udp { is_v6: udp.is_v6 }),
                Body::Stream(_) => Some(SocketKind::UnixStream),
                Body::Datagram(_) => Some(SocketKind::UnixDatagram),
                Body::Pipe(_) => None,
            })
        })
    }

    /// Returns true if a descriptor is the writer of a pipe, and false if it is the reader.
    ///
    /// # Errors
    /// Returns `InvalidInput` for a socket.
    pub fn is_writer(&self, fd: BorrowedFd<'_>) -> io::Result<bool> {
        self.with_socket(fd, |state, id| match &state.sockets[&id].body {
            Body::Pipe(end) => Ok(end.is_writer),
            _ => Err(os(libc::EINVAL)),
        })
    }

    /// Returns kind and addresses of a socket. Returns `None` if the descriptor is none of this
    /// host.
    pub fn describe(&self, fd: BorrowedFd<'_>) -> Option<String> {
        let described = self.with_socket(fd, |state, id| Ok(state.describe(id)));
        described.ok()
    }

    /// Binds a TCP or UDP socket (bind(2)).
    ///
    /// # Errors
    /// Returns EADDRINUSE, EADDRNOTAVAIL, EINVAL or EAFNOSUPPORT.
    pub fn bind_inet(&self, fd: BorrowedFd<'_>, addr: SocketAddr) -> io::Result<()> {
        self.with_socket(fd, |state, id| state.bind_inet(id, addr))
    }

    /// Binds a Unix socket (bind(2)).
    ///
    /// # Errors
    /// Returns EADDRINUSE, EINVAL, or ENOENT if the folder does not exist.
    pub fn bind_unix(&self, fd: BorrowedFd<'_>, name: &UnixName) -> io::Result<()> {
        self.with_socket(fd, |state, id| state.bind_unix(id, name))
    }

    /// Makes a socket a listener (listen(2)).
    ///
    /// # Errors
    /// Returns EADDRINUSE, EINVAL or EOPNOTSUPP.
    pub fn listen(&self, fd: BorrowedFd<'_>, backlog: i32) -> io::Result<()> {
        // A negative number is a large one, as on Linux.
        let backlog = usize::try_from(backlog).unwrap_or(usize::MAX).min(4096);
        self.with_socket(fd, |state, id| match &state.sockets[&id].body {
            Body::Tcp(_) => state.listen_tcp(id, backlog),
            Body::Stream(_) => state.listen_stream(id, backlog),
            _ => Err(os(libc::EOPNOTSUPP)),
        })
    }

    /// Begins to connect a TCP socket, or sets the peer of a UDP socket (connect(2)).
    ///
    /// # Errors
    /// Returns EINPROGRESS for a TCP socket whose connection was begun, and other errors.
    pub fn connect_inet(&self, fd: BorrowedFd<'_>, addr: SocketAddr) -> io::Result<()> {
        self.with_socket(fd, |state, id| match &state.sockets[&id].body {
            Body::Tcp(_) => {
                let addr = state.checked_address(id, addr)?;
                state.connect_tcp(id, addr)
            }
            Body::Udp(_) => state.connect_udp(id, addr),
            _ => Err(os(libc::EAFNOSUPPORT)),
        })
    }

    /// Connects a Unix socket (connect(2)).
    ///
    /// # Errors
    /// Returns ENOENT, ECONNREFUSED, EAGAIN or EPROTOTYPE.
    pub fn connect_unix(&self, fd: BorrowedFd<'_>, name: &UnixName) -> io::Result<()> {
        self.with_socket(fd, |state, id| state.connect_unix(id, name))
    }

    /// Accepts a TCP connection (accept(2)).
    ///
    /// # Errors
    /// Returns EAGAIN, EINVAL, or EMFILE if no descriptor is available.
    pub fn accept_inet(&self, fd: BorrowedFd<'_>) -> io::Result<(OwnedFd, SocketAddr)> {
        self.with_socket(fd, |state, id| state.accept_tcp(id))
    }

    /// Accepts a connection of a Unix socket (accept(2)).
    ///
    /// # Errors
    /// Returns EAGAIN, EINVAL, or EMFILE if no descriptor is available.
    pub fn accept_unix(&self, fd: BorrowedFd<'_>) -> io::Result<(OwnedFd, UnixName)> {
        self.with_socket(fd, |state, id| state.accept_unix(id))
    }

    /// Returns the local address of a TCP or UDP socket (getsockname(2)).
    ///
    /// # Errors
    /// Returns EAFNOSUPPORT for other sockets.
    pub fn local_inet(&self, fd: BorrowedFd<'_>) -> io::Result<SocketAddr> {
        self.with_socket(fd, |state, id| state.local_inet(id))
    }

    /// Returns the peer's address of a TCP or UDP socket (getpeername(2)).
    ///
    /// # Errors
    /// Returns ENOTCONN.
    pub fn peer_inet(&self, fd: BorrowedFd<'_>) -> io::Result<SocketAddr> {
        self.with_socket(fd, |state, id| state.peer_inet(id))
    }

    /// Returns the name of a Unix socket (getsockname(2)).
    ///
    /// # Errors
    /// Returns EAFNOSUPPORT for other sockets.
    pub fn local_unix(&self, fd: BorrowedFd<'_>) -> io::Result<UnixName> {
        self.with_socket(fd, |state, id| state.unix_name(id))
    }

    /// Returns the name of the peer of a Unix socket (getpeername(2)).
    ///
    /// # Errors
    /// Returns ENOTCONN.
    pub fn peer_unix(&self, fd: BorrowedFd<'_>) -> io::Result<UnixName> {
        self.with_socket(fd, |state, id| state.unix_peer_name(id))
    }

    /// Sends bytes, or a datagram to the peer (send(2), write(2)).
    ///
    /// # Errors
    /// Returns EAGAIN, EPIPE, ECONNRESET, ENOTCONN, and others.
    pub fn send(&self, fd: BorrowedFd<'_>, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        self.transfer(fd, |state, id| match &state.sockets[&id].body {
            Body::Tcp(_) => state.send_tcp(id, bufs),
            Body::Udp(_) => state.send_udp(id, concat(bufs), None, None, None),
            Body::Stream(_) => state.send_stream(id, bufs, Vec::new()),
            Body::Datagram(_) => state.send_message(id, concat(bufs), None, Vec::new()),
            Body::Pipe(_) => state.write_pipe(id, bufs),
        })
    }

    /// Receives bytes, or a datagram (recv(2), read(2)). Removes them unless `peek`.
    ///
    /// # Errors
    /// Returns EAGAIN, ECONNRESET, ENOTCONN, and others.
    pub fn recv(
        &self,
        fd: BorrowedFd<'_>,
        bufs: &mut [&mut [u8]],
        peek: bool,
    ) -> io::Result<usize> {
        self.transfer(fd, |state, id| match &state.sockets[&id].body {
            Body::Tcp(_) => state.recv_tcp(id, bufs, peek),
            Body::Udp(_) => Ok(state.recv_udp(id, bufs, peek)?.len),
            Body::Stream(_) => Ok(state.recv_stream(id, bufs, peek)?.len),
            Body::Datagram(_) => Ok(state.recv_message(id, bufs, peek)?.len),
            Body::Pipe(_) => state.read_pipe(id, bufs),
        })
    }

    /// Sends a datagram to an address, or to the peer (sendto(2)). `tos` replaces the option of the
    /// socket, and `source` the local address.
    ///
    /// # Errors
    /// Returns EMSGSIZE, EDESTADDRREQ, ENETUNREACH, ECONNREFUSED, and others.
    pub fn send_datagram(
        &self,
        fd: BorrowedFd<'_>,
        data: &[u8],
        to: Option<SocketAddr>,
        tos: Option<u8>,
        source: Option<IpAddr>,
    ) -> io::Result<usize> {
        self.with_socket(fd, |state, id| {
            state.send_udp(id, data.to_vec(), to, tos, source)
        })
    }

    /// Receives a datagram (recvfrom(2)). Removes it unless `peek`.
    ///
    /// # Errors
    /// Returns EAGAIN or ECONNREFUSED.
    pub fn recv_datagram(
        &self,
        fd: BorrowedFd<'_>,
        buf: &mut [u8],
        peek: bool,
    ) -> io::Result<ReceivedDatagram> {
        self.with_socket(fd, |state, id| state.recv_udp(id, &mut [buf], peek))
    }

    /// Sends bytes or a datagram on a Unix socket, with duplicates of descriptors (sendmsg(2)).
    ///
    /// # Errors
    /// Returns EAGAIN, EPIPE, ENOENT, ECONNREFUSED, and others.
    pub fn send_message(
        &self,
        fd: BorrowedFd<'_>,
        data: &[u8],
        to: Option<&UnixName>,
        rights: &[BorrowedFd<'_>],
    ) -> io::Result<usize> {
        let rights = rights.iter().map(BorrowedFd::try_clone_to_owned);
        let rights = rights.collect::<io::Result<Vec<OwnedFd>>>()?;
        self.with_socket(fd, |state, id| match &state.sockets[&id].body {
            Body::Stream(_) => state.send_stream(id, &[IoSlice::new(data)], rights),
            _ => state.send_message(id, data.to_vec(), to, rights),
        })
    }

    /// Receives bytes or a datagram from a Unix socket (recvmsg(2)). Removes them unless `peek`.
    ///
    /// # Errors
    /// Returns EAGAIN, ECONNRESET, and others.
    pub fn recv_message(
        &self,
        fd: BorrowedFd<'_>,
        buf: &mut [u8],
        peek: bool,
    ) -> io::Result<ReceivedMessage> {
        self.with_socket(fd, |state, id| match &state.sockets[&id].body {
            Body::Stream(_) => state.recv_stream(id, &mut [buf], peek),
            _ => state.recv_message(id, &mut [buf], peek),
        })
    }

    /// Ends one direction of a socket, or both (shutdown(2)).
    ///
    /// # Errors
    /// Returns ENOTCONN.
    pub fn shutdown(&self, fd: BorrowedFd<'_>, how: Shutdown) -> io::Result<()> {
        let (read, write) = (how != Shutdown::Write, how != Shutdown::Read);
        self.with_socket(fd, |state, id| match &state.sockets[&id].body {
            Body::Tcp(_) => state.shutdown_tcp(id, read, write),
            Body::Udp(_) => state.shutdown_udp(id, read, write),
            Body::Stream(_) | Body::Datagram(_) => state.shutdown_unix(id, read, write),
            Body::Pipe(_) => Err(os(libc::ENOTSOCK)),
        })
    }

    /// Returns and clears the pending error of a socket (`SO_ERROR`).
    ///
    /// # Errors
    /// Returns `Unsupported` if the descriptor is none of this host.
    pub fn take_error(&self, fd: BorrowedFd<'_>) -> io::Result<Option<io::Error>> {
        self.with_socket(fd, |state, id| Ok(state.take_error(id)))
    }

    /// Returns the value of an option (getsockopt(2)).
    ///
    /// # Errors
    /// Returns `Unsupported` if the descriptor is none of this host, and ENOPROTOOPT for an option
    /// of IPv6 if the socket is not one of IPv6.
    pub fn option(&self, fd: BorrowedFd<'_>, option: SocketOption) -> io::Result<i32> {
        self.with_socket(fd, |state, id| {
            let socket = &state.sockets[&id];
            if option == SocketOption::OnlyV6 {
                socket.check_is_v6()?;
            }
            Ok(socket.option(option))
        })
    }

    /// Sets an option (setsockopt(2)).
    ///
    /// # Errors
    /// Returns `Unsupported` if the descriptor is none of this host, and EINVAL or ENOPROTOOPT if
    /// the option cannot be set.
    pub fn set_option(
        &self,
        fd: BorrowedFd<'_>,
        option: SocketOption,
        value: i32,
    ) -> io::Result<()> {
        self.with_socket(fd, |state, id| state.set_option(id, option, value))
    }

    /// Returns what of a descriptor is ready (poll(2)).
    pub(crate) fn readiness(&self, fd: BorrowedFd<'_>) -> io::Result<Readiness> {
        self.with_socket(fd, |state, id| Ok(state.readiness(id)))
    }

    /// Checks that a number is an open descriptor of this host.
    pub(crate) fn check_raw(&self, fd: RawFd) -> io::Result<()> {
        self.kernel
            .with(|state| state.find_raw(self.id, fd).map(drop))
    }
}

impl State {
    fn set_option(&mut self, id: SocketId, option: SocketOption, value: i32) -> io::Result<()> {
        let Some(socket) = self.sockets.get_mut(&id) else {
            return Ok(());
        };
        if option == SocketOption::Ttl && !(1..=255).contains(&value) {
            return Err(os(libc::EINVAL));
        }
        if option == SocketOption::OnlyV6 {
            socket.check_is_v6()?;
            if socket.local_inet().is_some() {
                return Err(os(libc::EINVAL));
            }
        }
        // Linux doubles what is requested, for its own bookkeeping (socket(7)).
        let value = match option {
            SocketOption::SendBuffer => value.saturating_mul(2).max(4608),
            SocketOption::ReceiveBuffer => value.saturating_mul(2).max(2304),
            _ => value,
        };
        socket.options.insert(option, value);
        if let Body::Tcp(TcpSocket {
            state: TcpState::Connection { .. },
            ..
        }) = socket.body
        {
            self.apply_tcp_options(id);
            self.flush_connection(id);
        }
        Ok(())
    }
}

fn concat(bufs: &[IoSlice<'_>]) -> Vec<u8> {
    bufs.iter().flat_map(|buf| buf.iter().copied()).collect()
}
