//! Lookups of names on a simulated host.

/// Returns the addresses of a name on the simulated host on which the thread is, or `None` if it is
/// on none.
///
/// # Errors
/// Returns `NotFound` if no host of the simulation has the name.
#[cfg(feature = "sim")]
pub(crate) fn simulated(name: &str) -> Option<std::io::Result<Vec<std::net::SocketAddr>>> {
    use std::io;
    use std::net::SocketAddr;

    let host = runtime_reactor::sim::current_host()?;
    let (host_name, port) = name.rsplit_once(':')?;
    let Ok(port) = port.parse() else {
        return Some(Err(io::ErrorKind::InvalidInput.into()));
    };
    let found = host.resolve(host_name).into_iter();
    let found: Vec<SocketAddr> = found.map(|ip| SocketAddr::new(ip, port)).collect();
    if found.is_empty() {
        let text = "no host of the simulation has this name";
        return Some(Err(io::Error::new(io::ErrorKind::NotFound, text)));
    }
    Some(Ok(found))
}
