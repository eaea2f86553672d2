//! Addresses of simulated sockets.

use std::ffi::OsStr;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net;
use std::path::{Path, PathBuf};

/// The name of a Unix socket.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum UnixName {
    /// No name.
    #[default]
    Unnamed,
    /// A path in the name space of the host, which is not the file system.
    Path(PathBuf),
    /// A name in the abstract name space.
    Abstract(Vec<u8>),
}

impl UnixName {
    /// Converts an address of std.
    pub fn from_std(addr: &net::SocketAddr) -> UnixName {
        #[cfg(any(target_os = "linux", target_os = "android"))]
        {
            use std::os::linux::net::SocketAddrExt;
            if let Some(name) = addr.as_abstract_name() {
                return UnixName::Abstract(name.to_vec());
            }
        }
        match addr.as_pathname() {
            Some(path) => UnixName::from_path(path),
            None => UnixName::Unnamed,
        }
    }

    /// Returns the name with this path.
    pub fn from_path(path: &Path) -> UnixName {
        if path.as_os_str().is_empty() {
            UnixName::Unnamed
        } else {
            UnixName::Path(path.to_owned())
        }
    }

    /// Converts the name to an address of std.
    ///
    /// # Errors
    /// Returns `InvalidInput` if std cannot represent the name.
    pub fn to_std(&self) -> io::Result<net::SocketAddr> {
        match self {
            UnixName::Unnamed => net::SocketAddr::from_pathname(OsStr::from_bytes(b"")),
            UnixName::Path(path) => net::SocketAddr::from_pathname(path),
            #[cfg(any(target_os = "linux", target_os = "android"))]
            UnixName::Abstract(name) => {
                use std::os::linux::net::SocketAddrExt;
                net::SocketAddr::from_abstract_name(name)
            }
            #[cfg(not(any(target_os = "linux", target_os = "android")))]
            UnixName::Abstract(_) => Err(io::ErrorKind::InvalidInput.into()),
        }
    }
}

/// Returns an IPv4 address for one that is mapped into IPv6, and others as they are.
pub(super) fn canonical(addr: SocketAddr) -> SocketAddr {
    SocketAddr::new(addr.ip().to_canonical(), addr.port())
}

/// Returns `addr` as a socket of IPv6 reports it, if `is_v6`.
pub(super) fn reported(addr: SocketAddr, is_v6: bool) -> SocketAddr {
    match addr.ip() {
        IpAddr::V4(ip) if is_v6 => SocketAddr::new(ip.to_ipv6_mapped().into(), addr.port()),
        _ => addr,
    }
}

/// Returns the unspecified address of a family.
pub(super) fn unspecified(is_v6: bool) -> IpAddr {
    if is_v6 {
        Ipv6Addr::UNSPECIFIED.into()
    } else {
        Ipv4Addr::UNSPECIFIED.into()
    }
}

/// Returns the loopback address of a family.
pub(super) fn loopback(is_v6: bool) -> IpAddr {
    if is_v6 {
        Ipv6Addr::LOCALHOST.into()
    } else {
        Ipv4Addr::LOCALHOST.into()
    }
}

/// Returns the address of this host for an unspecified one, to which connecting and sending go.
pub(super) fn specific(addr: SocketAddr) -> SocketAddr {
    if addr.ip().is_unspecified() {
        SocketAddr::new(loopback(addr.is_ipv6()), addr.port())
    } else {
        addr
    }
}

/// Returns true if a socket that is bound to `bound` receives what is sent to `ip`. A socket of
/// IPv6 receives for all addresses of IPv4 too, unless it is for IPv6 alone.
pub(super) fn covers(bound: IpAddr, only_v6: bool, ip: IpAddr) -> bool {
    bound == ip
        || match bound {
            IpAddr::V4(any) => any.is_unspecified() && ip.is_ipv4(),
            IpAddr::V6(any) => any.is_unspecified() && (ip.is_ipv6() || !only_v6),
        }
}
