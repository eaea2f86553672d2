//! Options of sockets, by the names that socket2 has for them.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

#[cfg(feature = "sim")]
use runtime_reactor::sim::SocketOption;
use socket2::SockRef;

use super::call::call;
use super::udp::MulticastV4;
use crate::tcp::keepalive::TcpKeepalive;

/// The options of a socket.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Options<'a>(BorrowedFd<'a>);

impl<'a> Options<'a> {
    /// Returns the options of a socket.
    pub(crate) fn of(socket: &'a impl AsFd) -> Options<'a> {
        Options(socket.as_fd())
    }
}

macro_rules! options {
    ($($option:ident: $type:ident, $get:ident, $set:ident;)*) => {
        impl Options<'_> {$(
            pub(crate) fn $get(self) -> io::Result<$type> {
                call!(
                    &self.0,
                    |host, fd| host.option(fd, SocketOption::$option).map(simulated::$type::read),
                    SockRef::from(&self.0).$get()
                )
            }

            pub(crate) fn $set(self, value: $type) -> io::Result<()> {
                call!(
                    &self.0,
                    |host, fd| {
                        let value = simulated::$type::write(value);
                        host.set_option(fd, SocketOption::$option, value)
                    },
                    SockRef::from(&self.0).$set(value)
                )
            }
        )*}
    };
}

/// The value of SO_LINGER.
type Linger = Option<Duration>;

options! {
    OnlyV6: bool, only_v6, set_only_v6;
    ReuseAddress: bool, reuse_address, set_reuse_address;
    NoDelay: bool, tcp_nodelay, set_tcp_nodelay;
    Keepalive: bool, keepalive, set_keepalive;
    Linger: Linger, linger, set_linger;
    Ttl: u32, ttl_v4, set_ttl_v4;
    SendBuffer: usize, send_buffer_size, set_send_buffer_size;
    ReceiveBuffer: usize, recv_buffer_size, set_recv_buffer_size;
    Broadcast: bool, broadcast, set_broadcast;
    MulticastLoop: bool, loop_v4, set_loop_v4;
    MulticastTtl: u32, hops_v4, set_hops_v4;
    MulticastLoopV6: bool, multicast_loop_v6, set_multicast_loop_v6;
    MulticastHopsV6: u32, multicast_hops_v6, set_multicast_hops_v6;
}

impl Options<'_> {
    /// Returns true if listeners may share the address.
    pub(crate) fn reuse_port(self) -> io::Result<bool> {
        call!(
            &self.0,
            |host, fd| Ok(host.option(fd, SocketOption::ReusePort)? != 0),
            reuseport(SockRef::from(&self.0))
        )
    }

    /// Sets whether listeners may share the address.
    pub(crate) fn set_reuse_port(self, reuse: bool) -> io::Result<()> {
        call!(
            &self.0,
            |host, fd| host.set_option(fd, SocketOption::ReusePort, reuse.into()),
            set_reuseport(SockRef::from(&self.0), reuse)
        )
    }

    /// Sets the schedule of keepalive probes, and requests them.
    pub(crate) fn set_tcp_keepalive(self, keepalive: &TcpKeepalive) -> io::Result<()> {
        call!(
            &self.0,
            |host, fd| {
                let seconds = |time: Duration| i32::try_from(time.as_secs()).unwrap_or(i32::MAX);
                let retries = |retries| i32::try_from(retries).unwrap_or(i32::MAX);
                for (option, value) in [
                    (SocketOption::KeepaliveTime, keepalive.time.map(seconds)),
                    (
                        SocketOption::KeepaliveInterval,
                        keepalive.interval.map(seconds),
                    ),
                    (
                        SocketOption::KeepaliveRetries,
                        keepalive.retries.map(retries),
                    ),
                    (SocketOption::Keepalive, Some(1)),
                ] {
                    if let Some(value) = value {
                        host.set_option(fd, option, value)?;
                    }
                }
                Ok(())
            },
            set_keepalive(SockRef::from(&self.0), keepalive)
        )
    }
}

/// Returns the option that distributes clients over listeners, on FreeBSD SO_REUSEPORT_LB.
#[cfg(target_os = "freebsd")]
fn reuseport(socket: SockRef<'_>) -> io::Result<bool> {
    socket.reuse_port_lb()
}

#[cfg(target_os = "freebsd")]
fn set_reuseport(socket: SockRef<'_>, reuse: bool) -> io::Result<()> {
    socket.set_reuse_port_lb(reuse)
}

#[cfg(not(target_os = "freebsd"))]
fn reuseport(socket: SockRef<'_>) -> io::Result<bool> {
    socket.reuse_port()
}

#[cfg(not(target_os = "freebsd"))]
fn set_reuseport(socket: SockRef<'_>, reuse: bool) -> io::Result<()> {
    socket.set_reuse_port(reuse)
}

/// Sets the schedule of keepalive probes.
#[cfg(not(target_os = "openbsd"))]
fn set_keepalive(socket: SockRef<'_>, keepalive: &TcpKeepalive) -> io::Result<()> {
    let mut set = socket2::TcpKeepalive::new();
    if let Some(time) = keepalive.time {
        set = set.with_time(time);
    }
    if let Some(interval) = keepalive.interval {
        set = set.with_interval(interval);
    }
    if let Some(retries) = keepalive.retries {
        set = set.with_retries(retries);
    }
    socket.set_tcp_keepalive(&set)
}

/// Sets the schedule of keepalive probes, which OpenBSD sets for all connections together.
#[cfg(target_os = "openbsd")]
fn set_keepalive(socket: SockRef<'_>, keepalive: &TcpKeepalive) -> io::Result<()> {
    if *keepalive != TcpKeepalive::new() {
        return Err(io::Error::new(
            io::ErrorKind::Unsupported,
            "keepalive times of a single connection do not exist on this platform: call \
             set_keepalive and set net.inet.tcp.keepidle",
        ));
    }
    socket.set_keepalive(true)
}

/// The conversions of values to and from those of the simulated kernel.
#[cfg(feature = "sim")]
#[allow(non_snake_case, reason = "a module for each type")]
mod simulated {
    pub(super) mod bool {
        pub(in super::super) fn read(value: i32) -> bool {
            value != 0
        }

        pub(in super::super) fn write(value: bool) -> i32 {
            value.into()
        }
    }

    pub(super) mod u32 {
        pub(in super::super) fn read(value: i32) -> u32 {
            u32::try_from(value).unwrap_or(0)
        }

        pub(in super::super) fn write(value: u32) -> i32 {
            i32::try_from(value).unwrap_or(i32::MAX)
        }
    }

    pub(super) mod usize {
        pub(in super::super) fn read(value: i32) -> usize {
            usize::try_from(value).unwrap_or(0)
        }

        pub(in super::super) fn write(value: usize) -> i32 {
            i32::try_from(value).unwrap_or(i32::MAX)
        }
    }

    pub(super) mod Linger {
        use std::time::Duration;

        pub(in super::super) fn read(value: i32) -> Option<Duration> {
            u64::try_from(value).ok().map(Duration::from_secs)
        }

        pub(in super::super) fn write(value: Option<Duration>) -> i32 {
            let seconds = |time: Duration| i32::try_from(time.as_secs()).unwrap_or(i32::MAX);
            value.map_or(-1, seconds)
        }
    }
}
