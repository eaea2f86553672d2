//! Sockets, pipes, and the names of hosts.
//!
//! The types are those of `runtime-net`. Names of hosts are looked up by the system's resolver,
//! which blocks, and so on the blocking pool; IP addresses never leave the thread.
//!
//! # Platform notes
//! What differs between platforms is listed with those it concerns: [`udp`], [`unix`] and [`pipe`]; for
//! TCP, with the method that it concerns.
//! One port for several listeners ([`TcpListener::bind_shared`]) has its clients dealt out by Linux,
//! DragonFly and FreeBSD; elsewhere one listener gets all.

pub(crate) mod resolver;

pub use crate::io::{Interest, Readiness};
pub use runtime_net::{
    SocketAddrs, TcpListener, TcpSocket, TcpStream, ToSocketAddrs, UdpSocket, UnixDatagram,
    UnixListener, UnixStream, lookup_host, pipe, split, tcp, udp, unix,
};
