//! Connections for the pooled client.

use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::Uri;
use hyper_util::client::legacy::connect::{Connected, Connection};
use tower_service::Service;

use crate::compat::hyper::Io;
use crate::net::{TcpSocket, TcpStream, UnixStream, lookup_host};
use crate::time::timeout;

type Connecting<T> = Pin<Box<dyn Future<Output = io::Result<Io<T>>> + Send>>;

/// A connector that connects to the host of a URI by TCP.
///
/// The addresses of a host are raced as in [`TcpStream::connect`]. The port is that of the URI, or
/// 443 for the scheme `https` and 80 for others. It does not support TLS: wrap it in a connector
/// that does, such as that of hyper-rustls.
///
/// # Errors
/// A connection attempt fails with `InvalidInput` if the URI has no host, with `TimedOut` if the
/// [limit](Connector::timeout) has passed, and with the errors of [`TcpStream::connect`].
#[derive(Debug, Clone, Default)]
pub struct Connector {
    timeout: Option<Duration>,
    delay: bool,
    local_address: Option<IpAddr>,
}

impl Connector {
    /// Creates a connector with default options.
    pub fn new() -> Connector {
        Connector::default()
    }

    /// Sets the time limit for the name lookup and all attempts. Default none.
    pub fn timeout(mut self, limit: Duration) -> Connector {
        self.timeout = Some(limit);
        self
    }

    /// Sets whether small writes are sent immediately (TCP_NODELAY). Default true.
    pub fn nodelay(mut self, nodelay: bool) -> Connector {
        self.delay = !nodelay;
        self
    }

    /// Sets the local address to connect from. Addresses of the other family are then skipped, and
    /// the others are tried in order.
    pub fn local_address(mut self, address: IpAddr) -> Connector {
        self.local_address = Some(address);
        self
    }

    async fn connect(self, uri: Uri) -> io::Result<Io<TcpStream>> {
        let (host, port) = host_and_port(&uri)?;
        let connecting = async {
            match self.local_address {
                None => TcpStream::connect((&*host, port)).await,
                Some(local) => connect_from(local, &host, port).await,
            }
        };
        let stream = match self.timeout {
            None => connecting.await?,
            Some(limit) => timeout(limit, connecting)
                .await
                .map_err(|_| timed_out(&host, port, limit))??,
        };
        stream.set_nodelay(!self.delay)?;
        Ok(Io::new(stream))
    }
}

fn timed_out(host: &str, port: u16, limit: Duration) -> io::Error {
    let text = format!("connect to {host}:{port}: no connection after {limit:?}");
    io::Error::new(io::ErrorKind::TimedOut, text)
}

fn host_and_port(uri: &Uri) -> io::Result<(String, u16)> {
    let host = uri.host().ok_or_else(|| {
        let text = format!("connect to {uri}: the URI has no host");
        io::Error::new(io::ErrorKind::InvalidInput, text)
    })?;
    // An IPv6 address has brackets in a URI and nowhere else.
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let default = if uri.scheme_str() == Some("https") {
        443
    } else {
        80
    };
    Ok((host.to_owned(), uri.port_u16().unwrap_or(default)))
}

async fn connect_from(local: IpAddr, host: &str, port: u16) -> io::Result<TcpStream> {
    let mut last = None;
    for address in lookup_host((host, port)).await? {
        if address.is_ipv4() != local.is_ipv4() {
            continue;
        }
        let socket = if local.is_ipv4() {
            TcpSocket::new_v4()?
        } else {
            TcpSocket::new_v6()?
        };
        socket.bind((local, 0).into())?;
        match socket.connect(address).await {
            Ok(stream) => return Ok(stream),
            Err(e) => last = Some(e),
        }
    }
    Err(last.unwrap_or_else(|| {
        let text = format!("connect to {host}:{port} from {local}: no address of that family");
        io::Error::new(io::ErrorKind::InvalidInput, text)
    }))
}

impl Service<Uri> for Connector {
    type Response = Io<TcpStream>;
    type Error = io::Error;
    type Future = Connecting<TcpStream>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        Box::pin(self.clone().connect(uri))
    }
}

/// A connector that reaches one Unix socket, whatever the URI is.
///
/// # Errors
/// A connection attempt fails with the errors of [`UnixStream::connect`].
#[derive(Debug, Clone)]
pub struct UnixConnector {
    path: Arc<PathBuf>,
}

impl UnixConnector {
    /// Creates a connector to the socket at `path`.
    pub fn new(path: impl Into<PathBuf>) -> UnixConnector {
        UnixConnector {
            path: Arc::new(path.into()),
        }
    }
}

impl Service<Uri> for UnixConnector {
    type Response = Io<UnixStream>;
    type Error = io::Error;
    type Future = Connecting<UnixStream>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let path = self.path.clone();
        Box::pin(async move { UnixStream::connect(&*path).await.map(Io::new) })
    }
}

impl Connection for Io<TcpStream> {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

impl Connection for Io<UnixStream> {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}
