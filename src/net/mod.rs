//! Sockets, pipes, and the names of hosts.
//!
//! The types are those of `runtime-net`. Names of hosts are looked up by the system's resolver,
//! which blocks, and so on the blocking pool; IP addresses never leave the thread.

pub(crate) mod resolver;

pub use crate::io::{Interest, Readiness};
pub use runtime_net::{
    SocketAddrs, TcpListener, TcpSocket, TcpStream, ToSocketAddrs, UdpSocket, UnixDatagram,
    UnixListener, UnixStream, lookup_host, pipe, split, tcp, udp, unix,
};
