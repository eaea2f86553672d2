//! Sockets, pipes and host name lookup.
//!
//! Host names are looked up by the system's resolver, which blocks and therefore runs on the
//! blocking pool. IP addresses are parsed on the calling thread.
//!
//! | for | items |
//! |---|---|
//! | TCP | [`TcpListener`], [`TcpStream`], [`TcpSocket`] for options before connecting, [`tcp`] |
//! | UDP | [`UdpSocket`], [`udp`] |
//! | Unix sockets | [`UnixListener`], [`UnixStream`], [`UnixDatagram`], [`UnixSocket`], [`unix`] |
//! | pipes, named or not | [`pipe`] |
//! | host names | [`lookup_host`], [`ToSocketAddrs`] |
//! | moving bytes between them | [`relay`](relay()), [`forward`], [`TcpStream::send_file`] |
//!
//! # Platform-specific behavior
//! See [`udp`], [`unix`] and [`pipe`], and the methods of the TCP types. If several listeners share
//! a port ([`TcpListener::bind_shared`]), Linux, DragonFly BSD and FreeBSD distribute the clients
//! among them; elsewhere one listener receives all clients.

mod relay;
pub(crate) mod resolver;

pub use crate::io::{Interest, Readiness};
pub use relay::{forward, relay};
pub use runtime_net::{
    SendFile, SocketAddrs, SpliceRead, SpliceWrite, TcpListener, TcpSocket, TcpStream,
    ToSocketAddrs, UdpSocket, UnixDatagram, UnixListener, UnixSocket, UnixStream, lookup_host,
    pipe, tcp, udp, unix,
};
pub use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, SocketAddrV4, SocketAddrV6};
