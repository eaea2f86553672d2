//! The peer of a socket under test: a blocking socket of std, or one of the simulated kernel.

use std::io::{self, Read, Write};
use std::net::{self, Shutdown, SocketAddr};
#[cfg(feature = "sim")]
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

#[cfg(feature = "sim")]
use runtime_reactor::sim::{Host, SocketKind, SocketOption, current_host};

/// A TCP connection. In a simulation, what arrives within the host is there at once, and reading
/// what has not arrived is an error.
#[derive(Debug)]
pub enum Peer {
    Std(net::TcpStream),
    #[cfg(feature = "sim")]
    Simulated(OwnedFd),
}

/// A listener.
pub enum PeerListener {
    Std(socket2::Socket),
    #[cfg(feature = "sim")]
    Simulated(OwnedFd),
}

#[cfg(feature = "sim")]
fn host() -> Host {
    current_host().expect("the test is inside the simulation")
}

impl Peer {
    pub fn connect(addr: SocketAddr) -> io::Result<Peer> {
        #[cfg(feature = "sim")]
        if let Some(host) = current_host() {
            let is_v6 = addr.is_ipv6();
            let socket = host.socket(SocketKind::Tcp { is_v6 })?;
            let begun = host.connect_inet(socket.as_fd(), addr).unwrap_err();
            assert_eq!(begun.raw_os_error(), Some(libc::EINPROGRESS), "{begun}");
            host.peer_inet(socket.as_fd())?;
            return Ok(Peer::Simulated(socket));
        }
        net::TcpStream::connect(addr).map(Peer::Std)
    }

    /// Returns both ends of a connection.
    pub fn pair() -> (Peer, Peer) {
        let listener = PeerListener::bind(1);
        let client = Peer::connect(listener.local_addr()).unwrap();
        (client, listener.accept())
    }

    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        match self {
            Peer::Std(stream) => stream.local_addr(),
            #[cfg(feature = "sim")]
            Peer::Simulated(fd) => host().local_inet(fd.as_fd()),
        }
    }

    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        match self {
            Peer::Std(stream) => stream.shutdown(how),
            #[cfg(feature = "sim")]
            Peer::Simulated(fd) => host().shutdown(fd.as_fd(), how),
        }
    }

    pub fn set_nonblocking(&self, on: bool) -> io::Result<()> {
        match self {
            Peer::Std(stream) => stream.set_nonblocking(on),
            #[cfg(feature = "sim")]
            Peer::Simulated(_) => Ok(()),
        }
    }

    pub fn close_with_reset(self) {
        match &self {
            Peer::Std(stream) => {
                let linger = Some(Duration::ZERO);
                socket2::SockRef::from(stream).set_linger(linger).unwrap();
            }
            #[cfg(feature = "sim")]
            Peer::Simulated(fd) => host()
                .set_option(fd.as_fd(), SocketOption::Linger, 0)
                .unwrap(),
        }
    }
}

impl Read for &Peer {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match self {
            Peer::Std(stream) => {
                let mut stream = stream;
                stream.read(buf)
            }
            #[cfg(feature = "sim")]
            Peer::Simulated(fd) => host().recv(fd.as_fd(), &mut [buf], false),
        }
    }
}

impl Write for &Peer {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        match self {
            Peer::Std(stream) => {
                let mut stream = stream;
                stream.write(buf)
            }
            #[cfg(feature = "sim")]
            Peer::Simulated(fd) => host().send(fd.as_fd(), &[io::IoSlice::new(buf)]),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Read for Peer {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        (&*self).read(buf)
    }
}

impl Write for Peer {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        (&*self).write(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl PeerListener {
    /// Listens on a free port.
    pub fn bind(backlog: i32) -> PeerListener {
        let any: SocketAddr = ([127, 0, 0, 1], 0).into();
        #[cfg(feature = "sim")]
        if let Some(host) = current_host() {
            let socket = host.socket(SocketKind::Tcp { is_v6: false }).unwrap();
            host.bind_inet(socket.as_fd(), any).unwrap();
            host.listen(socket.as_fd(), backlog).unwrap();
            return PeerListener::Simulated(socket);
        }
        let domain = socket2::Domain::IPV4;
        let socket = socket2::Socket::new(domain, socket2::Type::STREAM, None).unwrap();
        socket.bind(&any.into()).unwrap();
        socket.listen(backlog).unwrap();
        PeerListener::Std(socket)
    }

    pub fn local_addr(&self) -> SocketAddr {
        match self {
            PeerListener::Std(socket) => socket.local_addr().unwrap().as_socket().unwrap(),
            #[cfg(feature = "sim")]
            PeerListener::Simulated(fd) => host().local_inet(fd.as_fd()).unwrap(),
        }
    }

    pub fn accept(&self) -> Peer {
        match self {
            PeerListener::Std(socket) => Peer::Std(socket.accept().unwrap().0.into()),
            #[cfg(feature = "sim")]
            PeerListener::Simulated(fd) => {
                Peer::Simulated(host().accept_inet(fd.as_fd()).unwrap().0)
            }
        }
    }
}
